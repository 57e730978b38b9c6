//! Runs a task file whose `[env.container]` names the unpacked layers of its image, and says what happens as `wrun --format json
//! submit` does: the running side of images by itself.
#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program of the tests, which look at what it prints"
)]

use std::path::Path;
use std::process::ExitCode;

use async_trait::async_trait;
use serde_json::{Value, json};
use wrun::core::launch::{Launch, TaskKind};
use wrun::core::plan::Place;
use wrun::{Assessed, Backend, Demand, Helper, Host, Lock, Problem, Record, Runner, Slot, Stdin, Submission};

/// The file of an environment that says what the image is.
const RECORD: &str = "image.json";

/// Takes a spec for what a build would have recorded of an image.
struct Layers;

#[async_trait]
impl Backend for Layers {
    fn id(&self) -> &'static str {
        wrun::core::image::BACKEND
    }

    async fn build(&self, _: &dyn Host, _: &Assessed, lock: &Lock, slot: &Slot) -> Result<(), Problem> {
        let mut image = json!({
            "reference": "layers",
            "digest": wrun::core::id::Digest::of(b"layers"),
            "engine": "builtin",
            "config": { "user": { "user": 0, "group": 0 } },
        });
        for (name, value) in lock.content.as_object().into_iter().flatten() {
            image[name] = value.clone();
        }
        std::fs::write(slot.prefix.join(RECORD), image.to_string())
            .map_err(|error| Problem::failed("layers.write", error.to_string()))
    }

    fn enter(&self, _: &Lock, _: TaskKind) -> Result<Launch, Problem> {
        Ok(Launch::Image {
            image: Place::prefix(RECORD),
            env: Vec::new(),
            search_path: Vec::new(),
            engine: None,
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let helper = Helper::enter();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [how @ .., file] = arguments.as_slice() else {
        return ExitCode::from(2);
    };
    match run(helper, how, Path::new(file)).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            say("layers", &serde_json::to_value(error.event()));
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(helper: Helper, how: &[String], file: &Path) -> Result<u8, wrun::Error> {
    let runner = Runner::builder().helper(helper).backend(Layers).build()?;
    let task = runner.load(file)?;
    let mut submission = Submission::from(task).stdin(Stdin::Inherit).output_as_events();
    for word in how {
        submission = match word.as_str() {
            "why-denied" => submission.why_denied(),
            "restricted" => submission.sandbox(Demand::Restricted),
            "best-effort" => submission.sandbox(Demand::BestEffort),
            "off" => submission.sandbox(Demand::Off),
            "full" => submission.sandbox(Demand::Full),
            _ => submission,
        };
    }
    let mut handle = runner.submit(submission);
    let canceller = handle.canceller();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            canceller.cancel();
        }
    });
    while let Some(event) = handle.next_event().await {
        say("layers", &serde_json::to_value(Record::new("layers", event)));
    }
    Ok(handle.wait().await?.exit_code())
}

fn say(task: &str, value: &serde_json::Result<Value>) {
    match value {
        Ok(value) => println!("{value}"),
        Err(error) => println!("{}", json!({ "task": task, "error": error.to_string() })),
    }
}
