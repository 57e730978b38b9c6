//! `wrun run`.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use wrun::core::image::BACKEND;
use wrun::core::net::Net;
use wrun::{Allow, EnvRequest, Runner, Stdin, Submission, Task, Variable};

use crate::args::Run;
use crate::denied::Place;
use crate::drive::follow;
use crate::exec::rules;
use crate::failure::Failure;
use crate::runtime_env;
use crate::speak::Speaker;
use crate::terminal::Terminal;

/// Runs a command in the current folder, in the environment that the options name.
pub(crate) async fn run(runner: &Runner, arguments: &Run, speaker: &Arc<Speaker>) -> Result<u8, Failure> {
    let Run {
        uv,
        pip,
        conda,
        channel,
        image,
        requirements,
        python,
        runtime_env,
        runtime_env_json,
        env,
        read,
        write,
        net,
        memory,
        held,
        why_denied,
        tty,
        timeout,
        refresh,
        command,
    } = arguments;
    let base = std::env::current_dir().map_err(|error| Failure::io("find the current folder", error))?;
    let name = command
        .first()
        .or(image.as_ref())
        .map_or("run", String::as_str)
        .rsplit('/')
        .next()
        .unwrap_or("run");
    let mut task = Task::command(name, base, command.clone());
    if command.is_empty() {
        task.run = wrun::Run::Image { args: None };
    }
    let environment = match conda.as_slice() {
        [] => environment(uv, pip, requirements, python.as_deref()),
        packages => {
            let spec = json!({ "packages": packages, "channels": channel });
            Some(EnvRequest::new("conda", spec))
        }
    };
    let image = image.as_ref().map(|image| json!({ "image": image }));
    task.env = match (environment, image) {
        (Some(environment), Some(image)) => Some(environment.in_image(image)),
        (None, Some(image)) => Some(EnvRequest::new(BACKEND, image)),
        (environment, None) => environment,
    };
    for pair in env {
        let (name, value) = variable(pair)?;
        task.vars.insert(name, value);
    }
    task.limits.time = *timeout;
    task.limits.memory = *memory;
    task.allow = Allow {
        read: read.clone(),
        write: write.clone(),
        net: network(net)?,
    };
    if let Some(written) = runtime_env::written(runtime_env.as_deref(), runtime_env_json.as_deref())? {
        runtime_env::apply(&written, &mut task, speaker)?;
    }
    let mut submission = Submission::new(task).stdin(Stdin::Inherit).sandbox(held.demand());
    if *refresh {
        submission = submission.refresh();
    }
    if *why_denied {
        submission = submission.why_denied();
    }
    if speaker.is_json() {
        submission = submission.output_as_events();
    }
    let terminal = Terminal::wanted(*tty, speaker)?;
    if let Some(terminal) = &terminal {
        submission = submission.terminal(terminal.sizes());
    }
    let handle = runner.submit(submission);
    follow(handle, name, false, Place::Options, speaker, terminal).await
}

/// The hosts that the options list; `all` is every one.
fn network(listed: &[String]) -> Result<Net, Failure> {
    if listed.iter().any(|rule| rule == "all") {
        return Ok(Net::All);
    }
    let rules = rules(listed)?;
    Ok(if rules.is_empty() {
        Net::None
    } else {
        Net::Listed(rules)
    })
}

fn environment(
    uv: &[String],
    pip: &[String],
    requirements: &[String],
    python: Option<&str>,
) -> Option<EnvRequest> {
    let (backend, packages) = if pip.is_empty() { ("uv", uv) } else { ("pip", pip) };
    if backend == "uv" && packages.is_empty() && requirements.is_empty() && python.is_none() {
        return None;
    }
    // `--pip` alone chooses pip and names nothing.
    let packages: Vec<&String> = packages.iter().filter(|package| !package.is_empty()).collect();
    let mut spec = Map::new();
    spec.insert("packages".to_owned(), json!(packages));
    if !requirements.is_empty() {
        spec.insert("requirements".to_owned(), json!(requirements));
    }
    if let Some(python) = python {
        spec.insert("python".to_owned(), json!(python));
    }
    Some(EnvRequest::new(backend, Value::Object(spec)))
}

/// `NAME=VALUE`, or `NAME` for the caller's variable of that name.
fn variable(pair: &str) -> Result<(String, Variable), Failure> {
    let (name, value) = match pair.split_once('=') {
        Some((name, value)) => (name, Variable::Value(value.to_owned())),
        None => (pair, Variable::FromCaller(pair.to_owned())),
    };
    let is_name = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    if is_name {
        return Ok((name.to_owned(), value));
    }
    Err(Failure::usage(
        format!("--env {pair}: `{name}` is not the name of a variable"),
        "a name has letters, digits and `_`, and does not begin with a digit",
    ))
}
