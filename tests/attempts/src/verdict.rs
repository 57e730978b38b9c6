//! What came of an attempt.

use std::fmt;
use std::io;

use crate::errno::Errno;

/// What was reached, in words, or why nothing was.
pub(crate) type Verdict = Result<String, Stop>;

/// Why an attempt did not work.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The kernel refused a step.
    Refused {
        /// The step.
        step: String,
        /// Its reason.
        errno: Errno,
    },
    /// It had no effect.
    Blocked(String),
    /// This machine has nothing to try it on.
    Unavailable(String),
    /// The attempt was not asked for as it should be.
    Misused(String),
}

impl fmt::Display for Stop {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { step, errno } => write!(formatter, "{step}: {errno}"),
            Self::Blocked(reason) | Self::Unavailable(reason) | Self::Misused(reason) => {
                formatter.write_str(reason)
            }
        }
    }
}

impl Stop {
    /// It had no effect.
    pub(crate) fn blocked(reason: impl Into<String>) -> Self {
        Self::Blocked(reason.into())
    }

    /// This machine has nothing to try it on.
    pub(crate) fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable(reason.into())
    }
}

/// Says which step a reason belongs to.
pub(crate) trait During<T> {
    /// The same result, with the reason as that of a step.
    fn during(self, step: impl Into<String>) -> Result<T, Stop>;
}

impl<T> During<T> for Result<T, Errno> {
    fn during(self, step: impl Into<String>) -> Result<T, Stop> {
        self.map_err(|errno| Stop::Refused {
            step: step.into(),
            errno,
        })
    }
}

impl<T> During<T> for io::Result<T> {
    fn during(self, step: impl Into<String>) -> Result<T, Stop> {
        self.map_err(|error| match error.raw_os_error() {
            Some(number) => Stop::Refused {
                step: step.into(),
                errno: Errno(number),
            },
            None => Stop::blocked(format!("{}: {error}", step.into())),
        })
    }
}

/// Open where a privileged call fails for a reason that comes after the check of rights.
pub(crate) fn open_if(result: Result<i64, Errno>, later: &[i32], step: &str) -> Verdict {
    match result {
        Ok(_) => Ok(format!("{step} worked")),
        Err(errno) if later.contains(&errno.0) => Ok(format!("{step} got past the check of rights: {errno}")),
        Err(errno) => Err(errno).during(step),
    }
}

/// Open where what was read holds the marker of the canary.
pub(crate) fn open_if_marked(bytes: &[u8], marker: &str, what: &str) -> Verdict {
    let is_marked = !marker.is_empty()
        && bytes
            .windows(marker.len())
            .any(|window| window == marker.as_bytes());
    if is_marked {
        Ok(format!("{what} holds the marker"))
    } else {
        Err(Stop::blocked(format!("{what} does not hold the marker")))
    }
}
