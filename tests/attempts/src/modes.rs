//! Files that give whoever executes them more rights.

use std::ffi::CStr;

use crate::Attempt;
use crate::call::{HERE, call, words_of};
use crate::descriptor::{create, look_at, owned, remove};
use crate::errno::Errno;
use crate::verdict::{During as _, Stop, Verdict};
use crate::words::{Words, own_name};

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "set-id",
        usage: "chmod|fchmod|fchmodat|fchmodat2|open|openat|openat2|creat|mknod|mknodat MODE FOLDER",
        run: set_id,
    },
    Attempt {
        name: "file-capability",
        usage: "setxattr|lsetxattr|fsetxattr|setxattrat FOLDER",
        run: file_capability,
    },
];

/// `fchmodat2(2)`, newer than the C library's list.
const SYS_FCHMODAT2: i64 = 452;
/// `setxattrat(2)`, newer than the C library's list.
const SYS_SETXATTRAT: i64 = 463;

/// Makes a file that is executed as its owner or group. Open if the bit is there afterwards.
fn set_id(words: &Words) -> Verdict {
    let way = words.text(0)?;
    let mode =
        u32::from_str_radix(words.text(1)?, 8).map_err(|_| Stop::Misused("a mode is octal".to_owned()))?;
    let path = own_name(words.text(2)?, way)?;
    call!(libc::SYS_umask, 0).during("umask")?;
    let result = make_set_id(way, &path, mode);
    let look = look_at(&path);
    remove(&path);
    result?;
    let has = look.during("look at the file")?.mode;
    if has & (libc::S_ISUID | libc::S_ISGID) == 0 {
        return Err(Stop::blocked(format!("{way} worked and made mode {has:o}")));
    }
    Ok(format!("{way} made mode {has:o}"))
}

fn make_set_id(way: &str, path: &CStr, mode: u32) -> Result<(), Stop> {
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY;
    let result = match way {
        "openat" => call!(libc::SYS_openat, HERE, path, flags, mode),
        "openat2" => {
            let how = words_of(&[u64::from(flags.cast_unsigned()), u64::from(mode), 0]);
            call!(libc::SYS_openat2, HERE, path, &how, how.len())
        }
        "mknodat" => call!(libc::SYS_mknodat, HERE, path, libc::S_IFREG | mode, 0),
        #[cfg(target_arch = "x86_64")]
        "open" => call!(libc::SYS_open, path, flags, mode),
        #[cfg(target_arch = "x86_64")]
        "creat" => call!(libc::SYS_creat, path, mode),
        #[cfg(target_arch = "x86_64")]
        "mknod" => call!(libc::SYS_mknod, path, libc::S_IFREG | mode, 0),
        #[cfg(not(target_arch = "x86_64"))]
        "open" | "creat" | "mknod" | "chmod" => {
            return Err(Stop::unavailable("this architecture does not have the call"));
        }
        _ => {
            let file = create(path).during("make a file of its own")?;
            match way {
                "fchmod" => call!(libc::SYS_fchmod, &file, mode),
                "fchmodat" => call!(libc::SYS_fchmodat, HERE, path, mode),
                "fchmodat2" => call!(SYS_FCHMODAT2, HERE, path, mode, 0),
                #[cfg(target_arch = "x86_64")]
                "chmod" => call!(libc::SYS_chmod, path, mode),
                _ => return Err(Stop::Misused(format!("`{way}` is no way to set a mode"))),
            }
        }
    };
    result.during(way).map(drop)
}

/// Gives a file of its own a capability (`capabilities(7)`).
fn file_capability(words: &Words) -> Verdict {
    const NAME: &CStr = c"security.capability";
    // VFS_CAP_REVISION_2 with CAP_NET_RAW permitted and effective.
    let value: Vec<u8> = [0x0200_0001_u32, 1 << 13, 0, 0, 0]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    let way = words.text(0)?;
    let path = own_name(words.text(1)?, way)?;
    let file = create(&path).during("make a file of its own")?;
    let result: Result<i64, Errno> = match way {
        "setxattr" => call!(libc::SYS_setxattr, &path, NAME, &value, value.len(), 0),
        "lsetxattr" => call!(libc::SYS_lsetxattr, &path, NAME, &value, value.len(), 0),
        "fsetxattr" => call!(libc::SYS_fsetxattr, &file, NAME, &value, value.len(), 0),
        _ => {
            let address = value.as_ptr().expose_provenance() as u64;
            let arguments = words_of(&[address, value.len() as u64]);
            call!(SYS_SETXATTRAT, HERE, &path, 0, NAME, &arguments, arguments.len())
        }
    };
    remove(&path);
    result.during(way)?;
    Ok(format!("{way} set a capability"))
}

/// Makes the node of a device and gives whether it can be opened.
pub(crate) fn device_node(path: &CStr, number: u64) -> Verdict {
    call!(libc::SYS_mknodat, HERE, path, libc::S_IFCHR | 0o600, number).during("mknodat")?;
    let opened = call!(libc::SYS_openat, HERE, path, libc::O_RDONLY | libc::O_CLOEXEC).and_then(owned);
    remove(path);
    match opened {
        Ok(_) => Ok("made and opened".to_owned()),
        Err(errno) => Ok(format!("made, not opened: {errno}")),
    }
}
