//! Names the build, so that a helper that is a file of its own is known to be of the same one: both read the same policy,
//! and a helper that understands less of it would hold less.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let mut sources = BTreeMap::new();
    // What a policy is made of is partly the model's.
    for folder in ["src", "../core/src"] {
        println!("cargo::rerun-if-changed={folder}");
        if Path::new(folder).is_dir() {
            collect(Path::new(folder), &mut sources)?;
        }
    }
    let mut hasher = DefaultHasher::new();
    env::var("CARGO_PKG_VERSION")
        .unwrap_or_default()
        .hash(&mut hasher);
    sources.hash(&mut hasher);
    println!("cargo::rustc-env=WRUN_SANDBOX_BUILD={:016x}", hasher.finish());
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "sources are not files of the store")]
fn collect(folder: &Path, sources: &mut BTreeMap<PathBuf, Vec<u8>>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, sources)?;
        } else {
            sources.insert(path.clone(), fs::read(path)?);
        }
    }
    Ok(())
}
