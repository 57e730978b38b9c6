//! Files and folders: reading, writing and making them.

use std::path::Path;

use crate::Attempt;
use crate::call::{HERE, call, words_of};
use crate::descriptor::{create, look_at, open, owned, read_all, read_file, remove, remove_folder, write};
use crate::verdict::{During as _, Stop, Verdict, open_if_marked};
use crate::words::{Words, c_string, own_name};

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "read",
        usage: "PATH [MARKER]",
        run: read,
    },
    Attempt {
        name: "read-by-openat2",
        usage: "PATH",
        run: read_by_openat2,
    },
    Attempt {
        name: "reopen",
        usage: "PATH MARKER",
        run: reopen,
    },
    Attempt {
        name: "climb",
        usage: "PATH MARKER",
        run: climb,
    },
    Attempt {
        name: "list",
        usage: "FOLDER",
        run: list,
    },
    Attempt {
        name: "write",
        usage: "PATH",
        run: open_to_write,
    },
    Attempt {
        name: "make",
        usage: "file|folder|link|pipe|socket FOLDER",
        run: make,
    },
    Attempt {
        name: "truncate",
        usage: "PATH",
        run: truncate,
    },
    Attempt {
        name: "truncate-open",
        usage: "CANARY",
        run: truncate_open,
    },
    Attempt {
        name: "enter",
        usage: "FOLDER",
        run: enter,
    },
    Attempt {
        name: "look",
        usage: "PATH",
        run: look,
    },
    Attempt {
        name: "names",
        usage: "FOLDER",
        run: names,
    },
    Attempt {
        name: "handle",
        usage: "TYPE:HEX FOLDER MARKER",
        run: handle,
    },
];

fn read(words: &Words) -> Verdict {
    let path = words.path(0)?;
    let content = read_file(&path).during(format!("read {}", words.text(0)?))?;
    match words.get(1) {
        Some(marker) => open_if_marked(&content, marker, "the file"),
        None if content.is_empty() => Err(Stop::blocked("it is empty")),
        None => Ok(format!("{} bytes", content.len())),
    }
}

/// Opens with a call that filters by mode cannot look into, as its flags lie in memory.
fn read_by_openat2(words: &Words) -> Verdict {
    let how = words_of(&[u64::from(libc::O_CLOEXEC.cast_unsigned()), 0, 0]);
    let descriptor = call!(libc::SYS_openat2, HERE, &words.path(0)?, &how, how.len())
        .and_then(owned)
        .during("openat2")?;
    let content = read_all(&descriptor).during("read")?;
    Ok(format!("{} bytes", content.len()))
}

/// Gets hold of a path without opening it, and opens that.
fn reopen(words: &Words) -> Verdict {
    let held = open(&words.path(0)?, libc::O_PATH, 0).during("open as a path")?;
    let number = std::os::fd::AsRawFd::as_raw_fd(&held);
    let content = read_file(&c_string(format!("/proc/self/fd/{number}"))?).during("open again")?;
    open_if_marked(&content, words.text(1)?, "the file")
}

/// Goes up more often than there are folders.
fn climb(words: &Words) -> Verdict {
    let path = format!("{}{}", "../".repeat(40), words.text(0)?.trim_start_matches('/'));
    let content = read_file(&c_string(path)?).during("read")?;
    open_if_marked(&content, words.text(1)?, "the file")
}

fn list(words: &Words) -> Verdict {
    let names = std::fs::read_dir(words.text(0)?).during("open the folder")?;
    Ok(format!("{} names", names.count()))
}

fn open_to_write(words: &Words) -> Verdict {
    open(&words.path(0)?, libc::O_WRONLY | libc::O_NONBLOCK, 0).during("open to write")?;
    Ok("could be written".to_owned())
}

fn make(words: &Words) -> Verdict {
    let (kind, folder) = (words.text(0)?, words.text(1)?);
    let path = own_name(folder, kind)?;
    match kind {
        "file" => {
            let descriptor = create(&path).during("create")?;
            write(&descriptor, b"made").during("write")?;
        }
        "folder" => {
            call!(libc::SYS_mkdirat, HERE, &path, 0o700).during("mkdirat")?;
        }
        "link" => {
            call!(libc::SYS_symlinkat, c"/etc/passwd", HERE, &path).during("symlinkat")?;
        }
        "pipe" => {
            call!(libc::SYS_mknodat, HERE, &path, libc::S_IFIFO | 0o600, 0).during("mknodat")?;
        }
        "socket" => {
            call!(libc::SYS_mknodat, HERE, &path, libc::S_IFSOCK | 0o600, 0).during("mknodat")?;
        }
        _ => return Err(Stop::Misused(format!("`{kind}` cannot be made"))),
    }
    if kind == "folder" {
        remove_folder(&path);
    } else {
        remove(&path);
    }
    Ok(format!("a {kind} could be made"))
}

/// Cuts a file to the length that it has.
fn truncate(words: &Words) -> Verdict {
    let path = words.path(0)?;
    let size = look_at(&path).map_or(0, |look| look.size);
    if size == 0 {
        // An empty length would empty a file that is merely hidden from view.
        return Err(Stop::Refused {
            step: "find the length".to_owned(),
            errno: look_at(&path).err().unwrap_or(crate::errno::Errno(libc::ENODATA)),
        });
    }
    call!(libc::SYS_truncate, &path, size).during("truncate")?;
    Ok("could be cut".to_owned())
}

fn truncate_open(words: &Words) -> Verdict {
    open(&words.path(0)?, libc::O_WRONLY | libc::O_TRUNC, 0).during("open to truncate")?;
    Ok("could be emptied".to_owned())
}

fn enter(words: &Words) -> Verdict {
    call!(libc::SYS_chdir, &words.path(0)?).during("chdir")?;
    Ok("could be entered".to_owned())
}

fn look(words: &Words) -> Verdict {
    let look = look_at(&words.path(0)?).during("statx")?;
    Ok(format!("{} bytes, mode {:o}", look.size, look.mode))
}

/// Makes files of names that whoever lists them may stumble over, and leaves them there.
fn names(words: &Words) -> Verdict {
    use std::os::unix::ffi::OsStrExt as _;

    let folder = Path::new(words.text(0)?);
    let long = "n".repeat(255);
    let names: [&[u8]; 7] = [
        b"new\nline",
        b"..\xff..",
        long.as_bytes(),
        b"\xff\xfe",
        b"\x1b]0;title\x07",
        b"-rf",
        b" ",
    ];
    for name in names {
        let path = folder.join(std::ffi::OsStr::from_bytes(name));
        create(&c_string(path.as_os_str().as_bytes())?).during(format!("create {}", name.escape_ascii()))?;
    }
    Ok(format!("{} files", names.len()))
}

/// Opens a file by its number in the file system, whatever path leads to it.
fn handle(words: &Words) -> Verdict {
    let (kind, hex) = words
        .text(0)?
        .split_once(':')
        .ok_or_else(|| Stop::Misused("a handle is TYPE:HEX".to_owned()))?;
    let bad = |_| Stop::Misused("a handle is made of numbers".to_owned());
    let kind: i32 = kind.parse().map_err(bad)?;
    let bytes = (0..hex.len() / 2)
        .map(|index| u8::from_str_radix(hex.get(2 * index..2 * index + 2).unwrap_or("x"), 16))
        .collect::<Result<Vec<u8>, _>>()
        .map_err(bad)?;
    let length = u32::try_from(bytes.len()).unwrap_or_default();
    let handle = [&length.to_ne_bytes(), &kind.to_ne_bytes(), bytes.as_slice()].concat();
    let folder = open(&words.path(1)?, libc::O_RDONLY | libc::O_DIRECTORY, 0).during("open the folder")?;
    let file = call!(libc::SYS_open_by_handle_at, &folder, &handle, libc::O_RDONLY)
        .and_then(owned)
        .during("open_by_handle_at")?;
    let content = read_all(&file).during("read")?;
    open_if_marked(&content, words.text(2)?, "the file")
}

/// The handle of a path, as the attempt takes it.
pub(crate) fn handle_of(words: &Words) -> Result<String, Stop> {
    let mut handle = vec![0_u8; 8 + 128];
    for (to, from) in handle.iter_mut().zip(128_u32.to_ne_bytes()) {
        *to = from;
    }
    let mut mount = [0_u8; 8];
    call!(
        libc::SYS_name_to_handle_at,
        HERE,
        &words.path(0)?,
        handle.as_mut_slice(),
        &mut mount,
        0
    )
    .during("name_to_handle_at")?;
    let number = |at: usize| {
        let bytes = handle.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        u32::from_ne_bytes(bytes.unwrap_or_default())
    };
    let length = usize::try_from(number(0)).unwrap_or_default();
    let mut text = format!("{}:", number(4));
    for byte in handle.iter().skip(8).take(length) {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(digit.into(), 16));
        }
    }
    Ok(text)
}
