//! What an image is built from, as part of a key.

use wrun_core::backend::{InputKind, InputRequest, Inputs};
use wrun_core::canon::Canon;
use wrun_core::problem::Problem;

use crate::spec::ContainerSpec;

/// The request under which the digest of a build's folder is kept.
pub(crate) fn context_request(context: &str) -> InputRequest {
    InputRequest {
        path: format!("{context}#context"),
        kind: InputKind::Digest,
    }
}

/// The request of the Containerfile.
pub(crate) fn file_request(file: &str) -> InputRequest {
    InputRequest {
        path: file.to_owned(),
        kind: InputKind::Text,
    }
}

/// The build of a spec.
pub(crate) fn canon(
    spec: &ContainerSpec,
    file: &str,
    context: &str,
    inputs: &Inputs,
) -> Result<Canon, Problem> {
    let digest = |request: &InputRequest| {
        let found = inputs.get(request).and_then(wrun_core::backend::Input::digest);
        found
            .map(|digest| Canon::text(digest.to_string()))
            .ok_or_else(|| {
                Problem::failed(
                    "container.input.unread",
                    format!("`{}` was not read", request.path),
                )
            })
    };
    Ok(Canon::fields([
        (
            "args",
            Some(Canon::map(
                spec.args.iter().map(|(name, value)| (name, Canon::text(value))),
            )),
        ),
        ("builder", spec.builder.map(|builder| Canon::text(builder.word()))),
        ("containerfile", Some(digest(&file_request(file))?)),
        ("context", Some(digest(&context_request(context))?)),
        ("target", spec.target.as_ref().map(Canon::text)),
    ]))
}
