//! Builds the environment of a task once, keeps it for every later run on the machine, and runs the task with
//! nothing but what it was granted.
//!
//! ```no_run
//! # async fn example() -> Result<(), wrun::Error> {
//! use wrun::{EnvRequest, Helper, Runner, Task};
//!
//! // The first thing that the program does: it is started anew to set up the sandbox of a task.
//! let helper = Helper::enter();
//! let runner = Runner::builder().helper(helper).build()?;
//! let mut task = Task::command("greet", ".", vec!["python".into(), "-c".into(), "import emoji".into()]);
//! task.env = Some(EnvRequest::new("uv", serde_json::json!({ "packages": ["emoji"] })));
//! let finished = runner.submit(task).wait().await?;
//! assert!(finished.outcome.is_success());
//! # Ok(())
//! # }
//! ```
//!
//! The library prints nothing, reads no variable of the process unless [`RunnerBuilder::variables`] is left at its
//! default, and keeps no global state. It needs a tokio runtime; one thread is enough.

mod builder;
mod context;
mod denied;
mod engine;
mod environment;
mod error;
mod grants;
mod guest;
mod handle;
mod image;
mod index;
mod launch;
mod load;
mod lock_file;
mod native;
mod plan;
mod run;
mod runner;
mod settling;
mod signals;
mod single_files;
pub mod variables;

pub use builder::RunnerBuilder;
pub use error::Error;
pub use guest::{LoadedModule, Module};
pub use handle::{Finished, RunHandle};
pub use load::LoadedTask;
pub use lock_file::LockFile;
pub use plan::{Level, PlanReport, PlannedImage, PlannedPackage, PlannedVariable};
pub use runner::{GuestRun, Runner, Submission};
pub use signals::asks_to_end;

pub use wrun_core as core;
pub use wrun_core::backend::{Assessed, Backend, Manifest, PlanBackend, Slot};
pub use wrun_core::event::{Event, Mistake, Phase, Record, Stream};
pub use wrun_core::exit_code;
pub use wrun_core::grants::{Access, Grants, Limits};
pub use wrun_core::host::Host;
pub use wrun_core::lock::Lock;
pub use wrun_core::outcome::{Outcome, OutcomeClass};
pub use wrun_core::problem::Problem;
pub use wrun_core::sandbox::{Capability, Demand, SandboxReport, State, Tier};
pub use wrun_core::task::{Allow, EnvRequest, Retry, Run, Task, Variable};
pub use wrun_exec::{Helper, HelperAhead, Output, OutputSink, Stdin, Stdio, TerminalSize};
pub use wrun_provision::PlanAdapter;
pub use wrun_store::Store;
