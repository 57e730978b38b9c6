//! Files and folders: `working_dir`, `py_modules` and `excludes`.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::Reader;

impl Reader {
    /// The task's folder.
    pub(super) fn working_dir(&mut self, value: Option<&Value>) {
        const AT: &str = "/working_dir";
        let Some(value) = value else { return };
        let Some(text) = value.as_str() else {
            self.wrong_type(AT, "`working_dir`", "a string");
            return;
        };
        if let Some(reason) = not_local(text) {
            self.error("ray.refused", AT, format!("`working_dir` {reason}"), UNPACK);
            return;
        }
        let path = Path::new(text);
        let is_below = path
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if text.is_empty() || !is_below {
            let message = "`working_dir` is not the folder of the task's file, nor a folder in it";
            let help = "put the task's file into that folder or above it, and write the path from there";
            self.error("ray.working-dir", AT, message, help);
            return;
        }
        self.translated.dir = Some(path.to_owned());
        self.translated.python_path.push(".".to_owned());
    }

    /// Folders, files and wheels that Python finds.
    pub(super) fn py_modules(&mut self, value: &Value) {
        for (place, text) in self.texts(value, "/py_modules", "`py_modules`") {
            let ending = Path::new(text).extension().and_then(|ending| ending.to_str());
            if let Some(reason) = not_local(text).filter(|_| ending != Some("whl") || text.contains("://")) {
                self.error("ray.refused", place, format!("`{text}` {reason}"), UNPACK);
                continue;
            }
            let path = self.path_in_folder(text);
            if ending == Some("whl") {
                self.wheels.push(if path.contains('/') {
                    path
                } else {
                    format!("./{path}")
                });
                continue;
            }
            let Some(parent) = Path::new(&path).parent().filter(|_| has_name(text)) else {
                let message = format!("`{text}` names no module");
                let help = "write the path of the module itself: Python finds it by the last part";
                self.error("ray.py-modules", place, message, help);
                continue;
            };
            let parent = match parent.to_str() {
                None | Some("") => ".".to_owned(),
                Some(parent) => parent.to_owned(),
            };
            if !self.translated.python_path.contains(&parent) {
                self.translated.python_path.push(parent);
            }
            self.translated.read.push(PathBuf::from(text));
        }
    }

    /// What is not uploaded.
    pub(super) fn excludes(&mut self, value: &Value) {
        const AT: &str = "/excludes";
        if !self.texts(value, AT, "`excludes`").is_empty() {
            let message =
                "`excludes` has no effect: the folder is used where it is, and the task can read all of it";
            self.no_effect(AT, message);
        }
    }
}

const UNPACK: &str = "fetch and unpack it beforehand, and name the folder";

/// Why a path is not one of a folder or file of this machine, if it is not.
fn not_local(text: &str) -> Option<&'static str> {
    const ARCHIVES: [&str; 4] = [".zip", ".tar.gz", ".tgz", ".tar.xz"];
    if text.contains("://") {
        return Some("is an address, and wrun fetches no folders");
    }
    let lower = text.to_ascii_lowercase();
    ARCHIVES
        .iter()
        .any(|ending| lower.ends_with(ending))
        .then_some("is an archive, and wrun unpacks none")
}

/// Whether a path ends in a name, by which a module could be found.
fn has_name(text: &str) -> bool {
    matches!(
        Path::new(text).components().next_back(),
        Some(Component::Normal(_))
    )
}
