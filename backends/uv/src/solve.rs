//! Asking uv for a lock, and understanding what it answers.

use wrun_backend_python::failure::{self, Cause, Failure};
use wrun_backend_python::source::with_copies;
use wrun_core::backend::{Request, Solve};
use wrun_core::diagnostic::Finding;
use wrun_core::plan::{Place, Word};
use wrun_core::problem::Problem;
use wrun_core::question::{Answer, Exchange, Question};

use crate::UV;
use crate::command::{self, Flavour};
use crate::lock;
use crate::understand::{Family, Understood, work_place};

/// The name of the lock that uv writes. It must start with `pylock.` (PEP 751), and a project may have one of its own.
pub(crate) const PYLOCK: &str = "pylock.wrun.toml";

/// One round: asks uv, or reads its answer.
pub(crate) fn solve(request: &Request, transcript: &[Exchange]) -> Result<Solve, Problem> {
    let understood = Understood::of(request)?;
    match transcript.last() {
        None if understood.family == Family::Packages && understood.gathered.is_empty() => {
            Ok(Solve::Done(lock::from_pylock(request, &understood, lock::EMPTY)?))
        }
        None => Ok(Solve::Ask(vec![question(request, &understood)?])),
        Some(exchange) => answer(request, &understood, &exchange.answer),
    }
}

fn question(request: &Request, understood: &Understood) -> Result<Question, Problem> {
    let (label, mut args, flavour, files) = match &understood.family {
        Family::Packages => packages(understood),
        Family::Project(project) => {
            let mut args = export();
            args.push("--no-default-groups".into());
            for (option, names) in [
                ("--extra", &understood.spec.extras),
                ("--group", &understood.spec.groups),
            ] {
                args.extend(
                    names
                        .iter()
                        .flat_map(|name| [option.into(), name.as_str().into()]),
                );
            }
            if project.locked {
                args.push("--locked".into());
            }
            let written = if project.is_copied() {
                &[]
            } else {
                project.files.as_slice()
            };
            let files = written
                .iter()
                .map(|(path, text)| (work_place(path), text.clone()))
                .collect();
            ("resolve the project".to_owned(), args, Flavour::Export, files)
        }
        Family::Script(script) => {
            let mut args = export();
            args.extend(["--script".into(), Place::scratch(work_place(&script.path)).into()]);
            let mut files = vec![(work_place(&script.path), script.block.clone())];
            if let Some(text) = &script.lock {
                args.push("--locked".into());
                files.push((work_place(&format!("{}.lock", script.path)), text.clone()));
            }
            (format!("resolve `{}`", script.path), args, Flavour::Export, files)
        }
    };
    args.extend(
        [
            "--format",
            "pylock.toml",
            "--output-file",
            PYLOCK,
            "--no-header",
            "--quiet",
        ]
        .map(Word::from),
    );
    args.extend(command::python());
    args.extend(command::sources_of_packages(understood, flavour));
    if let Some(prerelease) = understood.prerelease() {
        args.extend(["--prerelease".into(), prerelease.word().into()]);
    }
    let folder = understood.folder();
    let network = understood.network(understood.names_repository());
    let run = command::run(understood, args, &folder, network, command::SOLVE_TIMEOUT);
    Ok(Question::Tool {
        label,
        run: with_copies(run, &understood.sources(&request.inputs)?),
        files,
        outputs: vec![lock::pylock_place(&folder)],
    })
}

fn export() -> Vec<Word> {
    ["export", "--no-editable"].map(Word::from).into()
}

fn packages(understood: &Understood) -> (String, Vec<Word>, Flavour, Vec<(String, String)>) {
    let gathered = &understood.gathered;
    let mut args: Vec<Word> = ["pip", "compile", "wrun.in"].map(Word::from).into();
    let mut files = vec![("wrun.in".to_owned(), gathered.file(&gathered.requirements))];
    for (option, name, entries) in [
        ("--constraints", "wrun-constraints.txt", &gathered.constraints),
        ("--overrides", "wrun-overrides.txt", &gathered.overrides),
    ] {
        if !entries.is_empty() {
            args.extend([option.into(), name.into()]);
            files.push((name.to_owned(), gathered.file(entries)));
        }
    }
    let count = gathered.requirements.len();
    let label = format!("resolve {count} requirement{}", if count == 1 { "" } else { "s" });
    (label, args, Flavour::Pip, files)
}

fn answer(request: &Request, understood: &Understood, answer: &Answer) -> Result<Solve, Problem> {
    match answer {
        Answer::Tool {
            exit: Some(0),
            outputs,
            ..
        } => {
            let text = outputs.first().map(|(_, text)| text).ok_or_else(|| {
                Problem::failed(
                    "uv.lock.missing",
                    "uv said that it resolved everything, and wrote no lock",
                )
            })?;
            Ok(Solve::Done(lock::from_pylock(request, understood, text)?))
        }
        Answer::Tool {
            exit, stdout, stderr, ..
        } => Err(explain(understood, *exit, &format!("{stderr}\n{stdout}"))),
        Answer::Refused { refusal, message } => Err(failure::refused(UV, *refusal, message)),
        Answer::Http { .. } => Err(Problem::failed(
            "uv.answer.unasked",
            "the host answered what was not asked",
        )),
    }
}

/// What uv's words mean.
pub(crate) fn explain(understood: &Understood, exit: Option<i32>, output: &str) -> Problem {
    let words = clean(output);
    if words.contains("needs to be updated") && words.contains("--locked") {
        let (at, lock, command) = match &understood.family {
            Family::Script(script) => ("/script", format!("{}.lock", script.path), "uv lock --script"),
            _ => ("/project", "uv.lock".to_owned(), "uv lock"),
        };
        let finding = Finding::error(
            "uv.lock.stale",
            at,
            format!("`{lock}` does not fit what it locks any more"),
        );
        return Problem::invalid(finding.with_help(format!("bring it up to date with `{command}`")));
    }
    if words.contains("incompatible with") && words.contains("Python requirement") {
        return Problem::Unsatisfiable {
            code: "uv.python.incompatible".to_owned(),
            message: words,
            help: Some(
                "ask for an interpreter that fits with `python`, or widen `requires-python`".to_owned(),
            ),
        };
    }
    match failure::classify(output) {
        Some(known) => {
            let problem = known.problem(UV, &understood.gathered.indexes, &words);
            let problem = with_build(with_python(problem, &known, output), &words);
            failure::with_cut_off(problem, understood.exclude_newer.as_deref())
        }
        None => Problem::Failed {
            code: "uv.solve.failed".to_owned(),
            message: format!("uv failed{}: {words}", failure::exit_words(exit)),
            help: Some("what uv says is above; `WRUN_LOG=debug` shows how it was called".to_owned()),
        },
    }
}

/// A version of Python that does not fit is the reason that newcomers do not look for.
fn with_python(problem: Problem, known: &Failure, output: &str) -> Problem {
    match problem {
        Problem::Unsatisfiable { code, message, .. }
            if known.cause == Cause::Unsatisfiable && output.contains("does not satisfy Python") =>
        {
            let help =
                "the version of Python does not fit: ask for another one, for instance `python = \"3.12\"`";
            Problem::Unsatisfiable {
                code,
                message,
                help: Some(help.to_owned()),
            }
        }
        other => other,
    }
}

/// What may not be built from source is not said by the help about names and versions.
fn with_build(problem: Problem, words: &str) -> Problem {
    match problem {
        Problem::Unsatisfiable { code, message, .. } if words.contains("no usable wheels") => {
            Problem::Unsatisfiable {
                code,
                message,
                help: Some(failure::NO_BUILD_HELP.to_owned()),
            }
        }
        other => other,
    }
}

/// uv's words without the drawing around them: no headline, no hints about its own options, and one line for each
/// sentence of an explanation, which older versions break at the width of a terminal.
fn clean(output: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in output.lines() {
        let bare = line
            .trim()
            .trim_start_matches(['×', '╰', '├', '─', '▶', '│', ' ']);
        let bare = ["error:", "cause:", "Caused by:"]
            .iter()
            .fold(bare, |bare, word| {
                bare.strip_prefix(word).map_or(bare, str::trim_start)
            });
        if bare.is_empty()
            || bare.starts_with("No solution found when resolving")
            || bare.starts_with("warning:")
        {
            continue;
        }
        if bare.starts_with("hint:") {
            break;
        }
        match lines.last_mut() {
            Some(last)
                if last.contains("ecause ")
                    && line.starts_with("      ")
                    && !bare.starts_with("And because") =>
            {
                last.push(' ');
                last.push_str(bare);
            }
            _ => lines.push(bare.to_owned()),
        }
    }
    lines.join("\n")
}
