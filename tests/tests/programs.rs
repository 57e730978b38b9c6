//! The programs of `examples/programs` run under the default sandbox with the few grants that they name, and do not
//! without them.

use std::path::{Path, PathBuf};

use wrun_tests::{Ran, World, binary, files, skipped};

/// A program of the examples.
struct Program {
    /// Its folder.
    name: &'static str,
    /// Programs of this machine that it runs.
    needs: &'static [&'static str],
    /// The line of its task file without which it fails.
    grant: &'static str,
    /// What stands in place of that line then.
    instead: &'static str,
    /// What is said in the end without the grant.
    refused: &'static str,
    /// A file that the program made and does not make again while it is there.
    made: Option<&'static str>,
}

impl Program {
    const fn new(name: &'static str, grant: &'static str, refused: &'static str) -> Self {
        Self {
            name,
            needs: &[],
            grant,
            instead: "",
            refused,
            made: None,
        }
    }

    const fn made(self, file: &'static str) -> Self {
        Self {
            made: Some(file),
            ..self
        }
    }

    const fn with(self, needs: &'static [&'static str]) -> Self {
        Self { needs, ..self }
    }

    const fn instead(self, instead: &'static str) -> Self {
        Self { instead, ..self }
    }

    /// Runs it with its grants and without; gives its folder and the first run.
    #[track_caller]
    fn run(&self) -> Option<(World, PathBuf, Ran)> {
        for need in self.needs {
            if !is_installed(need) {
                skipped(&format!(
                    "`{need}` is not installed, so that `{}` is not run",
                    self.name
                ));
                return None;
            }
        }
        let world = World::new();
        files::copy(
            &binary::examples().join("programs"),
            &world.path().join("programs"),
        );
        let folder = world.path().join("programs").join(self.name);
        let ran = world.wrun(&["submit", "task.toml"]).dir(&folder).run();
        ran.ends_with(0);
        if let Some(expected) = Some(folder.join("expected.txt")).filter(|path| path.is_file()) {
            ran.prints(&files::read(&expected));
        }

        // The folder that was written to is there: it is the grant that is missing.
        if let Some(file) = self.made {
            files::remove(&folder.join(file));
        }
        let task = files::read(&folder.join("task.toml"));
        assert_eq!(task.matches(self.grant).count(), 1, "{} in {task}", self.grant);
        files::write(&folder.join("task.toml"), task.replace(self.grant, self.instead));
        let without = world.wrun(&["submit", "task.toml"]).dir(&folder).run();
        assert_ne!(without.code, 0, "it works without {}: {without:?}", self.grant);
        assert!(
            without.stdout.contains(self.refused) || without.stderr.contains(self.refused),
            "not {:?}: {without:?}",
            self.refused
        );
        without.does_not_say("build: ");
        Some((world, folder, ran))
    }
}

/// Whether a program is in a folder that every task can read.
fn is_installed(name: &str) -> bool {
    ["/usr/local/bin", "/usr/bin", "/bin"]
        .iter()
        .any(|folder| Path::new(folder).join(name).exists())
}

const OUT: &str = "write = [\"out\"]\n";

#[test]
fn numpy_calculates_on_all_processors() {
    Program::new("numpy", OUT, "Read-only file system").run();
}

#[test]
fn pandas_reads_a_table_beside_it() {
    Program::new("pandas", "read = [\"../data\"]\n", "No such file or directory").run();
}

#[test]
fn matplotlib_draws() {
    let Some((_world, folder, _)) = Program::new("matplotlib", OUT, "Read-only file system").run() else {
        return;
    };
    for (name, begins) in [
        ("plot.png", "\u{89}PNG"),
        ("plot.svg", "<?xml"),
        ("plot.pdf", "%PDF"),
    ] {
        let bytes = files::bytes(&folder.join("out").join(name));
        let begins: Vec<u8> = begins
            .chars()
            .map(|char| u8::try_from(char).unwrap_or_default())
            .collect();
        assert!(bytes.starts_with(&begins), "{name}");
    }
}

#[test]
fn pytest_tests_and_reports() {
    let Some((_world, folder, ran)) = Program::new("pytest", OUT, "Read-only file system").run() else {
        return;
    };
    assert!(ran.stdout.contains("5 passed"), "{ran:?}");
    assert!(!ran.stdout.contains("warning"), "{ran:?}");
    assert!(files::read(&folder.join("out/report.xml")).contains(r#"failures="0""#));
}

#[test]
fn a_notebook_is_run_and_kept() {
    let Some((_world, folder, _)) = Program::new("notebook", OUT, "Read-only file system").run() else {
        return;
    };
    assert!(files::read(&folder.join("out/sums.html")).contains("the sum is 285"));
}

#[test]
fn sqlite_is_used_by_several_processes() {
    Program::new("sqlite", OUT, "Read-only file system").run();
}

#[test]
fn multiprocessing_stays_within_its_number_of_processes() {
    Program::new(
        "multiprocessing",
        "processes = 40\n",
        "Resource temporarily unavailable",
    )
    .instead("processes = 4\n")
    .run();
}

#[test]
fn node_serves_itself() {
    Program::new("node", OUT, "EROFS").with(&["node"]).run();
}

#[test]
fn git_makes_a_repository() {
    let Some((_world, folder, _)) = Program::new("git", OUT, "Read-only file system")
        .with(&["git"])
        .run()
    else {
        return;
    };
    assert!(folder.join("out/poems/.git/HEAD").is_file());
}

#[test]
fn make_builds_with_several_jobs() {
    Program::new("make", "write = [\"build\"]\n", "Read-only file system")
        .with(&["make", "cc"])
        .made("build/greet")
        .run();
}

#[test]
fn gcc_compiles() {
    Program::new("gcc", OUT, "Read-only file system")
        .with(&["gcc"])
        .run();
}
