//! Images that an installed builder makes of a Containerfile.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use wrun_core::host::{BuilderRun, BuilderSecret, Host, ImageBuilder};
use wrun_core::id::Digest;
use wrun_core::problem::Problem;
use wrun_core::tool::{ToolFound, ToolKind, ToolRequest};

use crate::context::Ignored;
use crate::lock::{Archive, ArchiveKind};
use crate::source::blocking;
use crate::spec::Builder;
use crate::understand::Understood;

/// The builders, the one that needs least first.
const BUILDERS: &[Builder] = &[Builder::Buildah, Builder::Podman, Builder::Docker];

/// The variable that a builder finds a secret in, by its place in the list.
fn secret_variable(at: usize) -> String {
    format!("WRUN_SECRET_{at}")
}

/// The build of a spec.
pub(crate) struct Build<'a> {
    pub(crate) understood: &'a Understood,
    /// The Containerfile.
    pub(crate) file: PathBuf,
    /// The folder that it can copy from.
    pub(crate) context: PathBuf,
}

impl Build<'_> {
    /// Builds the image and keeps it in the store as an archive.
    pub(crate) async fn run(&self, host: &dyn Host) -> Result<Archive, Problem> {
        let ignored = self.ignored().await?;
        let (builder, tool) = self.find(host, &ignored).await?;
        let image_builder = ImageBuilder {
            kind: builder.kind(),
            program: tool.path.clone(),
        };
        let build = host.begin_build(&image_builder).await?;
        let archive = self
            .run_named(host, builder, &tool, &ignored, build.name())
            .await?;
        build.finish();
        Ok(archive)
    }

    async fn run_named(
        &self,
        host: &dyn Host,
        builder: Builder,
        tool: &ToolFound,
        ignored: &Ignored,
        name: &str,
    ) -> Result<Archive, Problem> {
        let scratch = host.scratch("build an image")?;
        let (id_file, archive) = (scratch.path().join("id"), scratch.path().join("image.tar"));
        let label = format!("build {}", self.understood.shown());
        let secrets = self.understood.spec.secrets.iter().enumerate();
        let run = BuilderRun {
            label,
            program: tool.path.clone(),
            args: self.build_arguments(builder, ignored, &id_file, name),
            variables: self.build_variables(builder),
            secrets: secrets
                .map(|(at, name)| BuilderSecret {
                    variable: secret_variable(at),
                    credential: name.clone(),
                })
                .collect(),
            folder: self.context.clone(),
        };
        host.run_builder(&run)
            .await
            .map_err(|problem| self.without_build_kit(builder, problem))?;
        let id = {
            let id_file = id_file.clone();
            blocking(move || crate::files::text(&id_file)).await?
        };
        let id = id.map_err(|error| {
            Problem::failed(
                "container.build.id",
                format!("`{}` did not say what it built: {error}", builder.word()),
            )
        })?;
        let save = save_arguments(builder, id.trim(), &archive);
        self.call(host, tool, "take the image out of the builder", save)
            .await?;
        let digest = host.keep(&archive).await?;
        // It is in the store, and the builder need not keep it.
        let remove = vec!["rmi".into(), name.into()];
        let removed = self
            .call(host, tool, "remove the image from the builder", remove)
            .await;
        if let Err(Problem::Cancelled) = removed {
            return Err(Problem::Cancelled);
        }
        Ok(Archive {
            kind: match builder {
                Builder::Buildah | Builder::Podman => ArchiveKind::Oci,
                Builder::Docker => ArchiveKind::Docker,
            },
            digest,
        })
    }

    async fn call(
        &self,
        host: &dyn Host,
        tool: &ToolFound,
        label: &str,
        args: Vec<OsString>,
    ) -> Result<(), Problem> {
        host.run_builder(&BuilderRun {
            label: label.to_owned(),
            program: tool.path.clone(),
            args,
            variables: Vec::new(),
            secrets: Vec::new(),
            folder: self.context.clone(),
        })
        .await
    }

    /// The digest of the folder, for the key.
    pub(crate) async fn context_digest(&self, host: &dyn Host) -> Result<Digest, Problem> {
        let ignored = self.ignored().await?;
        let counts = Box::new(move |path: &Path| ignored.counts(path));
        host.tree_digest(&self.context, counts)
            .await
            .map_err(|problem| match problem {
                Problem::Failed { message, .. } => unreadable(&self.context, &message),
                other => other,
            })
    }

    async fn ignored(&self) -> Result<Ignored, Problem> {
        let for_docker = self.understood.spec.builder == Some(Builder::Docker);
        let (context, file) = (self.context.clone(), self.file.clone());
        let ignored = blocking(move || Ignored::read(&context, &file, for_docker)).await?;
        ignored.map_err(|error| unreadable(&self.context, &error.to_string()))
    }

    /// The builder that is asked for, or the first that is installed.
    async fn find(&self, host: &dyn Host, ignored: &Ignored) -> Result<(Builder, ToolFound), Problem> {
        let asked = self.understood.spec.builder;
        let mut passed_over = Vec::new();
        for builder in BUILDERS
            .iter()
            .copied()
            .filter(|builder| asked.is_none_or(|asked| asked == *builder))
        {
            if builder == Builder::Docker
                && asked.is_none()
                && let Some(path) = &ignored.not_for_docker
            {
                passed_over.push(format!("`docker` does not read `{}`", path.display()));
                continue;
            }
            let request = ToolRequest {
                id: builder.word().to_owned(),
                kind: ToolKind::Program {
                    names: vec![builder.word().to_owned()],
                    folders: Vec::new(),
                    version_args: vec!["--version".to_owned()],
                    minimum: None,
                    wheel: None,
                },
            };
            match host.find_tool(&request, &[]).await {
                Ok(tool) => return Ok((builder, tool)),
                Err(Problem::Cancelled) => return Err(Problem::Cancelled),
                Err(problem) => passed_over.push(problem.to_string()),
            }
        }
        Err(Problem::Failed {
            code: "container.builder.missing".to_owned(),
            message: format!(
                "there is nothing to build an image with: {}",
                passed_over.join("; ")
            ),
            help: Some(
                "install `buildah`, `podman` or `docker`, or name an image that is built already".to_owned(),
            ),
        })
    }

    /// docker before version 23 has to be told to build with what knows secrets.
    fn build_variables(&self, builder: Builder) -> Vec<(String, String)> {
        if builder == Builder::Docker && !self.understood.spec.secrets.is_empty() {
            vec![("DOCKER_BUILDKIT".to_owned(), "1".to_owned())]
        } else {
            Vec::new()
        }
    }

    /// Says of a build that docker refused for want of `BuildKit` that this is why.
    fn without_build_kit(&self, builder: Builder, problem: Problem) -> Problem {
        const SAID: &[&str] = &[
            "unknown flag: --secret",
            "option requires BuildKit",
            "buildx component is missing",
        ];
        let is_why = builder == Builder::Docker
            && !self.understood.spec.secrets.is_empty()
            && SAID.iter().any(|words| problem.to_string().contains(words));
        if !is_why {
            return problem;
        }
        Problem::Unsupported {
            code: "container.builder.secrets".to_owned(),
            message: "the steps of a build read `secrets` with docker's BuildKit, and this docker has none"
                .to_owned(),
            help: Some(
                "install docker's `buildx` component, or build with `builder = \"buildah\"` or `\"podman\"`"
                    .to_owned(),
            ),
        }
    }

    fn build_arguments(
        &self,
        builder: Builder,
        ignored: &Ignored,
        id_file: &Path,
        name: &str,
    ) -> Vec<OsString> {
        let spec = &self.understood.spec;
        let mut args: Vec<OsString> = vec!["build".into()];
        let mut option = |name: &str, value: OsString| {
            args.push(name.into());
            args.push(value);
        };
        option("--file", self.file.clone().into());
        option("--iidfile", id_file.into());
        option("--tag", name.into());
        option("--platform", self.understood.platform.to_string().into());
        if let Some(target) = &spec.target {
            option("--target", target.into());
        }
        for (name, value) in &spec.args {
            option("--build-arg", format!("{name}={value}").into());
        }
        for (at, name) in spec.secrets.iter().enumerate() {
            option(
                "--secret",
                format!("id={name},env={}", secret_variable(at)).into(),
            );
        }
        match builder {
            Builder::Buildah | Builder::Podman => {
                // Without a runtime of its own, and the same bytes each time where the steps allow it.
                option("--isolation", "chroot".into());
                option("--format", "oci".into());
                option("--timestamp", "0".into());
                // All that is kept of a container that steps run in and that a caller can choose. Steps that are isolated by
                // `chroot` have no use of it, and the host finds by it what a build has left.
                option("--cgroup-parent", name.into());
                if let Some(path) = &ignored.not_for_docker {
                    option("--ignorefile", path.into());
                }
            }
            Builder::Docker => {}
        }
        if builder == Builder::Podman {
            // As buildah does it, without an image of each step, which has no name to find it by.
            args.push("--layers=false".into());
        }
        args.push(self.context.clone().into());
        args
    }
}

/// The arguments that take an image out of a builder's own store.
fn save_arguments(builder: Builder, id: &str, archive: &Path) -> Vec<OsString> {
    let to = |prefix: &str| {
        let mut word = OsString::from(prefix);
        word.push(archive);
        word
    };
    match builder {
        Builder::Buildah => vec!["push".into(), id.into(), to("oci-archive:")],
        Builder::Podman => vec![
            "save".into(),
            "--format".into(),
            "oci-archive".into(),
            "--output".into(),
            to(""),
            id.into(),
        ],
        Builder::Docker => vec!["save".into(), "--output".into(), to(""), id.into()],
    }
}

fn unreadable(context: &Path, reason: &str) -> Problem {
    Problem::Failed {
        code: "container.context.unreadable".to_owned(),
        message: format!(
            "the folder of the build `{}` cannot be read: {reason}",
            context.display()
        ),
        help: Some("correct `context`, or leave out with `.containerignore` what cannot be read".to_owned()),
    }
}
