//! Local folders and archives.
//!
//! Build tools write into the folder that they build (`build`, `*.egg-info`), and a task's folder is not theirs to
//! change. So every local source is copied into the scratch folder first, by the interpreter that is there anyway and
//! that then turns into the program proper.

use serde_json::{Value, json};
use wrun_core::backend::{Input, InputKind, InputRequest, Inputs};
use wrun_core::diagnostic::Finding;
use wrun_core::id::Digest;
use wrun_core::plan::{Piece, Place, Program, Run, Word};
use wrun_core::problem::Problem;

use crate::markers::PYTHON;

/// A folder or an archive, and where its copy goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// Its path: normalised, relative to the task's folder or absolute.
    pub path: String,
    /// Its copy, below the scratch folder.
    pub place: String,
    /// The digest of its contents.
    pub digest: Digest,
}

impl Source {
    /// A source whose digest was read.
    ///
    /// # Errors
    /// The host did not read it.
    pub fn new(path: &str, place: String, inputs: &Inputs) -> Result<Self, Problem> {
        let digest = inputs
            .get(&request(path))
            .and_then(Input::digest)
            .ok_or_else(|| unread(path))?;
        Ok(Self {
            path: path.to_owned(),
            place,
            digest,
        })
    }

    /// As part of a lock.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let Self { path, place, digest } = self;
        json!({ "path": path, "place": place, "digest": digest.to_string() })
    }

    /// Read back from a lock.
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        let text = |key: &str| value.get(key)?.as_str().map(str::to_owned);
        Some(Self {
            path: text("path")?,
            place: text("place")?,
            digest: text("digest")?.parse().ok()?,
        })
    }

    fn origin(&self) -> Word {
        match self.path.as_str() {
            "." => Place::project("").into(),
            path if path.starts_with('/') => path.into(),
            path => Place::project(path).into(),
        }
    }
}

/// What the host has to read of a source.
#[must_use]
pub fn request(path: &str) -> InputRequest {
    InputRequest {
        path: path.to_owned(),
        kind: InputKind::Digest,
    }
}

/// The finding about something that is not there.
#[must_use]
pub fn absent(path: &str, at: &str, place: &str) -> Finding {
    Finding::error(
        "python.input.missing",
        at,
        format!("{place}`{path}` does not exist"),
    )
    .with_help("create it, or correct the path; paths are relative to the task's folder")
}

/// The host has not read something that was asked for.
#[must_use]
pub fn unread(path: &str) -> Problem {
    Problem::failed("python.input.unread", format!("the host did not read `{path}`"))
}

/// Sees to it that the sources of a lock are what they were when it was made.
///
/// # Errors
/// One of them changed or is gone.
pub fn check_unchanged(sources: &[Source], inputs: &Inputs) -> Result<(), Problem> {
    let changed =
        |source: &&Source| inputs.get(&request(&source.path)).and_then(Input::digest) != Some(source.digest);
    sources.iter().find(changed).map_or(Ok(()), |source| {
        Err(Problem::Failed {
            code: "python.lock.changed".to_owned(),
            message: format!("`{}` is not what it was when the lock was made", source.path),
            help: Some(
                "solve again with `--refresh`, or make a new lock with `wrun plan TASK --lock FILE`"
                    .to_owned(),
            ),
        })
    })
}

/// Copies pairs of paths, then goes to a folder and becomes the program after `--`. Environments and bytecode, which belong to one place,
/// stay behind. It can be done twice: a file that is in the way, which may be read-only, is replaced.
const COPY_AND_RUN: &str = "\
import os, shutil, sys
def copy(source, target):
    if os.path.islink(source):
        if not os.path.lexists(target):
            os.symlink(os.readlink(source), target)
    elif os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
        for name in os.listdir(source):
            if name not in ('.venv', '__pycache__'):
                copy(os.path.join(source, name), os.path.join(target, name))
    elif os.path.isfile(source):
        if os.path.lexists(target):
            os.unlink(target)
        shutil.copy(source, target)
words = sys.argv[1:]
split = words.index('--')
for index in range(0, split, 2):
    os.makedirs(os.path.dirname(words[index + 1]), exist_ok=True)
    copy(os.path.realpath(words[index]), words[index + 1])
folder, words = words[split + 1], words[split + 2:]
os.makedirs(folder, exist_ok=True)
os.chdir(folder)
os.execv(words[0], words)
";

/// The same run, with copies of the sources made first. Without sources it is the run itself.
#[must_use]
pub fn with_copies(run: Run, sources: &[Source]) -> Run {
    if sources.is_empty() {
        return run;
    }
    let Run {
        program,
        args,
        env,
        logins,
        cwd,
        network,
        offline,
        timeout,
    } = run;
    let program: Word = match program {
        Program::Tool(id) => Word(vec![Piece::Tool(id)]),
        Program::Place(place) => place.into(),
    };
    let mut words: Vec<Word> = vec!["-I".into(), "-c".into(), COPY_AND_RUN.into()];
    for source in sources {
        words.push(source.origin());
        words.push(Place::scratch(source.place.as_str()).into());
    }
    words.push("--".into());
    words.push(cwd.into());
    words.push(program);
    words.extend(args);
    // The working folder may be one of the copies, and is not there before.
    let cwd = Place::scratch("");
    Run {
        program: Program::Tool(PYTHON.to_owned()),
        args: words,
        env,
        logins,
        cwd,
        network,
        offline,
        timeout,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_survives_a_lock() {
        let source = Source {
            path: "./x".to_owned(),
            place: "sources/0".to_owned(),
            digest: Digest::of(b"x"),
        };
        assert_eq!(Source::from_json(&source.to_json()).as_ref(), Some(&source));
        assert_eq!(Source::from_json(&json!({"path": "x"})), None);
    }
}
