//! A task: what to run, what it needs and what it may touch.
//!
//! [`parse`] reads a task file and names every mistake in it with its place. [`schema`] is the JSON Schema of the
//! file, and [`reference()`] the reference page made of the schema.

mod check;
mod elsewhere;
mod environment;
mod error;
mod explain;
mod file;
mod issue;
mod model;
mod parse;
mod pointer;
mod quantity;
mod reference;
mod runtime_env;
mod schema;
mod spans;
mod tree;
mod words;

pub use error::{TaskError, TaskErrors};
pub use model::{Allow, EnvRequest, Retry, Run, Task, Variable};
pub use parse::{
    MAXIMUM_BYTES, Origin, Parsed, RuntimeEnvFile, parse, parse_with, place, place_findings,
    runtime_env_file, specs,
};
pub use quantity::{duration, size, written_size};
pub use reference::reference;
pub use schema::schema;
