//! Python interpreters: what was asked for, where they may be, what each one is.

mod candidate;
mod find;
mod inside;
mod installs;
mod probe;
mod request;
pub(crate) mod virtual_environment;

pub(crate) use candidate::is_shim;
pub(crate) use find::version;
pub(crate) use probe::Verdict;
