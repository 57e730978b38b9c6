//! The model and the contracts of `wrun`.
//!
//! Nothing here touches a file, a process, a socket or a clock. The other crates act; this one says what a task
//! is, how a request becomes a key, what a backend decides, what a run may touch and how it ended.
//!
//! | module | what it holds |
//! |---|---|
//! | [`task`] | a task, its file, the errors of a file with their places, the JSON Schema |
//! | [`canon`], [`id`] | the canonical encoding and the three ids made from it |
//! | [`backend`] | the two contracts of a package manager, and what they speak of |
//! | [`plan`], [`question`] | install plans and solver questions, as data |
//! | [`grants`], [`launch`] | what a run may touch, and how it is started |
//! | [`sandbox`] | how a native task is held to that, and what was enforced |
//! | [`ray`] | a Ray `runtime_env` as parts of a task |
//! | [`outcome`], [`exit_code`] | how a run ended, and what the process then returns |
//! | [`event`] | the one stream of progress |
//! | [`text`] | what others wrote, made harmless to show |

mod address;
pub mod backend;
pub mod canon;
pub mod credential;
pub mod denial;
pub mod diagnostic;
pub mod event;
pub mod exit_code;
pub mod grants;
pub mod host;
pub mod id;
pub mod image;
pub mod launch;
pub mod lock;
pub mod net;
pub mod outcome;
pub mod plan;
pub mod platform;
pub mod problem;
pub mod question;
pub mod ray;
pub mod sandbox;
mod spec_schema;
pub mod task;
pub mod text;
pub mod tool;
