//! A script that says what it needs (PEP 723).

use std::collections::BTreeSet;

use toml::{Table, Value};
use wrun_backend_python::path;
use wrun_backend_python::requirement::{self, Requirement};
use wrun_backend_python::source;
use wrun_core::backend::{Input, InputKind, InputRequest, Inputs};
use wrun_core::diagnostic::Finding;

use crate::project;

/// A script that was read.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Script {
    /// Its path, normalised.
    pub(crate) path: String,
    /// Its metadata block, comment signs included: all of it that matters here.
    pub(crate) block: String,
    /// What the block says.
    pub(crate) metadata: Table,
    /// The text of the lock beside it (`main.py.lock`).
    pub(crate) lock: Option<String>,
    /// Folders and archives that have to be there.
    pub(crate) sources: BTreeSet<String>,
    /// Everything that has to be read.
    pub(crate) needs: BTreeSet<InputRequest>,
}

impl Script {
    /// Reads as far as the files are known.
    pub(crate) fn read(written: &str, known: &Inputs, findings: &mut Vec<Finding>) -> Self {
        let path = match path::normalise(".", written) {
            Ok(path) if !path.starts_with('/') => path,
            Ok(path) => {
                findings.push(
                    Finding::error(
                        "uv.script.path",
                        "/script",
                        format!("`{path}` is an absolute path"),
                    )
                    .with_help("write a path relative to the task's folder"),
                );
                return Self::default();
            }
            Err(fault) => {
                findings.push(
                    Finding::error("uv.script.path", "/script", fault.message(written))
                        .with_help(project::INSIDE),
                );
                return Self::default();
            }
        };
        let file = InputRequest {
            path: path.clone(),
            kind: InputKind::Text,
        };
        let lock = InputRequest {
            path: format!("{path}.lock"),
            kind: InputKind::OptionalText,
        };
        let mut script = Self {
            path,
            lock: known.get(&lock).and_then(Input::text).map(str::to_owned),
            needs: BTreeSet::from([file.clone(), lock]),
            ..Self::default()
        };
        match known.get(&file) {
            Some(Input::Text { text, .. }) => script.understand(text, findings),
            Some(Input::Absent) => findings.push(source::absent(&file.path, "/script", "")),
            _ => {}
        }
        script
            .needs
            .extend(script.sources.iter().map(|path| source::request(path)));
        script
    }

    fn understand(&mut self, text: &str, findings: &mut Vec<Finding>) {
        let file = self.path.clone();
        let mut wrong = |code: &str, message: String, help: Option<&str>| {
            let finding = Finding::error(code, "/script", message);
            findings.push(match help {
                Some(help) => finding.with_help(help),
                None => finding,
            });
        };
        let mut blocks = metadata_blocks(text);
        if blocks.is_empty() && text.lines().any(|line| line.trim_end() == "# /// script") {
            return wrong(
                "uv.script.metadata",
                format!("the block `# /// script` of `{file}` is not closed (PEP 723)"),
                Some("end it with a line `# ///`; every line between begins with `#`"),
            );
        }
        let Some(block) = blocks.pop() else {
            let help =
                "start it with `# /// script`, `# dependencies = [\"emoji\"]`, `# ///`; or use `packages`";
            return wrong(
                "uv.script.metadata",
                format!("`{file}` does not say what it needs (PEP 723)"),
                Some(help),
            );
        };
        if !blocks.is_empty() {
            return wrong(
                "uv.script.metadata",
                format!("`{file}` has several blocks `# /// script`"),
                Some("keep one of them"),
            );
        }
        let metadata: Table = match uncommented(&block).parse() {
            Ok(metadata) => metadata,
            Err(error) => {
                let message = format!(
                    "the block `# /// script` of `{file}` is not TOML: {}",
                    project::first_lines(&error)
                );
                return wrong("uv.script.syntax", message, None);
            }
        };
        let base = path::parent(&self.path).to_owned();
        for entry in metadata
            .get("dependencies")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            match requirement::parse(entry.as_str().unwrap_or_default(), &base) {
                Ok(Requirement::Local(local)) => {
                    self.sources.insert(local.path);
                }
                Ok(Requirement::Named(_)) => {}
                Err(fault) => {
                    let code = format!("python.requirement.{}", fault.kind);
                    wrong(&code, format!("{file}: {}", fault.message), Some(&fault.help));
                }
            }
        }
        let uv = metadata.get("tool").and_then(|tool| tool.get("uv"));
        self.sources
            .extend(project::local_sources(uv, &base, &file, "/script", findings));
        self.block = block;
        self.metadata = metadata;
    }

    /// What it says of interpreters.
    pub(crate) fn requires_python(&self) -> Option<String> {
        self.metadata
            .get("requires-python")
            .and_then(Value::as_str)
            .map(str::to_owned)
    }
}

/// The blocks of type `script`: from `# /// script` to the last `# ///` of the comment lines that follow.
fn metadata_blocks(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
        .collect();
    let mut blocks = Vec::new();
    let mut index = 0;
    while let Some(line) = lines.get(index) {
        index += 1;
        if *line != "# /// script" {
            continue;
        }
        let rest = lines.get(index..).unwrap_or_default();
        let comments = rest
            .iter()
            .take_while(|line| **line == "#" || line.starts_with("# "))
            .count();
        let end = rest.iter().take(comments).rposition(|line| *line == "# ///");
        if let Some(body) = end.and_then(|end| rest.get(..=end)) {
            blocks.push(format!("{line}\n{}\n", body.join("\n")));
            index += body.len();
        }
    }
    blocks
}

/// The lines between the first and the last of a block, without `# `.
fn uncommented(block: &str) -> String {
    let lines: Vec<&str> = block.lines().collect();
    let inner = lines.get(1..lines.len().saturating_sub(1)).unwrap_or_default();
    inner
        .iter()
        .map(|line| line.strip_prefix("# ").unwrap_or_default().to_owned() + "\n")
        .collect()
}

#[cfg(test)]
mod tests {
    use wrun_core::id::Digest;

    use super::*;

    fn read(text: &str) -> (Script, Vec<Finding>) {
        let request = InputRequest {
            path: "app/main.py".to_owned(),
            kind: InputKind::Text,
        };
        let known = Inputs::from([(
            request,
            Input::Text {
                text: text.to_owned(),
                digest: Digest::of(b""),
            },
        )]);
        let mut findings = Vec::new();
        (Script::read("app/main.py", &known, &mut findings), findings)
    }

    #[test]
    fn the_block_is_found_as_pep_723_says() {
        let text = "#!/usr/bin/env python\n# /// script\n# requires-python = \">=3.11\"\n# dependencies = [\n#   \"emoji\",\n#\n\
                    #   \"./lib\",\n# ]\n# ///\nprint(1)\n# ///\n";
        let (script, findings) = read(text);
        assert_eq!(findings, []);
        assert_eq!(script.requires_python().as_deref(), Some(">=3.11"));
        assert!(script.block.ends_with("# ]\n# ///\n"));
        assert_eq!(script.sources, BTreeSet::from(["app/lib".to_owned()]));
    }

    #[test]
    fn mistakes_are_told() {
        for (text, code) in [
            ("print(1)", "uv.script.metadata"),
            (
                "# /// script\n# dependencies = []\nprint(1)\n",
                "uv.script.metadata",
            ),
            (
                "# /// script\n# ///\nx\n# /// script\n# ///\n",
                "uv.script.metadata",
            ),
            ("# /// script\n# dependencies = [\n# ///\n", "uv.script.syntax"),
            (
                "# /// script\n# dependencies = ['a>>1']\n# ///\n",
                "python.requirement.syntax",
            ),
            (
                "# /// script\n# [tool.uv.sources]\n# x = { path = '../../x' }\n# ///\n",
                "uv.project.path",
            ),
        ] {
            let (_, findings) = read(text);
            assert_eq!(
                findings.first().map(|finding| finding.code.as_str()),
                Some(code),
                "{text}"
            );
        }
    }
}
