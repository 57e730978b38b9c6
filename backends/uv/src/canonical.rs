//! What a spec means, for its key.

use wrun_backend_python::markers;
use wrun_backend_python::source;
use wrun_backend_python::spec::{normalised_name, variables_canon};
use wrun_core::backend::{Canonical, Input, InputRequest, Inputs, Request};
use wrun_core::canon::Canon;
use wrun_core::diagnostic::Finding;
use wrun_core::problem::Problem;

use crate::UV;
use crate::project::Project;
use crate::script::Script;
use crate::spec::UvSpec;
use crate::understand::{Family, Understood};

/// Raised whenever the same spec may get other canonical bytes.
pub(crate) const REVISION: u32 = 1;

/// The canonical form of a request.
pub(crate) fn canonicalize(request: &Request) -> Result<Canonical, Problem> {
    let understood = Understood::of(request)?;
    let python = understood.python();
    let prerelease = understood.prerelease();
    let Understood {
        spec,
        family,
        gathered,
        exclude_newer,
        warnings,
    } = understood;
    let UvSpec {
        packages: _,
        requirements: _,
        constraints: _,
        overrides: _,
        project: _,
        extras,
        groups,
        script: _,
        python: _,
        indexes: _,
        find_links: _,
        exclude_newer: _,
        no_build: _,
        build_network,
        prerelease: _,
        require_hashes: _,
        variables,
    } = &spec;
    let names = |names: &[String]| Canon::set(names.iter().map(|name| Canon::text(normalised_name(name))));
    let refers_to_indexes = !matches!(family, Family::Packages);
    let mut fields = gathered.canon(&request.inputs, refers_to_indexes)?;
    fields.extend([
        ("build_network", build_network.then_some(Canon::Bool(true))),
        ("backend", Some(Canon::text(UV))),
        ("exclude_newer", exclude_newer.map(Canon::text)),
        ("extras", Some(names(extras))),
        ("groups", Some(names(groups))),
        ("interpreter", Some(markers::canon(request)?)),
        (
            "prerelease",
            prerelease.map(|prerelease| Canon::text(prerelease.word())),
        ),
        ("python", python.map(Canon::text)),
        ("revision", Some(Canon::integer(i64::from(REVISION)))),
        ("variables", Some(variables_canon(variables))),
    ]);
    match &family {
        Family::Packages => {}
        Family::Project(project) => fields.push(("project", Some(project_canon(project, &request.inputs)?))),
        Family::Script(script) => fields.push(("script", Some(script_canon(script, &request.inputs)?))),
    }
    Ok(Canonical {
        form: Canon::fields(fields),
        warnings,
    })
}

/// A project is its files and the folders that it is built from, by digest.
fn project_canon(project: &Project, inputs: &Inputs) -> Result<Canon, Problem> {
    let Project {
        folder,
        files: _,
        locked: _,
        sources: _,
        requires_python: _,
        needs,
    } = project;
    Ok(Canon::map([
        ("files", digests(needs.iter(), inputs)?),
        ("folder", Canon::text(folder)),
    ]))
}

/// A script is its metadata and the folders that this refers to; what the script does is not part of a key.
fn script_canon(script: &Script, inputs: &Inputs) -> Result<Canon, Problem> {
    let Script {
        path,
        block: _,
        metadata,
        lock,
        sources,
        needs: _,
    } = script;
    let metadata = serde_json::to_value(metadata)
        .ok()
        .and_then(|value| Canon::from_json(&value).ok())
        .ok_or_else(|| {
            let message = format!("the block `# /// script` of `{path}` holds a number with a fraction");
            Problem::invalid(
                Finding::error("uv.script.number", "/script", message).with_help("write it as text"),
            )
        })?;
    let sources: Vec<InputRequest> = sources.iter().map(|path| source::request(path)).collect();
    Ok(Canon::fields([
        ("lock", lock.as_ref().map(Canon::text)),
        ("metadata", Some(metadata)),
        ("sources", Some(digests(sources.iter(), inputs)?)),
    ]))
}

fn digests<'needs>(
    needs: impl Iterator<Item = &'needs InputRequest>,
    inputs: &Inputs,
) -> Result<Canon, Problem> {
    let mut known = Vec::new();
    for request in needs {
        match inputs.get(request) {
            Some(Input::Absent) => {}
            Some(input) => known.push((
                &request.path,
                input.digest().map(|digest| Canon::text(digest.to_string())),
            )),
            None => return Err(source::unread(&request.path)),
        }
    }
    Ok(Canon::fields(known))
}
