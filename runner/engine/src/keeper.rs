//! Who removes a container when the one who waits for it is killed.

use std::path::PathBuf;

use wrun_process::{Command, InputPipe, Out, ProcessError, Stdin, Tree, spawn};

use crate::program::EngineProgram;

/// Waits for a word or for the end of its standard input, which comes when whoever holds the other end is gone. Without a word
/// the container is removed; twice, as a daemon may be at making it when its client is killed. Names: `$1` the container, the
/// rest the engine's program.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
read -r word && exit
name=$1; shift
for wait in 0 3; do
    sleep "$wait"
    "$@" kill "$name"
    "$@" rm --force --volumes "$name"
done
"#;

/// A process of its own that removes a container if this process is killed.
#[derive(Debug)]
pub struct Keeper {
    tree: Tree,
    /// Its end says that nobody waits for the container any more.
    input: Option<InputPipe>,
}

impl EngineProgram {
    /// Has a container removed if this process is killed before [`Keeper::dismiss`].
    ///
    /// # Errors
    /// The process cannot be started.
    pub fn keeper(&self, name: &str) -> Result<Keeper, ProcessError> {
        let mut args = vec!["-c".into(), SCRIPT.into(), "wrun-keeper".into(), name.into()];
        args.push(self.path.clone().into());
        args.extend(self.options.iter().map(Into::into));
        let mut tree = spawn(Command {
            program: PathBuf::from("/bin/sh"),
            args,
            env: self
                .environment()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            cwd: PathBuf::from("/"),
            stdin: Stdin::Piped,
            stdout: Out::Null,
            stderr: Out::Null,
            ..Command::default()
        })?;
        Ok(Keeper {
            input: tree.take_stdin(),
            tree,
        })
    }
}

impl Keeper {
    /// Ends it: the container is gone, or the caller removes it.
    pub async fn dismiss(mut self) {
        // The pipe is closed last, so that its end is never read.
        if let Err(error) = self.tree.end(std::time::Duration::ZERO).await {
            tracing::debug!(%error, "the keeper of a container did not end");
        }
        drop(self.input.take());
    }
}
