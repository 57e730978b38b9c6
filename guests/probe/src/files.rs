//! What can be tried on files and folders.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io;

/// Copies a file to stdout.
pub(crate) fn cat(path: &str) -> io::Result<()> {
    io::copy(&mut File::open(path)?, &mut io::stdout().lock()).map(drop)
}

/// Prints the names in a folder, sorted.
pub(crate) fn list(path: &str) -> io::Result<()> {
    let mut names = fs::read_dir(path)?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    for name in names {
        println!("{}", name.display());
    }
    Ok(())
}

/// Makes a file, or empties the one there is, and writes a text into it.
pub(crate) fn write(path: &str, text: &str) -> io::Result<()> {
    fs::write(path, text)
}

/// Sets the size of a file that exists to nothing. Opening does not do it yet, which [`write()`] tries already.
pub(crate) fn truncate(path: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.set_len(0)
}

/// Removes a file.
pub(crate) fn remove(path: &str) -> io::Result<()> {
    fs::remove_file(path)
}

/// Makes a folder.
pub(crate) fn make_folder(path: &str) -> io::Result<()> {
    fs::create_dir(path)
}

/// Moves a file or a folder.
pub(crate) fn rename(from: &str, to: &str) -> io::Result<()> {
    fs::rename(from, to)
}

/// Gives a file a second name.
pub(crate) fn link(from: &str, to: &str) -> io::Result<()> {
    fs::hard_link(from, to)
}

/// Makes a symbolic link that says `target`.
pub(crate) fn symlink(target: &str, path: &str) -> io::Result<()> {
    let target = CString::new(target)?;
    let path = CString::new(path)?;
    #[expect(unsafe_code, reason = "the function of std for this is not stable on WASI")]
    // SAFETY: both are strings that end in a zero byte and outlive the call.
    let result = unsafe { libc::symlink(target.as_ptr(), path.as_ptr()) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
