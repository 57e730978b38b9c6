//! The user of an image by name.
//!
//! An image may be run as a user that its own files know nothing of, and programs that ask for its name, its home folder
//! or its group then fail. Such a user is added to what the image has, in the task's own copy.

use std::os::fd::AsFd as _;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, fstat, openat2, unlinkat};
use rustix::io::{Errno, read};

use crate::message::{Failure, Step};
use crate::policy::{Identity, Policy};

use super::step::Try as _;
use super::tree::Tree;

/// Longer files are left as they are.
const LONGEST: usize = 1024 * 1024;

/// The name that a user or group without one gets.
const fn name_of(number: u32) -> &'static str {
    if number == 0 { "root" } else { "wrun" }
}

/// Sees to it that the user and group of the process have names.
pub(super) fn name(tree: &Tree, policy: &Policy) -> Result<(), Failure> {
    let Identity { user, group, .. } = policy.identity;
    let home = policy
        .env
        .iter()
        .find(|(name, _)| name == "HOME")
        .map_or_else(|| "/".into(), |(_, home)| home.to_string_lossy());
    let name = name_of(user);
    let user_line = format!("{name}:x:{user}:{group}:{name}:{home}:/bin/sh\n");
    add(tree, Path::new("/etc/passwd"), user, &user_line)?;
    let name = name_of(group);
    add(
        tree,
        Path::new("/etc/group"),
        group,
        &format!("{name}:x:{group}:\n"),
    )
}

/// Adds a line to a file of users or groups (`passwd(5)`, `group(5)`) if none in it has the number.
fn add(tree: &Tree, path: &Path, number: u32, line: &str) -> Result<(), Failure> {
    let mut content = match content(tree, path) {
        Ok(content) => content,
        Err(Errno::NOENT) => Vec::new(),
        // What cannot be read as a file is the image's affair.
        Err(_) => return Ok(()),
    };
    let number = number.to_string();
    let is_known = content
        .split(|byte| *byte == b'\n')
        .any(|known| known.split(|byte| *byte == b':').nth(2) == Some(number.as_bytes()));
    if is_known {
        return Ok(());
    }
    if !content.is_empty() && !content.ends_with(b"\n") {
        content.push(b'\n');
    }
    content.extend_from_slice(line.as_bytes());
    let parent = tree.parent(path)?;
    match unlinkat(&parent, path.file_name().unwrap_or_default(), AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error).or_fail_at(Step::Fill, path),
    }
    tree.file(path, &content)
}

/// A file of the image, which links of the image may lead to; in nothing that was brought in.
fn content(tree: &Tree, path: &Path) -> Result<Vec<u8>, Errno> {
    let relative = path.strip_prefix("/").unwrap_or(path);
    let file = openat2(
        tree.root().as_fd(),
        relative,
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV,
    )?;
    let found = fstat(&file)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Err(Errno::INVAL);
    }
    let length = usize::try_from(found.st_size).map_err(|_| Errno::FBIG)?;
    if length > LONGEST {
        return Err(Errno::FBIG);
    }
    let mut content = vec![0; length];
    let mut filled = 0;
    while let Some(rest) = content.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match read(&file, rest)? {
            0 => break,
            more => filled += more,
        }
    }
    content.truncate(filled);
    Ok(content)
}
