//! Wheels made in memory (the binary distribution format of the Python Packaging Authority, after PEP 427).

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest as _, Sha256};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A wheel that is being put together. It has a module of its own name that knows its `__version__`.
#[derive(Debug, Clone)]
pub struct Wheel {
    /// The project's name.
    pub name: String,
    /// The project's version.
    pub version: String,
    files: Vec<(String, String)>,
    requires: Vec<String>,
    scripts: Vec<(String, String)>,
}

impl Wheel {
    /// A wheel with the module `name` (`-` as `_`), which has `__version__`.
    #[must_use]
    pub fn new(name: &str, version: &str) -> Self {
        let module = format!("{}.py", name.replace('-', "_"));
        let text = format!("__version__ = \"{version}\"\n\ndef main():\n    print(__version__)\n");
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            files: vec![(module, text)],
            requires: Vec::new(),
            scripts: Vec::new(),
        }
    }

    /// The same with one more file.
    #[must_use]
    pub fn file(mut self, path: &str, text: &str) -> Self {
        self.files.push((path.to_owned(), text.to_owned()));
        self
    }

    /// The same with one more requirement (PEP 508).
    #[must_use]
    pub fn requires(mut self, requirement: &str) -> Self {
        self.requires.push(requirement.to_owned());
        self
    }

    /// The same with a program that calls `target`, for instance `thing:main`.
    #[must_use]
    pub fn script(mut self, name: &str, target: &str) -> Self {
        self.scripts.push((name.to_owned(), target.to_owned()));
        self
    }

    fn stem(&self) -> String {
        format!("{}-{}", self.name.replace('-', "_"), self.version)
    }

    /// The name of its file.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}-py3-none-any.whl", self.stem())
    }

    /// Its metadata, as it is in it and as an index serves it beside it (PEP 658).
    #[must_use]
    pub fn metadata(&self) -> String {
        let mut text = format!(
            "Metadata-Version: 2.1\nName: {}\nVersion: {}\n",
            self.name, self.version
        );
        for requirement in &self.requires {
            writeln!(text, "Requires-Dist: {requirement}").expect("text can be written");
        }
        text
    }

    /// Its bytes; the same for the same wheel.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let info = format!("{}.dist-info", self.stem());
        let mut files = self.files.clone();
        files.push((format!("{info}/METADATA"), self.metadata()));
        let wheel = "Wheel-Version: 1.0\nGenerator: wrun-tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
        files.push((format!("{info}/WHEEL"), wheel.to_owned()));
        if !self.scripts.is_empty() {
            let lines: Vec<String> = self
                .scripts
                .iter()
                .map(|(name, target)| format!("{name} = {target}\n"))
                .collect();
            files.push((
                format!("{info}/entry_points.txt"),
                format!("[console_scripts]\n{}", lines.concat()),
            ));
        }
        let mut record = String::new();
        for (path, text) in &files {
            let digest = BASE64URL_NOPAD.encode(&Sha256::digest(text));
            writeln!(record, "{path},sha256={digest},{}", text.len()).expect("text can be written");
        }
        writeln!(record, "{info}/RECORD,,").expect("text can be written");
        files.push((format!("{info}/RECORD"), record));

        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        for (path, text) in &files {
            let options = SimpleFileOptions::default().unix_permissions(0o644);
            archive
                .start_file(path.as_str(), options)
                .expect("a file can be added");
            archive.write_all(text.as_bytes()).expect("memory can be written");
        }
        archive
            .finish()
            .expect("an archive in memory can be finished")
            .into_inner()
    }
}
