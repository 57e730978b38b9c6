//! Devices.

use crate::Attempt;
use crate::descriptor::open;
use crate::guard;
use crate::modes::device_node;
use crate::verdict::{During as _, Stop, Verdict};
use crate::words::{Words, own_name};

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "make-device",
        usage: "FOLDER",
        run: make_device,
    },
    Attempt {
        name: "open-device",
        usage: "PATH",
        run: open_device,
    },
    Attempt {
        name: "other-devices",
        usage: "",
        run: other_devices,
    },
];

/// Devices that every program may have: they hold nothing of anybody.
const HARMLESS: &[&str] = &["null", "zero", "full", "random", "urandom", "tty", "ptmx"];

/// Makes a node of `/dev/null`, the device that can do no harm.
fn make_device(words: &Words) -> Verdict {
    guard::harmless()?;
    let path = own_name(words.text(0)?, "device")?;
    // Major 1, minor 3.
    device_node(&path, 0x103)
}

fn open_device(words: &Words) -> Verdict {
    let opened = open(
        &words.path(0)?,
        libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY,
        0,
    );
    match opened {
        // The node is there for nothing.
        Err(errno) if [libc::ENXIO, libc::ENODEV].contains(&errno.0) => {
            Err(Stop::unavailable("there is no such device"))
        }
        result => {
            result.during("open")?;
            Ok("could be opened".to_owned())
        }
    }
}

/// Whether `/dev` shows any device that not everybody may have.
fn other_devices(_: &Words) -> Verdict {
    use std::os::unix::fs::FileTypeExt as _;

    let mut found = Vec::new();
    for entry in std::fs::read_dir("/dev").during("list /dev")?.flatten() {
        let is_device = entry
            .file_type()
            .is_ok_and(|kind| kind.is_char_device() || kind.is_block_device());
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_device && !HARMLESS.contains(&name.as_str()) {
            found.push(name);
        }
    }
    if found.is_empty() {
        return Err(Stop::blocked("only devices that every program may have"));
    }
    Ok(format!(
        "{} devices, for instance {}",
        found.len(),
        found.first().map_or("", String::as_str)
    ))
}
