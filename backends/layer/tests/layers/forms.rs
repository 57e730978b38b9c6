//! The forms that tar archives come in.

use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use crate::archive::{BLOCK, Item, Place, Tar};

#[test]
fn long_names_of_posix_and_of_gnu_are_whole() {
    let long = format!("{}/{}", "d".repeat(200), "f".repeat(200));
    let target = "t".repeat(300);
    let ended = |text: &str| [text.as_bytes(), b"\0"].concat();
    let mut posix = Tar::default();
    posix
        .pax(&[("path", long.as_bytes()), ("mtime", b"12.5")])
        .file("short", "x")
        .pax(&[("path", b"link"), ("linkpath", target.as_bytes())])
        .symlink("short", "short");
    let mut gnu = Tar::default();
    let mut extra = |kind, content: &[u8]| {
        gnu.item(&Item {
            kind,
            path: b"././@LongLink",
            content,
            ..Item::default()
        });
    };
    extra(b'L', &ended(&long));
    gnu.file("short", "x");
    let mut extra = |kind, content: &[u8]| {
        gnu.item(&Item {
            kind,
            path: b"././@LongLink",
            content,
            ..Item::default()
        });
    };
    extra(b'K', &ended(&target));
    gnu.symlink("link", "short");
    for tar in [&posix, &gnu] {
        let place = Place::new();
        place.unpack(&tar.end()).unwrap();
        assert_eq!(place.read(&long), "x");
        assert_eq!(
            std::fs::read_link(place.inside.join("link")).unwrap().to_str(),
            Some(target.as_str())
        );
    }
    let place = Place::new();
    place.unpack(&posix.end()).unwrap();
    let metadata = std::fs::metadata(place.inside.join(&long)).unwrap();
    assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (12, 500_000_000));
}

#[test]
fn a_prefix_is_a_part_of_the_path_and_old_folders_end_with_a_slash() {
    let mut tar = Tar::default();
    tar.file("name", "x");
    let prefix = b"a/prefix";
    tar.0[345..345 + prefix.len()].copy_from_slice(prefix);
    let sum: u32 = tar.0[..BLOCK]
        .iter()
        .enumerate()
        .map(|(index, byte)| {
            if (148..156).contains(&index) {
                32
            } else {
                u32::from(*byte)
            }
        })
        .sum();
    tar.0[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar.item(&Item {
        kind: 0,
        path: b"old/",
        mode: 0o750,
        content: b"of no use",
        ..Item::default()
    })
    .file("after", "x");
    let place = Place::new();
    place.unpack(&tar.end()).unwrap();
    assert_eq!(place.read("a/prefix/name"), "x");
    assert!(place.inside.join("old").is_dir());
    assert_eq!(place.read("after"), "x");
}

#[test]
fn sizes_of_links_are_not_believed_and_global_headers_are_ignored() {
    let mut tar = Tar::default();
    tar.item(&Item {
        kind: b'g',
        path: b"pax_global_header",
        content: b"52 comment=0123456789012345678901234567890123456789\n",
        ..Item::default()
    })
    .file("a", "x")
    .item(&Item {
        kind: b'1',
        path: b"b",
        link: b"a",
        size: Some(4096),
        ..Item::default()
    })
    .file("c", "y");
    let place = Place::new();
    place.unpack(&tar.end()).unwrap();
    assert_eq!(["a", "b", "c"].map(|rel| place.read(rel)), ["x", "x", "y"]);
}

#[test]
fn files_with_holes_are_whole_and_take_no_room() {
    let parts = [(0, "begin"), (1 << 20, "middle"), (3 << 20, "")];
    let size = 3_u64 << 20;
    let numbers: Vec<String> = parts
        .iter()
        .flat_map(|(offset, text)| [offset.to_string(), text.len().to_string()])
        .collect();
    let digits = size.to_string();
    let mut in_front = Tar::default();
    let mut content = format!("3\n{}\n", numbers.join("\n")).into_bytes();
    content.resize(BLOCK, 0);
    content.extend_from_slice(b"beginmiddle");
    in_front
        .pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"file"),
            ("GNU.sparse.realsize", digits.as_bytes()),
        ])
        .item(&Item {
            path: b"GNUSparseFile.0/file",
            content: &content,
            ..Item::default()
        });
    let mut with_map = Tar::default();
    with_map
        .pax(&[
            ("GNU.sparse.size", digits.as_bytes()),
            ("GNU.sparse.map", numbers.join(",").as_bytes()),
        ])
        .file("file", "beginmiddle");
    let mut with_offsets = Tar::default();
    let mut records: Vec<(&str, &[u8])> = vec![("GNU.sparse.size", digits.as_bytes())];
    for pair in numbers.chunks(2) {
        records.push(("GNU.sparse.offset", pair[0].as_bytes()));
        records.push(("GNU.sparse.numbytes", pair[1].as_bytes()));
    }
    with_offsets.pax(&records).file("file", "beginmiddle");
    for (name, tar) in [("1.0", in_front), ("0.1", with_map), ("0.0", with_offsets)] {
        let place = Place::new();
        assert_eq!(place.unpack(&tar.end()).unwrap().bytes, size, "{name}");
        check_holes(&place, size);
    }
}

fn check_holes(place: &Place, size: u64) {
    let content = std::fs::read(place.inside.join("file")).unwrap();
    assert_eq!(content.len() as u64, size);
    assert!(content.starts_with(b"begin\0") && content[1 << 20..].starts_with(b"middle\0"));
    assert_eq!(content.iter().filter(|byte| **byte != 0).count(), 11);
    let metadata = std::fs::metadata(place.inside.join("file")).unwrap();
    assert!(metadata.blocks() * 512 < size / 2, "holes are holes");
}

/// What GNU tar itself writes, in each of its forms.
#[test]
fn archives_of_gnu_tar_are_read() {
    let source = Place::new();
    let file = std::fs::File::create(source.outside.join("file")).unwrap();
    let write = |at: u64, bytes: &[u8]| std::os::unix::fs::FileExt::write_all_at(&file, bytes, at).unwrap();
    write(0, b"begin");
    write(1 << 20, b"middle");
    // More parts than a header has room for.
    for part in 2..40_u64 {
        write(part << 20, &[0; 1]);
    }
    file.set_len(64 << 20).unwrap();
    let long = "l".repeat(150);
    std::fs::write(source.outside.join(&long), "long").unwrap();
    for form in ["gnu", "posix"] {
        let output = Command::new("tar")
            .args(["--create", "--sparse", "--format", form, "--directory"])
            .arg(&source.outside)
            .arg(".")
            .output();
        let archive = match output {
            Ok(output) if output.status.success() => output.stdout,
            _ => {
                println!("skipped: there is no GNU tar");
                return;
            }
        };
        let place = Place::new();
        place.unpack(&archive).unwrap();
        for rel in ["file", &long, "precious"] {
            let read = |folder: &std::path::Path| std::fs::read(folder.join(rel)).unwrap();
            assert!(read(&place.inside) == read(&source.outside), "{form} {rel}");
        }
    }
}
