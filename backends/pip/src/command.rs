//! How pip is called.

use std::time::Duration;

use wrun_backend_python::index::{Index, logins};
use wrun_backend_python::markers::PYTHON;
use wrun_backend_python::spec::{BuildPolicy, cache_name};
use wrun_core::plan::{NetworkUse, Piece, Place, Program, Run, Word};

use crate::PIP;
use crate::beside;
use crate::understand::Understood;

/// Resolving downloads packages, and may have to build them to learn what they need.
pub(crate) const SOLVE_TIMEOUT: Duration = Duration::from_mins(15);

/// Installing may have to compile a large package.
pub(crate) const INSTALL_TIMEOUT: Duration = Duration::from_hours(1);

/// Options of every `pip install`: no question is asked, nothing is drawn, and a server that does not answer is given
/// up on soon.
const QUIET: &[&str] = &[
    "--disable-pip-version-check",
    "--no-input",
    "--no-color",
    "--progress-bar",
    "off",
    "--no-warn-script-location",
    "--root-user-action",
    "ignore",
    "--retries",
    "1",
];

/// The cache of what was built with a network.
const WITH_NETWORK: &str = "pip-network";

/// The interpreter that pip runs under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Under {
    /// That which the environment is made from.
    Tool,
    /// That which the environment is made from, for the environment.
    ToolForEnvironment,
    /// That of the environment.
    Environment,
}

/// A run of pip in the scratch folder. The interpreter takes no module from outside (`-I`).
pub(crate) fn pip(
    understood: &Understood,
    under: Under,
    args: Vec<Word>,
    network: NetworkUse,
    timeout: Duration,
) -> Run {
    let pip = Word(vec![Piece::Tool(PIP.to_owned()), Piece::Text("/pip".to_owned())]);
    let (interpreter, mut words) = match under {
        Under::Tool => (Program::Tool(PYTHON.to_owned()), vec!["-I".into(), pip]),
        Under::ToolForEnvironment => beside::program(pip),
        Under::Environment => (
            Program::Place(Place::prefix("bin/python")),
            vec!["-I".into(), pip],
        ),
    };
    words.extend(args);
    Run {
        program: interpreter,
        args: words,
        env: environment(understood),
        logins: logins(&understood.gathered.indexes),
        cwd: Place::scratch(""),
        network,
        offline: None,
        timeout,
    }
}

/// A run of an interpreter itself.
pub(crate) fn python(interpreter: Program, args: Vec<Word>, timeout: Duration) -> Run {
    let args = std::iter::once("-I".into()).chain(args).collect();
    Run {
        program: interpreter,
        args,
        env: Vec::new(),
        logins: Vec::new(),
        cwd: Place::scratch(""),
        network: NetworkUse::None,
        offline: None,
        timeout,
    }
}

/// `install` with its options.
pub(crate) fn install(understood: &Understood, network: NetworkUse) -> Vec<Word> {
    let mut args: Vec<Word> = vec!["install".into()];
    args.extend(QUIET.iter().copied().map(Word::from));
    args.extend([
        "--timeout".into(),
        Word(vec![Piece::Patience]),
        "--cache-dir".into(),
    ]);
    // What was built with a network is another thing than what was built without.
    let tool = match network {
        NetworkUse::None | NetworkUse::Program => PIP,
        NetworkUse::Everyone => WITH_NETWORK,
    };
    args.push(Place::downloads(cache_name(tool, &understood.spec.variables)).into());
    if network == NetworkUse::Program {
        args.extend(["--use-feature", "inprocess-build-deps"].map(Word::from));
    }
    for page in &understood.gathered.link_pages {
        args.extend(["--find-links".into(), page.as_str().into()]);
    }
    for place in understood.gathered.link_places() {
        args.extend(["--find-links".into(), Place::scratch(place).into()]);
    }
    if let Some(instant) = &understood.exclude_newer {
        args.extend(["--uploaded-prior-to".into(), instant.as_str().into()]);
    }
    match &understood.gathered.build {
        BuildPolicy::Anything => {}
        BuildPolicy::Nothing => args.extend(["--only-binary".into(), ":all:".into()]),
        BuildPolicy::Except(names) => {
            args.extend(
                names
                    .iter()
                    .flat_map(|name| ["--only-binary".into(), name.as_str().into()]),
            );
        }
    }
    args
}

/// Variables: no configuration of the machine, and the indexes.
fn environment(understood: &Understood) -> Vec<(String, Word)> {
    let mut env: Vec<(String, Word)> = [
        ("PIP_CONFIG_FILE", "/dev/null"),
        ("NO_COLOR", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
    ]
    .map(|(name, value)| (name.to_owned(), value.into()))
    .into();
    let (default, others): (Vec<&Index>, Vec<&Index>) = understood
        .gathered
        .indexes
        .iter()
        .partition(|index| index.default);
    for (name, indexes) in [("PIP_INDEX_URL", default), ("PIP_EXTRA_INDEX_URL", others)] {
        if !indexes.is_empty() {
            let urls: Vec<&str> = indexes.iter().map(|index| index.url.as_str()).collect();
            env.push((name.to_owned(), urls.join(" ").into()));
        }
    }
    env.extend(
        understood
            .spec
            .variables
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().into())),
    );
    env
}
