//! Where a run's standard streams go.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;
use wrun_core::event::Stream;
use wrun_process::TerminalSize;

/// Takes what a run writes, as it comes. Called from one task at a time for each stream.
pub trait OutputSink: Send + Sync {
    /// Takes bytes of a stream.
    ///
    /// # Errors
    /// The sink is gone, for instance a closed pipe; the run is then told so on its next write.
    fn write(&self, stream: Stream, bytes: &[u8]) -> std::io::Result<()>;
}

/// What a run reads from.
#[derive(Debug, Clone, Default)]
pub enum Stdin {
    /// Nothing: the end of the file at once.
    #[default]
    Null,
    /// The standard input of this process.
    Inherit,
    /// These bytes.
    Bytes(Vec<u8>),
}

/// What a run writes to.
#[derive(Clone, Default)]
pub enum Output {
    /// The standard output and error of this process, handed on as they are where no output limit is set.
    #[default]
    Inherit,
    /// A sink.
    Sink(Arc<dyn OutputSink>),
}

impl fmt::Debug for Output {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Inherit => "Inherit",
            Self::Sink(_) => "Sink",
        })
    }
}

/// A run's standard streams.
#[derive(Debug, Clone, Default)]
pub struct Stdio {
    /// Standard input.
    pub stdin: Stdin,
    /// Standard output and standard error.
    pub output: Output,
    /// Has a native task get a terminal of its own in place of its standard streams: how large it is, and becomes. What the
    /// run reads is typed there, with the key that ends the input at its end, and all that the task writes is standard
    /// output.
    pub terminal: Option<watch::Receiver<TerminalSize>>,
}
