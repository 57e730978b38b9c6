use std::io::{Cursor, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use miette::Diagnostic as _;
use tempfile::TempDir;
use wrun_store::{Scratch, Store, StoreError, UnpackLimits, Unpacked};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::support::fresh;

struct Fixture {
    folder: TempDir,
    _store: Store,
    scratch: Scratch,
}

impl Fixture {
    fn new() -> Self {
        let (folder, store) = fresh();
        let scratch = store.scratch("unpack").unwrap();
        Self {
            folder,
            _store: store,
            scratch,
        }
    }

    fn archive(&self, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join("archive.zip");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn unpack(&self, bytes: &[u8]) -> Result<Unpacked, StoreError> {
        self.scratch.tree().unpack_zip(&self.archive(bytes), "to")
    }
}

fn zipped(fill: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>)) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    fill(&mut writer);
    writer.finish().unwrap().into_inner()
}

fn deflated() -> SimpleFileOptions {
    // The time of now could hold the bytes of a name.
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(zip::DateTime::default())
}

/// An archive with one file of a name that the writer would not take: a stand-in of the same length is replaced.
fn with_name(name: &str) -> Vec<u8> {
    let stand_in = "#".repeat(name.len());
    let mut bytes = zipped(|zip| {
        zip.start_file(&stand_in, deflated()).unwrap();
        zip.write_all(b"evil").unwrap();
    });
    let places: Vec<_> = bytes
        .windows(name.len())
        .enumerate()
        .filter(|(_, part)| *part == stand_in.as_bytes())
        .map(|(at, _)| at)
        .collect();
    assert_eq!(places.len(), 2, "the local and the central header");
    for at in places {
        bytes.splice(at..at + name.len(), name.bytes());
    }
    bytes
}

#[test]
fn files_and_modes_are_unpacked() {
    let fixture = Fixture::new();
    let bytes = zipped(|zip| {
        zip.add_directory("empty/", deflated()).unwrap();
        zip.start_file("pkg/module.py", deflated()).unwrap();
        zip.write_all(b"print()").unwrap();
        zip.start_file("pkg/data/bin/uv", deflated().unix_permissions(0o755))
            .unwrap();
        zip.write_all(&vec![7; 100_000]).unwrap();
    });
    assert_eq!(
        fixture.unpack(&bytes).unwrap(),
        Unpacked {
            files: 2,
            bytes: 100_007
        }
    );
    let tree = fixture.scratch.tree();
    assert!(tree.exists("to/empty").unwrap());
    assert_eq!(tree.read("to/pkg/module.py", 100).unwrap(), b"print()");
    let mode = |rel: &str| {
        std::fs::metadata(tree.path().join(rel))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(
        (mode("to/pkg/module.py"), mode("to/pkg/data/bin/uv")),
        (0o644, 0o755)
    );
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in [
        "../evil",
        "a/../../evil",
        "/tmp/evil",
        "a/../b",
        "./evil",
        "a//b",
        "..",
        ".",
    ] {
        let fixture = Fixture::new();
        let error = fixture.unpack(&with_name(name)).unwrap_err();
        assert_eq!(
            error.code().unwrap().to_string(),
            "store.archive.invalid",
            "{name}: {error}"
        );
        assert!(!fixture.scratch.path().join("evil").exists(), "{name}");
        assert_eq!(
            std::fs::read_dir(fixture.scratch.path().join("to"))
                .unwrap()
                .count(),
            0,
            "{name}"
        );
    }
}

#[test]
fn links_are_refused() {
    let fixture = Fixture::new();
    let bytes = zipped(|zip| zip.add_symlink("link", "/etc", deflated()).unwrap());
    let error = fixture.unpack(&bytes).unwrap_err();
    assert!(error.to_string().contains("link or a special file"), "{error}");
    assert!(!fixture.scratch.tree().exists("to/link").unwrap());
}

#[test]
fn a_link_that_is_there_is_not_followed_out() {
    let fixture = Fixture::new();
    fixture
        .scratch
        .tree()
        .symlink(fixture.folder.path(), "to/out")
        .unwrap();
    let bytes = zipped(|zip| zip.start_file("out/evil", deflated()).unwrap());
    let error = fixture.unpack(&bytes).unwrap_err();
    assert_eq!(error.code().unwrap().to_string(), "store.path.escapes", "{error}");
    assert!(!fixture.folder.path().join("evil").exists());
}

#[test]
fn a_bomb_stops_at_the_limit() {
    let fixture = Fixture::new();
    let bytes = zipped(|zip| {
        for number in 0..3 {
            zip.start_file(format!("zeros{number}"), deflated()).unwrap();
            zip.write_all(&vec![0; 4 << 20]).unwrap();
        }
    });
    let tree = fixture.scratch.tree();
    let archive = fixture.archive(&bytes);
    let limits = UnpackLimits {
        free_bytes: 1 << 20,
        ..UnpackLimits::default()
    };
    let error = tree.unpack_zip_within(&archive, "ratio", &limits).unwrap_err();
    assert_eq!(
        error.code().unwrap().to_string(),
        "store.archive.limit",
        "{error}"
    );
    let limits = UnpackLimits {
        bytes: 6 << 20,
        ..UnpackLimits::default()
    };
    assert!(matches!(
        tree.unpack_zip_within(&archive, "bytes", &limits),
        Err(StoreError::ArchiveLimit { .. })
    ));
    let size = |name: &str| std::fs::metadata(tree.path().join(name)).unwrap().len();
    assert_eq!(size("bytes/zeros0"), 4 << 20);
    assert!(size("bytes/zeros1") <= (2 << 20) + 1);
    assert!(!tree.exists("bytes/zeros2").unwrap());
    let limits = UnpackLimits {
        entries: 2,
        ..UnpackLimits::default()
    };
    assert!(matches!(
        tree.unpack_zip_within(&archive, "entries", &limits),
        Err(StoreError::ArchiveLimit { .. })
    ));
    assert!(tree.unpack_zip(&archive, "fine").is_ok());
}

#[test]
fn a_size_that_is_stated_wrong_does_not_get_past_the_limit() {
    let fixture = Fixture::new();
    let mut bytes = zipped(|zip| {
        zip.start_file("zeros", deflated()).unwrap();
        zip.write_all(&vec![0; 4 << 20]).unwrap();
    });
    let stated = (4_u32 << 20).to_le_bytes();
    let places: Vec<_> = bytes
        .windows(4)
        .enumerate()
        .filter(|(_, part)| *part == stated)
        .map(|(at, _)| at)
        .collect();
    for at in places {
        bytes[at..at + 4].copy_from_slice(&1_u32.to_le_bytes());
    }
    let limits = UnpackLimits {
        free_bytes: 1 << 20,
        ..UnpackLimits::default()
    };
    assert!(
        fixture
            .scratch
            .tree()
            .unpack_zip_within(&fixture.archive(&bytes), "to", &limits)
            .is_err()
    );
    let written =
        std::fs::metadata(fixture.scratch.path().join("to/zeros")).map_or(0, |metadata| metadata.len());
    assert!(written <= (1 << 20) + 1);
}

#[test]
fn damage_is_found() {
    let fixture = Fixture::new();
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut bytes = zipped(|zip| {
        zip.start_file("file", stored).unwrap();
        zip.write_all(b"precious content").unwrap();
    });
    let at = bytes.windows(8).position(|part| part == b"precious").unwrap();
    bytes[at] = b'P';
    assert!(matches!(fixture.unpack(&bytes), Err(StoreError::Archive { .. })));
    assert!(matches!(
        fixture.unpack(b"not a zip file"),
        Err(StoreError::Archive { .. })
    ));
    assert!(matches!(fixture.unpack(b""), Err(StoreError::Archive { .. })));
    assert!(
        fixture
            .scratch
            .tree()
            .unpack_zip(&fixture.folder.path().join("absent"), "to")
            .is_err()
    );
    assert!(
        fixture
            .scratch
            .tree()
            .unpack_zip(&fixture.archive(&bytes), "../to")
            .is_err()
    );
}
