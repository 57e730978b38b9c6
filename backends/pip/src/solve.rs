//! Asking pip for a resolution, and understanding what it answers.

use wrun_backend_python::failure;
use wrun_backend_python::repository;
use wrun_backend_python::source::with_copies;
use wrun_core::backend::{Request, Solve};
use wrun_core::plan::Word;
use wrun_core::problem::Problem;
use wrun_core::question::{Answer, Exchange, Question, Refusal};

use crate::command::Under;
use crate::line::for_pip;
use crate::understand::{Understood, check_venv};
use crate::{PIP, command, explain, lock};

/// The report of a resolution, in the scratch folder.
const REPORT: &str = "wrun-report.json";

/// pip says why an index failed in its log only.
const LOG: &str = "wrun-pip.log";

/// One round: asks pip, or reads its answer.
pub(crate) fn solve(
    request: &Request,
    understood: &Understood,
    transcript: &[Exchange],
) -> Result<Solve, Problem> {
    match transcript.last() {
        None if understood.gathered.is_empty() => Ok(Solve::Done(lock::empty(request, understood)?)),
        None => {
            check_venv(request)?;
            Ok(Solve::Ask(vec![question(request, understood)?]))
        }
        Some(exchange) => answer(request, understood, &exchange.answer),
    }
}

fn question(request: &Request, understood: &Understood) -> Result<Question, Problem> {
    let gathered = &understood.gathered;
    let network = understood.network(repository::is_in_gathered(gathered));
    let mut args = command::install(understood, network);
    args.extend(
        [
            "--dry-run",
            "--ignore-installed",
            "--report",
            REPORT,
            "--log",
            LOG,
            "-r",
            "wrun.in",
        ]
        .map(Word::from),
    );
    let lines: String = gathered
        .file(&gathered.requirements)
        .lines()
        .map(|line| for_pip(line) + "\n")
        .collect();
    let mut files = vec![("wrun.in".to_owned(), lines)];
    if !gathered.constraints.is_empty() {
        args.extend(["-c", "wrun-constraints.txt"].map(Word::from));
        files.push((
            "wrun-constraints.txt".to_owned(),
            gathered.file(&gathered.constraints),
        ));
    }
    if gathered.require_hashes {
        args.push("--require-hashes".into());
    }
    if understood.prerelease() {
        args.push("--pre".into());
    }
    let run = command::pip(understood, Under::Tool, args, network, command::SOLVE_TIMEOUT);
    let count = gathered.requirements.len();
    Ok(Question::Tool {
        label: format!("resolve {count} requirement{}", if count == 1 { "" } else { "s" }),
        run: with_copies(run, &gathered.sources(&request.inputs)?),
        files,
        outputs: vec![REPORT.to_owned(), LOG.to_owned()],
    })
}

fn answer(request: &Request, understood: &Understood, answer: &Answer) -> Result<Solve, Problem> {
    match answer {
        Answer::Tool {
            exit,
            stdout: _,
            stderr,
            outputs,
        } => {
            let output = |name: &str| {
                outputs
                    .iter()
                    .find(|(path, _)| path == name)
                    .map(|(_, text)| text.as_str())
            };
            match (exit, output(REPORT)) {
                (Some(0), Some(report)) => Ok(Solve::Done(lock::from_report(request, understood, report)?)),
                (Some(0), None) => Err(Problem::failed(
                    "pip.report.missing",
                    "pip said that it resolved everything, and wrote no report",
                )),
                _ => Err(explain::problem(
                    understood,
                    *exit,
                    stderr,
                    output(LOG).unwrap_or_default(),
                )),
            }
        }
        Answer::Refused { refusal, message } => {
            let message = match refusal {
                Refusal::Offline => offline(understood),
                _ => message.clone(),
            };
            Err(failure::refused(PIP, *refusal, &message))
        }
        Answer::Http { .. } => Err(Problem::failed(
            "pip.answer.unasked",
            "the host answered what was not asked",
        )),
    }
}

/// What cannot be resolved without the network.
fn offline(understood: &Understood) -> String {
    const SHOWN: usize = 3;
    let gathered = &understood.gathered;
    let lines = gathered.file(&gathered.requirements);
    let names: Vec<String> = lines
        .lines()
        .take(SHOWN)
        .map(|line| format!("`{}`", line.trim_end_matches('\\').trim()))
        .collect();
    let more = if gathered.requirements.len() > SHOWN {
        " and others"
    } else {
        ""
    };
    format!(
        "no lock for {}{more} is known, pip has to ask an index for one, and the run is offline",
        names.join(", ")
    )
}
