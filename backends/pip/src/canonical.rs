//! What a spec means, for its key.

use wrun_backend_python::markers;
use wrun_backend_python::spec::variables_canon;
use wrun_core::backend::{Canonical, Request};
use wrun_core::canon::Canon;
use wrun_core::problem::Problem;

use crate::PIP;
use crate::spec::PipSpec;
use crate::understand::Understood;

/// Raised whenever the same spec may get other canonical bytes.
pub(crate) const REVISION: u32 = 1;

/// The canonical form of a request.
pub(crate) fn canonicalize(request: &Request) -> Result<Canonical, Problem> {
    let understood = Understood::of(request)?;
    let prerelease = understood.prerelease();
    let Understood {
        spec,
        gathered,
        exclude_newer,
        keeps_network: _,
        warnings,
    } = understood;
    let PipSpec {
        packages: _,
        requirements: _,
        constraints: _,
        python,
        indexes: _,
        find_links: _,
        exclude_newer: _,
        no_build: _,
        build_network,
        prerelease: _,
        require_hashes: _,
        variables,
    } = &spec;
    let mut fields = gathered.canon(&request.inputs, false)?;
    fields.extend([
        ("build_network", build_network.then_some(Canon::Bool(true))),
        ("backend", Some(Canon::text(PIP))),
        ("exclude_newer", exclude_newer.map(Canon::text)),
        ("interpreter", Some(markers::canon(request)?)),
        ("prerelease", prerelease.then(|| Canon::text("allow"))),
        ("python", python.as_deref().map(|text| Canon::text(text.trim()))),
        ("revision", Some(Canon::integer(i64::from(REVISION)))),
        ("variables", Some(variables_canon(variables))),
    ]);
    Ok(Canonical {
        form: Canon::fields(fields),
        warnings,
    })
}
