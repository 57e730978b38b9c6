//! What each kind of step does.

use tokio_util::sync::CancellationToken;
use wrun_core::plan::{Action, Archive, Fetch, Step};
use wrun_core::problem::StepFailure;

use crate::error::ProvisionError;
use crate::execute::TAIL_LINES;
use crate::host::TaskHost;
use crate::places::{ARTIFACTS, Places, below};
use crate::progress::StepProgress;
use crate::python::virtual_environment;
use crate::runs::Ran;
use crate::spawn::tail;

/// What the C library says of `ENOSPC`; programs repeat it.
const DISK_FULL: &str = "No space left on device";

/// How an attempt at a step ended.
pub(crate) enum Done {
    /// Well.
    Well,
    /// A program failed; its backend knows what that means.
    Failed(StepFailure),
}

impl TaskHost {
    /// Does one step once.
    pub(crate) async fn act(
        &self,
        step: &Step,
        places: &Places<'_>,
        progress: &StepProgress,
        cancel: &CancellationToken,
    ) -> Result<Done, ProvisionError> {
        match &step.action {
            Action::Fetch(fetch) => self.fetch(fetch, places, progress).await?,
            Action::Unpack {
                artifact,
                format: Archive::Zip,
                to,
            } => {
                let archive = places.scratch_tree().path().join(ARTIFACTS).join(artifact);
                let (tree, rel) = places.writable(to)?;
                self.blocking("unpacking a file", move || tree.unpack_zip(&archive, &rel))
                    .await??;
            }
            Action::Write {
                to,
                content,
                executable,
            } => {
                places.note(content);
                let (tree, rel) = places.writable(to)?;
                tree.write(&rel, content.as_bytes(), *executable)?;
            }
            Action::MakeDir(place) => {
                let (tree, rel) = places.writable(place)?;
                tree.make_dir(&rel)?;
            }
            Action::Symlink { at, target } => {
                let (tree, rel) = places.writable(at)?;
                tree.symlink(places.word(target)?, &rel)?;
            }
            Action::VirtualEnvironment(id) => virtual_environment::make(places.tool(id)?, places)?,
            Action::Remove(place) => {
                let (tree, rel) = places.writable(place)?;
                self.blocking("removing files", move || tree.remove(&rel))
                    .await??;
            }
            Action::Run(run) => {
                let ran = self.run_at_hand_first(&step.label, run, places, cancel).await?;
                return self.judge(step, run.timeout, ran);
            }
        }
        Ok(Done::Well)
    }

    async fn fetch(
        &self,
        fetch: &Fetch,
        places: &Places<'_>,
        progress: &StepProgress,
    ) -> Result<(), ProvisionError> {
        let path = self.brought(fetch, progress).await?;
        places
            .scratch_tree()
            .symlink(path, &below(ARTIFACTS, &fetch.save_as))?;
        Ok(())
    }

    /// What the end of a program means.
    fn judge(&self, step: &Step, limit: std::time::Duration, ran: Ran) -> Result<Done, ProvisionError> {
        let Ran {
            exit,
            signal,
            timed_out,
            output,
            ..
        } = ran;
        if timed_out {
            let label = step.label.clone();
            return Err(ProvisionError::StepTimedOut {
                label,
                limit,
                output: shown_output(&output),
            });
        }
        if exit == Some(0) {
            return Ok(Done::Well);
        }
        if output.contains(DISK_FULL) {
            return Err(ProvisionError::DiskFull {
                what: step.label.clone(),
                path: self.store.root().to_path_buf(),
                detail: shown_output(&output),
            });
        }
        Ok(Done::Failed(StepFailure {
            label: step.label.clone(),
            exit,
            signal,
            refusal: None,
            output,
        }))
    }
}

/// The end of a program's output on lines of its own, for the end of a message; nothing if it wrote nothing.
pub(crate) fn shown_output(output: &str) -> String {
    let output = tail(output, TAIL_LINES);
    if output.is_empty() {
        output
    } else {
        format!("\n{output}")
    }
}
