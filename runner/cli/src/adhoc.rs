//! `wrun run`.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use wrun::core::net::Net;
use wrun::{Allow, EnvRequest, Runner, Stdin, Submission, Task, Variable};

use crate::args::Run;
use crate::denied::Place;
use crate::drive::follow;
use crate::exec::rules;
use crate::failure::Failure;
use crate::speak::Speaker;
use crate::terminal::Terminal;

/// Runs a command in the current folder, in the environment that the options name.
pub(crate) async fn run(runner: &Runner, arguments: &Run, speaker: &Arc<Speaker>) -> Result<u8, Failure> {
    let Run {
        uv,
        pip,
        requirements,
        python,
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
        .map_or("run", String::as_str)
        .rsplit('/')
        .next()
        .unwrap_or("run");
    let mut task = Task::command(name, base, command.clone());
    task.env = environment(uv, pip, requirements, python.as_deref());
    for pair in env {
        let (name, value) = variable(pair);
        task.vars.insert(name, value);
    }
    task.limits.time = *timeout;
    task.limits.memory = memory.map(|size| size.as_u64());
    task.allow = Allow {
        read: read.clone(),
        write: write.clone(),
        net: network(net)?,
    };
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
    if packages.is_empty() && requirements.is_empty() && python.is_none() {
        return None;
    }
    let mut spec = Map::new();
    spec.insert("packages".to_owned(), json!(packages));
    if !requirements.is_empty() {
        spec.insert("requirements".to_owned(), json!(requirements));
    }
    if let Some(python) = python {
        spec.insert("python".to_owned(), json!(python));
    }
    Some(EnvRequest {
        backend: backend.to_owned(),
        spec: Value::Object(spec),
    })
}

/// `NAME=VALUE`, or `NAME` for the caller's variable of that name.
fn variable(pair: &str) -> (String, Variable) {
    match pair.split_once('=') {
        Some((name, value)) => (name.to_owned(), Variable::Value(value.to_owned())),
        None => (pair.to_owned(), Variable::FromCaller(pair.to_owned())),
    }
}
