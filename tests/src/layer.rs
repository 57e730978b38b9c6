//! Layers of images, made by hand of programs of this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::files;

/// A layer that has these programs with the libraries that they load, at their own addresses, and the shell.
#[track_caller]
pub fn of_programs(layer: &Path, programs: &[&Path]) {
    let shell = PathBuf::from("/bin/sh");
    for program in programs.iter().copied().chain([shell.as_path()]) {
        for library in libraries(program) {
            put(layer, &library);
        }
    }
    put(layer, &shell);
    for folder in ["tmp", "root", "var/tmp", "usr/lib", "opt"] {
        files::folder(&layer.join(folder));
    }
    files::write(&layer.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
    files::write(&layer.join("etc/group"), "root:x:0:\n");
    files::write(&layer.join("etc/motd"), "of the image\n");
}

/// Copies a file of the machine to its address in a layer.
#[track_caller]
pub fn put(layer: &Path, path: &Path) {
    let place = layer.join(path.strip_prefix("/").expect("it is absolute"));
    files::folder(place.parent().expect("it lies in a folder"));
    std::fs::copy(path, &place).unwrap_or_else(|error| panic!("copy {}: {error}", path.display()));
}

/// What a program loads (`ldd(1)`); nothing if it is linked statically.
pub(crate) fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd")
        .arg(program)
        .output()
        .expect("ldd is on the machine");
    String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from)
        .collect()
}
