//! The host at work: with real programs and files, and with a server that fails in every way.
#![expect(
    clippy::disallowed_methods,
    reason = "tests prepare files, and look at them, as users do"
)]

#[cfg(test)]
mod adapter;
#[cfg(test)]
mod downloads;
#[cfg(test)]
mod interpreters;
#[cfg(test)]
mod parts;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod programs;
#[cfg(test)]
mod questions;
#[cfg(test)]
mod support;
