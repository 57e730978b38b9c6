//! From a lock to an environment: layers as folders of the store, and a record of the image.

use std::path::Path;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use rustix::process::geteuid;
use wrun_core::backend::Slot;
use wrun_core::diagnostic::Finding;
use wrun_core::host::Host;
use wrun_core::id::Digest;
use wrun_core::image::{Engine, Image, ImageConfig, ImageSource, ImageUser};
use wrun_core::plan::{Action, InstallPlan, Place, Step};
use wrun_core::problem::Problem;

use crate::documents::Packing;
use crate::explain;
use crate::files;
use crate::layers;
use crate::lock::{Content, Files, Layer, Locked};
use crate::reference::Reference;
use crate::registry::Registry;
use crate::source::{self, Origin, blocking};
use crate::understand::{Source, Understood};
use crate::user;

/// Raised whenever the same lock may be built into another tree.
pub(crate) const REVISION: u32 = 1;

/// The record of the image, in the environment.
pub(crate) const RECORD: &str = "image.json";

/// The module of a WebAssembly image, in the environment.
pub(crate) const MODULE: &str = "main.wasm";

/// Layers that are fetched and unpacked side by side.
const CONCURRENT: usize = 4;

/// Builds a lock into a slot.
pub(crate) async fn build(
    host: &dyn Host,
    origin: &Origin,
    locked: &Locked,
    slot: &Slot,
) -> Result<(), Problem> {
    match &locked.content {
        Content::Module { digest, size } => {
            module(host, origin, *digest, *size, &slot.prefix.join(MODULE)).await
        }
        Content::Files(files) => {
            let engine = host.engine(files.engine).await?;
            if engine != Engine::Builtin {
                return in_engine(host, origin, files, locked, engine, slot).await;
            }
            let count = files.layers.len();
            let provided: Vec<_> = files
                .layers
                .iter()
                .enumerate()
                .map(|(at, layer)| layers::provide(host, origin, layer, at, count))
                .collect();
            let layers: Vec<String> = stream::iter(provided).buffered(CONCURRENT).try_collect().await?;
            let (files, locked, prefix) = (files.clone(), locked.clone(), slot.prefix.clone());
            blocking(move || record(&files, &locked, layers, &prefix)).await?
        }
    }
}

/// Has an engine keep the image, and records that.
async fn in_engine(
    host: &dyn Host,
    origin: &Origin,
    files: &Files,
    locked: &Locked,
    engine: Engine,
    slot: &Slot,
) -> Result<(), Problem> {
    let source = match origin {
        Origin::Registry(_) => ImageSource::Registry {
            reference: format!("{}@{}", locked.name, locked.digest),
        },
        Origin::Local(local) => ImageSource::Archive {
            path: local.archive().ok_or_else(|| Problem::Unsupported {
                code: "container.engine.folder".to_owned(),
                message: format!("{} does not take an image out of a folder", engine.name()),
                help: Some(
                    "name an archive of it (`oci-archive:FILE`), or use `engine = \"builtin\"`".to_owned(),
                ),
            })?,
            name: local.name().map(str::to_owned),
        },
    };
    // The engine has the files, and with them what names of users mean. Where its containers have no user namespace of the
    // caller's, the task runs as the caller, and no user of the image is asked for.
    let runs_as_caller = engine == Engine::Docker || geteuid().is_root();
    let known = user::look_up(&files.user, "", "");
    let user = known.or_else(|_| {
        runs_as_caller
            .then(ImageUser::default)
            .ok_or_else(|| Problem::Unsupported {
                code: "container.engine.user".to_owned(),
                message: format!(
                    "the image runs as `{}`, a name that is not looked up where {} keeps the image",
                    files.user,
                    engine.name()
                ),
                help: Some("write the number with `user`, for instance `user = \"1000:1000\"`".to_owned()),
            })
    })?;
    let reference = host.keep_image(engine, &source, &locked.digest).await?;
    let image = image(files, locked, reference, engine, Vec::new(), user);
    let prefix = slot.prefix.clone();
    blocking(move || write(&image, &prefix)).await?
}

/// The steps of a build, for people to read before.
pub(crate) fn preview(understood: &Understood, locked: &Locked) -> InstallPlan {
    let registry = match &understood.source {
        Source::Image(Reference::Registry(reference)) => Some(Registry::new(understood, reference)),
        _ => None,
    };
    let fetch = |digest: Digest, size: u64, label: String| {
        let fetch = registry.as_ref()?.fetch(digest, size)?;
        Some(Step {
            label,
            weight: 1,
            after: Vec::new(),
            action: Action::Fetch(fetch),
        })
    };
    let (mut steps, label): (Vec<Step>, _) = match &locked.content {
        Content::Module { digest, size } => (
            fetch(*digest, *size, "fetch the module".to_owned())
                .into_iter()
                .collect(),
            "keep the module".to_owned(),
        ),
        Content::Files(files)
            if let Some(engine) = files.engine
                && engine != Engine::Builtin =>
        {
            (Vec::new(), format!("have {} keep the image", engine.name()))
        }
        Content::Files(files) => {
            let count = files.layers.len();
            let fetches = files.layers.iter().enumerate();
            (
                fetches
                    .filter_map(|(at, layer)| fetch(layer.digest, layer.size, source::label(at, count)))
                    .collect(),
                match count {
                    1 => "unpack 1 layer".to_owned(),
                    count => format!("unpack {count} layers"),
                },
            )
        }
    };
    steps.push(Step {
        label,
        weight: 10,
        after: (0..steps.len()).collect(),
        action: Action::MakeDir(Place::prefix("")),
    });
    InstallPlan {
        steps,
        checks: Vec::new(),
        reads: Vec::new(),
        estimated_bytes: None,
    }
}

async fn module(
    host: &dyn Host,
    origin: &Origin,
    digest: Digest,
    size: u64,
    to: &Path,
) -> Result<(), Problem> {
    let blob = Layer {
        digest,
        size,
        packing: Packing::Tar,
        diff_id: digest,
    };
    let span = origin.layer(host, &blob, 0, 1).await?;
    let to = to.to_owned();
    let failed =
        |error: std::io::Error| Problem::failed("container.module.failed", format!("the module: {error}"));
    blocking(move || {
        let bytes = span.read().map_err(failed)?;
        let found = Digest::of(&bytes);
        if found != digest {
            return Err(explain::wrong_digest("the module", &digest, &found));
        }
        files::write(&to, &bytes).map_err(failed)
    })
    .await?
}

/// Writes what the image is.
fn record(files: &Files, locked: &Locked, layers: Vec<String>, prefix: &Path) -> Result<(), Problem> {
    let layers = layers::seen(layers)?;
    let text = |path: &str| layers::text(&layers, path);
    let user = user::look_up(&files.user, &text("etc/passwd"), &text("etc/group"))
        .map_err(|reason| explain::document(&format!("`{}`", locked.name), &reason))?;
    if let Some(folder) = &files.start_in
        && layers::is_file(&layers, folder)
    {
        return Err(Problem::invalid(
            Finding::error(
                "container.working-dir.file",
                "/working-dir",
                format!(
                    "`{folder}` is a file in the image `{}`, and no folder to start in",
                    locked.name
                ),
            )
            .with_help("name a folder of the image; one that is not there is made"),
        ));
    }
    let reference = format!("{}@{}", locked.name, locked.digest);
    let mut image = image(files, locked, reference, Engine::Builtin, layers, user);
    let own = image.config.working_dir.as_deref();
    image.config.working_dir_is_file = own.is_some_and(|folder| layers::is_file(&image.layers, folder));
    write(&image, prefix)
}

fn image(
    files: &Files,
    locked: &Locked,
    reference: String,
    engine: Engine,
    layers: Vec<String>,
    user: ImageUser,
) -> Image {
    let Files {
        layers: _,
        env,
        entrypoint,
        command,
        working_dir,
        start_in,
        user: user_as_written,
        engine: _,
    } = files;
    Image {
        reference,
        digest: locked.digest,
        engine,
        layers,
        config: ImageConfig {
            env: env.clone(),
            entrypoint: entrypoint.clone(),
            command: command.clone(),
            working_dir: working_dir.clone(),
            working_dir_is_file: false,
            user,
            user_as_written: Some(user_as_written.clone()).filter(|written| !written.is_empty()),
        },
        start_in: start_in.clone(),
    }
}

fn write(image: &Image, prefix: &Path) -> Result<(), Problem> {
    let failed = |reason: String| {
        Problem::failed(
            "container.record.failed",
            format!("the record of the image: {reason}"),
        )
    };
    let content = serde_json::to_vec(image).map_err(|error| failed(error.to_string()))?;
    files::write(&prefix.join(RECORD), &content).map_err(|error| failed(error.to_string()))
}
