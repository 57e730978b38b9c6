//! What pip's words mean.

use wrun_backend_python::failure::{self, Cause, Failure};
use wrun_backend_python::redact;
use wrun_backend_python::spec::BuildPolicy;
use wrun_core::problem::Problem;

use crate::PIP;
use crate::understand::Understood;

/// Lines of a build's output that are shown.
const LINES_OF_BUILD: usize = 30;

/// Versions that are shown when none fits.
const VERSIONS_SHOWN: usize = 3;

/// Why a resolution failed. The log tells why an index could not be read; standard error does not.
pub(crate) fn problem(understood: &Understood, exit: Option<i32>, stderr: &str, log: &str) -> Problem {
    let log: Vec<&str> = log.lines().map(without_time).collect();
    let telling = log.iter().filter(|line| {
        [
            "Could not fetch URL ",
            "ERROR: ",
            "error: ",
            "WARNING: The repository located at ",
        ]
        .iter()
        .any(|start| line.starts_with(start))
    });
    let said = stderr
        .lines()
        .filter(|line| !line.starts_with("WARNING: Retrying"));
    let essence = said.chain(telling.copied()).collect::<Vec<_>>().join("\n");
    let known = failure::classify(&essence).or_else(|| failure::classify(stderr));
    // Of an answer that is cut off or makes no sense pip tells no address; it is what was asked for last.
    let is_of_last = |known: &Failure| match known.cause {
        Cause::Unreadable => true,
        Cause::Interrupted => !stderr.contains("://"),
        _ => false,
    };
    let known = known.map(|known| Failure {
        address: if is_of_last(&known) {
            last_asked(&log)
        } else {
            known.address
        },
        cause: known.cause,
    });
    match known {
        Some(known) => {
            let explanation = match known.cause {
                Cause::Unsatisfiable => conflict(&log).unwrap_or_else(|| no_version(&essence)),
                Cause::Build | Cause::BuildNetwork => {
                    build_output(&log).unwrap_or_else(|| last_lines(stderr))
                }
                _ => last_lines(stderr),
            };
            let problem = known.problem(PIP, &understood.gathered.indexes, &explanation);
            let problem = match problem {
                // The user's own digest is the likelier mistake.
                Problem::Failed { code, message, .. }
                    if known.cause == Cause::HashMismatch && understood.gathered.has_hashes() =>
                {
                    Problem::Failed {
                        code,
                        message,
                        help: Some(
                            "compare the digest of the requirement with the one that the index shows for this version"
                                .to_owned(),
                        ),
                    }
                }
                // pip passes over sources without a word.
                Problem::Unsatisfiable { code, message, .. }
                    if understood.gathered.build != BuildPolicy::Anything && conflict(&log).is_none() =>
                {
                    Problem::Unsatisfiable {
                        code,
                        message,
                        help: Some(format!("check the spelling and the version; {}", failure::NO_BUILD_HELP)),
                    }
                }
                other => other,
            };
            failure::with_cut_off(problem, understood.exclude_newer.as_deref())
        }
        None => Problem::Failed {
            code: "pip.solve.failed".to_owned(),
            message: format!("pip failed{}\n{}", failure::exit_words(exit), last_lines(stderr))
                .trim_end()
                .to_owned(),
            help: Some("what pip says is above; `WRUN_LOG=debug` shows how it was called".to_owned()),
        },
    }
}

/// A line of the log without the time in front: `2026-01-31T12:00:00,123 `.
fn without_time(line: &str) -> &str {
    match line.split_once(' ') {
        Some((time, rest)) if time.len() == 23 && time.as_bytes().get(10) == Some(&b'T') => rest,
        _ => line,
    }
}

/// The address that was asked for last, if pip tells the whole of it.
fn last_asked(log: &[&str]) -> Option<String> {
    let starts = ["Getting page ", "Downloading "];
    let asked = |line: &&str| {
        let line = line.trim_start();
        starts
            .iter()
            .find_map(|start| line.strip_prefix(start))
            .map(str::to_owned)
    };
    log.iter()
        .rev()
        .find_map(asked)
        .filter(|rest| rest.starts_with("http"))
        .and_then(|rest| rest.split_whitespace().next().map(redact::strip))
}

/// The requirements that contradict each other.
fn conflict(log: &[&str]) -> Option<String> {
    let start = log
        .iter()
        .position(|line| *line == "The conflict is caused by:")?;
    let lines = log
        .iter()
        .skip(start + 1)
        .take_while(|line| line.starts_with(' '));
    let lines: Vec<&str> = lines.map(|line| line.trim()).collect();
    (!lines.is_empty()).then(|| format!("these contradict each other:\n{}", lines.join("\n")))
}

/// What the last build said: pip writes it to its log only, if it writes one.
fn build_output(log: &[&str]) -> Option<String> {
    let start = log
        .iter()
        .rposition(|line| line.trim_start().starts_with("Running command "))?;
    let end =
        |line: &&&str| !line.trim_start().starts_with("ERROR: ") && !line.trim_start().starts_with("error: ");
    let lines: Vec<&str> = log
        .iter()
        .skip(start + 1)
        .take_while(end)
        .map(|line| line.trim_end())
        .collect();
    let last = lines
        .get(lines.len().saturating_sub(LINES_OF_BUILD)..)
        .unwrap_or_default();
    (!last.is_empty()).then(|| last.join("\n"))
}

/// What there is in place of what was asked for.
fn no_version(essence: &str) -> String {
    const START: &str = "ERROR: Could not find a version that satisfies the requirement ";
    let told = essence
        .lines()
        .find_map(|line| line.strip_prefix(START))
        .and_then(|rest| rest.split_once(" (from "));
    let Some((requirement, rest)) = told else {
        return essence
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("ERROR: ")
            .to_owned();
    };
    let versions = rest
        .rsplit_once("versions: ")
        .map_or("", |(_, versions)| versions)
        .trim_end_matches(')');
    let versions: Vec<&str> = versions
        .split(", ")
        .filter(|version| !version.is_empty() && *version != "none")
        .collect();
    if versions.is_empty() {
        return format!("no index has a file of `{requirement}` that this Python can use");
    }
    let newest: Vec<&str> = versions.iter().rev().take(VERSIONS_SHOWN).copied().collect();
    format!(
        "no version fits `{requirement}`; the newest that this Python can use: {}",
        newest.join(", ")
    )
}

fn last_lines(stderr: &str) -> String {
    let lines: Vec<&str> = stderr
        .lines()
        .filter(|line| !line.starts_with("WARNING: Retrying"))
        .collect();
    lines
        .get(lines.len().saturating_sub(LINES_OF_BUILD)..)
        .unwrap_or_default()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_last_is_told_if_it_is_known() {
        let page = "Getting page http://u:p@index.example/simple/x/";
        assert_eq!(
            last_asked(&[page, "ERROR: Exception:"]).unwrap(),
            "http://index.example/simple/x/"
        );
        let file = "  Downloading http://index.example/x.whl.metadata (2 kB)";
        assert_eq!(
            last_asked(&[page, file]).unwrap(),
            "http://index.example/x.whl.metadata"
        );
        assert_eq!(
            last_asked(&[page, "  Downloading x-1.0-py3-none-any.whl (2 kB)"]),
            None
        );
        assert_eq!(last_asked(&[]), None);
    }
}
