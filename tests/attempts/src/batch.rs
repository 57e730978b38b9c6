//! Many attempts, each in a process of its own.

use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::process::ExitCode;

use serde_json::Value;

use crate::call::call;
use crate::children::{self, Child, End};
use crate::descriptor::read_file;
use crate::report::Report;
use crate::say;
use crate::words::c_string;

/// How long an attempt may take, in seconds.
const PATIENCE: i64 = 10;

/// Makes the attempts of a file: a list of `[ID, NAME, ARGUMENT…]` in JSON.
pub(crate) fn batch(path: &str) -> ExitCode {
    let entries = c_string(path)
        .ok()
        .and_then(|path| read_file(&path).ok())
        .and_then(|bytes| serde_json::from_slice::<Vec<Vec<String>>>(&bytes).ok());
    let Some(entries) = entries else {
        say(&format!(
            "{}\n",
            Value::from(format!("`{path}` is no list of attempts"))
        ));
        return ExitCode::from(2);
    };
    for entry in &entries {
        if let Some((id, words)) = entry.split_first() {
            say(&line(id, words));
        }
    }
    ExitCode::SUCCESS
}

/// Makes an attempt in a process and gives the line that it says.
fn line(id: &str, words: &[String]) -> String {
    let Ok((mut reader, writer)) = std::io::pipe() else {
        return Report::ended(Some(id), words, None).line();
    };
    let child = children::spawn(|| {
        let line = Report::of(Some(id), words).line();
        let written = call!(libc::SYS_write, writer.as_raw_fd(), line.as_bytes(), line.len());
        u8::from(written.is_err())
    });
    drop(writer);
    let Ok(child) = child else {
        return Report::ended(Some(id), words, None).line();
    };
    let is_ready = is_readable(reader.as_raw_fd());
    let mut text = vec![0; 64 * 1024];
    let length = if is_ready {
        reader.read(&mut text).unwrap_or_default()
    } else {
        0
    };
    text.truncate(length);
    let end = finish(child, is_ready);
    match String::from_utf8(text) {
        Ok(line) if line.ends_with('\n') => line,
        _ => {
            let signal = match end {
                Some(End::Signal(signal)) => Some(signal),
                _ => None,
            };
            Report::ended(Some(id), words, signal.filter(|_| is_ready)).line()
        }
    }
}

/// Whether there is something to read, or the other side has gone, within the time that an attempt has.
fn is_readable(descriptor: i32) -> bool {
    let mut polled = [0; 8];
    for (to, from) in polled.iter_mut().zip(
        descriptor
            .to_ne_bytes()
            .into_iter()
            .chain(libc::POLLIN.to_ne_bytes()),
    ) {
        *to = from;
    }
    let patience = crate::call::words_of(&[PATIENCE.cast_unsigned(), 0]);
    call!(libc::SYS_ppoll, &mut polled, 1, &patience, 0, 0).is_ok_and(|ready| ready > 0)
}

/// Waits for the process of an attempt, which is ended if it did not say anything.
fn finish(child: Child, is_done: bool) -> Option<End> {
    if !is_done {
        child.kill();
    }
    child.wait().ok()
}
