//! A command with nothing of the test's environment.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::processes;
use crate::ran::Ran;
use crate::terminal::Screen;

/// How long a command may take, unless a test says otherwise.
const PATIENCE: Duration = Duration::from_mins(1);

/// A command that is being put together.
#[derive(Debug, Clone)]
pub struct Cmd {
    words: Vec<OsString>,
    variables: BTreeMap<OsString, OsString>,
    folder: PathBuf,
    /// The folder of the test's world; what is left over is known by it.
    world: PathBuf,
    stdin: Input,
    timeout: Duration,
}

#[derive(Debug, Clone)]
enum Input {
    Nothing,
    Bytes(Vec<u8>),
    Open,
}

impl Cmd {
    /// A command in a folder, with these variables and no others.
    #[must_use]
    pub fn new(program: &Path, folder: &Path, world: &Path, variables: BTreeMap<OsString, OsString>) -> Self {
        Self {
            words: vec![program.into()],
            variables,
            folder: folder.to_owned(),
            world: world.to_owned(),
            stdin: Input::Nothing,
            timeout: PATIENCE,
        }
    }

    /// The same with one more argument.
    #[must_use]
    pub fn arg(mut self, word: impl AsRef<OsStr>) -> Self {
        self.words.push(word.as_ref().to_owned());
        self
    }

    /// The same with more arguments.
    #[must_use]
    pub fn args<W: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.words
            .extend(words.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// The same, as arguments of another command: `unshare -n --`.
    #[must_use]
    pub fn through<W: AsRef<OsStr>>(mut self, words: &[W]) -> Self {
        self.words
            .splice(0..0, words.iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// The same with a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables.insert(name.into(), value.as_ref().to_owned());
        self
    }

    /// The same without a variable.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.variables.remove(OsStr::new(name));
        self
    }

    /// The same with something to read.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Input::Bytes(bytes.into());
        self
    }

    /// The same with an input that stays open until [`Running::close_stdin`].
    #[must_use]
    pub fn open_stdin(mut self) -> Self {
        self.stdin = Input::Open;
        self
    }

    /// The same in another folder.
    #[must_use]
    pub fn dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = folder.into();
        self
    }

    /// The same with another time after which it is ended and the test fails.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    fn text(&self) -> String {
        let words: Vec<_> = self.words.iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    /// Starts it, in a process group of its own.
    #[must_use]
    #[track_caller]
    pub fn spawn(self) -> Running {
        let text = self.text();
        let Self {
            words,
            variables,
            folder,
            world,
            stdin,
            timeout,
        } = self;
        let (program, arguments) = words.split_first().expect("a command has a program");
        let started = Instant::now();
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(variables)
            .current_dir(folder)
            .process_group(0)
            .stdin(if matches!(stdin, Input::Nothing) {
                Stdio::null()
            } else {
                Stdio::piped()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("start `{text}`: {error}"));
        let pid = Pid::from_child(&child);
        let input = match (stdin, child.stdin.take()) {
            (Input::Bytes(bytes), Some(mut pipe)) => {
                // A command that does not read it all is no failure of the test.
                std::thread::spawn(move || drop(pipe.write_all(&bytes)));
                None
            }
            (_, pipe) => pipe,
        };
        let stdout = Collected::from(child.stdout.take().expect("standard output is a pipe"));
        let stderr = Collected::from(child.stderr.take().expect("standard error is a pipe"));
        let (sender, ended) = channel();
        std::thread::spawn(move || {
            let status = child.wait();
            // Nobody listens if the test has failed already.
            drop(sender.send((status, started.elapsed())));
        });
        Running {
            text,
            world,
            pid,
            input,
            stdout,
            stderr,
            ended,
            timeout,
        }
    }

    /// Starts it on a terminal with this many lines and characters of a line, as the leader of its session.
    #[must_use]
    #[track_caller]
    pub fn on_terminal(self, rows: u16, columns: u16) -> Screen {
        let text = self.text();
        let mut command = Command::new("setsid");
        command
            .arg("--ctty")
            .args(&self.words)
            .env_clear()
            .envs(&self.variables)
            .env("TERM", "dumb")
            .current_dir(&self.folder);
        Screen::start(command, text, self.timeout, (rows, columns))
    }

    /// Runs it to its end.
    #[must_use]
    #[track_caller]
    pub fn run(self) -> Ran {
        self.spawn().wait()
    }
}

/// What a stream has brought so far.
#[derive(Default)]
struct Content {
    bytes: Vec<u8>,
    /// Nothing more will come.
    is_all: bool,
}

/// A stream that is being read.
#[derive(Clone)]
pub(crate) struct Collected {
    content: Arc<Mutex<Content>>,
    more: Arc<Condvar>,
}

impl Collected {
    pub(crate) fn from(mut stream: impl Read + Send + 'static) -> Self {
        let collected = Self {
            content: Arc::default(),
            more: Arc::default(),
        };
        let (filled, mut buffer) = (collected.clone(), vec![0; 64 * 1024]);
        std::thread::spawn(move || {
            loop {
                let length = stream.read(&mut buffer).unwrap_or(0);
                let mut content = filled.content.lock().unwrap_or_else(PoisonError::into_inner);
                content
                    .bytes
                    .extend_from_slice(buffer.get(..length).unwrap_or_default());
                content.is_all = length == 0;
                filled.more.notify_all();
                if content.is_all {
                    break;
                }
            }
        });
        collected
    }

    /// Waits until the condition holds for what has come and whether it is all, or for some time.
    pub(crate) fn wait(&self, time: Duration, until: impl Fn(&[u8], bool) -> bool) -> Vec<u8> {
        let content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = self
            .more
            .wait_timeout_while(content, time, |content| !until(&content.bytes, content.is_all));
        waiting.unwrap_or_else(PoisonError::into_inner).0.bytes.clone()
    }
}

/// A command that runs.
pub struct Running {
    text: String,
    world: PathBuf,
    pid: Pid,
    input: Option<ChildStdin>,
    stdout: Collected,
    stderr: Collected,
    ended: Receiver<(std::io::Result<ExitStatus>, Duration)>,
    timeout: Duration,
}

impl Running {
    /// Waits until standard output holds a text.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        let holds = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(text);
        let seen = self
            .stdout
            .wait(self.timeout, |bytes, whole| whole || holds(bytes));
        if !holds(&seen) {
            let stderr = self.stderr.wait(Duration::ZERO, |_, _| true);
            let (stdout, stderr) = (String::from_utf8_lossy(&seen), String::from_utf8_lossy(&stderr));
            panic!(
                "`{}` did not say {text:?}\nstdout: {stdout}\nstderr: {stderr}",
                self.text
            );
        }
    }

    /// Its process number.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Ends what it reads.
    pub fn close_stdin(&mut self) {
        self.input = None;
    }

    /// Sends it a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("the process is there");
    }

    /// Ends its process group at once.
    pub fn kill_group(&self) {
        // It may have ended by itself.
        let _ = kill_process_group(self.pid, Signal::KILL);
    }

    /// Waits for its end for some time, and ends its process group at once then.
    #[must_use]
    #[track_caller]
    pub fn kill_after(self, time: Duration) -> Ran {
        let ended = self.ended.recv_timeout(time);
        if ended.is_err() {
            self.kill_group();
        }
        self.finish(ended.ok())
    }

    /// Waits for its end.
    #[must_use]
    #[track_caller]
    pub fn wait(mut self) -> Ran {
        self.close_stdin();
        let ended = self.ended.recv_timeout(self.timeout);
        if ended.is_err() {
            self.kill_group();
            let (world, timeout) = (self.world.clone(), self.timeout);
            let ran = self.finish(None);
            processes::end_all(&world);
            panic!("not done after {timeout:?}: {ran:?}");
        }
        self.finish(ended.ok())
    }

    #[track_caller]
    fn finish(self, ended: Option<(std::io::Result<ExitStatus>, Duration)>) -> Ran {
        let (status, elapsed) = match ended {
            Some(ended) => ended,
            None => self.ended.recv().expect("the thread that waits is there"),
        };
        let status = status.expect("a child can be waited for");
        // A process that outlives the command may hold the pipe; what has come is taken then.
        let all = |_: &[u8], whole: bool| whole;
        let stdout = self.stdout.wait(Duration::from_secs(5), all);
        let stderr = self.stderr.wait(Duration::from_secs(5), all);
        Ran {
            command: self.text,
            code: status.code().unwrap_or_else(|| -status.signal().unwrap_or(0)),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
            bytes: stdout,
            elapsed,
        }
    }
}
