//! The `wrun` command.

mod adhoc;
mod ahead;
mod args;
mod cache;
mod denied;
mod doctor;
mod drive;
mod exec;
mod failure;
mod lines;
mod plan;
mod progress;
mod runtime_env;
mod speak;
mod submit;
mod terminal;
mod trace;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use clap::CommandFactory as _;
use wrun::{Helper, Runner};

use crate::args::{Cli, Command, Global};
use crate::failure::Failure;
use crate::speak::Speaker;

fn main() -> ExitCode {
    let helper = Helper::enter();
    let _ahead = ahead::begin(&helper);
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output and are a success; a wrong usage is a failure before the task.
            let code = if error.use_stderr() {
                wrun::exit_code::FAILED
            } else {
                0
            };
            if error.use_stderr() && asks_for_json() {
                let event = wrun::Event::Failed {
                    code: "command.usage".to_owned(),
                    message: error.to_string().trim_end().to_owned(),
                    help: None,
                    exit_code: code,
                    problems: Vec::new(),
                };
                Speaker::json_only().event("", &event);
                return ExitCode::from(code);
            }
            let printed = error.print().and_then(|()| std::io::stdout().flush());
            return ExitCode::from(match printed {
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                    drop(writeln!(std::io::stderr(), "error: cannot write: {error}"));
                    wrun::exit_code::FAILED
                }
                _ => code,
            });
        }
    };
    trace::start();
    let speaker = Arc::new(Speaker::new(&cli.global));
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return ExitCode::from(speaker.failure(&Failure::io("start", error))),
    };
    let code = match runtime.block_on(dispatch(&cli, &helper, &speaker)) {
        Ok(code) => code,
        Err(failure) => speaker.failure(&failure),
    };
    let code = speaker.cut_off().unwrap_or(code);
    // A guest may be blocked in a read of standard input; the process does not wait for it.
    runtime.shutdown_background();
    ExitCode::from(code)
}

async fn dispatch(cli: &Cli, helper: &Helper, speaker: &Arc<Speaker>) -> Result<u8, Failure> {
    let global = &cli.global;
    match &cli.command {
        Command::Submit(arguments) => {
            let runner = runner(global, helper)?;
            let code = submit::submit(&runner, arguments, speaker).await;
            clear_left_overs(&runner);
            code
        }
        Command::Run(arguments) => {
            let runner = runner(global, helper)?;
            let code = adhoc::run(&runner, arguments, speaker).await;
            clear_left_overs(&runner);
            code
        }
        Command::Exec(arguments) => exec::exec(&runner(global, helper)?, arguments, speaker).await,
        Command::Plan(arguments) => plan::plan(&runner(global, helper)?, arguments, speaker).await,
        Command::Cache(command) => cache::cache(&runner(global, helper)?, command, speaker),
        Command::Doctor => match runner(global, helper) {
            Ok(runner) => doctor::doctor(&runner, speaker).await,
            Err(failure) => {
                // The rest can be looked at with a store that is thrown away.
                let folder = tempfile::tempdir().map_err(|error| Failure::io("make a folder", error))?;
                let elsewhere = Global {
                    cache_dir: Some(folder.path().to_owned()),
                    ..global.clone()
                };
                let runner = runner(&elsewhere, helper).ok();
                doctor::without_store(runner.as_ref(), &failure, speaker).await
            }
        },
        Command::Schema => {
            let schema = wrun::core::task::schema(&runner(global, helper)?.manifests());
            speaker.json(&schema)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "wrun", &mut script);
            speaker.data(&String::from_utf8_lossy(&script))
        }
    }
}

/// Removes the scratch folders of runs that were killed.
fn clear_left_overs(runner: &Runner) {
    match runner.store().sweep_scratch() {
        Ok(swept) => {
            for problem in swept.problems {
                tracing::debug!(problem, "a left-over stays");
            }
        }
        Err(error) => tracing::debug!(%error, "left-overs are not looked for"),
    }
}

/// Whether a command line that is wrong asks for JSON.
fn asks_for_json() -> bool {
    let words: Vec<_> = std::env::args_os()
        .skip(1)
        .take_while(|word| word != "--")
        .collect();
    words.iter().any(|word| word == "--format=json")
        || words
            .windows(2)
            .any(|pair| matches!(pair, [option, value] if option == "--format" && value == "json"))
}

fn runner(global: &Global, helper: &Helper) -> Result<Runner, Failure> {
    // Grandchildren of a task that lose their parent come to this process, which then can end them.
    if let Err(error) = wrun_process::adopt_orphans() {
        tracing::debug!(%error, "orphans cannot be adopted");
    }
    let mut builder = Runner::builder().offline(global.offline).helper(helper.clone());
    // An empty variable is one that is not set.
    if let Some(path) = global
        .cache_dir
        .as_ref()
        .filter(|path| !path.as_os_str().is_empty())
    {
        builder = builder.cache_dir(path);
    }
    Ok(builder.build()?)
}
