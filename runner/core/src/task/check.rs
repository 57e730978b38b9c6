//! What the words of a task file mean: from the file as written to the task.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;

use super::file::{AllowFile, LimitsFile, NetFile, RetryFile, RunFile, TaskFile, VariableFile};
use super::issue::Issue;
use super::model::{Allow, Retry, Run, Task, Variable};
use super::parse::RuntimeEnvFile;
use super::pointer::Pointer;
use super::quantity;
use crate::backend::Manifest;
use crate::grants::Limits;
use crate::image::BACKEND;
use crate::net::Net;
use crate::outcome::OutcomeClass;

/// The task that the file means. It is one only if there is no error among the issues; if there is none, there is an
/// error.
pub(super) fn check(
    file: &TaskFile,
    base: &Path,
    default_name: &str,
    backends: &[Manifest],
    runtime_env: Option<&RuntimeEnvFile>,
    issues: &mut Vec<Issue>,
) -> Option<Task> {
    let mut checks = Checks { issues };
    let translated = checks.runtime_env(file, backends, runtime_env);
    let name = checks.name(file.name.as_deref().unwrap_or(default_name));
    let has_image = file.env.contains_key(BACKEND);
    let run = checks.run(file.run.as_ref(), has_image);
    let dir = checks.dir(file.run.as_ref().and_then(|run| run.dir.as_deref()));
    let env = checks.env(&file.env, backends);
    let vars = checks.vars(&file.vars);
    let allow = checks.allow(&file.allow);
    let limits = checks.limits(&file.limits);
    let retry = file
        .retry
        .as_ref()
        .map_or_else(|| Some(Retry::default()), |retry| checks.retry(retry));
    let mut task = Task {
        name: name?,
        base: base.to_owned(),
        run: run?,
        dir: dir?,
        env,
        vars: vars?,
        allow: allow?,
        limits,
        retry: retry?,
    };
    if let Some(translated) = translated {
        translated.apply(&mut task);
    }
    Some(task)
}

pub(super) struct Checks<'i> {
    pub(super) issues: &'i mut Vec<Issue>,
}

impl Checks<'_> {
    pub(super) fn report<T>(&mut self, issue: Issue) -> Option<T> {
        self.issues.push(issue);
        None
    }

    fn name(&mut self, name: &str) -> Option<String> {
        let at = Pointer::of(["name"]);
        if name.trim().is_empty() {
            let help = "give it a name, or leave `name` out for the name of the file";
            return self.report(Issue::error("task.name", at, "the name is empty", "empty").with_help(help));
        }
        if name.contains(char::is_control) {
            let message = "the name contains a control character";
            return self.report(Issue::error("task.name", at, message, "a line of plain text"));
        }
        Some(name.to_owned())
    }

    /// What to run; `has_image` is whether the environment has something to run by itself.
    fn run(&mut self, run: Option<&RunFile>, has_image: bool) -> Option<Run> {
        let at = Pointer::of(["run"]);
        let Some(run) = run else {
            if has_image {
                return Some(Run::Image { args: None });
            }
            let message = "there is no `[run]` table: nothing says what to run";
            let help = "add a `[run]` table with `command = [\"program\", \"argument\"]` or `module = \"file.wasm\"`";
            let issue = Issue::error(
                "task.run.missing",
                Pointer::default(),
                message,
                "no `[run]` in this file",
            );
            return self.report(issue.with_help(help).for_missing([at]));
        };
        if run.command.is_some() && run.args.is_some() {
            let message = "`run.args` does not go with `run.command`";
            let help = "put the arguments into `command`, after the program";
            self.issues.push(
                Issue::error("task.run.args", at.join("args"), message, "arguments")
                    .at_key()
                    .with_help(help),
            );
        }
        match (&run.command, &run.module) {
            (Some(_), Some(_)) => {
                let message = "`[run]` has both `command` and `module`: a task runs one of them";
                let issue = Issue::error("task.run.both", at.join("module"), message, "beside `command`");
                self.report(issue.at_key().with_help("remove one of the two"))
            }
            (None, None) if has_image => Some(Run::Image {
                args: run.args.clone(),
            }),
            (None, None) => {
                let message = "`[run]` has neither `command` nor `module`: nothing says what to run";
                let help = "add `command = [\"program\", \"argument\"]` or `module = \"file.wasm\"`";
                let missing = [at.join("command"), at.join("module")];
                let issue = Issue::error("task.run.neither", at, message, "nothing to run");
                self.report(issue.with_help(help).for_missing(missing))
            }
            (Some(command), None) => self.command(command, &at.join("command")),
            (None, Some(module)) => {
                let path = self.path(module, at.join("module"))?;
                Some(Run::Module {
                    path,
                    args: run.args.clone().unwrap_or_default(),
                })
            }
        }
    }

    fn command(&mut self, command: &[String], at: &Pointer) -> Option<Run> {
        let help = "write the program and its arguments, such as `[\"python\", \"main.py\"]`";
        let Some(program) = command.first() else {
            let message = "`run.command` is empty";
            let issue =
                Issue::error("task.run.command.empty", at.clone(), message, "no program").with_help(help);
            return self.report(issue);
        };
        if program.trim().is_empty() {
            let message = "the program's name in `run.command` is empty";
            let issue =
                Issue::error("task.run.command.empty", at.item(0), message, "no program").with_help(help);
            return self.report(issue);
        }
        if program.ends_with('/')
            || program
                .rsplit('/')
                .next()
                .is_some_and(|name| matches!(name, "." | ".."))
        {
            let message = format!("the program `{program}` is a folder");
            let issue = Issue::error("task.run.command.folder", at.item(0), message, "a folder");
            return self.report(issue.with_help(help));
        }
        if command.len() == 1 && program.contains(char::is_whitespace) {
            let words: Vec<String> = program
                .split_whitespace()
                .map(|word| format!("{word:?}"))
                .collect();
            let message = format!(
                "the program's name has a space in it: a program of the name `{program}` is looked for"
            );
            let issue = Issue::warning("task.run.command.words", at.item(0), message, "one word");
            let help = format!(
                "no shell reads a command; if these are several words, write `[{}]`",
                words.join(", ")
            );
            self.issues.push(issue.with_help(help));
        }
        Some(Run::Command(command.to_vec()))
    }

    fn dir(&mut self, dir: Option<&str>) -> Option<PathBuf> {
        let at = Pointer::of(["run", "dir"]);
        let path = self.path(dir.unwrap_or("."), at.clone())?;
        if path
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        {
            return Some(path);
        }
        let why = if path.has_root() {
            "is absolute"
        } else {
            "has `..` in it"
        };
        let message = format!("`run.dir` {why}, and the task's folder is the file's folder or below it");
        let issue = Issue::error("task.run.dir", at, message, "outside of the file's folder");
        self.report(issue.with_help("to let the task read another folder, list it in `allow.read`"))
    }

    fn path(&mut self, text: &str, at: Pointer) -> Option<PathBuf> {
        if text.is_empty() {
            let message = format!("`{at}` is an empty path");
            let issue = Issue::error("task.path.empty", at, message, "empty");
            return self.report(issue.with_help("the file's own folder is `.`"));
        }
        Some(PathBuf::from(text))
    }

    fn paths(&mut self, texts: &[String], at: &Pointer) -> Option<Vec<PathBuf>> {
        let paths: Vec<_> = texts
            .iter()
            .enumerate()
            .map(|(index, text)| self.path(text, at.item(index)))
            .collect();
        paths.into_iter().collect()
    }

    fn vars(&mut self, vars: &BTreeMap<String, VariableFile>) -> Option<BTreeMap<String, Variable>> {
        let at = Pointer::of(["vars"]);
        let checked: Vec<_> = vars
            .iter()
            .map(|(name, value)| {
                let place = at.join(name);
                let named = self.variable_name(name, place.clone(), true);
                let value = match value {
                    VariableFile::Value(text) => Some(Variable::Value(text.clone())),
                    VariableFile::From(source) => self
                        .variable_name(&source.from, place.join("from"), false)
                        .map(Variable::FromCaller),
                };
                named.zip(value)
            })
            .collect();
        checked.into_iter().collect()
    }

    fn variable_name(&mut self, name: &str, at: Pointer, is_key: bool) -> Option<String> {
        let mut bytes = name.bytes();
        let starts_well = bytes
            .next()
            .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        if starts_well && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Some(name.to_owned());
        }
        let message = format!("`{name}` is not the name of a variable");
        let issue = Issue::error("task.vars.name", at, message, "not a name")
            .with_help("a name has letters, digits and `_`, and does not begin with a digit");
        self.report(if is_key { issue.at_key() } else { issue })
    }

    fn allow(&mut self, allow: &AllowFile) -> Option<Allow> {
        let at = Pointer::of(["allow"]);
        let read = self.paths(&allow.read, &at.join("read"));
        let write = self.paths(&allow.write, &at.join("write"));
        for (index, path) in allow.read.iter().enumerate() {
            if allow.write.contains(path) {
                let message = format!("`{path}` is listed in `allow.write` too, which includes to read it");
                let place = at.join("read").item(index);
                let issue = Issue::warning("task.allow.twice", place, message, "also in `write`");
                self.issues.push(issue.with_help("list it once"));
            }
        }
        let net = match &allow.net {
            None | Some(NetFile::All(false)) => Some(Net::None),
            Some(NetFile::All(true)) => Some(Net::All),
            Some(NetFile::Listed(rules)) => self.net(rules, &at.join("net")),
        };
        Some(Allow {
            read: read?,
            write: write?,
            net: net?,
        })
    }

    fn net(&mut self, texts: &[String], at: &Pointer) -> Option<Net> {
        let rules: Vec<_> = texts
            .iter()
            .enumerate()
            .map(|(index, text)| {
                text.parse()
                    .map_err(|error: crate::net::ParseNetRuleError| {
                        let message = error.to_string();
                        self.issues.push(Issue::error(
                            "task.allow.net",
                            at.item(index),
                            message,
                            "not a rule",
                        ));
                    })
                    .ok()
            })
            .collect();
        let rules: Vec<_> = rules.into_iter().collect::<Option<_>>()?;
        Some(if rules.is_empty() {
            Net::None
        } else {
            Net::Listed(rules)
        })
    }

    fn limits(&mut self, limits: &LimitsFile) -> Limits {
        let at = Pointer::of(["limits"]);
        Limits {
            time: self.duration(limits.time.as_deref(), at.join("time"), true),
            memory: self.memory(limits.memory.as_deref(), at.join("memory")),
            processes: limits
                .processes
                .and_then(|count| self.processes(count, at.join("processes"))),
            cpu: limits
                .cpu
                .and_then(|count| self.processors(count, at.join("cpu"))),
            output: self.size(limits.output.as_deref(), at.join("output")),
            file_size: self.size(limits.file_size.as_deref(), at.join("file-size")),
            scratch: self.size(limits.scratch.as_deref(), at.join("scratch")),
        }
    }

    /// Thousandths of a processor.
    fn processors(&mut self, count: f64, at: Pointer) -> Option<u32> {
        const MOST: f64 = 4_000_000.0;
        let thousandths = (count * 1000.0).round();
        if !(1.0..=MOST * 1000.0).contains(&thousandths) {
            let message = format!("`{count}` is not a number of processors");
            let issue = Issue::error("task.value.range", at, message, "not from 0.001 to 4000000");
            return self.report(issue.with_help("write a number such as `1.5` or `2`"));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is a whole number of the range that was checked"
        )]
        let thousandths = thousandths as u32;
        Some(thousandths)
    }

    fn retry(&mut self, retry: &RetryFile) -> Option<Retry> {
        let at = Pointer::of(["retry"]);
        let Some(attempts) = retry.attempts else {
            let message = "`[retry]` does not say how many attempts there are";
            let issue = Issue::error("task.key.missing", at.clone(), message, "no `attempts`");
            return self.report(
                issue
                    .with_help("add `attempts = 3`")
                    .for_missing([at.join("attempts")]),
            );
        };
        let attempts = self.count(attempts, at.join("attempts"));
        let on = self.outcomes(retry.on.as_deref().unwrap_or_default(), &at.join("on"));
        let delay = self.duration(retry.delay.as_deref(), at.join("delay"), false);
        let (attempts, on) = (attempts?, on?);
        if attempts > 1 && on.is_empty() {
            let message = "`[retry]` does not say after which outcomes the task is tried again";
            let issue = Issue::error("task.retry.on.missing", at.join("attempts"), message, "on what?");
            let help = "add `on` with some of `exit`, `signal`, `timeout`, `out-of-memory` and `trap`, such as `on = [\"timeout\"]`";
            return self.report(issue.at_key().with_help(help).for_missing([at.join("on")]));
        }
        if attempts == 1 {
            let message = "`[retry]` has no effect: there is one attempt in all";
            let issue = Issue::warning(
                "task.retry.once",
                at.join("attempts"),
                message,
                "in all, not beside the first",
            );
            self.issues
                .push(issue.with_help("write `attempts = 2` to try once more"));
        }
        let defaults = Retry::default();
        Some(Retry {
            attempts,
            on,
            delay: delay.unwrap_or(defaults.delay),
        })
    }

    fn outcomes(&mut self, names: &[String], at: &Pointer) -> Option<BTreeSet<OutcomeClass>> {
        let classes: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(index, name)| {
                let class: Result<_, serde::de::value::Error> =
                    OutcomeClass::deserialize(name.as_str().into_deserializer());
                class
                    .map_err(|error| {
                        let issue = Issue::error(
                            "task.value.choice",
                            at.item(index),
                            error.to_string(),
                            "not an outcome",
                        );
                        self.issues.push(issue);
                    })
                    .ok()
            })
            .collect();
        classes.into_iter().collect()
    }

    fn duration(&mut self, text: Option<&str>, at: Pointer, is_limit: bool) -> Option<Duration> {
        match quantity::duration(text?) {
            Ok(duration) if is_limit && duration.is_zero() => self.report(zero(at)),
            Ok(duration) => Some(duration),
            Err(why) => {
                let issue = Issue::error(
                    "task.duration",
                    at.clone(),
                    format!("`{at}`: {why}"),
                    "not a duration",
                );
                self.report(issue.with_help(
                    "write a number with its unit, such as `\"30s\"`, `\"500ms\"` or `\"1h 30m\"`",
                ))
            }
        }
    }

    fn size(&mut self, text: Option<&str>, at: Pointer) -> Option<u64> {
        match quantity::size(text?) {
            Ok(0) => self.report(zero(at)),
            Ok(bytes) => Some(bytes),
            Err(why) => {
                let issue = Issue::error("task.size", at.clone(), format!("`{at}`: {why}"), "not a size");
                self.report(
                    issue.with_help("write a number with its unit, such as `\"512MiB\"` or `\"1GiB\"`"),
                )
            }
        }
    }

    /// Memory that a kernel can limit a process to, and a guest has room for one page in.
    fn memory(&mut self, text: Option<&str>, at: Pointer) -> Option<u64> {
        const RANGE: RangeInclusive<u64> = 64 << 10..=1 << 62;
        let bytes = self.size(text, at.clone())?;
        if RANGE.contains(&bytes) {
            return Some(bytes);
        }
        let message = format!("`{at}` is {bytes} bytes, which nothing can be limited to");
        let issue = Issue::error("task.value.range", at, message, "not from 64 KiB to 4 EiB");
        self.report(issue.with_help("write a number with its unit, such as `\"512MiB\"` or `\"1GiB\"`"))
    }

    fn count(&mut self, count: u32, at: Pointer) -> Option<u32> {
        if count == 0 {
            self.report(zero(at))
        } else {
            Some(count)
        }
    }

    /// A number of processes; Linux has at most 4,194,304 (`PID_MAX_LIMIT`, proc(5)).
    fn processes(&mut self, count: u32, at: Pointer) -> Option<u32> {
        const MOST: u32 = 4 << 20;
        let count = self.count(count, at.clone())?;
        if count <= MOST {
            return Some(count);
        }
        let message = format!("`{at}` is {count}, and there are never more than {MOST} processes");
        let issue = Issue::error("task.value.range", at, message, "too large");
        self.report(issue.with_help("give it a smaller value, or leave `processes` out"))
    }
}

fn zero(at: Pointer) -> Issue {
    let message = format!("`{at}` is zero, which no task can keep to");
    let key = at.last().unwrap_or_default().to_owned();
    let help = format!("give it a larger value, or leave `{key}` out");
    Issue::error("task.value.range", at, message, "zero").with_help(help)
}
