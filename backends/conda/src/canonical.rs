//! The canonical form of a spec: what is hashed.

use wrun_backend_python::index;
use wrun_core::backend::Inputs;
use wrun_core::canon::Canon;
use wrun_core::problem::Problem;

use crate::existing::Existing;
use crate::explicit::ExplicitPackage;
use crate::spec::{CondaSpec, Priority};
use crate::understand::{Source, Understood};
use crate::virtual_packages::Virtual;

/// Raised whenever the same spec may get other canonical bytes.
pub(crate) const REVISION: u32 = 1;

/// The canonical form. `pip_inputs` are the files that lines for pip refer to.
pub(crate) fn canonicalize(
    understood: &Understood,
    virtual_packages: &Virtual,
    existing: Option<&Existing>,
    pip_inputs: &Inputs,
) -> Result<Canon, Problem> {
    let Understood {
        spec,
        source,
        channels,
        platform,
        exclude_newer,
        pip,
        pip_folder: _,
        variables,
        needs: _,
        pip_places: _,
        warnings: _,
    } = understood;
    let CondaSpec {
        packages: _,
        file: _,
        explicit: _,
        existing: _,
        channels: _,
        channel_priority,
        exclude_newer: _,
        platform: _,
        virtual_packages: _,
        link_scripts,
        pip: _,
        indexes,
    } = spec;
    let variables = Canon::map(variables.iter().map(|(name, value)| (name, Canon::text(value))));
    let link_scripts = link_scripts.then_some(Canon::Bool(true));
    let platform = Some(Canon::text(platform.as_str()));
    Ok(match source {
        Source::Existing(_) => Canon::fields([("existing", existing.map(Existing::canon))]),
        Source::Explicit(file) => Canon::fields([
            (
                "explicit",
                Some(Canon::list(file.packages.iter().map(ExplicitPackage::canon))),
            ),
            ("link_scripts", link_scripts),
            ("platform", platform),
        ]),
        Source::Solved(specs) => {
            let packages = specs.iter().map(|spec| {
                spec.to_canonical_string().map(Canon::text).map_err(|error| {
                    Problem::invalid(wrun_core::diagnostic::Finding::error(
                        "conda.package.syntax",
                        "/packages",
                        format!("`{spec}` has no canonical form: {error}"),
                    ))
                })
            });
            let indexes = index::check(indexes).0;
            let has_pip = !pip.is_empty();
            Canon::fields([
                ("channels", Some(channels.canon())),
                ("uploaded_before", exclude_newer.as_ref().map(Canon::text)),
                (
                    "indexes",
                    has_pip.then(|| Canon::list(indexes.iter().map(|index| index.canon(false)))),
                ),
                ("link_scripts", link_scripts),
                (
                    "packages",
                    Some(Canon::set(packages.collect::<Result<Vec<_>, _>>()?)),
                ),
                (
                    "pip",
                    Some(Canon::list(pip.iter().map(|line| Canon::text(line.trim())))),
                ),
                ("pip_files", Some(files(pip_inputs))),
                ("platform", platform),
                (
                    "priority",
                    (*channel_priority != Priority::Strict).then(|| Canon::text(channel_priority.word())),
                ),
                ("variables", Some(variables)),
                ("virtual_packages", Some(virtual_packages.canon())),
            ])
        }
    })
}

/// Files by digest.
fn files(inputs: &Inputs) -> Canon {
    Canon::map(
        inputs
            .iter()
            .filter_map(|(request, input)| Some((&request.path, Canon::text(input.digest()?.to_string())))),
    )
}
