//! What the backends of Python package managers share.
//!
//! Pure, as the backends are: text and what was read go in, requirements, findings and words go out.
//!
//! | module | what it holds |
//! |---|---|
//! | [`spec`] | parts of a spec, and how a spec is read with all its errors |
//! | [`python_request`], [`instant`], [`index`] | requested interpreters, cut-off dates, package indexes |
//! | [`path`] | paths as specs write them |
//! | [`requirement`], [`requirements_file`], [`gather`] | requirements (PEP 508), the files that list them, both together |
//! | [`repository`] | what lies in a repository of another machine |
//! | [`source`] | local folders and archives that are built or installed |
//! | [`markers`] | an interpreter as part of a key |
//! | [`redact`] | addresses without user information |
//! | [`failure`] | what the output of a package manager means |
//! | [`environment`] | how a task is started in a Python environment |

mod advice;
mod cause;
pub mod environment;
pub mod failure;
pub mod gather;
pub mod index;
pub mod instant;
pub mod markers;
pub mod path;
pub mod python_request;
pub mod redact;
pub mod repository;
pub mod requirement;
pub mod requirements_file;
pub mod source;
pub mod spec;
