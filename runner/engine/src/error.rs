//! What can go wrong with an engine.

use std::time::Duration;

use miette::Diagnostic;
use wrun_core::image::Engine;

use crate::subordinate::SUBORDINATE_IDS;

/// Why an engine does not do what it is asked for.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum EngineError {
    /// It is not on this machine.
    #[error("there is no `{}` on the search path", engine.name())]
    #[diagnostic(
        code("engine.missing"),
        help("install it, or take `engine` out of `[env.container]`")
    )]
    Missing {
        /// The engine.
        engine: Engine,
    },
    /// It is there and does not work.
    #[error("`{}` does not work here: {reason}", engine.name())]
    #[diagnostic(
        code("engine.unusable"),
        help("run `{} info` to see what it wants; a daemon may have to be started, or its group to be joined", engine.name())
    )]
    Unusable {
        /// The engine.
        engine: Engine,
        /// What it said.
        reason: String,
    },
    /// The user has too few numbers of users for an image.
    #[error("`{}` has no number for every user of the image `{image}`: {reason}", engine.name())]
    #[diagnostic(
        code("engine.subordinate-ids"),
        help("{SUBORDINATE_IDS}; or use `engine = \"builtin\"`, which needs none")
    )]
    SubordinateIds {
        /// The engine.
        engine: Engine,
        /// The image.
        image: String,
        /// What it said.
        reason: String,
    },
    /// It did not take an image.
    #[error("`{}` cannot get the image `{image}`: {reason}", engine.name())]
    #[diagnostic(
        code("engine.image"),
        help("check that the engine may reach the registry, and what it is logged in to")
    )]
    Image {
        /// The engine.
        engine: Engine,
        /// The image.
        image: String,
        /// What it said.
        reason: String,
    },
    /// An image that it kept for an environment was removed.
    #[error("`{}` does not have the image `{image}` of the environment any more", engine.name())]
    #[diagnostic(
        code("engine.image.gone"),
        help(
            "remove the environment with `wrun cache rm`; the next run then has the engine get the image again"
        )
    )]
    ImageGone {
        /// The engine.
        engine: Engine,
        /// The image.
        image: String,
    },
    /// It took too long.
    #[error("`{}` did not answer within {}", engine.name(), humanly(*.time))]
    #[diagnostic(code("engine.timeout"), help("its daemon may hang; see its log"))]
    TooSlow {
        /// The engine.
        engine: Engine,
        /// How long was waited.
        time: Duration,
    },
    /// It was to end.
    #[error("cancelled")]
    #[diagnostic(code("cancelled"))]
    Cancelled,
    /// It cannot be started.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] wrun_process::ProcessError),
}

fn humanly(time: Duration) -> String {
    format!("{} seconds", time.as_secs())
}
