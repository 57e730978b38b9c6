//! Where the benchmarks run: a store and a folder of their own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A result with any error.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A store, a folder and the programs to measure.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) wrun: PathBuf,
}

impl World {
    pub(crate) fn new() -> Result<Self> {
        let wrun = std::env::current_exe()?.with_file_name("wrun");
        if !wrun.exists() {
            return Err("the `wrun` program is not built: use benches/run".into());
        }
        Ok(Self {
            folder: tempfile::Builder::new().prefix("wrun-bench").tempdir()?,
            wrun,
        })
    }

    /// The folder of the benchmarks.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The store.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder().join("store")
    }

    /// Writes a file of the folder and gives its path.
    #[expect(
        clippy::disallowed_methods,
        reason = "the folder of the benchmarks lies outside of any store"
    )]
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.folder().join(name);
        std::fs::write(&path, content)?;
        Ok(path)
    }

    /// `wrun` with this store.
    pub(crate) fn wrun(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.wrun);
        command
            .args(arguments)
            .env("WRUN_CACHE_DIR", self.store())
            .current_dir(self.folder());
        command
    }

    /// The prefix of the environment of a task file, built if need be.
    pub(crate) fn prefix(&self, task: &Path) -> Result<PathBuf> {
        run(self.wrun(&["--quiet", "submit"]).arg(task))?;
        let listed = output(self.wrun(&["--format", "json", "plan"]).arg(task))?;
        let plan: serde_json::Value = serde_json::from_str(&listed)?;
        let id = plan.get("env_id").and_then(|id| id.as_str());
        let id = id.ok_or("the plan names no environment")?;
        Ok(self.store().join("v1/env").join(id).join("prefix"))
    }
}

/// Runs a command to its end; it must succeed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let ran = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()?;
    if ran.status.success() {
        Ok(())
    } else {
        let said = String::from_utf8_lossy(&ran.stderr);
        let program = Path::new(command.get_program()).display();
        Err(format!("{program} ended with {}: {}", ran.status, said.trim()).into())
    }
}

/// Removes a tree, read-only folders too.
pub(crate) fn remove(path: &Path) -> Result<()> {
    if path.exists() {
        run(Command::new("chmod").args(["-R", "u+w"]).arg(path))?;
        run(Command::new("rm").arg("-rf").arg(path))?;
    }
    Ok(())
}

/// The standard output of a command; it must succeed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Says a line of the report.
#[expect(clippy::print_stdout, reason = "the report is what this program is for")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
