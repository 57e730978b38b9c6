//! Writing archives, also those that no library would write.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wrun_core::id::Digest;
use wrun_layer::{Limits, UnpackError, Unpacked, unpack};

pub(crate) const BLOCK: usize = 512;

/// A tar archive that is being written.
#[derive(Default, Clone)]
pub(crate) struct Tar(pub(crate) Vec<u8>);

/// An entry: a byte for what it is, a path, a target and a mode.
#[derive(Debug, Clone)]
pub(crate) struct Item<'a> {
    pub(crate) kind: u8,
    pub(crate) path: &'a [u8],
    pub(crate) link: &'a [u8],
    pub(crate) mode: u32,
    pub(crate) modified: u64,
    pub(crate) content: &'a [u8],
    /// The size that is said, if it is not that of the content.
    pub(crate) size: Option<u64>,
}

impl Default for Item<'_> {
    fn default() -> Self {
        Self {
            kind: b'0',
            path: b"",
            link: b"",
            mode: 0o644,
            modified: 1_000_000_000,
            content: b"",
            size: None,
        }
    }
}

impl Tar {
    pub(crate) fn item(&mut self, item: &Item<'_>) -> &mut Self {
        let mut header = vec![0; BLOCK];
        let size = item.size.unwrap_or(item.content.len() as u64);
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &item.path[..item.path.len().min(100)]);
        put(100, format!("{:07o}\0", item.mode).as_bytes());
        put(108, b"0001750\0");
        put(116, b"0001750\0");
        put(124, format!("{size:011o}\0").as_bytes());
        put(136, format!("{:011o}\0", item.modified).as_bytes());
        put(148, b"        ");
        put(156, &[item.kind]);
        put(157, &item.link[..item.link.len().min(100)]);
        put(257, b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.raw(&header).raw(item.content);
        self.fill()
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn fill(&mut self) -> &mut Self {
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
        self
    }

    pub(crate) fn file(&mut self, path: &str, content: &str) -> &mut Self {
        self.item(&Item {
            path: path.as_bytes(),
            content: content.as_bytes(),
            ..Item::default()
        })
    }

    pub(crate) fn folder(&mut self, path: &str, mode: u32) -> &mut Self {
        self.item(&Item {
            kind: b'5',
            path: path.as_bytes(),
            mode,
            ..Item::default()
        })
    }

    pub(crate) fn symlink(&mut self, path: &str, target: &str) -> &mut Self {
        self.linked(b'2', path, target)
    }

    pub(crate) fn hard_link(&mut self, path: &str, target: &str) -> &mut Self {
        self.linked(b'1', path, target)
    }

    fn linked(&mut self, kind: u8, path: &str, target: &str) -> &mut Self {
        self.item(&Item {
            kind,
            path: path.as_bytes(),
            link: target.as_bytes(),
            ..Item::default()
        })
    }

    /// An extended header for the next entry.
    pub(crate) fn pax(&mut self, records: &[(&str, &[u8])]) -> &mut Self {
        let mut text = Vec::new();
        for (key, value) in records {
            // The length counts its own digits.
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length = rest + length.to_string().len();
            }
            write!(text, "{length} {key}=").unwrap();
            text.extend_from_slice(value);
            text.push(b'\n');
        }
        self.item(&Item {
            kind: b'x',
            path: b"PaxHeaders/x",
            content: &text,
            ..Item::default()
        })
    }

    /// The whole archive.
    pub(crate) fn end(&self) -> Vec<u8> {
        let mut whole = self.0.clone();
        whole.resize(whole.len() + 2 * BLOCK, 0);
        whole
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A folder to unpack into, beside one that nothing may change.
pub(crate) struct Place {
    _folder: TempDir,
    pub(crate) inside: PathBuf,
    pub(crate) outside: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (inside, outside) = (folder.path().join("inside"), folder.path().join("outside"));
        std::fs::create_dir(&inside).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("precious"), "precious").unwrap();
        Self {
            _folder: folder,
            inside,
            outside,
        }
    }

    /// Unpacks an archive that is what it is said to be.
    pub(crate) fn unpack(&self, archive: &[u8]) -> Result<Unpacked, UnpackError> {
        self.unpack_within(archive, Limits::default())
    }

    pub(crate) fn unpack_within(&self, archive: &[u8], limits: Limits) -> Result<Unpacked, UnpackError> {
        unpack(archive, None, &self.inside, &Digest::of(archive), limits)
    }

    /// The code that unpacking ends with; nothing outside is changed.
    pub(crate) fn refusal(&self, archive: &[u8]) -> &'static str {
        let before = state(&self.outside);
        let error = self.unpack(archive).unwrap_err();
        println!("{error}");
        assert_eq!(state(&self.outside), before);
        error.code()
    }

    pub(crate) fn read(&self, rel: &str) -> String {
        std::fs::read_to_string(self.inside.join(rel)).unwrap()
    }
}

/// Everything about a folder that an unpacker could change.
pub(crate) fn state(folder: &Path) -> Vec<String> {
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::MetadataExt as _;

    let mut lines = Vec::new();
    let mut pending = vec![folder.to_path_buf()];
    while let Some(path) = pending.pop() {
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        let content = if metadata.is_file() {
            String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned()
        } else {
            String::new()
        };
        lines.push(format!(
            "{:?} {:o} {} {}.{} {} {content:?}",
            path.as_os_str().as_bytes(),
            metadata.mode(),
            metadata.nlink(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.size(),
        ));
        if metadata.is_dir() {
            pending.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
    lines.sort();
    lines
}
