//! A program that runs a task in an environment of its own and follows what happens.

use wrun::{EnvRequest, Event, Helper, Runner, Submission, Task};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), wrun::Error> {
    // Must come first: this program is started anew to set up the sandbox of a task.
    let helper = Helper::enter();
    let runner = Runner::builder().helper(helper).build()?;

    let code = "import emoji; print(emoji.emojize('embedded :crab:'))";
    let mut task = Task::command("embedded", ".", vec!["python".into(), "-c".into(), code.into()]);
    task.env = Some(EnvRequest::new(
        "uv",
        serde_json::json!({ "packages": ["emoji>=2,<3"] }),
    ));

    let mut run = runner.submit(Submission::new(task).output_as_events());
    let mut said = String::new();
    while let Some(event) = run.next_event().await {
        match event {
            Event::EnvironmentReady { env_id, built, .. } => {
                show(&format!("environment {env_id}, built now: {built}"));
            }
            Event::Output { text, .. } => said.push_str(&text),
            _ => {}
        }
    }
    let finished = run.wait().await?;
    show(&format!(
        "the task said {:?} and {}",
        said.trim_end(),
        finished.outcome
    ));
    Ok(())
}

#[expect(
    clippy::print_stdout,
    reason = "it is this program that speaks to its user, not the library"
)]
fn show(line: &str) {
    println!("{line}");
}
