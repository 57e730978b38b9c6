//! What pip installs after the conda packages, under their interpreter, with a lock of its own.
//!
//! The interpreter is one of the packages, so it is there only when they are: to solve, they are put together in a
//! scratch folder first. They are in the cache then, and the build that follows links them again.

use std::path::Path;

use rattler_conda_types::RepoDataRecord;
use serde_json::{Value, json};
use wrun_backend_pip::Pip;
use wrun_core::backend::{Input, InputKind, InputRequest, Inputs, PlanBackend as _, Request, Solve};
use wrun_core::host::Host;
use wrun_core::id::Digest;
use wrun_core::problem::Problem;
use wrun_core::question::{Exchange, MAXIMUM_ROUNDS};
use wrun_core::tool::{ToolFound, ToolKind, ToolRequest};

use crate::install::runs_here;
use crate::link::{self, Linking};
use crate::lock::PipLock;
use crate::packages::Packages;
use crate::understand::Understood;

/// The name that the interpreter has in questions and plans.
const PYTHON: &str = "python";

/// The name of pip in questions and plans.
const PIP: &str = "pip";

/// Rounds in which files may name others.
const MAXIMUM_READS: usize = 8;

/// The name of the file that stands for the lines for pip.
const LINES: &str = "wrun-pip-lines.txt";

/// The path of that file: beside the environment file.
fn lines(understood: &Understood) -> String {
    if understood.pip_folder == "." {
        LINES.to_owned()
    } else {
        format!("{}/{LINES}", understood.pip_folder)
    }
}

/// The spec of `env.pip` that lines for pip mean.
fn spec(understood: &Understood) -> Value {
    let mut spec = json!({ "requirements": lines(understood), "indexes": understood.spec.indexes });
    if let (Some(members), Some(cut_off)) = (spec.as_object_mut(), &understood.spec.exclude_newer) {
        members.insert("exclude-newer".to_owned(), json!(cut_off));
    }
    spec
}

/// The files that lines for pip refer to, with the lines themselves as a file.
pub(crate) async fn inputs(host: &dyn Host, understood: &Understood) -> Result<Inputs, Problem> {
    let mut inputs = Inputs::new();
    if understood.pip.is_empty() {
        return Ok(inputs);
    }
    let spec = spec(understood);
    let text: String = understood
        .pip
        .iter()
        .flat_map(|line| [line.as_str(), "\n"])
        .collect();
    let lines = InputRequest {
        path: spec
            .get("requirements")
            .and_then(Value::as_str)
            .unwrap_or(LINES)
            .to_owned(),
        kind: InputKind::Text,
    };
    let digest = Digest::of(text.as_bytes());
    inputs.insert(lines, Input::Text { text, digest });
    for _ in 0..MAXIMUM_READS {
        let needs = Pip
            .needs(&spec, &inputs)
            .map_err(|problem| told(understood, problem))?;
        let new: Vec<InputRequest> = needs
            .inputs
            .into_iter()
            .filter(|input| !inputs.contains_key(input))
            .collect();
        if new.is_empty() {
            return Ok(inputs);
        }
        for input in new {
            let read = host.read(&input).await?;
            inputs.insert(input, read);
        }
    }
    Err(Problem::failed(
        "conda.pip.endless",
        format!(
            "the files for pip ask for more files after {MAXIMUM_READS} rounds; do they include each other?"
        ),
    ))
}

/// A problem of `env.pip` in the words of this spec, whose lines have another place and whose interpreter is a package.
fn told(understood: &Understood, problem: Problem) -> Problem {
    match problem {
        Problem::Invalid(mut findings) => {
            for finding in &mut findings {
                if finding.at.starts_with("/requirements") {
                    let at = if understood.spec.pip.is_empty() {
                        "/file"
                    } else {
                        "/pip"
                    };
                    at.clone_into(&mut finding.at);
                }
                finding.message = placed(understood, &finding.message);
            }
            Problem::Invalid(findings)
        }
        Problem::Unsatisfiable { code, message, help } => Problem::Unsatisfiable {
            code,
            message: placed(understood, &message),
            help: help.map(|help| in_packages(&help)),
        },
        Problem::Failed { code, message, help } => Problem::Failed {
            code,
            message: placed(understood, &message),
            help: help.map(|help| in_packages(&help)),
        },
        other => other,
    }
}

/// A message with the places of lines as they are written, in place of those in the file that stands for them.
fn placed(understood: &Understood, message: &str) -> String {
    let mut message = message.to_owned();
    let lines = lines(understood);
    // The last first: the place of the first line is how that of the tenth begins.
    for (position, place) in understood.pip_places.iter().enumerate().rev() {
        message = message.replace(&format!("{lines}:{}", position + 1), place);
    }
    message
}

/// What to do about the interpreter: `env.pip` names it, and here it is one of the packages.
fn in_packages(help: &str) -> String {
    help.replace("`python = \"3.12\"`", "`python=3.12` among the conda packages")
}

/// The lock for pip, found under the interpreter of these packages.
pub(crate) async fn solve(
    host: &dyn Host,
    request: &Request,
    understood: &Understood,
    records: &[RepoDataRecord],
) -> Result<PipLock, Problem> {
    // pip only knows what the interpreter that runs it can use.
    runs_here(understood.platform)?;
    let inputs = inputs(host, understood).await?;
    let scratch = host.scratch("the interpreter that pip solves for")?;
    let prefix = scratch.path().join("environment");
    let folders = Packages::open(host)?
        .provide(host, understood.origin(), records)
        .await?;
    link::link(Linking {
        prefix: prefix.clone(),
        records: records.to_vec(),
        folders,
        specs: Vec::new(),
        platform: understood.platform,
        copies: false,
    })
    .await?;
    let request = Request {
        spec: spec(understood),
        inputs,
        tools: tools(host, &prefix, records).await?,
        platform: request.platform.clone(),
    };
    let mut transcript: Vec<Exchange> = Vec::new();
    for _ in 0..=MAXIMUM_ROUNDS {
        let step = Pip
            .solve_into(&request, &transcript)
            .map_err(|problem| told(understood, problem))?;
        let questions = match step {
            Solve::Done(lock) => {
                return Ok(PipLock {
                    spec: request.spec,
                    inputs: request.inputs.into_iter().collect(),
                    lock,
                });
            }
            Solve::Ask(questions) => questions,
        };
        let answers = host.ask(&request, &questions).await?;
        let exchanges = questions.into_iter().zip(answers);
        transcript.extend(exchanges.map(|(question, answer)| Exchange { question, answer }));
    }
    Err(Problem::failed(
        "conda.pip.endless",
        format!("pip has no lock after {MAXIMUM_ROUNDS} rounds of questions"),
    ))
}

/// The interpreter of an environment, and the pip beside it.
pub(crate) async fn tools(
    host: &dyn Host,
    prefix: &Path,
    records: &[RepoDataRecord],
) -> Result<Vec<ToolFound>, Problem> {
    let version_of = |name: &str| {
        records
            .iter()
            .map(|record| &record.package_record)
            .find(|record| record.name.as_normalized() == name)
            .map(|record| record.version.clone())
    };
    let (Some(python), Some(pip)) = (version_of("python"), version_of("pip")) else {
        return Err(Problem::Unsatisfiable {
            code: "conda.pip.python".to_owned(),
            message: "packages for pip are listed, and there is no `python` among the conda packages"
                .to_owned(),
            help: Some("add `python` to the conda packages".to_owned()),
        });
    };
    let request = ToolRequest {
        id: PYTHON.to_owned(),
        kind: ToolKind::Python {
            request: Some(prefix.join("bin/python").to_string_lossy().into_owned()),
        },
    };
    let interpreter = host.find_tool(&request, &[]).await?;
    let (major, minor) = python.as_major_minor().ok_or_else(|| {
        Problem::failed(
            "conda.pip.python",
            format!("`python {python}` has no minor version"),
        )
    })?;
    let folder = prefix.join(format!("lib/python{major}.{minor}/site-packages"));
    Ok(vec![
        interpreter,
        ToolFound {
            id: PIP.to_owned(),
            path: folder,
            version: pip.to_string(),
            digest: None,
            python: None,
        },
    ])
}
