//! Source distributions made in memory (after the "Source distribution format" of the Python Packaging Authority), with a
//! build backend of their own that runs any code (PEP 517, `backend-path`).

use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

/// What comes after the code of a distribution: a wheel with the module of its name that says `FOUND`.
const BUILD: &str = r#"
    import os, zipfile
    info = NAME + "-1.0.dist-info"
    files = {
        NAME + ".py": "found = " + repr(FOUND) + "\n",
        info + "/METADATA": "Metadata-Version: 2.1\nName: " + NAME + "\nVersion: 1.0\n",
        info + "/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[info + "/RECORD"] = "".join(path + ",,\n" for path in [*files, info + "/RECORD"])
    name = NAME + "-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return name
"#;

/// A source distribution of version 1.0.
#[derive(Debug, Clone)]
pub struct Source {
    /// The project's name, without `-`.
    pub name: String,
    code: String,
    requires: Vec<String>,
    is_static: bool,
}

impl Source {
    /// One that runs this code when it is built. The code may set `FOUND`, which the module of the project then has as
    /// `found`.
    #[must_use]
    pub fn new(name: &str, code: &str) -> Self {
        Self {
            name: name.to_owned(),
            code: code.to_owned(),
            requires: Vec::new(),
            is_static: false,
        }
    }

    /// The same with one more requirement of its build (PEP 518).
    #[must_use]
    pub fn build_requires(mut self, requirement: &str) -> Self {
        self.requires.push(requirement.to_owned());
        self
    }

    /// The same with metadata that is known without a build (PEP 643).
    #[must_use]
    pub const fn with_static_metadata(mut self) -> Self {
        self.is_static = true;
        self
    }

    /// The name of its file.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}-1.0.tar.gz", self.name)
    }

    /// Its files by path, as they are below its topmost folder.
    fn files(&self) -> [(&'static str, String); 3] {
        let Self {
            name,
            code,
            requires,
            is_static,
        } = self;
        let version = if *is_static { "2.2" } else { "2.1" };
        let lines: Vec<String> = code.lines().map(|line| format!("    {line}")).collect();
        let code = lines.join("\n");
        [
            (
                "PKG-INFO",
                format!("Metadata-Version: {version}\nName: {name}\nVersion: 1.0\n"),
            ),
            (
                "pyproject.toml",
                format!(
                    "[build-system]\nrequires = {requires:?}\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n"
                ),
            ),
            (
                "backend.py",
                format!(
                    "def build_wheel(directory, settings=None, metadata=None):\n    NAME, FOUND = {name:?}, None\n{code}{BUILD}"
                ),
            ),
        ]
    }

    /// Writes it as a folder.
    pub fn unpack(&self, folder: &Path) {
        for (path, text) in self.files() {
            crate::files::write(&folder.join(path), text);
        }
    }

    /// Its bytes; the same for the same distribution.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let name = &self.name;
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (path, text) in self.files() {
            let mut header = tar::Header::new_gnu();
            header.set_size(u64::try_from(text.len()).expect("a text has a size"));
            header.set_mode(0o644);
            archive
                .append_data(&mut header, format!("{name}-1.0/{path}"), text.as_bytes())
                .expect("memory can be written");
        }
        let compressed = archive.into_inner().expect("memory can be written");
        compressed.finish().expect("memory can be written")
    }
}
