//! Archives by chance: whatever is in them, nothing outside of the folder changes.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use wrun_core::id::Digest;
use wrun_layer::{Limits, unpack};

use crate::archive::{Item, Place, Tar, gzip, state};

/// Names that meet one another often, and those that harm is made of.
fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "b",
        "a",
        "b",
        "c",
        "link",
        "link",
        ".",
        "..",
        "",
        ".wh.a",
        ".wh.b",
        ".wh..wh..opq",
        ".wh...",
        "outside",
        "precious",
        "\u{e9}",
    ])
}

fn path() -> impl Strategy<Value = String> {
    (any::<bool>(), prop::collection::vec(name(), 1..4), 0..8).prop_map(|(absolute, names, slash)| {
        let start = if absolute && slash == 0 { "/" } else { "" };
        format!("{start}{}", names.join("/"))
    })
}

fn target() -> impl Strategy<Value = String> {
    prop_oneof![
        path(),
        Just("../outside".to_owned()),
        Just("../outside/precious".to_owned()),
        Just("../../outside".to_owned()),
        Just("OUTSIDE".to_owned()),
        Just("OUTSIDE/precious".to_owned()),
        Just("/".to_owned()),
    ]
}

/// What it is, its path and target, its mode, whether it has an extended header, and its content.
type Random = (u8, String, String, u32, bool, Vec<u8>);

fn item() -> impl Strategy<Value = Random> {
    let kind = prop::sample::select(b"00000111222225555346gSZ\0".to_vec());
    let content = prop::collection::vec(any::<u8>(), 0..40);
    (kind, path(), target(), 0_u32..0o10000, any::<bool>(), content)
}

fn written(items: &[Random], place: &Place) -> Tar {
    let mut tar = Tar::default();
    for (kind, path, target, mode, extended, content) in items {
        let target = target.replace("OUTSIDE", place.outside.to_str().unwrap());
        if *extended {
            tar.pax(&[
                ("path", path.as_bytes()),
                ("linkpath", target.as_bytes()),
                ("SCHILY.xattr.user.overlay.opaque", content),
                ("SCHILY.xattr.trusted.overlay.redirect", content),
            ]);
        }
        tar.item(&Item {
            kind: *kind,
            path: path.as_bytes(),
            link: target.as_bytes(),
            mode: *mode,
            modified: 1_000_000_000,
            content: if matches!(kind, b'0' | b'S' | b'g' | 0) {
                content
            } else {
                b""
            },
            size: None,
        });
    }
    tar
}

/// Everything below a folder.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_path_buf()];
    let mut next = 0;
    while let Some(path) = found.get(next).cloned() {
        next += 1;
        if std::fs::symlink_metadata(&path).unwrap().is_dir() {
            found.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_outside_is_touched(items in prop::collection::vec(item(), 0..20), compressed: bool) {
        let place = Place::new();
        let before = state(&place.outside);
        let archive = written(&items, &place).end();
        let source = if compressed { gzip(&archive) } else { archive.clone() };
        let result = unpack(source.as_slice(), None, &place.inside, &Digest::of(&archive), Limits::default());
        prop_assert_eq!(state(&place.outside), before);
        let beside = std::fs::read_dir(place.inside.parent().unwrap()).unwrap().count();
        prop_assert_eq!(beside, 2);
        if result.is_ok() {
            for path in below(&place.inside) {
                prop_assert!(!path.to_string_lossy().contains("/.wh."), "{}", path.display());
                let metadata = std::fs::symlink_metadata(&path).unwrap();
                prop_assert!(metadata.is_symlink() || metadata.mode() & 0o6000 == 0, "{}", path.display());
            }
        }
    }

    #[test]
    fn bytes_by_chance_do_no_harm(mut bytes in prop::collection::vec(any::<u8>(), 0..4096), form in 0..4) {
        let start: &[u8] = match form {
            0 => &[],
            1 => &[0x1f, 0x8b, 8],
            2 => &[0x28, 0xb5, 0x2f, 0xfd],
            _ => b"a/file",
        };
        let length = start.len().min(bytes.len());
        bytes[..length].copy_from_slice(&start[..length]);
        let place = Place::new();
        let before = state(&place.outside);
        let _ = place.unpack(&bytes);
        prop_assert_eq!(state(&place.outside), before);
    }

    #[test]
    fn an_archive_that_was_changed_somewhere_does_no_harm(
        items in prop::collection::vec(item(), 1..6),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let place = Place::new();
        let before = state(&place.outside);
        let mut archive = written(&items, &place).end();
        for (index, byte) in changes {
            let index = index.index(archive.len());
            archive[index] = byte;
        }
        let _ = place.unpack(&archive);
        prop_assert_eq!(state(&place.outside), before);
    }

    #[test]
    fn a_tree_is_what_it_was(
        files in prop::collection::btree_map("[a-c]/[a-c]{1,3}/[d-f]{1,120}", "[a-z]{0,2000}", 0..30),
    ) {
        let mut tar = Tar::default();
        for (path, content) in &files {
            tar.pax(&[("path", path.as_bytes())]).file("x", content);
        }
        let place = Place::new();
        let unpacked = place.unpack(&tar.end()).unwrap();
        prop_assert_eq!(unpacked.files, files.len() as u64);
        let found: BTreeMap<String, String> =
            files.keys().map(|path| (path.clone(), place.read(path))).collect();
        prop_assert_eq!(found, files);
    }
}
