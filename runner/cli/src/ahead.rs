//! What is begun before it is known to be needed.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::ValueEnum as _;
use wrun::core::task::MAXIMUM_BYTES;
use wrun::{Demand, Helper, HelperAhead};

use crate::args::{HeldBy, Sandbox};

/// What begins the line of a task file that makes it a WebAssembly task.
const MODULE: &str = "module";

/// What `--net` calls the whole network. The process to begin for that is another one.
const EVERYTHING: &str = "all";

/// Options with which nothing is run.
const NOTHING_RUNS: &[&str] = &["--help", "-h", "--version", "-V"];

/// Begins to start the process that will hold a native task, while the command line and the task are still read. To be kept
/// until the command has ended.
///
/// It is a guess by the words of the command line. A wrong one costs a process more than was needed.
pub(crate) fn begin(helper: &Helper) -> Option<HelperAhead> {
    let words: Vec<OsString> = std::env::args_os()
        .skip(1)
        .take_while(|word| word != "--")
        .collect();
    let demand = demand(&words, std::env::var_os("WRUN_SANDBOX").as_deref())?;
    Some(helper.begin(demand))
}

/// How strongly a native task is to be held that the words run; nothing if they seem to run none, or need no such process.
fn demand(words: &[OsString], variable: Option<&OsStr>) -> Option<Demand> {
    let is_any = |word: &OsString, of: &[&str]| of.iter().any(|one| word == one);
    let command = words.iter().position(|word| is_any(word, &["submit", "run"]))?;
    if words.iter().any(|word| is_any(word, NOTHING_RUNS)) {
        return None;
    }
    let is_native = if words.get(command)? == "run" {
        let of_net = option(words, "--net");
        !of_net.into_iter().any(|net| net == EVERYTHING)
    } else {
        words
            .iter()
            .skip(command + 1)
            .any(|word| is_native(Path::new(word)))
    };
    let sandbox = option(words, "--sandbox").pop().or(variable).map(OsStr::to_str);
    let sandbox = match sandbox {
        Some(value) => Some(Sandbox::from_str(value?, false).ok()?),
        None => None,
    };
    let held = HeldBy {
        sandbox,
        unsandboxed: words.iter().any(|word| word == "--unsandboxed"),
    };
    let demand = held.demand();
    (is_native && demand != Demand::Off).then_some(demand)
}

/// The values of an option: what follows it, or its `=`.
fn option<'words>(words: &'words [OsString], name: &str) -> Vec<&'words OsStr> {
    let after = |(number, word): (usize, &'words OsString)| {
        if word == name {
            return words.get(number + 1).map(OsString::as_os_str);
        }
        let value = word.to_str()?.strip_prefix(name)?.strip_prefix('=')?;
        Some(OsStr::new(value))
    };
    words.iter().enumerate().filter_map(after).collect()
}

/// Whether a task file looks like that of a native task. What is wrong with the file is told when it is read.
#[expect(
    clippy::disallowed_methods,
    reason = "a task file lies outside of the store, and is read again where it is needed"
)]
fn is_native(file: &Path) -> bool {
    if file.as_os_str() == OsStr::new("-") {
        return true;
    }
    // A pipe could be read only once.
    let is_small = file.metadata().is_ok_and(|metadata| {
        metadata.is_file() && usize::try_from(metadata.len()).is_ok_and(|bytes| bytes <= MAXIMUM_BYTES)
    });
    is_small
        && std::fs::read_to_string(file)
            .is_ok_and(|text| !text.lines().any(|line| line.trim_start().starts_with(MODULE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demanded(line: &str, variable: Option<&str>) -> Option<Demand> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        demand(&words, variable.map(OsStr::new))
    }

    #[test]
    fn a_native_task_is_guessed_from_the_words() {
        assert_eq!(demanded("run -q", None), Some(Demand::Strongest));
        assert_eq!(demanded("-q submit -", Some("")), Some(Demand::Strongest));
        assert_eq!(
            demanded("submit --sandbox restricted -", None),
            Some(Demand::Restricted)
        );
        assert_eq!(
            demanded("submit --sandbox=full -", Some("off")),
            Some(Demand::Full)
        );
        assert_eq!(
            demanded("submit -", Some("best-effort")),
            Some(Demand::BestEffort)
        );
    }

    #[test]
    fn nothing_is_begun_where_nothing_is_held() {
        for line in [
            "plan -",
            "submit --help",
            "submit missing.toml",
            "submit --sandbox off -",
            "submit --unsandboxed -",
            "submit --sandbox nonsense -",
            "run --net all",
            "run --net=all",
        ] {
            assert_eq!(demanded(line, None), None, "{line}");
        }
        assert_eq!(demanded("run", Some("off")), None);
    }
}
