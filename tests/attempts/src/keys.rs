//! Keys that the kernel keeps (`keyrings(7)`).

use std::ffi::CStr;

use crate::Attempt;
use crate::call::call;
use crate::errno::Errno;
use crate::verdict::{During as _, Stop, Verdict, open_if_marked};
use crate::words::Words;

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "add-key",
        usage: "",
        run: add,
    },
    Attempt {
        name: "find-key",
        usage: "user|session NAME MARKER",
        run: find,
    },
    Attempt {
        name: "request-key",
        usage: "NAME MARKER",
        run: request,
    },
    Attempt {
        name: "new-session",
        usage: "",
        run: new_session,
    },
];

/// The kind of key that programs make.
const KIND: &CStr = c"user";
/// The keyring of this process, which goes with it.
const PROCESS: i32 = -2;
/// The keyring of this session.
const SESSION: i32 = -3;
/// The keyring of this user.
const USER: i32 = -4;

fn add(_: &Words) -> Verdict {
    call!(libc::SYS_add_key, KIND, c"wrun-attempt", c"x", 1, PROCESS).during("add_key")?;
    Ok("could be added".to_owned())
}

/// What a key holds.
fn payload(key: i64) -> Result<Vec<u8>, Stop> {
    let mut content = [0_u8; 256];
    let length =
        call!(libc::SYS_keyctl, libc::KEYCTL_READ, key, &mut content, 256, 0).during("read the key")?;
    let length = usize::try_from(length).unwrap_or_default();
    Ok(content.get(..length).unwrap_or_default().to_vec())
}

fn find(words: &Words) -> Verdict {
    let keyring = match words.text(0)? {
        "session" => SESSION,
        _ => USER,
    };
    let name = words.path(1)?;
    let key =
        call!(libc::SYS_keyctl, libc::KEYCTL_SEARCH, keyring, KIND, &name, 0).during("search for the key")?;
    open_if_marked(&payload(key)?, words.text(2)?, "the key")
}

fn request(words: &Words) -> Verdict {
    let key = call!(libc::SYS_request_key, KIND, &words.path(0)?, 0, 0).during("request_key")?;
    open_if_marked(&payload(key)?, words.text(1)?, "the key")
}

fn new_session(_: &Words) -> Verdict {
    call!(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0).during("join a session")?;
    Ok("a session of its own".to_owned())
}

/// A key in the keyring of this user, that every process of it may read.
pub(crate) struct Canary(i64);

impl Canary {
    /// Adds it.
    pub(crate) fn add(name: &CStr, content: &[u8]) -> Result<Self, Errno> {
        let key = call!(libc::SYS_add_key, KIND, name, content, content.len(), USER)?;
        // All rights for its possessor and for its user.
        call!(libc::SYS_keyctl, libc::KEYCTL_SETPERM, key, 0x3f3f_0000, 0, 0)?;
        Ok(Self(key))
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        // The keyring may have gone with the last process of the user.
        let _ = call!(libc::SYS_keyctl, libc::KEYCTL_UNLINK, self.0, USER, 0, 0);
    }
}
