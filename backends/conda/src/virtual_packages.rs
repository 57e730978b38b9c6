//! Virtual packages: what a solve may see of the machine (CEP 26, and
//! <https://docs.conda.io/projects/conda/en/stable/user-guide/tasks/manage-virtual.html>).

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr as _;

use rattler_conda_types::{GenericVirtualPackage, PackageName, Subdir, Version};
use rattler_virtual_packages::{Override, VirtualPackageOverrides, VirtualPackages};
use wrun_core::canon::Canon;
use wrun_core::diagnostic::Finding;
use wrun_core::host::Host;
use wrun_core::problem::Problem;

use crate::files;
use crate::spec::VirtualPackage;

/// The names that are found on machines, with the variables that stand in for them.
const FOUND: &[&str] = &[
    "win",
    "osx",
    "linux",
    "glibc",
    "cuda",
    "cuda_arch",
    "amdgpu",
    "amdgpu_arch",
    "archspec",
];

/// Those of them whose variable holds a version and nothing else.
const VERSIONED: &[&str] = &["win", "osx", "linux", "glibc", "cuda"];

/// Where the driver of NVIDIA shows itself; asking its library takes a while, also where there is none.
const NVIDIA: &[&str] = &["/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg"];

/// Where the driver of AMD shows itself.
const AMD: &[&str] = &["/dev/kfd", "/dev/dxg"];

/// The file that the processor is kept in.
const PROCESSOR: &str = "processor";

/// The virtual packages of a spec, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Virtual(pub(crate) Vec<GenericVirtualPackage>);

impl Virtual {
    /// As part of a key: everything that a solve may see.
    pub(crate) fn canon(&self) -> Canon {
        Canon::list(self.0.iter().map(|package| Canon::text(package.to_string())))
    }
}

/// The name without the underscores in front of it.
fn bare(name: &str) -> &str {
    name.trim_start_matches('_')
}

/// Findings about what a spec says of virtual packages.
pub(crate) fn check(written: &BTreeMap<String, VirtualPackage>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, package) in written {
        let at = format!("/virtual-packages/{}", wrun_core::diagnostic::pointer_token(name));
        let wrong = |message: String| {
            Finding::error("conda.virtual-package.syntax", &at, message)
                .with_help("write its version, for instance `cuda = \"12.4\"`, or `cuda = false`")
        };
        if PackageName::from_str(&format!("__{}", bare(name))).is_err() || bare(name).is_empty() {
            findings.push(wrong(format!("`{name}` is not the name of a virtual package")));
        }
        match package {
            VirtualPackage::Shown(true) => {
                findings.push(wrong(format!(
                    "`{name} = true` says nothing: those of the machine are seen anyway"
                )));
            }
            VirtualPackage::Shown(false) => {}
            VirtualPackage::Version(version) if bare(name) == "archspec" && !version.is_empty() => {}
            VirtualPackage::Version(version) => {
                if let Err(error) = Version::from_str(version) {
                    findings.push(wrong(format!("`{version}` is not a version: {error}")));
                }
            }
        }
    }
    findings
}

/// What a solve for a platform may see. `written` comes before the caller's `CONDA_OVERRIDE_…`, and those before what is
/// found.
pub(crate) async fn find(
    host: &dyn Host,
    platform: Subdir,
    written: &BTreeMap<String, VirtualPackage>,
) -> Result<Virtual, Problem> {
    let mut overrides = VirtualPackageOverrides::default();
    for name in FOUND {
        let of_spec = written
            .iter()
            .find(|(key, _)| bare(key) == *name)
            .map(|(_, package)| text(package));
        let told = match of_spec {
            Some(told) => Some(told),
            None => of_caller(host, name)?,
        };
        let told = told.or_else(|| (!may_have(name)).then(String::new));
        let told = told.map(Override::String);
        match *name {
            "win" => overrides.win = told,
            "osx" => overrides.osx = told,
            "linux" => overrides.linux = told,
            "glibc" => overrides.libc = told,
            "cuda" => overrides.cuda = told,
            "cuda_arch" => overrides.cuda_arch = told,
            "amdgpu" => overrides.amdgpu = told,
            "amdgpu_arch" => overrides.amdgpu_arch = told,
            _ => overrides.archspec = told,
        }
    }
    let cache = host.downloads("conda")?;
    let own = Subdir::current() == Some(platform);
    let mut processor = None;
    if own && overrides.archspec.is_none() {
        processor = kept_processor(&cache);
        if processor.is_some() {
            overrides.archspec = Some(Override::String(String::new()));
        }
    }
    let found_out = own && overrides.archspec.is_none();
    // What is left for a warm start is a question to the kernel; a thread of its own would take longer than that.
    let asks_hardware = found_out || (own && (overrides.cuda.is_none() || overrides.amdgpu.is_none()));
    let cache_of_library = cache.clone();
    let detect = move || VirtualPackages::detect_for_platform(platform, &overrides, Some(&cache_of_library));
    let detected = if asks_hardware {
        tokio::task::spawn_blocking(detect)
            .await
            .map_err(|error| Problem::failed("conda.virtual-package.failed", error.to_string()))?
    } else {
        detect()
    };
    let detected = detected.map_err(|error| {
        Problem::failed(
            "conda.virtual-package.failed",
            format!("what this machine offers to packages cannot be found out: {error}"),
        )
    })?;
    let mut packages: Vec<GenericVirtualPackage> = detected
        .into_generic_virtual_packages()
        .map(without_patch_level)
        .chain(processor)
        .collect();
    if found_out
        && let Some(package) = packages
            .iter()
            .find(|package| package.name.as_normalized() == "__archspec")
    {
        keep_processor(&cache, package);
    }
    for (name, package) in written.iter().filter(|(name, _)| !FOUND.contains(&bare(name))) {
        let name = format!("__{}", bare(name));
        packages.retain(|known| known.name.as_normalized() != name);
        if let VirtualPackage::Version(version) = package {
            packages.extend(made_up(&name, version));
        }
    }
    packages.sort();
    Ok(Virtual(packages))
}

/// What the caller's variable says of a virtual package.
fn of_caller(host: &dyn Host, name: &str) -> Result<Option<String>, Problem> {
    let variable = format!("CONDA_OVERRIDE_{}", name.to_ascii_uppercase());
    let Some(told) = host.variable(&variable) else {
        return Ok(None);
    };
    match Version::from_str(&told) {
        Err(error) if VERSIONED.contains(&name) && !told.is_empty() => Err(Problem::Failed {
            code: "conda.virtual-package.variable".to_owned(),
            message: format!("`{variable}` is `{told}`, which is not a version: {error}"),
            help: Some(
                "set it to a version, for instance `12.4`, to nothing for none, or not at all".to_owned(),
            ),
        }),
        _ => Ok(Some(told)),
    }
}

/// The kernel's version without its patch level: it changes with every update of the system, and no published package
/// asks for one.
fn without_patch_level(mut package: GenericVirtualPackage) -> GenericVirtualPackage {
    if package.name.as_normalized() == "__linux"
        && let Some((major, minor)) = package.version.as_major_minor()
        && let Ok(version) = Version::from_str(&format!("{major}.{minor}"))
    {
        package.version = version;
    }
    package
}

fn made_up(name: &str, version: &str) -> Option<GenericVirtualPackage> {
    serde_json::from_value(serde_json::Value::String(format!("{name}={version}=0"))).ok()
}

/// A version, or nothing for what is hidden.
fn text(package: &VirtualPackage) -> String {
    match package {
        VirtualPackage::Version(version) => version.clone(),
        VirtualPackage::Shown(_) => String::new(),
    }
}

/// Whether a kind of graphics processor may be there at all.
fn may_have(name: &str) -> bool {
    let shown_at: &[&str] = match name {
        "cuda" | "cuda_arch" => NVIDIA,
        "amdgpu" | "amdgpu_arch" => AMD,
        _ => return true,
    };
    shown_at.iter().any(|path| Path::new(path).exists())
}

/// The processor's microarchitecture, out of a file that holds until the machine is started again: to find it out takes
/// longer than everything else that a warm start does here.
fn kept_processor(cache: &Path) -> Option<GenericVirtualPackage> {
    let boot = files::start_of_the_machine()?;
    let kept = files::small_text(&cache.join(PROCESSOR))?;
    let (of_boot, package) = kept.split_once('\n')?;
    if of_boot != boot {
        return None;
    }
    serde_json::from_str(package).ok()
}

/// Keeps what was found out. Whoever reads half a file finds it out again.
fn keep_processor(cache: &Path, package: &GenericVirtualPackage) {
    let kept = files::start_of_the_machine().and_then(|boot| {
        let package = serde_json::to_string(package).ok()?;
        files::write(&cache.join(PROCESSOR), format!("{boot}\n{package}").as_bytes()).ok()
    });
    if kept.is_none() {
        tracing::debug!("the processor is found out each time");
    }
}
