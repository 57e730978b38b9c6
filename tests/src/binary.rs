//! Where the programs and files are that the tests look at.

use std::path::{Path, PathBuf};

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests lie in the repository")
        .to_owned()
}

/// A program of the workspace, built in the profile of this test.
#[must_use]
pub fn built(name: &str) -> Option<PathBuf> {
    let test = std::env::current_exe().expect("the test knows its own path");
    // target/<profile>/deps/<test>
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("tests lie in the target folder");
    Some(profile.join(name)).filter(|path| path.is_file())
}

/// The program under test.
#[must_use]
pub fn wrun() -> PathBuf {
    built("wrun").unwrap_or_else(|| panic!("there is no `wrun`; build it first: cargo build -p wrun-cli"))
}

/// A program compiled to WebAssembly, for instance `probe.wasm`.
#[must_use]
pub fn guest(name: &str) -> PathBuf {
    let path = repository().join("guests/out").join(name);
    assert!(
        path.is_file(),
        "there is no guest `{name}`; run guests/build.sh first"
    );
    path
}

/// The folder of the examples.
#[must_use]
pub fn examples() -> PathBuf {
    repository().join("examples")
}
