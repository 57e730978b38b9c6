//! The arguments of the command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::styling::AnsiColor;
use clap::builder::{Styles, TypedValueParser as _};
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use wrun::Demand;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Run tasks in cached, isolated environments.
///
/// A task says what to run, what it needs and what it may touch. wrun builds what it needs once, keeps it for every
/// later run on this machine, and runs the task with nothing of yours but what it was granted.
#[derive(Debug, Parser)]
#[command(name = "wrun", version, styles = STYLES, max_term_width = 100, propagate_version = true)]
#[command(
    after_help = "Exit codes: the task's own; 124 timed out; 125 wrun failed before the task started; 126 refused;
127 command not found; 128+N signal N; 130 cancelled; 134 WebAssembly trap; 137 out of memory; 153 output limit.

Start with: wrun run --uv pycowsay -- pycowsay hello"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Reads the command line.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        Self::try_parse().map_err(|error| {
            // The usage would show options for which the caller has variables as if they had to be given.
            let plain = without_variables(Self::command());
            let again = plain.try_get_matches().err().filter(clap::Error::use_stderr);
            again.unwrap_or(error)
        })
    }
}

fn without_variables(command: clap::Command) -> clap::Command {
    command
        .mut_args(|argument| argument.env(None::<&str>))
        .mut_subcommands(without_variables)
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The store's folder [default: `wrun` in the user's cache folder]
    #[arg(
        long,
        global = true,
        env = "WRUN_CACHE_DIR",
        value_name = "FOLDER",
        hide_env_values = true,
        value_parser = clap::builder::OsStringValueParser::new().map(PathBuf::from)
    )]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Never touch the network
    #[arg(long, global = true, env = "WRUN_OFFLINE", hide_env_values = true,
          value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) offline: bool,
    /// Say nothing but errors
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more: every step, and how long it took
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    /// How wrun speaks: text for people, or one JSON object per line
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// How wrun speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text for people.
    Text,
    /// JSON for programs, with a version in each object.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the tasks of task files
    Submit(Submit),
    /// Run a command in an environment named on the command line
    Run(Box<Run>),
    /// Run a WebAssembly program with exactly what is listed
    Exec(Exec),
    /// Show what a submit would do, without running the task
    Plan(Plan),
    /// Print the JSON Schema of a task file
    Schema,
    /// Look at this machine: the store, the tools, the interpreters
    Doctor,
    /// Print the completions of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Look at the store and remove from it
    #[command(subcommand)]
    Cache(Cache),
}

/// Run the tasks of task files.
#[derive(Debug, Args)]
#[command(
    after_long_help = "SIGINT, SIGTERM, SIGHUP and SIGQUIT are handed on to the tasks, and no further task is started. A second \
                       one ends the tasks. A task that is ended has 5 seconds between SIGTERM and SIGKILL.

The one task of one file reads wrun's standard input; tasks of several files, or of a file from there, read nothing."
)]
pub(crate) struct Submit {
    /// The task files; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// How many tasks run side by side
    #[arg(long, short, env = "WRUN_JOBS", hide_env_values = true, default_value_t = JOBS, value_name = "N",
          value_parser = jobs)]
    pub(crate) jobs: u16,
    /// Give the task a terminal of its own, shown on yours; for one task
    #[arg(long, short)]
    pub(crate) tty: bool,
    /// Watch the tasks, which makes them slower, and list what they were refused with what would allow it
    #[arg(long)]
    pub(crate) why_denied: bool,
    #[command(flatten)]
    pub(crate) how: How,
}

/// Tasks that run side by side, unless the caller says otherwise.
const JOBS: u16 = 4;

/// A number of tasks. An empty variable is one that is not set.
fn jobs(text: &str) -> Result<u16, String> {
    const MOST: u16 = 1024;
    if text.is_empty() {
        return Ok(JOBS);
    }
    text.parse()
        .ok()
        .filter(|jobs| (1..=MOST).contains(jobs))
        .ok_or_else(|| format!("it is no number from 1 to {MOST}"))
}

/// A time that something may take; none is no time.
fn duration(text: &str) -> Result<std::time::Duration, String> {
    let duration = wrun::core::task::duration(text)?;
    if duration.is_zero() {
        Err("it is zero".to_owned())
    } else {
        Ok(duration)
    }
}

/// How an environment is found and a task is held.
#[derive(Debug, Clone, Args)]
pub(crate) struct How {
    /// Solve again, even if what the task asks for is known
    #[arg(long, conflicts_with = "locked")]
    pub(crate) refresh: bool,
    /// Use the lock in this file and solve nothing (made by `wrun plan --lock FILE`)
    #[arg(long, value_name = "FILE")]
    pub(crate) locked: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) held: HeldBy,
}

/// How strongly a native task is held to its grants.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct HeldBy {
    /// How a native task is held to its grants [default: as strongly as this machine can, or not run at all]
    #[arg(
        long,
        value_enum,
        env = "WRUN_SANDBOX",
        hide_env_values = true,
        value_name = "HOW"
    )]
    pub(crate) sandbox: Option<Sandbox>,
    /// The same as `--sandbox off`
    #[arg(long, conflicts_with = "sandbox")]
    pub(crate) unsandboxed: bool,
}

impl HeldBy {
    /// What is asked of the sandbox.
    pub(crate) fn demand(self) -> Demand {
        match self.sandbox {
            _ if self.unsandboxed => Demand::Off,
            None | Some(Sandbox::Default) => Demand::Strongest,
            Some(Sandbox::Full) => Demand::Full,
            Some(Sandbox::Restricted) => Demand::Restricted,
            Some(Sandbox::BestEffort) => Demand::BestEffort,
            Some(Sandbox::Off) => Demand::Off,
        }
    }
}

/// How strongly a native task is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sandbox {
    /// What an empty variable stands for: it is not set
    #[value(name = "", hide = true)]
    Default,
    /// By namespaces and a file system of its own, Landlock and seccomp
    Full,
    /// By Landlock and seccomp alone, which also work inside of most containers
    Restricted,
    /// By what there is, be that nothing
    BestEffort,
    /// By nothing: it has your rights
    Off,
}

/// The options that name an environment.
const ENVIRONMENT: [&str; 5] = ["uv", "pip", "conda", "requirements", "python"];

/// Run a command in an environment named on the command line.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// A package that uv installs, for instance `emoji` or `requests>=2`
    #[arg(long, value_name = "PACKAGE", conflicts_with = "pip")]
    pub(crate) uv: Vec<String>,
    /// A package that pip installs; without one, pip installs what `--requirements` names
    #[arg(long, value_name = "PACKAGE", num_args = 0..=1, default_missing_value = "")]
    pub(crate) pip: Vec<String>,
    /// A conda package, for instance `python=3.12` or `conda-forge::ripgrep`
    #[arg(long, value_name = "PACKAGE", conflicts_with_all = ["uv", "pip", "requirements", "python"])]
    pub(crate) conda: Vec<String>,
    /// A channel of conda packages: a name, an address or a folder
    #[arg(long, value_name = "CHANNEL", requires = "conda")]
    pub(crate) channel: Vec<String>,
    /// A container image whose files the command has in place of the machine's; without a command it is what the image
    /// runs by itself. Packages of uv and pip are installed for the image's own Python
    #[arg(long, value_name = "IMAGE", conflicts_with = "conda")]
    pub(crate) image: Option<String>,
    /// A requirements file; uv installs it, or pip if `--pip` is given
    #[arg(long, short, value_name = "FILE")]
    pub(crate) requirements: Vec<String>,
    /// The Python to use: a version, a range of versions, or a path
    #[arg(long, short, value_name = "VERSION")]
    pub(crate) python: Option<String>,
    /// A file with a Ray `runtime_env` (JSON or YAML), which says what the environment holds
    #[arg(long, value_name = "FILE", conflicts_with_all = ENVIRONMENT)]
    pub(crate) runtime_env: Option<PathBuf>,
    /// The same, written out
    #[arg(long, value_name = "JSON", conflicts_with_all = ENVIRONMENT, conflicts_with = "runtime_env")]
    pub(crate) runtime_env_json: Option<String>,
    /// A variable for the command; `NAME` alone takes the caller's
    #[arg(long, short, value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<String>,
    /// A file or folder that the command may read, beside the current folder
    #[arg(long, value_name = "PATH")]
    pub(crate) read: Vec<PathBuf>,
    /// A file or folder that the command may change
    #[arg(long, value_name = "PATH")]
    pub(crate) write: Vec<PathBuf>,
    /// A host and port that the command may reach, for instance `example.org:443`; `all` for the whole network
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) net: Vec<String>,
    /// The most memory that the command may have, for instance `64MiB`
    #[arg(long, value_name = "SIZE", value_parser = wrun::core::task::size)]
    pub(crate) memory: Option<u64>,
    #[command(flatten)]
    pub(crate) held: HeldBy,
    /// Give the command a terminal of its own, shown on yours
    #[arg(long, short)]
    pub(crate) tty: bool,
    /// Watch the command, which makes it slower, and list what it was refused with what would allow it
    #[arg(long)]
    pub(crate) why_denied: bool,
    /// The longest time that the command may take, for instance `30s`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<std::time::Duration>,
    /// Solve again, even if what is asked for is known
    #[arg(long)]
    pub(crate) refresh: bool,
    /// The command and its arguments
    #[arg(
        required_unless_present = "image",
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    pub(crate) command: Vec<String>,
}

/// Run a WebAssembly program with exactly what is listed.
#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// A folder for the program: `HOST`, `HOST::GUEST` or `HOST::GUEST::ro`; it can be written to unless `::ro` is given
    #[arg(long, value_name = "HOST[::GUEST[::ro]]")]
    pub(crate) dir: Vec<String>,
    /// A variable for the program; `NAME` alone takes the caller's
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<String>,
    /// A host and port that the program may reach, for instance `example.org:443`
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) net: Vec<String>,
    /// The longest time that the program may take, for instance `30s`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<std::time::Duration>,
    /// The most memory that the program may have, for instance `64MiB`
    #[arg(long, value_name = "SIZE", value_parser = wrun::core::task::size)]
    pub(crate) memory: Option<u64>,
    /// The program: a WASI 0.1 module or 0.2 component
    #[arg(value_name = "MODULE")]
    pub(crate) module: PathBuf,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    pub(crate) args: Vec<OsString>,
}

/// Show what a submit would do.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// The task file; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Write the lock to this file, for `--locked`
    #[arg(long, value_name = "FILE")]
    pub(crate) lock: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) how: How,
}

/// Look at the store and remove from it.
#[derive(Debug, Subcommand)]
pub(crate) enum Cache {
    /// Print the store's folder
    Dir,
    /// List the environments, and the parts that they share
    Ls,
    /// Show everything about an environment or a part
    Info {
        /// The id, or enough of its beginning: four characters at least
        id: String,
    },
    /// Remove environments that nobody uses, with the parts that no other needs
    Rm {
        /// The ids, or enough of their beginnings: four characters at least
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}
