//! An image with the interpreter of the machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::container::Image;
use crate::{files, layer, machine, skipped};

/// Parts of the standard library that the tests do without.
const LEFT_OUT: &[&str] = &[
    "EXTERNALLY-MANAGED",
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
    let library = PathBuf::from(ask(code).trim());
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
    Image::new().folder_layer(folder).config(json!({
        "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "OF_IMAGE=yes"],
        "Entrypoint": ["python3"],
        "Cmd": ["-c", "print('by itself')"],
    }))
}

/// An image that stands in for the public `python`: [`with_python`] with pip, `python`, and the certificates and the package
/// index of this machine, as the base of a company has them. `None` where this machine has no wheel of pip, after saying so.
#[track_caller]
#[must_use]
pub fn with_pip(folder: &Path) -> Option<Image> {
    let code = "import ensurepip, glob, os, sys, sysconfig; \
        folders = [os.path.join(os.path.dirname(ensurepip.__file__), '_bundled'), '/usr/share/python-wheels']; \
        print(sysconfig.get_path('purelib'), os.path.join(sys.prefix, 'bin'), \
        *[found for folder in folders for found in glob.glob(folder + '/pip-*.whl')], sep='\\n')";
    let told = ask(code);
    let told: Vec<&str> = told.lines().collect();
    let [library, programs, wheel, ..] = told.as_slice() else {
        skipped("there is no wheel of pip (Debian: python3-venv)");
        return None;
    };
    let image = with_python(&folder.join("python"));
    let layer = folder.join("pip");
    let library = layer.join(library.trim_start_matches('/'));
    files::folder(&library);
    let unpacked = Command::new(machine::python())
        .args(["-I", "-m", "zipfile", "-e", wheel])
        .arg(&library)
        .status();
    assert!(unpacked.is_ok_and(|status| status.success()), "unpack {wheel}");
    let pip = layer.join("usr/local/bin/pip");
    files::write(&pip, "#!/bin/sh\nexec python3 -m pip \"$@\"\n");
    files::set_mode(&pip, 0o755);
    std::os::unix::fs::symlink("python3", layer.join("usr/local/bin/python")).expect("a link can be made");
    // What the wheel of uv loads.
    for library in layer::libraries(machine::uv()) {
        layer::put(&layer, &library);
    }
    let mut env = vec![format!("PATH={programs}:/usr/local/bin:/usr/bin:/bin")];
    if let Some(file) = std::env::var_os("SSL_CERT_FILE") {
        let place = "/etc/ssl/certs/ca-certificates.crt";
        files::write(&layer.join(&place[1..]), files::bytes(Path::new(&file)));
        env.extend(["SSL_CERT_FILE", "PIP_CERT"].map(|name| format!("{name}={place}")));
    }
    for name in ["PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"] {
        env.extend(std::env::var(name).ok().map(|value| format!("{name}={value}")));
    }
    Some(
        image
            .folder_layer(&layer)
            .config(json!({"Env": env, "Cmd": ["python3"]})),
    )
}

/// What the interpreter of the machine prints.
fn ask(code: &str) -> String {
    let output = Command::new(machine::python())
        .args(["-I", "-c", code])
        .output()
        .expect("the interpreter can be started");
    String::from_utf8(output.stdout).expect("text")
}

fn is_left_out(rel: &Path) -> bool {
    rel.components().any(|part| {
        let name = part.as_os_str().to_string_lossy();
        LEFT_OUT.contains(&name.as_ref()) || name.starts_with("config-")
    })
}
