//! How uv is called.

use std::collections::BTreeSet;
use std::time::Duration;

use wrun_backend_python::index::logins;
use wrun_backend_python::markers::PYTHON;
use wrun_backend_python::spec::{BuildPolicy, cache_name};
use wrun_core::plan::{NetworkUse, Offline, Piece, Place, Program, Run, Word};

use crate::UV;
use crate::understand::{Family, Understood};

/// Resolving may have to build source distributions to learn what they need.
pub(crate) const SOLVE_TIMEOUT: Duration = Duration::from_mins(15);

/// Installing may have to compile a large package.
pub(crate) const INSTALL_TIMEOUT: Duration = Duration::from_hours(1);

/// The cache of what was built with a network.
const WITH_NETWORK: &str = "uv-network";

/// The kinds of commands that options differ for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// `uv pip …`.
    Pip,
    /// `uv export`.
    Export,
}

/// A run of uv in a folder below the scratch folder.
pub(crate) fn run(
    understood: &Understood,
    args: Vec<Word>,
    folder: &str,
    network: NetworkUse,
    timeout: Duration,
) -> Run {
    let mut env: Vec<(String, Word)> = [
        ("NO_COLOR", "1"),
        ("UV_NO_PROGRESS", "1"),
        ("UV_PYTHON_DOWNLOADS", "never"),
        ("UV_HTTP_RETRIES", "1"),
        ("UV_PREVIEW_FEATURES", "pylock"),
        ("PYC_INVALIDATION_MODE", "UNCHECKED_HASH"),
        ("GIT_TERMINAL_PROMPT", "0"),
    ]
    .map(|(name, value)| (name.to_owned(), value.into()))
    .into();
    env.push(("UV_HTTP_TIMEOUT".to_owned(), Word(vec![Piece::Patience])));
    // What was built with a network is another thing than what was built without.
    let tool = match network {
        NetworkUse::None | NetworkUse::Program => UV,
        NetworkUse::Everyone => WITH_NETWORK,
    };
    let cache = cache_name(tool, &understood.spec.variables);
    env.push(("UV_CACHE_DIR".to_owned(), Place::downloads(cache.as_str()).into()));
    // A project's own `[tool.uv]` and `uv.toml` are part of what is asked for.
    if !matches!(understood.family, Family::Project(_)) {
        env.push(("UV_NO_CONFIG".to_owned(), "1".into()));
    }
    env.extend(
        understood
            .spec
            .variables
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().into())),
    );
    Run {
        program: Program::Tool(UV.to_owned()),
        args,
        env,
        logins: logins(&understood.gathered.indexes),
        cwd: Place::scratch(folder),
        network,
        offline: Some(Box::new(Offline {
            variable: "UV_OFFLINE".to_owned(),
            cache,
            downloads: BTreeSet::new(),
        })),
        timeout,
    }
}

/// The option for the interpreter.
pub(crate) fn python() -> [Word; 2] {
    ["--python".into(), Word(vec![Piece::Tool(PYTHON.to_owned())])]
}

/// Options that say where packages come from and which may be taken.
pub(crate) fn sources_of_packages(understood: &Understood, flavour: Flavour) -> Vec<Word> {
    let mut args: Vec<Word> = Vec::new();
    for index in &understood.gathered.indexes {
        args.push(if index.default {
            "--default-index".into()
        } else {
            "--index".into()
        });
        let url = index.url.as_str();
        args.push(
            index
                .name
                .as_ref()
                .map_or_else(|| url.into(), |name| format!("{name}={url}").into()),
        );
    }
    for page in &understood.gathered.link_pages {
        args.extend(["--find-links".into(), page.as_str().into()]);
    }
    for place in understood.gathered.link_places() {
        args.extend(["--find-links".into(), Place::scratch(place).into()]);
    }
    if let Some(instant) = &understood.exclude_newer {
        args.extend(["--exclude-newer".into(), instant.as_str().into()]);
    }
    match &understood.gathered.build {
        BuildPolicy::Anything => {}
        BuildPolicy::Nothing => args.push("--no-build".into()),
        BuildPolicy::Except(names) => {
            let option = match flavour {
                Flavour::Pip => "--only-binary",
                Flavour::Export => "--no-build-package",
            };
            args.extend(
                names
                    .iter()
                    .flat_map(|name| [option.into(), name.as_str().into()]),
            );
        }
    }
    args
}
