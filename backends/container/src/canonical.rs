//! The canonical form of a spec: what is hashed.

use wrun_core::backend::{Input, InputKind, InputRequest, Inputs};
use wrun_core::canon::Canon;
use wrun_core::problem::Problem;

use crate::build_spec;
use crate::reference::{LocalReference, Reference, RegistryReference, Which};
use crate::spec::{ContainerSpec, EngineChoice};
use crate::understand::{Source, Understood};

/// Raised whenever the same spec may get other canonical bytes.
pub(crate) const REVISION: u32 = 2;

/// The canonical form. `inputs` are the files and folders that the spec refers to.
pub(crate) fn canonicalize(understood: &Understood, inputs: &Inputs) -> Result<Canon, Problem> {
    let Understood {
        spec,
        source,
        platform,
        mirrors,
        warnings: _,
    } = understood;
    let ContainerSpec {
        image: _,
        build: _,
        context: _,
        target: _,
        args: _,
        // What opens an index is not what is in it.
        secrets: _,
        builder: _,
        engine,
        platform: _,
        working_dir,
        entrypoint,
        user,
        // Whoever may read an image may read it again: what it is does not depend on who asks.
        credentials: _,
        mirrors: _,
    } = spec;
    let image = match source {
        Source::Image(Reference::Registry(reference)) => registry(reference),
        // A tar of a folder in OCI layout holds the same image as the folder.
        Source::Image(Reference::Layout(local) | Reference::LayoutArchive(local)) => {
            content("layout", local, inputs)?
        }
        Source::Image(Reference::DockerArchive(local)) => content("docker-archive", local, inputs)?,
        Source::Build { file, context } => build_spec::canon(spec, file, context, inputs)?,
    };
    // What a mirror says of a tag is what the lock holds; what it says of a digest is checked.
    let mirrors = understood.is_by_tag().then(|| {
        Canon::list(
            mirrors
                .iter()
                .map(|mirror| Canon::text(format!("{}/{}", mirror.registry, mirror.prefix))),
        )
    });
    Ok(Canon::fields([
        (
            "engine",
            (*engine != EngineChoice::Auto).then(|| Canon::text(engine.word())),
        ),
        (
            // An empty entrypoint is another than none.
            "entrypoint",
            entrypoint
                .as_ref()
                .map(|words| Canon::map([("words", Canon::list(words.iter().map(Canon::text)))])),
        ),
        ("image", Some(image)),
        ("mirrors", mirrors),
        ("platform", Some(Canon::text(platform.to_string()))),
        ("user", user.as_ref().map(Canon::text)),
        ("working_dir", working_dir.as_ref().map(Canon::text)),
    ]))
}

fn registry(reference: &RegistryReference) -> Canon {
    let which = match &reference.which {
        Which::Tag(tag) => ("tag", Canon::text(tag)),
        Which::Digest(digest) => ("digest", Canon::text(digest.to_string())),
    };
    Canon::map([("name", Canon::text(reference.name())), which])
}

/// The request under which what decides an image of this machine is kept; none for one of a registry.
pub(crate) fn local_request(reference: &Reference) -> Option<InputRequest> {
    match reference {
        Reference::Registry(_) => None,
        Reference::Layout(local) | Reference::LayoutArchive(local) | Reference::DockerArchive(local) => {
            Some(request(local))
        }
    }
}

fn request(local: &LocalReference) -> InputRequest {
    InputRequest {
        path: format!("{}#image", local.path),
        kind: InputKind::Digest,
    }
}

/// An image by what is in it: neither where it is matters nor by which name it was found there.
fn content(kind: &str, local: &LocalReference, inputs: &Inputs) -> Result<Canon, Problem> {
    let digest = inputs
        .get(&request(local))
        .and_then(Input::digest)
        .ok_or_else(|| Problem::failed("container.input.unread", format!("`{}` was not read", local.path)))?;
    Ok(Canon::map([(kind, Canon::text(digest.to_string()))]))
}
