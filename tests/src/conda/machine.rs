//! Packages out of the interpreter of the machine, so that a conda environment really runs Python.

use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use crate::conda::Package;
use crate::{files, machine};

fn ask(code: &str) -> String {
    let output = Command::new(machine::python())
        .args(["-I", "-c", code])
        .output()
        .expect("the interpreter can be started");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// The version of the interpreter: `3.11.7`.
#[must_use]
pub fn python_version() -> String {
    ask("import platform; print(platform.python_version())")
}

/// The interpreter of the machine as a package: its program, and a file that says where its library is (PEP 405).
#[must_use]
pub fn python_package() -> Package {
    let version = python_version();
    let minor: Vec<&str> = version.split('.').take(2).collect();
    let minor = minor.join(".");
    let program = files::bytes(machine::python());
    let home = machine::python()
        .parent()
        .unwrap_or(Path::new("/usr/bin"))
        .display();
    Package::new("python", &version)
        .binary(&format!("bin/python{minor}"), &program)
        .link("bin/python3", &format!("python{minor}"))
        .link("bin/python", &format!("python{minor}"))
        .file(
            "pyvenv.cfg",
            format!("home = {home}\ninclude-system-site-packages = false\nversion = {version}\n"),
        )
        .file(
            &format!("lib/python{minor}/site-packages/README.txt"),
            "packages go here\n",
        )
}

/// The pip of the machine as a package; `None` if it has none.
#[must_use]
pub fn pip_package() -> Option<Package> {
    let folder = ask(
        "import importlib.util as u, os; s = u.find_spec('pip'); print(os.path.dirname(s.origin) if s else '')",
    );
    if folder.is_empty() {
        crate::skipped("the interpreter of the machine has no pip");
        return None;
    }
    let version = ask("import importlib.metadata as m; print(m.version('pip'))");
    let mut package = Package::new("pip", &version)
        .noarch("python")
        .depends("python")
        .entry_point("pip = pip._internal.cli.main:main");
    let folder = Path::new(&folder);
    for path in files::walk(folder) {
        let rel = path
            .strip_prefix(folder)
            .expect("below the folder")
            .display()
            .to_string();
        if path.is_file() && !rel.contains("__pycache__") {
            package = package.file(&format!("site-packages/pip/{rel}"), files::bytes(&path));
        }
    }
    let info = format!("site-packages/pip-{version}.dist-info");
    Some(
        package
            .file(
                &format!("{info}/METADATA"),
                format!("Metadata-Version: 2.1\nName: pip\nVersion: {version}\n"),
            )
            .file(&format!("{info}/INSTALLER"), "conda\n")
            .file(&format!("{info}/RECORD"), ""),
    )
}

/// A wheel of the machine's package index as a conda package for every platform.
#[must_use]
pub fn package_of_wheel(project: &str, versions: &str) -> Package {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let output = Command::new(machine::python())
        .args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--dest",
        ])
        .arg(folder.path())
        .arg(format!("{project}{versions}"))
        .output()
        .expect("pip can be started");
    assert!(output.status.success(), "{output:?}");
    let wheel = files::names(folder.path()).pop().expect("a wheel was fetched");
    let version = wheel.split('-').nth(1).expect("a wheel's name has a version");
    let archive = std::io::Cursor::new(files::bytes(&folder.path().join(&wheel)));
    let mut archive = zip::ZipArchive::new(archive).expect("a wheel is a zip file");
    let mut package = Package::new(project, version).noarch("python");
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).expect("the entry is there");
        let name = entry.name().expect("a name in UTF-8").into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("the entry can be read");
        package = package.file(&format!("site-packages/{name}"), content);
    }
    package
}
