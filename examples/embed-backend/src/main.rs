//! A program with a package manager of its own: environments that hold one script, made by this program.

use async_trait::async_trait;
use serde_json::Value;
use wrun::{Assessed, Backend, EnvRequest, Helper, Host, Lock, Problem, Runner, Slot, Task};

/// Puts the text of a spec into an environment as the program `greet`.
struct Script;

#[async_trait]
impl Backend for Script {
    fn id(&self) -> &'static str {
        "script"
    }

    async fn build(&self, _: &dyn Host, _: &Assessed, lock: &Lock, slot: &Slot) -> Result<(), Problem> {
        let text = lock
            .content
            .get("text")
            .and_then(Value::as_str)
            .unwrap_or_default();
        write_program(slot, text).map_err(|error| Problem::failed("script.write", error.to_string()))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a backend of one's own writes into the slot as it likes"
)]
fn write_program(slot: &Slot, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    std::fs::create_dir(slot.prefix.join("bin"))?;
    let program = slot.prefix.join("bin/greet");
    std::fs::write(&program, format!("#!/bin/sh\n{text}\n"))?;
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), wrun::Error> {
    // Must come first: this program is started anew to set up the sandbox of a task.
    let helper = Helper::enter();
    let runner = Runner::builder().helper(helper).backend(Script).build()?;
    let mut task = Task::command("greet", ".", vec!["greet".into(), "world".into()]);
    task.env = Some(EnvRequest::new(
        "script",
        serde_json::json!({ "text": "echo \"hello, $1\"" }),
    ));
    let finished = runner.submit(task).wait().await?;
    assert!(finished.outcome.is_success(), "{}", finished.outcome);
    Ok(())
}
