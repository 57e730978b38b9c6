//! Container images: pulled from a registry of the test, or read from files, through the real program.

mod builds;
mod builds_ended;
mod distribution;
mod faults;
mod inside;
mod layers;
mod local;
mod logins;
mod modules;
mod pulls;
mod subordinate_ids;
