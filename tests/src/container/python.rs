//! An image with the interpreter of the machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::container::Image;
use crate::{files, layer, machine};

/// Parts of the standard library that the tests do without.
const LEFT_OUT: &[&str] = &[
    "__pycache__",
    "dist-packages",
    "idlelib",
    "lib2to3",
    "site-packages",
    "test",
    "tkinter",
    "turtledemo",
];

/// An image that has the machine's Python at its own address, as `python3` on its search path, and nothing else but a
/// shell. `folder` is where it is put together.
#[track_caller]
#[must_use]
pub fn with_python(folder: &Path) -> Image {
    let program = machine::python();
    let code = "import sysconfig; print(sysconfig.get_path('stdlib'))";
    let output = Command::new(program)
        .args(["-I", "-c", code])
        .output()
        .expect("the interpreter can be started");
    let library = PathBuf::from(String::from_utf8(output.stdout).expect("text").trim());
    let modules: Vec<PathBuf> = files::walk(&library)
        .into_iter()
        .filter(|path| path.is_file() && !is_left_out(path.strip_prefix(&library).expect("below the folder")))
        .collect();
    let extensions = modules
        .iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "so"));
    let loaded: Vec<&Path> = extensions.map(PathBuf::as_path).chain([program]).collect();
    layer::of_programs(folder, &loaded);
    for module in &modules {
        layer::put(folder, module);
    }
    layer::put(folder, program);
    let place = folder.join("usr/local/bin/python3");
    files::folder(place.parent().expect("it lies in a folder"));
    std::os::unix::fs::symlink(program, place).expect("a link can be made");
    let mut tar = tar::Builder::new(Vec::new());
    tar.follow_symlinks(false);
    tar.append_dir_all(".", folder).expect("memory can be written");
    Image::new()
        .raw_layer(tar.into_inner().expect("memory can be written"))
        .config(json!({
            "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "OF_IMAGE=yes"],
            "Entrypoint": ["python3"],
            "Cmd": ["-c", "print('by itself')"],
        }))
}

fn is_left_out(rel: &Path) -> bool {
    rel.components().any(|part| {
        let name = part.as_os_str().to_string_lossy();
        LEFT_OUT.contains(&name.as_ref()) || name.starts_with("config-")
    })
}
