//! A spec that was understood, with all that is wrong with it.

use serde_json::Value;
use wrun_backend_python::spec as parts;
use wrun_core::backend::InputRequest;
use wrun_core::diagnostic::Finding;
use wrun_core::platform::Platform;
use wrun_core::problem::Problem;

use crate::platform::ImagePlatform;
use crate::reference::{self, Reference, RegistryReference, Which};
use crate::spec::{ContainerSpec, KEYS};

/// What a part of a spec has to be.
const REFERENCE_HELP: &str = "write `python:3.12`, `registry.example/team/app@sha256:…`, `oci:FOLDER`, `oci-archive:FILE` or `docker-archive:FILE`";

/// Where the image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// It is there.
    Image(Reference),
    /// It is built from this Containerfile, with this folder.
    Build {
        /// The Containerfile, relative to the task's folder.
        file: String,
        /// The folder of the build.
        context: String,
    },
}

/// A registry that is asked before the image's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mirror {
    /// A host and perhaps a port.
    pub(crate) registry: String,
    /// What comes before the names of repositories; empty, or with a slash at its end.
    pub(crate) prefix: String,
}

/// A spec that was understood.
#[derive(Debug, Clone)]
pub(crate) struct Understood {
    /// As written.
    pub(crate) spec: ContainerSpec,
    /// Where the image comes from.
    pub(crate) source: Source,
    /// The platform that is wanted.
    pub(crate) platform: ImagePlatform,
    /// Registries that are asked first.
    pub(crate) mirrors: Vec<Mirror>,
    /// Findings that do not stop the build.
    pub(crate) warnings: Vec<Finding>,
}

impl Understood {
    /// Reads a spec.
    ///
    /// # Errors
    /// It is wrong.
    pub(crate) fn read(spec: &Value, machine: &Platform) -> Result<Self, Problem> {
        let (spec, form): (ContainerSpec, _) = parts::read("container", spec, KEYS)?;
        let mut findings = conflicts(&spec);
        let source = source(&spec, &mut findings);
        // What is written in a wrong way is not missing.
        if !form.is_empty() && spec.image.is_none() && spec.build.is_none() {
            findings.clear();
        }
        findings.extend(form);
        if !matches!(source, None | Some(Source::Image(Reference::Registry(_)))) {
            findings.extend(of_registries(&spec));
        }
        let platform = match spec.platform.as_deref().map(ImagePlatform::parse) {
            None => ImagePlatform::of(machine),
            Some(Ok(platform)) => platform,
            Some(Err(reason)) => {
                findings.push(
                    Finding::error("container.platform.syntax", "/platform", reason)
                        .with_help("write it as `linux/amd64` or `linux/arm/v7`"),
                );
                ImagePlatform::of(machine)
            }
        };
        if let Some(folder) = &spec.working_dir
            && (!folder.starts_with('/')
                || folder.split('/').any(|part| part == "..")
                || folder.contains('\0'))
        {
            findings.push(
                Finding::error(
                    "container.working-dir.syntax",
                    "/working-dir",
                    format!("`{folder}` is not an absolute path of the image"),
                )
                .with_help("write a path such as `/srv`, without `..`"),
            );
        }
        if spec.entrypoint.as_ref().is_some_and(|words| {
            words.first().is_some_and(String::is_empty) || words.iter().any(|word| word.contains('\0'))
        }) {
            findings.push(Finding::error(
                "container.entrypoint.syntax",
                "/entrypoint",
                "the entrypoint is no program with arguments",
            ));
        }
        if let Some(user) = &spec.user
            && let Err(reason) = crate::user::check(user)
        {
            findings.push(
                Finding::error("container.user.syntax", "/user", reason)
                    .with_help("write `1000`, `1000:1000` or a name of the image's `/etc/passwd`"),
            );
        }
        if let Some(name) = &spec.credentials
            && !is_credential(name)
        {
            findings.push(
                Finding::error(
                    "container.credentials.syntax",
                    "/credentials",
                    "the name of a credential has letters, digits, `-`, `_` and `.` only",
                )
                .with_help(
                    "name one such as `corp`, for `WRUN_INDEX_CORP_USERNAME` and `WRUN_INDEX_CORP_PASSWORD`",
                ),
            );
        }
        for (at, name) in spec.secrets.iter().enumerate() {
            if !is_credential(name) {
                findings.push(
                    Finding::error(
                        "container.secret.syntax",
                        format!("/secrets/{at}"),
                        "the name of a secret has letters, digits, `-`, `_` and `.` only",
                    )
                    .with_help("name a credential, such as `corp` for `WRUN_INDEX_CORP_PASSWORD`"),
                );
            }
        }
        let mirrors = mirrors(&spec, &mut findings);
        let (Some(source), warnings) = (source, parts::verdict(findings)?) else {
            return Err(Problem::invalid(nothing()));
        };
        Ok(Self {
            spec,
            source,
            platform,
            mirrors,
            warnings,
        })
    }

    /// What has to be read of the task's folder.
    pub(crate) fn inputs(&self) -> Vec<InputRequest> {
        match &self.source {
            Source::Image(_) => Vec::new(),
            Source::Build { file, .. } => vec![crate::build_spec::file_request(file)],
        }
    }

    /// The image of a registry, if it comes from one.
    pub(crate) const fn registry(&self) -> Option<&RegistryReference> {
        match &self.source {
            Source::Image(Reference::Registry(reference)) => Some(reference),
            _ => None,
        }
    }

    /// The image's name for people.
    pub(crate) fn shown(&self) -> String {
        match &self.source {
            Source::Image(reference) => reference.to_string(),
            Source::Build { file, .. } => file.clone(),
        }
    }
}

/// Whether a name can be that of a credential, and so a part of the name of a variable.
fn is_credential(name: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    !name.is_empty() && name.chars().all(is_plain)
}

fn nothing() -> Finding {
    Finding::error(
        "container.image.missing",
        "",
        "there is neither an `image` nor a `build`",
    )
    .with_help(REFERENCE_HELP)
}

fn source(spec: &ContainerSpec, findings: &mut Vec<Finding>) -> Option<Source> {
    if let Some(image) = &spec.image {
        return match Reference::parse(image) {
            Ok(reference) => Some(Source::Image(reference)),
            Err(reason) => {
                findings.push(
                    Finding::error(
                        "container.image.syntax",
                        "/image",
                        format!(
                            "`{}` is not the name of an image: {reason}",
                            without_secret(image)
                        ),
                    )
                    .with_help(REFERENCE_HELP),
                );
                None
            }
        };
    }
    if let Some(file) = &spec.build {
        if file.is_empty() {
            findings.push(Finding::error(
                "container.build.path",
                "/build",
                "the path of the Containerfile is empty",
            ));
            return None;
        }
        let context = spec.context.clone().unwrap_or_else(|| {
            let above = file.rsplit_once('/').map(|(above, _)| above);
            match above {
                Some("") => "/".to_owned(),
                Some(above) => above.to_owned(),
                None => ".".to_owned(),
            }
        });
        return Some(Source::Build {
            file: file.clone(),
            context,
        });
    }
    findings.push(nothing());
    None
}

/// A name without what may be a password in it.
fn without_secret(image: &str) -> String {
    match image.split_once('@') {
        Some((before, after)) if before.contains(':') && after.contains('/') => format!("***@{after}"),
        _ => image.to_owned(),
    }
}

/// Keys that do not go together.
fn conflicts(spec: &ContainerSpec) -> Vec<Finding> {
    let ContainerSpec {
        image,
        build,
        context,
        target,
        args,
        secrets,
        builder,
        engine: _,
        platform: _,
        working_dir: _,
        entrypoint: _,
        user: _,
        credentials: _,
        mirrors: _,
    } = spec;
    let mut findings = Vec::new();
    let together = |one: &str, other: &str| {
        Finding::error(
            "container.spec.conflict",
            format!("/{other}"),
            format!("`{other}` does not go with `{one}`"),
        )
        .with_help("remove one of the two")
    };
    if image.is_some() && build.is_some() {
        findings.push(together("image", "build"));
    }
    if build.is_none() {
        for (key, is_there) in [
            ("context", context.is_some()),
            ("target", target.is_some()),
            ("args", !args.is_empty()),
            ("secrets", !secrets.is_empty()),
            ("builder", builder.is_some()),
        ] {
            if is_there {
                findings.push(
                    Finding::error(
                        "container.spec.conflict",
                        format!("/{key}"),
                        format!("`{key}` goes with `build` only"),
                    )
                    .with_help("remove it"),
                );
            }
        }
    }
    findings
}

/// Keys that mean nothing where no registry is asked.
fn of_registries(spec: &ContainerSpec) -> Vec<Finding> {
    let (source, help) = if spec.build.is_some() {
        (
            "`build`",
            "remove it; the builder has logins and mirrors of its own (`podman login`, `registries.conf`)",
        )
    } else {
        (
            "an image of this machine",
            "remove it, or name an image of a registry",
        )
    };
    [
        ("credentials", spec.credentials.is_some()),
        ("mirrors", !spec.mirrors.is_empty()),
    ]
    .into_iter()
    .filter(|(_, is_there)| *is_there)
    .map(|(key, _)| {
        Finding::error(
            "container.spec.conflict",
            format!("/{key}"),
            format!("`{key}` is for images of registries and has no meaning with {source}"),
        )
        .with_help(help)
    })
    .collect()
}

/// Mirrors as they are written: `host`, `host:port`, either with a path.
fn mirrors(spec: &ContainerSpec, findings: &mut Vec<Finding>) -> Vec<Mirror> {
    let mut mirrors = Vec::new();
    for (at, written) in spec.mirrors.iter().enumerate() {
        if let Some((scheme, rest)) = written.split_once("://") {
            // What comes before may be a password.
            let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
            findings.push(
                Finding::error(
                    "container.mirror.syntax",
                    format!("/mirrors/{at}"),
                    format!("`{scheme}://{rest}` is an address, and a mirror is named by its host alone"),
                )
                .with_help(format!(
                    "write `{}`; it is reached over TLS, and over plain HTTP only on loopback",
                    rest.trim_end_matches('/')
                )),
            );
            continue;
        }
        let written = written.trim_end_matches('/');
        let (registry, path) = written.split_once('/').unwrap_or((written, ""));
        let checked = reference::check_registry(registry).and_then(|()| {
            if path.is_empty() {
                Ok(())
            } else {
                reference::check_repository(path)
            }
        });
        match checked {
            Ok(()) => mirrors.push(Mirror {
                registry: registry.to_ascii_lowercase(),
                prefix: if path.is_empty() {
                    String::new()
                } else {
                    format!("{path}/")
                },
            }),
            Err(reason) => findings.push(
                Finding::error("container.mirror.syntax", format!("/mirrors/{at}"), reason)
                    .with_help("write a host such as `mirror.example`, with a port or a path if it has one"),
            ),
        }
    }
    mirrors
}

impl Understood {
    /// Whether the image is looked up by a tag, so that another one may be found another time.
    pub(crate) fn is_by_tag(&self) -> bool {
        matches!(
            self.registry(),
            Some(RegistryReference {
                which: Which::Tag(_),
                ..
            })
        )
    }
}
