//! Standard streams, made before the process that gets them.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, open};

use crate::command::{Out, Stdin};

/// Standard input, output and error, in this order, where they are not those of this process.
pub type Streams = [Option<OwnedFd>; 3];

/// Makes streams for a process: this process' ends of pipes, for [`crate::Tree::set_pipes`], and the process' own.
///
/// # Errors
/// The system has no room for them.
pub fn streams(stdin: Stdin, stdout: Out, stderr: Out) -> io::Result<(Streams, Streams)> {
    let null =
        || -> io::Result<OwnedFd> { Ok(open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?) };
    let input = || -> io::Result<_> {
        Ok(match stdin {
            Stdin::Inherit => (None, None),
            Stdin::Null => (None, Some(null()?)),
            Stdin::Piped => {
                let (reading, writing) = io::pipe()?;
                (Some(writing.into()), Some(reading.into()))
            }
        })
    };
    let output = |output| -> io::Result<_> {
        Ok(match output {
            Out::Inherit => (None, None),
            Out::Null => (None, Some(null()?)),
            Out::Piped => {
                let (reading, writing) = io::pipe()?;
                (Some(reading.into()), Some(writing.into()))
            }
        })
    };
    let (input, stdout, stderr) = (input()?, output(stdout)?, output(stderr)?);
    Ok(([input.0, stdout.0, stderr.0], [input.1, stdout.1, stderr.1]))
}
