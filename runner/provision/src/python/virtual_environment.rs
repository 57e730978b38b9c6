//! Makes virtual environments (PEP 405): links to an interpreter, a folder for packages and a file that says so. The module
//! `venv` of the interpreter would need an interpreter's start, and some distributions leave it out.

use wrun_core::plan::Place;
use wrun_core::tool::{ToolFound, VirtualEnvironment};

use crate::error::ProvisionError;
use crate::places::{Places, invalid};

/// Makes one in the prefix, without pip.
///
/// # Errors
/// The interpreter did not say how, or the store failed.
pub(crate) fn make(tool: &ToolFound, places: &Places<'_>) -> Result<(), ProvisionError> {
    let known = tool.python.as_ref();
    let Some((interpreter, layout)) =
        known.and_then(|python| Some((python, python.virtual_environment.as_ref()?)))
    else {
        return Err(invalid(&format!(
            "`{}` does not say how a virtual environment on it is made",
            tool.id
        )));
    };
    let VirtualEnvironment {
        base_executable,
        site_packages,
        has_lib64,
    } = layout;
    let (tree, _) = places.writable(&Place::prefix(""))?;
    tree.make_dir("bin")?;
    tree.make_dir(site_packages)?;
    tree.symlink(base_executable, "bin/python")?;
    for name in versioned_names(&interpreter.version) {
        tree.symlink("python", &format!("bin/{name}"))?;
    }
    if *has_lib64 {
        tree.symlink("lib", "lib64")?;
    }
    // The interpreter knows by this file, in the folder above its own, that its packages are here.
    let home = base_executable.parent().unwrap_or(base_executable).display();
    let version = &interpreter.version;
    let configuration = format!("home = {home}\ninclude-system-site-packages = false\nversion = {version}\n");
    tree.write("pyvenv.cfg", configuration.as_bytes(), false)?;
    Ok(())
}

/// `python3` and `python3.11`.
fn versioned_names(version: &str) -> [String; 2] {
    let mut numbers = version.split('.');
    let major = numbers.next().unwrap_or_default();
    let minor = numbers.next().unwrap_or_default();
    [format!("python{major}"), format!("python{major}.{minor}")]
}
