//! The programs under test, where every user can execute them.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use wrun_tests::{binary, files, machine};

use crate::scene::{OTHER, becoming};

/// What is executed as another user, and what lies beside it.
const PROGRAMS: [&str; 3] = ["wrun", "wrun-helper", "wrun-layers"];

/// A program under test, where every user can execute it.
pub(crate) fn program(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(folder).join(name)
}

fn folder() -> PathBuf {
    let wrun = binary::wrun();
    let built = wrun.parent().unwrap();
    if !machine::is_root() || can_be_executed(&wrun) {
        return built.to_owned();
    }
    // All tests of a build share one folder, which the next build's take away.
    let of_all = format!("wrun-tests-{}-", short(built.as_os_str().as_encoded_bytes()));
    let shared = std::env::temp_dir().join(format!("{of_all}{}", short(build(built).as_bytes())));
    if is_ours(&shared) {
        return shared;
    }
    for name in files::names(&std::env::temp_dir()) {
        if name.starts_with(&of_all) {
            files::remove_folder(&std::env::temp_dir().join(name));
        }
    }
    let made = tempfile::Builder::new()
        .prefix("wrun-tests-new-")
        .tempdir()
        .unwrap();
    for name in PROGRAMS {
        let (from, to) = (built.join(name), made.path().join(name));
        if std::fs::hard_link(&from, &to).is_err() {
            std::fs::copy(&from, &to).unwrap();
        }
    }
    files::set_mode(made.path(), 0o755);
    if std::fs::rename(made.path(), &shared).is_ok() {
        let _moved = made.keep();
    }
    assert!(is_ours(&shared), "{} is somebody else's", shared.display());
    shared
}

fn can_be_executed(program: &Path) -> bool {
    let words = becoming(OTHER);
    Command::new(&words[0])
        .args(&words[1..])
        // What executes it first still has the rights of who called it.
        .args(["sh", "-c", "exec \"$0\" --version"])
        .arg(program)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What tells one build from another.
fn build(built: &Path) -> String {
    let of = |name: &&str| {
        let metadata = built.join(name).metadata();
        let metadata = metadata.unwrap_or_else(|error| {
            panic!("{name}: {error}; build it first: cargo build -p wrun-cli -p wrun-layers")
        });
        format!(
            "{} {} {}\n",
            metadata.ino(),
            metadata.mtime(),
            metadata.mtime_nsec()
        )
    };
    PROGRAMS.iter().map(of).collect()
}

fn is_ours(folder: &Path) -> bool {
    folder
        .symlink_metadata()
        .is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw())
}

fn short(bytes: &[u8]) -> String {
    files::sha256(bytes).chars().take(16).collect()
}
