//! Acts for the backends of `wrun`: finds tools, answers questions, carries out install plans, reports progress.
//!
//! Backends decide and never touch anything. [`TaskHost`] does what they ask for, for one task at a time;
//! [`PlanAdapter`] makes a whole [`wrun_core::backend::Backend`] out of one that only decides. Nothing here reads the
//! environment of its own process: what the caller's machine settled comes in as [`Settings`] and [`Credentials`].
//!
//! | module | what it does |
//! |---|---|
//! | `settings`, `index`, `credentials`, `netrc`, `redact` | what the caller settled, and what must not be shown |
//! | `inputs`, `files` | files and folders that a spec refers to |
//! | `python`, `tools` | interpreters, programs, packages that run under an interpreter |
//! | `http` | one client: retries by class, downloads that go on where they were cut |
//! | `ask`, `runs`, `spawn`, `places`, `confine` | questions, and runs of programs in a sandbox |
//! | `inside` | the same among the files of a container image |
//! | `registry` | requests to registries of images: tokens, authentication files, credential helpers |
//! | `trusted` | requests and downloads of trusted backends |
//! | `builder` | builders of images, and files that are kept |
//! | `validate`, `execute`, `steps`, `progress` | install plans |
//! | `host`, `adapter` | the two contracts |

mod adapter;
mod ask;
mod builder;
mod builds;
mod cleaning;
mod confine;
mod credentials;
mod engines;
mod error;
mod execute;
mod files;
mod host;
mod http;
mod index;
mod inputs;
mod inside;
mod logins;
mod netrc;
mod parts;
mod patience;
mod places;
mod progress;
mod python;
mod redact;
mod registry;
mod runs;
mod settings;
mod spawn;
mod steps;
mod told;
mod tools;
mod trusted;
mod validate;
mod way_out;

pub use adapter::PlanAdapter;
pub use cleaning::Cleaning;
pub use credentials::{Credentials, EnvironmentCredentials};
pub use error::ProvisionError;
pub use files::open_regular;
pub use host::{Events, TaskHost};
pub use http::{HttpError, StatusError};
pub use index::Index;
pub use inputs::LEFT_OUT;
pub use inside::Inside;
pub use redact::Redactor;
pub use registry::{BadLogin, Login, LoginMeans};
pub use settings::{SettingMistake, Settings, Timing};
