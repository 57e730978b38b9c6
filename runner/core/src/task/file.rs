//! A task file as it is written. The comments here are the texts of the JSON Schema and of the reference page.
//!
//! Every field is optional, and values that have a form of their own (durations, sizes, rules) are text: so one
//! mistake does not hide the next. What must be there, and what the texts mean, is for the checks.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::outcome::OutcomeClass;

/// A task says what to run, what it needs, what it may touch and how much it may use. It gets nothing that is not
/// written in it, beside its own folder to read, a fresh scratch folder (`TMPDIR` and `HOME`) to write, its
/// environment to read, a clock, random numbers, and standard input, output and error.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(
    title = "The task file",
    extend("anyOf" = json!([
        {
            "required": ["run"],
            "properties": { "run": { "anyOf": [{ "required": ["command"] }, { "required": ["module"] }] } },
        },
        { "required": ["env"], "properties": { "env": { "required": [crate::image::BACKEND] } } },
    ]))
)]
pub(super) struct TaskFile {
    /// The task's name, for people and in events. By default the file's name without its ending.
    #[schemars(example = &"greet")]
    pub(super) name: Option<String>,
    /// What to run. Only a task with a container image (`[env.container]`) can do without, and then runs what the image
    /// runs by itself.
    pub(super) run: Option<RunFile>,
    /// The environment that the task needs: one table, named after its backend, such as `[env.uv]`. Without one the
    /// task runs with what the machine has. A container image (`[env.container]`) may have another beside it that can be
    /// built inside of it, for the image's own Python: `[env.uv]` or `[env.pip]`.
    #[schemars(extend("anyOf" = json!([
        { "maxProperties": 1 },
        { "maxProperties": 2, "required": [crate::image::BACKEND] },
    ])))]
    pub(super) env: BTreeMap<String, SpecFile>,
    /// The variables that the task sees, by name: letters, digits and `_`, not beginning with a digit. Of the
    /// caller's variables it sees none beside those that are taken here.
    #[schemars(extend("propertyNames" = json!({ "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" })))]
    pub(super) vars: BTreeMap<String, VariableFile>,
    /// What the task may touch beside its own folder. What is not listed is refused.
    pub(super) allow: AllowFile,
    /// How much the task may use. A limit that is not given is none.
    pub(super) limits: LimitsFile,
    /// When the task is tried again. By default never.
    pub(super) retry: Option<RetryFile>,
}

/// What to run: exactly one of `command` and `module`; or neither, for what a container image runs by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(
    extend("not" = json!({ "required": ["command"], "anyOf": [{ "required": ["module"] }, { "required": ["args"] }] }))
)]
pub(super) struct RunFile {
    /// A native program and its arguments, one text for each; no shell reads them. The program is found on the
    /// environment's search path, or is a path relative to `dir`, where it starts. In a container image it takes the place
    /// of the image's entrypoint and command, and is found among the image's files.
    #[schemars(
        extend("minItems" = 1),
        extend("prefixItems" = json!([{ "type": "string", "pattern": "\\S" }])),
        example = &["python", "main.py", "--loud"]
    )]
    pub(super) command: Option<Vec<String>>,
    /// A WebAssembly module (WASI 0.1) or component (WASI 0.2); a path relative to the file.
    #[schemars(example = &"greet.wasm")]
    pub(super) module: Option<String>,
    /// The arguments of `module`, without its own name; or, without `command` and `module`, what follows the entrypoint
    /// of a container image in place of the image's own command.
    #[schemars(example = &["--loud"])]
    pub(super) args: Option<Vec<String>>,
    /// The task's folder, which it can read and is started in; a path relative to the file, not outside of the
    /// file's folder.
    #[schemars(extend("default" = "."), example = &"src")]
    pub(super) dir: Option<String>,
}

/// The spec of an environment: a table, or a plain list where the backend has a short form.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum SpecFile {
    /// A table.
    Table(Map<String, Value>),
    /// The short form.
    Short(Vec<Value>),
    /// The path of a file, for a `runtime_env`.
    File(String),
}

/// The value of a variable.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum VariableFile {
    /// This text.
    Value(String),
    /// Taken from the caller.
    From(FromFile),
}

/// A variable that is taken from the caller. It counts as a secret: never stored, hashed, logged or shown.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FromFile {
    /// The name of the caller's variable.
    #[schemars(example = &"API_TOKEN")]
    pub(super) from: String,
}

/// What the task may touch beside its own folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AllowFile {
    /// Files and folders to read, with all that is below them; absolute, or relative to the file. A native task knows
    /// them by their addresses. A WebAssembly guest knows what lies in its own folder by the path from there, and what
    /// lies outside of it by its address: `/home/ada/keys` for `../keys`; it sees a single file as that is when the run
    /// starts. The whole file system, `/`, is refused.
    #[schemars(example = &["data"])]
    pub(super) read: Vec<String>,
    /// Files and folders to read and change, with all that is below them, as for `read`; for a WebAssembly guest folders
    /// only. A folder that is not there is made.
    #[schemars(example = &["out"])]
    pub(super) write: Vec<String>,
    /// Hosts and ports to reach, or `true` for all. A rule is `host:port`; the host is a name, `*.` and a name for
    /// all names below it, or an address (IPv6 in brackets); the port may be `*`. A public name does not open the
    /// way to an inner address that it resolves to.
    #[schemars(extend("default" = json!([])), example = &["example.org:443", "*.example.org:443"])]
    pub(super) net: Option<NetFile>,
}

/// Hosts and ports to reach.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum NetFile {
    /// Everything, or nothing.
    All(bool),
    /// These.
    Listed(Vec<String>),
}

/// How much the task may use. A limit that is not given is none.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct LimitsFile {
    /// Time by the clock from the start of the task to its end: a number with its unit (`ms`, `s`, `m`, `h`, `d`), or
    /// several.
    #[schemars(example = &"30s", example = &"1h 30m")]
    pub(super) time: Option<String>,
    /// Memory: a number of bytes with its unit (`KiB`, `MiB`, `GiB`, `TiB`, or the decimal `kB`, `MB`, `GB`, `TB`; bytes
    /// without one). For a WebAssembly guest the sum over its memories and tables.
    #[schemars(example = &"1GiB")]
    pub(super) memory: Option<String>,
    /// Processes and threads at one time, 1 or more.
    #[schemars(range(min = 1, max = u32::MAX), example = 64)]
    pub(super) processes: Option<u32>,
    /// Processors, over all processes of the task: 1.5 is one and a half.
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 4_000_000), example = 1.5)]
    pub(super) cpu: Option<f64>,
    /// What the task may write to standard output and standard error together: a number of bytes with its unit, as for
    /// `memory`.
    #[schemars(example = &"64MiB")]
    pub(super) output: Option<String>,
    /// The size of any one file that the task writes, in bytes with a unit, as for `memory`. Not for a WebAssembly guest.
    #[schemars(example = &"1GiB")]
    pub(super) file_size: Option<String>,
    /// The size of the scratch folder, in bytes with a unit, as for `memory`; the folder is then kept in memory. Not for a
    /// WebAssembly guest.
    #[schemars(example = &"256MiB")]
    pub(super) scratch: Option<String>,
}

/// When the task is tried again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(
    extend("required" = json!(["attempts"])),
    extend("if" = json!({ "properties": { "attempts": { "minimum": 2 } }, "required": ["attempts"] })),
    extend("then" = json!({ "required": ["on"] }))
)]
pub(super) struct RetryFile {
    /// Attempts in all, 1 or more. More than 1 needs `on`.
    #[schemars(range(min = 1, max = u32::MAX), example = 3)]
    pub(super) attempts: Option<u32>,
    /// The outcomes after which the task is tried again.
    #[schemars(with = "Option<Vec<OutcomeClass>>", example = &["exit", "timeout"])]
    pub(super) on: Option<Vec<String>>,
    /// The pause before the second attempt, a duration as for `limits.time`. It doubles each time, up to a minute.
    #[schemars(extend("default" = "1s"), example = &"500ms")]
    pub(super) delay: Option<String>,
}
