//! Native tasks, with real processes.
#![expect(clippy::disallowed_methods, reason = "tests read and write scratch files")]

mod ends;
mod start;
mod streams;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wrun_core::event::Stream;
use wrun_core::outcome::Outcome;

use super::{NativeError, NativeTask};
use crate::Confinement;
use crate::report::Report;
use crate::stdio::{Output, OutputSink, Stdin, Stdio};

/// Long enough to never be waited for.
const LONG: Duration = Duration::from_mins(1);

/// Runs a task that is held to nothing.
async fn run(
    task: NativeTask,
    stdio: Stdio,
    cancel: CancellationToken,
    signals: Option<mpsc::Receiver<i32>>,
) -> Result<Report, NativeError> {
    super::run(task, stdio, cancel, signals, |_| {}).await
}

type Hook = Box<dyn Fn(&[u8]) -> io::Result<()> + Send + Sync>;

/// Keeps what a task writes, and calls a hook with all that was written to the stream so far.
#[derive(Default)]
struct Memory {
    streams: Mutex<[Vec<u8>; 2]>,
    hook: Option<Hook>,
}

impl Memory {
    fn with_hook(hook: impl Fn(&[u8]) -> io::Result<()> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            hook: Some(Box::new(hook)),
            ..Self::default()
        })
    }

    fn stdout(&self) -> Vec<u8> {
        self.streams.lock().unwrap()[0].clone()
    }

    fn stderr(&self) -> Vec<u8> {
        self.streams.lock().unwrap()[1].clone()
    }

    fn text(&self) -> String {
        String::from_utf8(self.stdout()).unwrap()
    }
}

impl OutputSink for Memory {
    fn write(&self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let mut streams = self.streams.lock().unwrap();
        let kept = &mut streams[usize::from(stream == Stream::Stderr)];
        kept.extend_from_slice(bytes);
        self.hook.as_ref().map_or(Ok(()), |hook| hook(kept))
    }
}

fn task(command: &[&str]) -> NativeTask {
    NativeTask {
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        cwd: PathBuf::from("/"),
        env: BTreeMap::new(),
        search_path: vec!["/usr/bin".into(), "/bin".into()],
        confinement: Confinement::none(),
        inherit: Vec::new(),
        grace: LONG,
    }
}

fn script(text: &str) -> NativeTask {
    task(&["sh", "-c", text])
}

async fn run_into(task: NativeTask, input: Stdin, sink: &Arc<Memory>) -> Outcome {
    let stdio = Stdio {
        stdin: input,
        output: Output::Sink(Arc::clone(sink) as Arc<dyn OutputSink>),
        terminal: None,
    };
    run(task, stdio, CancellationToken::new(), None)
        .await
        .unwrap()
        .outcome
}

async fn outcome_of(task: NativeTask) -> (Outcome, Arc<Memory>) {
    let sink = Arc::new(Memory::default());
    (run_into(task, Stdin::Null, &sink).await, sink)
}
