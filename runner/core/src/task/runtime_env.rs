//! A `runtime_env` in a task file: what it stands for, and what is wrong with it at the places where it is written.

use serde_json::Value;

use super::check::Checks;
use super::file::{SpecFile, TaskFile};
use super::issue::Issue;
use super::parse::RuntimeEnvFile;
use super::pointer::Pointer;
use crate::backend::Manifest;
use crate::ray::{self, Translated};

impl Checks<'_> {
    /// What the file's `runtime_env` stands for, if it has one.
    pub(super) fn runtime_env(
        &mut self,
        file: &TaskFile,
        backends: &[Manifest],
        read: Option<&RuntimeEnvFile>,
    ) -> Option<Translated> {
        let at = Pointer::of(["env", ray::KEY]);
        let (value, named) = match file.env.get(ray::KEY)? {
            SpecFile::Table(members) => (Value::Object(members.clone()), None),
            SpecFile::File(path) => match read {
                Some(RuntimeEnvFile { path: known, content }) if known == path => match content {
                    Ok(value) => (value.clone(), Some(path)),
                    Err(reason) => {
                        let message = format!("cannot read `{path}`: {reason}");
                        return self.report(Issue::error("ray.file.unreadable", at, message, "here"));
                    }
                },
                _ => {
                    let message = format!("`{path}` cannot be read here");
                    let help = "write the fields of the file into the table `[env.runtime_env]`";
                    return self
                        .report(Issue::error("ray.file.unreadable", at, message, "a file").with_help(help));
                }
            },
            SpecFile::Short(_) => {
                let message = format!("`{at}` must be a table or the path of a file, not a list");
                return self.report(Issue::error("task.type", at, message, "a list"));
            }
        };
        let (translated, findings) = ray::translate(&value);
        for finding in findings {
            let within = Pointer::parse(&finding.at);
            // What is wrong in a file of its own is told at the line that names it.
            let (place, message) = match named {
                Some(path) if within.is_root() => (at.clone(), format!("`{path}`: {}", finding.message)),
                Some(path) => (at.clone(), format!("`{path}`, `{within}`: {}", finding.message)),
                None => (at.append(within.segments()), finding.message),
            };
            self.issues.push(Issue {
                severity: finding.severity,
                help: finding.help,
                ..Issue::error(&finding.code, place, message, "here")
            });
        }
        if let Some(env) = &translated.env
            && !backends.iter().any(|backend| backend.id == env.backend)
        {
            let message = format!("it needs the backend `{}`, which is not known here", env.backend);
            return self.report(Issue::error("task.env.unknown", at, message, "here"));
        }
        let twice = file.run.as_ref().is_some_and(|run| run.dir.is_some()) && translated.dir.is_some();
        if twice {
            let message = "the task's folder is given twice: by `run.dir` and by `working_dir`";
            let issue = Issue::error(
                "ray.working-dir",
                at.join("working_dir"),
                message,
                "beside `run.dir`",
            );
            return self.report(issue.with_help("remove one of the two"));
        }
        Some(translated)
    }
}
