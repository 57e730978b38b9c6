//! Fields that are about how Ray works: `config`, which has no effect, and those that cannot be had, each with the reason.

use serde_json::Value;

use super::Reader;
use crate::diagnostic::{pointer_token, suggestion};

/// The fields that stand for something here.
pub(super) const KNOWN: [&str; 10] = [
    "pip",
    "uv",
    "conda",
    "container",
    "image_uri",
    "working_dir",
    "py_modules",
    "env_vars",
    "excludes",
    "config",
];

impl Reader {
    /// How Ray sets the environment up.
    pub(super) fn config(&mut self, value: &Value) {
        let Some(members) = value.as_object() else {
            self.wrong_type("/config", "`config`", "a table");
            return;
        };
        for (key, value) in members {
            let at = format!("/config/{key}");
            let (is_right, expected) = match key.as_str() {
                "setup_timeout_seconds" => (
                    value.as_i64().is_some_and(|seconds| seconds > 0 || seconds == -1),
                    "a number of seconds, or -1",
                ),
                "eager_install" => (value.is_boolean(), "true or false"),
                "log_files" => (value.is_array(), "a list of strings"),
                _ => {
                    let help = "known are setup_timeout_seconds, eager_install, log_files";
                    self.error("ray.key.unknown", at, format!("`config` has no `{key}`"), help);
                    continue;
                }
            };
            if is_right {
                let message = format!("`{key}` has no effect: it is about how Ray sets environments up");
                self.no_effect(at, message);
            } else {
                self.wrong_type(at, &format!("`{key}`"), expected);
            }
        }
    }

    /// A field that stands for nothing in a task.
    pub(super) fn other(&mut self, name: &str) {
        let at = format!("/{}", pointer_token(name));
        let (reason, help) = match name {
            // Ray adds them itself.
            "_ray_release" | "_ray_commit" | "_inject_current_ray" => return,
            "py_executable" => (
                "the program that runs is that of the task",
                "write it in `run.command`",
            ),
            "worker_process_setup_hook" => (
                "there are no workers to set up",
                "call it at the beginning of the program",
            ),
            "java_jars" => (
                "there are no Java workers",
                "name the files on the command line of `java`",
            ),
            "nsight" | "_nsight" | "rocprof_sys" | "_rocprof_sys" => (
                "profilers are not started by wrun",
                "write the profiler in `run.command`, before the program",
            ),
            "mpi" => (
                "it is not part of Ray any more",
                "write `mpirun` in `run.command`",
            ),
            _ => {
                let help = suggestion(name, KNOWN).map_or_else(
                    || format!("known are {}", KNOWN.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                self.error(
                    "ray.field.unknown",
                    at,
                    format!("`{name}` is no field of a runtime_env that is known here"),
                    &help,
                );
                return;
            }
        };
        self.error(
            "ray.refused",
            at,
            format!("`{name}` cannot be had: {reason}"),
            help,
        );
    }
}
