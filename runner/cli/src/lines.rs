//! The output of tasks that run side by side: whole lines, so that no line holds the words of two. On a terminal no task
//! writes over the lines of another: of escape sequences only colours are let through.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};

use wrun::core::text::harmless_but_colours;
use wrun::{OutputSink, Stream};

/// A line longer than this is written in parts.
const LONGEST_LINE: usize = 64 * 1024;

/// Holds back what a task writes until the line is whole. What is left is written when the task has ended.
#[derive(Default)]
pub(crate) struct WholeLines {
    pending: Mutex<BTreeMap<bool, Vec<u8>>>,
}

impl OutputSink for WholeLines {
    fn write(&self, stream: Stream, bytes: &[u8]) -> std::io::Result<()> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let buffer = pending.entry(stream == Stream::Stderr).or_default();
        buffer.extend_from_slice(bytes);
        let whole = buffer
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map(|position| position + 1);
        let length = whole.or((buffer.len() > LONGEST_LINE).then_some(buffer.len()));
        let Some(length) = length else { return Ok(()) };
        let lines: Vec<u8> = buffer.drain(..length).collect();
        write(stream, &lines)
    }
}

impl Drop for WholeLines {
    fn drop(&mut self) {
        let pending = std::mem::take(self.pending.get_mut().unwrap_or_else(PoisonError::into_inner));
        for (is_stderr, rest) in pending {
            // The task is gone; if the reader is too, there is nobody left to tell.
            drop(write(
                if is_stderr { Stream::Stderr } else { Stream::Stdout },
                &rest,
            ));
        }
    }
}

fn write(stream: Stream, bytes: &[u8]) -> std::io::Result<()> {
    match stream {
        Stream::Stdout => {
            let mut out = std::io::stdout().lock();
            out.write_all(&fit(bytes, out.is_terminal()))?;
            out.flush()
        }
        Stream::Stderr => {
            let mut out = std::io::stderr().lock();
            out.write_all(&fit(bytes, out.is_terminal()))
        }
    }
}

fn fit(bytes: &[u8], is_terminal: bool) -> Cow<'_, [u8]> {
    if !is_terminal {
        return bytes.into();
    }
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    harmless_but_colours(&text).into_owned().into_bytes().into()
}
