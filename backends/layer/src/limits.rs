//! How much a layer may be.

/// The longest header of names and attributes, in bytes.
pub(crate) const LONGEST_HEADER: u64 = 1 << 20;

/// How much a layer may unpack to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Files, folders and links, with the folders that are only implied.
    pub entries: u64,
    /// Bytes of the archive when it is not compressed any more, and bytes of its files with the holes in them.
    pub bytes: u64,
    /// Bytes for each byte of the compressed archive, above `free_bytes`.
    pub ratio: u64,
    /// Bytes that are not held against the ratio.
    pub free_bytes: u64,
}

impl Default for Limits {
    /// Far above what the largest images for machine learning have in one layer, and below a full disk.
    fn default() -> Self {
        Self {
            entries: 500_000,
            bytes: 32 << 30,
            ratio: 200,
            free_bytes: 256 << 20,
        }
    }
}
