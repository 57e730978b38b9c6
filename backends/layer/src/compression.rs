//! How an archive is compressed.

use std::fmt;
use std::io::{self, BufReader, Read};

use crate::error::UnpackError;

/// Bytes that tell the compression.
const MAGIC_LENGTH: usize = 4;
/// RFC 1952, 2.3.1.
const GZIP: &[u8] = &[0x1f, 0x8b];
/// RFC 8878, 3.1.1.
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Bytes of a compressed archive that are read at a time.
const CHUNK: usize = 128 * 1024;

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// What a media type says, if it says anything: `application/vnd.oci.image.layer.v1.tar+gzip`,
    /// `application/vnd.docker.image.rootfs.diff.tar.gzip` and the like.
    #[must_use]
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        let kind = media_type.split(';').next().unwrap_or(media_type).trim();
        let ends =
            |ending: &str| kind.ends_with(&format!("+{ending}")) || kind.ends_with(&format!(".{ending}"));
        if ends("gzip") {
            Some(Self::Gzip)
        } else if ends("zstd") {
            Some(Self::Zstd)
        } else if ends("tar") {
            Some(Self::None)
        } else {
            None
        }
    }

    fn of_magic(start: &[u8]) -> Self {
        if start.starts_with(GZIP) {
            Self::Gzip
        } else if start.starts_with(ZSTD) {
            Self::Zstd
        } else {
            Self::None
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "a plain tar archive",
            Self::Gzip => "compressed with gzip",
            Self::Zstd => "compressed with zstd",
        })
    }
}

/// Decompresses what begins like something compressed. What it begins with counts and not what it was called, as for
/// every container engine: registries get the media types wrong.
pub(crate) fn decompressed<'a>(mut source: impl Read + 'a) -> Result<Box<dyn Read + 'a>, UnpackError> {
    let mut start = Vec::with_capacity(MAGIC_LENGTH);
    source
        .by_ref()
        .take(MAGIC_LENGTH as u64)
        .read_to_end(&mut start)
        .map_err(UnpackError::Read)?;
    let compression = Compression::of_magic(&start);
    let whole = io::Cursor::new(start).chain(source);
    Ok(match compression {
        Compression::None => Box::new(whole),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(
            CHUNK, whole,
        ))),
        // The library refuses windows above 128 MiB by itself.
        Compression::Zstd => Box::new(
            zstd::stream::read::Decoder::with_buffer(BufReader::with_capacity(CHUNK, whole))
                .map_err(UnpackError::Read)?,
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_say_how_a_layer_is_compressed() {
        for (media_type, expected) in [
            ("application/vnd.oci.image.layer.v1.tar", Some(Compression::None)),
            (
                "application/vnd.oci.image.layer.v1.tar+gzip",
                Some(Compression::Gzip),
            ),
            (
                "application/vnd.oci.image.layer.v1.tar+zstd; x=y",
                Some(Compression::Zstd),
            ),
            (
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
                Some(Compression::Gzip),
            ),
            ("application/wasm", None),
        ] {
            assert_eq!(Compression::of_media_type(media_type), expected, "{media_type}");
        }
    }
}
