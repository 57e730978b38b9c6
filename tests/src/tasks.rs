//! Task files that many tests use.

use serde_json::{Value, json};

use crate::Index;

/// A task of Python code in an environment of a backend.
#[derive(Debug, Clone)]
pub struct PythonTask {
    backend: &'static str,
    packages: Vec<String>,
    index: Option<Value>,
    command: Vec<String>,
}

impl PythonTask {
    /// Code in an environment with nothing in it.
    #[must_use]
    pub fn new(backend: &'static str, code: &str) -> Self {
        let command = ["python", "-c", code].map(str::to_owned).to_vec();
        Self {
            backend,
            packages: Vec::new(),
            index: None,
            command,
        }
    }

    /// A task that prints the version of the package `thing` of an index.
    #[must_use]
    pub fn thing(backend: &'static str, index: &Index) -> Self {
        Self::new(backend, "import thing; print(thing.__version__)")
            .package("thing")
            .index(&index.url())
    }

    /// The same with another command in place of the code.
    #[must_use]
    pub fn command(mut self, words: &[&str]) -> Self {
        self.command = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// The same with one more package.
    #[must_use]
    pub fn package(mut self, requirement: &str) -> Self {
        self.packages.push(requirement.to_owned());
        self
    }

    /// The same with an index in place of the public one.
    #[must_use]
    pub fn index(mut self, url: &str) -> Self {
        self.index = Some(json!({ "name": "local", "url": url, "default": true }));
        self
    }

    /// The same with an index in place of the public one, that wants a credential.
    #[must_use]
    pub fn private_index(mut self, url: &str, credential: &str) -> Self {
        self.index = Some(json!({ "name": "local", "url": url, "default": true, "credentials": credential }));
        self
    }

    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> String {
        let Self {
            backend,
            packages,
            index,
            command,
        } = self;
        let mut spec = json!({ "packages": packages });
        if let (Some(index), Some(members)) = (index, spec.as_object_mut()) {
            members.insert("indexes".to_owned(), json!([index]));
        }
        let task = json!({ "run": { "command": command }, "env": { *backend: spec } });
        toml::to_string(&task).expect("a task can be written")
    }
}

/// A task of a command without an environment; `rest` is the rest of the file.
#[must_use]
pub fn command(words: &[&str], rest: &str) -> String {
    let task = json!({ "run": { "command": words } });
    format!("{}{rest}", toml::to_string(&task).expect("a task can be written"))
}

/// A task of a WebAssembly program; `rest` is the rest of the file.
#[must_use]
pub fn module(path: &std::path::Path, args: &[&str], rest: &str) -> String {
    let task = json!({ "run": { "module": path, "args": args } });
    format!("{}{rest}", toml::to_string(&task).expect("a task can be written"))
}
