//! A world of its own for a test: a store, a home folder and a project.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::command::Cmd;
use crate::ran::Ran;
use crate::{binary, files, machine, processes};

/// A world of its own. What is left of it is removed when it is dropped.
pub struct World {
    folder: TempDir,
    root: PathBuf,
}

impl World {
    /// A world with an empty store, an empty home folder and an empty project.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("wrun-world-")
            .tempdir()
            .expect("a folder can be made");
        let root = folder.path().canonicalize().expect("the folder is there");
        for name in ["home", "project", "tmp"] {
            files::folder(&root.join(name));
        }
        Self { folder, root }
    }

    /// The folder of everything.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// The home folder of whoever calls `wrun`.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// The folder that `wrun` is called in.
    #[must_use]
    pub fn project(&self) -> PathBuf {
        self.root.join("project")
    }

    /// Writes a file of the project and gives its path.
    #[track_caller]
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.project().join(name);
        files::write(&path, content);
        path
    }

    /// `wrun` with these arguments, in the project.
    #[must_use]
    pub fn wrun(&self, arguments: &[&str]) -> Cmd {
        self.command(&binary::wrun()).args(arguments)
    }

    /// A program in the project, with the variables of this world.
    #[must_use]
    pub fn command(&self, program: &Path) -> Cmd {
        Cmd::new(program, &self.project(), &self.root, self.variables())
    }

    /// `wrun submit` of a task file of this text.
    #[must_use]
    #[track_caller]
    pub fn submit(&self, text: &str) -> Ran {
        self.write("task.toml", text);
        self.wrun(&["submit", "task.toml"]).run()
    }

    /// The environments that `wrun cache ls` shows.
    #[must_use]
    #[track_caller]
    pub fn environments(&self) -> Vec<Value> {
        let ran = self.wrun(&["--format", "json", "cache", "ls"]).run();
        let listed = ran.ends_with(0).json();
        listed
            .get("environments")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_else(|| panic!("no list: {ran:?}"))
    }

    /// The tree of a listed environment.
    #[must_use]
    #[track_caller]
    pub fn tree(&self, environment: &Value) -> PathBuf {
        let id = environment
            .get("env_id")
            .and_then(Value::as_str)
            .expect("an environment has an id");
        self.store().join("v1/env").join(id).join("prefix")
    }

    /// Patterns and what to put in their place, so that a text is the same in each world.
    #[must_use]
    pub fn filters(&self) -> Vec<(String, &'static str)> {
        let python = machine::python()
            .parent()
            .and_then(Path::parent)
            .unwrap_or(Path::new("/usr"));
        vec![
            (literal(&self.root), "[WORLD]"),
            (literal(machine::uv()), "[UV]"),
            (literal(python), "[PYTHON]"),
            (literal(&binary::repository()), "[REPOSITORY]"),
            (r"\b[a-z2-7]{32}\b".to_owned(), "[ID]"),
            (r"\b[0-9a-f]{64}\b".to_owned(), "[SHA256]"),
            (r"127\.0\.0\.1:\d+".to_owned(), "127.0.0.1:[PORT]"),
            (
                r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?Z?)?".to_owned(),
                "[TIME]",
            ),
            (r"\b(in|after) (\d+(ms|s|us|ns) ?)+\b".to_owned(), "$1 [DURATION]"),
            (
                r#"(?s)"interpreter": \{.*?\n {6}\}"#.to_owned(),
                "\"interpreter\": [INTERPRETER]",
            ),
            (r#""arch": "\w+""#.to_owned(), "\"arch\": [ARCH]"),
        ]
    }

    /// The variables of whoever calls `wrun`: what is needed to find an interpreter, and how the machine reaches
    /// package indexes.
    fn variables(&self) -> BTreeMap<OsString, OsString> {
        let python = machine::python().parent().unwrap_or(Path::new("/usr/bin"));
        let search_path = format!("{}:/usr/local/bin:/usr/bin:/bin", python.display());
        let mut variables: BTreeMap<OsString, OsString> = machine::SETTINGS
            .iter()
            .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)))
            .collect();
        let mut set = |name: &str, value: &dyn AsRef<std::ffi::OsStr>| {
            variables.insert(name.into(), value.as_ref().to_owned());
        };
        set("PATH", &search_path);
        set("HOME", &self.home());
        set("TMPDIR", &self.root.join("tmp"));
        set("LANG", &"C.UTF-8");
        set("NO_COLOR", &"1");
        set("NO_PROXY", &"127.0.0.1,localhost");
        set("WRUN_CACHE_DIR", &self.store());
        if binary::wrun().is_file() {
            set("WRUN_UV", &machine::uv());
        }
        variables
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        processes::end_all(&self.root);
        // Environments are read-only, which keeps a user from deleting them.
        for path in files::walk(self.folder.path()) {
            if path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
                files::set_mode(&path, 0o755);
            }
        }
    }
}

fn literal(path: &Path) -> String {
    path.display().to_string().replace('.', r"\.").replace('+', r"\+")
}
