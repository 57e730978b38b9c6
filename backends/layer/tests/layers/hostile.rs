//! Archives that are made to do harm: each ends with an error that has a name, and nothing outside is touched.

use std::io::Read;

use wrun_core::id::Digest;
use wrun_layer::{Limits, unpack};

use crate::archive::{Item, Place, Tar, gzip, state};

#[test]
fn paths_do_not_lead_out() {
    for (path, code) in [
        ("/etc/passwd", "layer.path.absolute"),
        ("../outside/precious", "layer.path.parent"),
        ("a/../../outside/new", "layer.path.parent"),
        ("..", "layer.path.parent"),
        (".wh...", "layer.path.invalid"),
        ("a/.wh..", "layer.path.invalid"),
        ("../.wh.outside", "layer.path.parent"),
        ("../outside/.wh..wh..opq", "layer.path.parent"),
    ] {
        for kind in *b"01235" {
            let mut tar = Tar::default();
            tar.item(&Item {
                kind,
                path: path.as_bytes(),
                link: b"x",
                ..Item::default()
            });
            assert_eq!(Place::new().refusal(&tar.end()), code, "{path}");
        }
        let mut tar = Tar::default();
        tar.pax(&[("path", path.as_bytes())]).file("harmless", "x");
        assert_eq!(Place::new().refusal(&tar.end()), code, "{path}");
    }
}

#[test]
fn nothing_is_written_through_a_symbolic_link() {
    let place = Place::new();
    let outside = place.outside.to_str().unwrap().to_owned();
    for target in [outside.as_str(), "../outside", "/", ".", "../inside"] {
        for below in [
            "link/new",
            "link/precious",
            "link/deep/er",
            "link/.wh.precious",
            "link/.wh..wh..opq",
        ] {
            let mut tar = Tar::default();
            tar.symlink("link", target).file(below, "harm");
            assert_eq!(
                Place::new().refusal(&tar.end()),
                "layer.path.through-link",
                "{target} {below}"
            );
        }
        let mut tar = Tar::default();
        tar.symlink("link", target).folder("link/folder", 0o777);
        assert_eq!(Place::new().refusal(&tar.end()), "layer.path.through-link");
        let mut tar = Tar::default();
        tar.symlink("link", target).hard_link("precious", "link/precious");
        assert_eq!(Place::new().refusal(&tar.end()), "layer.hard-link");
    }
    let mut tar = Tar::default();
    tar.symlink("a", "../outside/precious")
        .file("a", "replaced and not followed");
    let place = Place::new();
    let before = state(&place.outside);
    place.unpack(&tar.end()).unwrap();
    assert_eq!(state(&place.outside), before);
    assert_eq!(place.read("a"), "replaced and not followed");
    // The mode and the time at the end are those of folders, which a link took the place of.
    let mut tar = Tar::default();
    tar.folder("a", 0o777).symlink("a", "../outside");
    let place = Place::new();
    let before = state(&place.outside);
    place.unpack(&tar.end()).unwrap();
    assert_eq!(state(&place.outside), before);
}

#[test]
fn hard_links_stay_in_the_layer() {
    for target in [
        "/etc/passwd",
        "../outside/precious",
        "nowhere",
        "folder",
        "new",
        ".",
        ".wh.x",
        "a/../../outside/precious",
    ] {
        let mut tar = Tar::default();
        tar.folder("folder", 0o755).hard_link("new", target);
        assert_eq!(Place::new().refusal(&tar.end()), "layer.hard-link", "{target}");
    }
    // The target goes away with what is replaced.
    let mut tar = Tar::default();
    tar.file("a/b", "x").hard_link("a", "a/b");
    assert_eq!(Place::new().refusal(&tar.end()), "layer.hard-link");
    // A hard link to a symbolic link is one to the link itself.
    let mut tar = Tar::default();
    tar.symlink("link", "../outside/precious")
        .hard_link("again", "link")
        .file("again", "harm");
    let place = Place::new();
    let before = state(&place.outside);
    place.unpack(&tar.end()).unwrap();
    assert_eq!(state(&place.outside), before);
}

#[test]
fn special_files_are_refused() {
    for kind in *b"346" {
        let mut tar = Tar::default();
        tar.item(&Item {
            kind,
            path: b"etc/dev",
            ..Item::default()
        });
        assert_eq!(Place::new().refusal(&tar.end()), "layer.special-file");
    }
    for kind in *b"DMVZ" {
        let mut tar = Tar::default();
        tar.item(&Item {
            kind,
            path: b"x",
            ..Item::default()
        });
        assert_eq!(Place::new().refusal(&tar.end()), "layer.entry.unknown");
    }
}

#[test]
fn what_is_no_path_is_refused() {
    let mut through = Tar::default();
    through.file("a", "x").file("a/b", "y");
    assert_eq!(Place::new().refusal(&through.end()), "layer.path.through-file");
    let mut top = Tar::default();
    top.file(".", "x");
    assert_eq!(Place::new().refusal(&top.end()), "layer.path.invalid");
    let deep = "d/".repeat(300);
    for path in [
        vec![b'x'; 300],
        deep.into_bytes(),
        vec![b'/'; 5000],
        b"a\0b".to_vec(),
        Vec::new(),
    ] {
        let mut tar = Tar::default();
        tar.pax(&[("path", &path)]).file("x", "x");
        let code = Place::new().refusal(&tar.end());
        assert!(code.starts_with("layer.path."), "{code}");
    }
}

#[test]
fn damage_is_told() {
    let mut tar = Tar::default();
    tar.file("file", "content");
    let whole = tar.end();
    for (archive, code) in [
        (Vec::new(), "layer.archive.invalid"),
        (b"not an archive".to_vec(), "layer.archive.truncated"),
        (vec![b'x'; 2048], "layer.archive.invalid"),
        (whole[..515].to_vec(), "layer.archive.truncated"),
        (whole[..300].to_vec(), "layer.archive.truncated"),
        (gzip(&whole)[..40].to_vec(), "layer.read"),
        ([vec![0; 512], whole.clone()].concat(), "layer.archive.invalid"),
        (vec![0x28, 0xb5, 0x2f, 0xfd, 1, 2, 3], "layer.read"),
    ] {
        assert_eq!(Place::new().refusal(&archive), code, "{} bytes", archive.len());
    }
    let mut tar = Tar::default();
    tar.pax(&[]).raw(b"x");
    assert_eq!(Place::new().refusal(&tar.0), "layer.archive.truncated");
    let mut tar = Tar::default();
    tar.item(&Item {
        kind: b'x',
        content: b"999 path=x\n",
        ..Item::default()
    });
    assert_eq!(Place::new().refusal(&tar.end()), "layer.archive.invalid");
    let place = Place::new();
    std::fs::write(place.inside.join("there"), "x").unwrap();
    assert_eq!(place.refusal(&whole), "layer.folder.not-empty");
    assert_eq!(place.read("there"), "x");
}

/// Gives an archive out of nothing.
struct Endless<F: FnMut(u64) -> Vec<u8>> {
    make: F,
    number: u64,
    rest: std::io::Cursor<Vec<u8>>,
}

impl<F: FnMut(u64) -> Vec<u8>> Read for Endless<F> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.rest.read(buffer)?;
        if count > 0 || buffer.is_empty() {
            return Ok(count);
        }
        self.rest = std::io::Cursor::new((self.make)(self.number));
        self.number += 1;
        self.rest.read(buffer)
    }
}

fn endless(make: impl FnMut(u64) -> Vec<u8>, limits: Limits) -> &'static str {
    let place = Place::new();
    let source = Endless {
        make,
        number: 0,
        rest: std::io::Cursor::new(Vec::new()),
    };
    let error = unpack(source, None, &place.inside, &Digest::of(b""), limits).unwrap_err();
    println!("{error}");
    error.code()
}

#[test]
fn there_is_an_end_to_everything() {
    let few = Limits {
        entries: 1000,
        bytes: 8 << 20,
        ..Limits::default()
    };
    let one = |item: &Item<'_>| {
        let mut tar = Tar::default();
        tar.item(item);
        tar.0
    };
    let entries = |kind: u8| {
        move |number: u64| {
            one(&Item {
                kind,
                path: format!("{number}").as_bytes(),
                link: b"x",
                ..Item::default()
            })
        }
    };
    for kind in *b"025" {
        assert_eq!(endless(entries(kind), few), "layer.limit", "a million entries");
    }
    let deep = |number: u64| {
        one(&Item {
            path: format!("{number}/{}x", "d/".repeat(40)).as_bytes(),
            ..Item::default()
        })
    };
    assert_eq!(endless(deep, few), "layer.limit", "folders that are only implied");
    let marks = |number: u64| {
        one(&Item {
            path: format!(".wh.{number}").as_bytes(),
            ..Item::default()
        })
    };
    assert_eq!(endless(marks, few), "layer.limit", "removals");
    let headers = |_| {
        one(&Item {
            kind: b'x',
            content: &[b'0'; 0],
            ..Item::default()
        })
    };
    assert_eq!(endless(headers, few), "layer.limit", "headers without an entry");
    let large = |number: u64| match number {
        0 => one(&Item {
            path: b"x",
            size: Some(8 << 30),
            ..Item::default()
        }),
        _ => vec![0; 1 << 16],
    };
    assert_eq!(
        endless(large, few),
        "layer.limit",
        "a file that is larger than the disk"
    );
    let after = |number: u64| match number {
        0 => Tar::default().file("x", "x").end(),
        _ => vec![0; 1 << 16],
    };
    assert_eq!(endless(after, few), "layer.limit", "zeros after the end");
    let mut name = Tar::default();
    name.item(&Item {
        kind: b'L',
        size: Some(1 << 30),
        ..Item::default()
    });
    assert_eq!(
        Place::new().refusal(&name.0),
        "layer.limit",
        "a name of a gigabyte"
    );
}

#[test]
fn holes_are_not_free() {
    let mut tar = Tar::default();
    tar.pax(&[
        ("GNU.sparse.size", b"9000000000000000000"),
        ("GNU.sparse.map", b"0,1"),
    ])
    .file("x", "x");
    assert_eq!(Place::new().refusal(&tar.end()), "layer.limit");
    for map in [
        "5,1",
        "0,2",
        "0,1,0,1",
        "0,18446744073709551615",
        "18446744073709551615,1",
    ] {
        let mut tar = Tar::default();
        tar.pax(&[("GNU.sparse.size", b"5"), ("GNU.sparse.map", map.as_bytes())])
            .file("x", "x");
        assert_eq!(Place::new().refusal(&tar.end()), "layer.archive.invalid", "{map}");
    }
}

#[test]
fn bombs_do_not_go_off() {
    let zeros = vec![0; 64 << 20];
    let mut tar = Tar::default();
    tar.item(&Item {
        path: b"zeros",
        content: &zeros,
        ..Item::default()
    });
    let archive = tar.end();
    let strict = Limits {
        ratio: 20,
        free_bytes: 1 << 20,
        ..Limits::default()
    };
    for bomb in [gzip(&archive), zstd::encode_all(archive.as_slice(), 1).unwrap()] {
        let place = Place::new();
        let error = unpack(
            bomb.as_slice(),
            None,
            &place.inside,
            &Digest::of(&archive),
            strict,
        )
        .unwrap_err();
        assert_eq!(error.code(), "layer.limit", "{error}");
        let written = std::fs::metadata(place.inside.join("zeros")).unwrap().len();
        assert!(written < 16 << 20, "{written} bytes were written first");
        // A small one is nobody's harm.
        let place = Place::new();
        unpack(
            bomb.as_slice(),
            None,
            &place.inside,
            &Digest::of(&archive),
            Limits::default(),
        )
        .unwrap();
    }
}
