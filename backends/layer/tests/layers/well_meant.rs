//! What layers have in them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};

use wrun_core::id::Digest;
use wrun_layer::{Compression, Limits, Unpacked, hides_all_below, unpack};

use crate::archive::{Item, Place, Tar, gzip};

fn attribute(path: &std::path::Path, name: &str) -> Option<Vec<u8>> {
    let mut value = [0; 256];
    let length = rustix::fs::lgetxattr(path, name, &mut value).ok()?;
    Some(value[..length].to_vec())
}

fn mode(place: &Place, rel: &str) -> u32 {
    let metadata = std::fs::symlink_metadata(place.inside.join(rel)).unwrap();
    metadata.permissions().mode() & 0o7777
}

#[test]
fn files_folders_and_links_are_as_in_the_archive() {
    let mut tar = Tar::default();
    tar.folder("./", 0o755)
        .folder("./bin/", 0o755)
        .item(&Item {
            path: b"./bin/tool",
            mode: 0o755,
            content: b"#!/bin/sh\n",
            modified: 1_234_567_890,
            ..Item::default()
        })
        .symlink("bin/sh", "/bin/tool")
        .hard_link("bin/again", "bin/tool")
        .file("etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    let place = Place::new();
    let unpacked = place.unpack(&tar.end()).unwrap();
    let expected = Unpacked {
        files: 3,
        bytes: 36,
        folders: 2,
        links: 1,
        removals: 0,
        left_out: 0,
    };
    assert_eq!(unpacked, expected);
    let tool = std::fs::metadata(place.inside.join("bin/tool")).unwrap();
    assert_eq!(
        (tool.mtime(), tool.nlink(), mode(&place, "bin/tool")),
        (1_234_567_890, 2, 0o755)
    );
    assert_eq!(place.read("bin/again"), "#!/bin/sh\n");
    assert_eq!(
        std::fs::read_link(place.inside.join("bin/sh")).unwrap().to_str(),
        Some("/bin/tool")
    );
    let link = std::fs::symlink_metadata(place.inside.join("bin/sh")).unwrap();
    assert_eq!(link.mtime(), 1_000_000_000);
    assert_eq!(
        std::fs::metadata(place.inside.join("bin")).unwrap().mtime(),
        1_000_000_000
    );
    assert_eq!(mode(&place, "etc"), 0o755, "only implied");
    assert_eq!(tool.uid(), rustix::process::geteuid().as_raw());
}

#[test]
fn closed_folders_get_their_children_and_modes_are_made_harmless() {
    let mut tar = Tar::default();
    tar.folder("closed", 0o555)
        .folder("closed/shut", 0o000)
        .file("closed/shut/file", "x")
        .folder("tmp", 0o1777)
        .folder("shared", 0o6775)
        .item(&Item {
            path: b"su",
            mode: 0o6755,
            ..Item::default()
        })
        .item(&Item {
            path: b"shadow",
            mode: 0o000,
            content: b"secret",
            ..Item::default()
        });
    let place = Place::new();
    place.unpack(&tar.end()).unwrap();
    let modes = [
        "closed",
        "closed/shut",
        "closed/shut/file",
        "tmp",
        "shared",
        "su",
        "shadow",
    ]
    .map(|rel| mode(&place, rel));
    assert_eq!(modes, [0o555, 0o500, 0o644, 0o1777, 0o775, 0o755, 0o400]);
}

#[test]
fn later_entries_replace_earlier_ones() {
    let mut tar = Tar::default();
    tar.file("a", "old")
        .file("a", "new")
        .file("b", "a file")
        .folder("b", 0o700)
        .file("b/inside", "x")
        .folder("c/d/e", 0o700)
        .file("c/d/e/f", "x")
        .file("c/.wh.gone", "")
        .file("c", "a file now")
        .symlink("d", "a")
        .file("d", "no link")
        .file("e", "linked")
        .hard_link("f", "e")
        .file("f", "another")
        .symlink("g", "a")
        .folder("g", 0o755)
        .folder("b", 0o711);
    let place = Place::new();
    place.unpack(&tar.end()).unwrap();
    assert_eq!(
        ["a", "b/inside", "c", "d", "e", "f"].map(|rel| place.read(rel)),
        ["new", "x", "a file now", "no link", "linked", "another"]
    );
    assert!(
        std::fs::symlink_metadata(place.inside.join("g"))
            .unwrap()
            .is_dir()
    );
    assert_eq!(mode(&place, "b"), 0o711);
}

#[test]
fn every_compression_is_told_by_its_first_bytes() {
    let mut tar = Tar::default();
    tar.file("file", "content");
    let plain = tar.end();
    let zstd = zstd::encode_all(plain.as_slice(), 3).unwrap();
    let members = [gzip(&plain[..600]), gzip(&plain[600..])].concat();
    for (name, archive) in [
        ("plain", plain.clone()),
        ("gzip", gzip(&plain)),
        ("zstd", zstd),
        ("members", members),
    ] {
        for announced in [
            None,
            Some(Compression::None),
            Some(Compression::Gzip),
            Some(Compression::Zstd),
        ] {
            let place = Place::new();
            unpack(
                archive.as_slice(),
                announced,
                &place.inside,
                &Digest::of(&plain),
                Limits::default(),
            )
            .unwrap();
            assert_eq!(place.read("file"), "content", "{name}");
        }
    }
}

#[test]
fn the_diff_id_is_that_of_all_bytes() {
    let mut tar = Tar::default();
    tar.file("file", "content");
    let mut archive = tar.end();
    archive.extend_from_slice(&[0; 8192]);
    let place = Place::new();
    let wrong = unpack(
        archive.as_slice(),
        None,
        &place.inside,
        &Digest::of(&tar.end()),
        Limits::default(),
    );
    assert_eq!(wrong.unwrap_err().code(), "layer.diff-id");
    Place::new().unpack(&archive).unwrap();
    // Some writers leave the end out.
    Place::new().unpack(&tar.0).unwrap();
}

#[test]
fn removals_become_what_overlays_know() {
    let mut tar = Tar::default();
    tar.folder("dir", 0o755)
        .file("dir/.wh.gone", "")
        .file("dir/kept", "x")
        .file("full/.wh..wh..opq", "")
        .file("full/new", "x")
        .file("full/.wh.pointless", "")
        .folder("again", 0o750)
        .file("again/new", "x")
        .file(".wh.again", "")
        .file(".wh.kept", "")
        .file("kept", "x")
        .file("implied/deep/.wh.gone", "")
        .file(".wh..wh.plnk/1.2", "x")
        .file(".wh..wh.aufs", "x");
    let place = Place::new();
    let unpacked = place.unpack(&tar.end()).unwrap();
    assert_eq!(unpacked.removals, 5);
    let value = |rel: &str, name: &str| {
        attribute(&place.inside.join(rel), name).map(|value| String::from_utf8(value).unwrap())
    };
    let opaque = |rel: &str| value(rel, "user.overlay.opaque");
    for gone in ["dir/gone", "implied/deep/gone"] {
        let metadata = std::fs::symlink_metadata(place.inside.join(gone)).unwrap();
        assert!(metadata.file_type().is_char_device(), "{gone}");
        assert_eq!(metadata.rdev(), 0, "{gone}");
    }
    assert_eq!(opaque("dir"), None);
    assert_eq!(opaque("implied/deep"), None);
    assert_eq!(opaque("implied"), None);
    assert_eq!(opaque("full").as_deref(), Some("y"));
    assert_eq!(
        opaque("again").as_deref(),
        Some("y"),
        "removed below and there again"
    );
    assert!(!place.inside.join("full/pointless").exists());
    assert_eq!(place.read("kept"), "x");
    assert_eq!(opaque("."), None);
    let names: Vec<_> = std::fs::read_dir(&place.inside)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.as_bytes().starts_with(b".wh"))
        .collect();
    assert_eq!(names, [""; 0]);
    assert!(!hides_all_below(&place.inside).unwrap());

    let mut tar = Tar::default();
    tar.file(".wh..wh..opq", "").file("new", "x");
    let place = Place::new();
    place.unpack(&tar.end()).unwrap();
    assert!(hides_all_below(&place.inside).unwrap());
}

#[test]
fn only_attributes_of_users_are_kept_and_none_of_overlays() {
    let mut tar = Tar::default();
    let records: [(&str, &[u8]); 6] = [
        ("SCHILY.xattr.user.mine", b"1\n2\0"),
        ("SCHILY.xattr.user.overlay.opaque", b"y"),
        ("SCHILY.xattr.user.overlay.redirect", b"/etc"),
        ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
        ("SCHILY.xattr.security.capability", b"\x01"),
        ("SCHILY.xattr.system.posix_acl_access", b"\x02"),
    ];
    tar.pax(&records)
        .file("file", "x")
        .pax(&records)
        .folder("dir", 0o555);
    let place = Place::new();
    place.unpack(&tar.end()).unwrap();
    for rel in ["file", "dir"] {
        let path = place.inside.join(rel);
        assert_eq!(attribute(&path, "user.mine").as_deref(), Some(&b"1\n2\0"[..]));
        let mut names = [0; 1024];
        let length = rustix::fs::llistxattr(&path, &mut names).unwrap();
        assert_eq!(&names[..length], b"user.mine\0", "{rel}");
    }
}

#[test]
fn devices_are_left_out_where_a_container_has_its_own() {
    let mut tar = Tar::default();
    for (kind, path) in [(b'3', "dev/null"), (b'4', "dev/sda"), (b'6', "./dev/initctl")] {
        tar.item(&Item {
            kind,
            path: path.as_bytes(),
            ..Item::default()
        });
    }
    tar.folder("dev", 0o755);
    let place = Place::new();
    assert_eq!(place.unpack(&tar.end()).unwrap().left_out, 3);
    assert_eq!(std::fs::read_dir(place.inside.join("dev")).unwrap().count(), 0);
}

#[test]
fn names_need_not_be_text() {
    let mut tar = Tar::default();
    tar.item(&Item {
        path: b"caf\xe9/\xff\xfe",
        content: b"x",
        ..Item::default()
    });
    let place = Place::new();
    place.unpack(&tar.end()).unwrap();
    let path = place.inside.join(OsStr::from_bytes(b"caf\xe9/\xff\xfe"));
    assert_eq!(std::fs::read_to_string(path).unwrap(), "x");
}
