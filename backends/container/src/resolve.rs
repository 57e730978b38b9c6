//! From a name to a lock: index, manifest, configuration, layers.

use wrun_core::host::Host;
use wrun_core::problem::Problem;

use crate::documents::{self, CONFIG_MAXIMUM, Configuration, Descriptor, Document, Manifest, Start};
use crate::explain;
use crate::lock::{Content, Files, Layer, Locked};
use crate::platform::ImagePlatform;
use crate::reference::Reference;
use crate::registry::Sent;
use crate::source::Origin;
use crate::understand::Understood;

/// The most layers of an image: what the kernel stacks (`OVL_MAX_STACK`).
const LAYERS: usize = 500;

/// Bytes of a path and of a name in one (`PATH_MAX`, `NAME_MAX`; `path_resolution(7)`).
const PATH_MAXIMUM: usize = 4096;
const NAME_MAXIMUM: usize = 255;

/// Indexes that may be in each other.
const DEPTH: usize = 4;

/// The largest module that is taken, in bytes.
const MODULE_MAXIMUM: u64 = 1024 * 1024 * 1024;

/// Finds the lock of an image.
pub(crate) async fn resolve(
    host: &dyn Host,
    understood: &Understood,
    origin: &Origin,
    reference: &Reference,
    name: &str,
) -> Result<Locked, Problem> {
    let what = format!("`{}`", understood.shown());
    let mut sent = origin.top(host, reference).await?;
    let mut index = None;
    let mut depth = 0;
    let manifest = loop {
        let document = documents::read(&sent.bytes, &sent.media_type)
            .map_err(|reason| explain::document(&what, &reason))?;
        match document {
            Document::Manifest(manifest) => break manifest,
            Document::Index(entries) => {
                index.get_or_insert(sent.digest);
                depth += 1;
                if depth > DEPTH {
                    return Err(explain::document(
                        &what,
                        "there is an index in an index, and so on without an end",
                    ));
                }
                let entry = choose(&what, &understood.platform, &entries)?;
                let digest = entry
                    .sha256()
                    .map_err(|reason| explain::document(&what, &reason))?;
                sent = origin.manifest(host, digest, &entry.media_type).await?;
                check_size(&what, entry, &sent)?;
            }
        }
    };
    let config_digest = manifest
        .config
        .sha256()
        .map_err(|reason| explain::document(&what, &reason))?;
    let (platform, content) = if manifest.is_module() {
        ("wasi/wasm".to_owned(), module(&what, &manifest)?)
    } else {
        manifest
            .check_files()
            .map_err(|reason| explain::document(&what, &reason))?;
        let bytes = origin.blob(host, config_digest, CONFIG_MAXIMUM).await?;
        let configuration =
            documents::configuration(&bytes).map_err(|reason| explain::document(&what, &reason))?;
        let platform = check_platform(&what, understood, &configuration)?;
        (platform, files(&what, understood, &manifest, &configuration)?)
    };
    Ok(Locked {
        name: name.to_owned(),
        digest: sent.digest,
        index,
        platform,
        config: config_digest,
        archive: None,
        content,
    })
}

/// A document that has another size than its entry says is not the one that was meant.
fn check_size(what: &str, entry: &Descriptor, sent: &Sent) -> Result<(), Problem> {
    let size = u64::try_from(sent.bytes.len()).unwrap_or(u64::MAX);
    if size == entry.size {
        return Ok(());
    }
    Err(explain::document(
        what,
        &format!("its manifest has {size} bytes, and the index says {}", entry.size),
    ))
}

/// The image of an index for a platform.
fn choose<'a>(
    what: &str,
    wanted: &ImagePlatform,
    entries: &'a [Descriptor],
) -> Result<&'a Descriptor, Problem> {
    let offered = || {
        entries
            .iter()
            .filter_map(|entry| Some((entry.platform.as_ref()?, entry)))
    };
    // The first of equals: order is the wish of whoever made the index.
    let mut best: Option<(u32, &Descriptor)> = None;
    for (platform, entry) in offered() {
        if let Some(score) = wanted.runs(platform)
            && best.is_none_or(|(known, _)| score > known)
        {
            best = Some((score, entry));
        }
    }
    if let Some((_, entry)) = best {
        return Ok(entry);
    }
    if let Some((_, entry)) = offered().find(|(platform, _)| platform.is_wasm()) {
        return Ok(entry);
    }
    // An index of one image need not say what it is for; its configuration does.
    if let [only] = entries
        && only.platform.is_none()
    {
        return Ok(only);
    }
    let known: Vec<String> = offered()
        .filter(|(platform, _)| !platform.is_unknown())
        .map(|(platform, _)| format!("`{}`", explain::foreign(&platform.to_string())))
        .collect();
    Err(Problem::Unsatisfiable {
        code: "container.platform.none".to_owned(),
        message: format!("{what} is not there for `{wanted}`"),
        help: Some(if known.is_empty() {
            "its index names no platform".to_owned()
        } else {
            format!(
                "there are {}; ask for one of them with `platform`, or use another image",
                known.join(", ")
            )
        }),
    })
}

/// The platform of an image, which has to be the one that is wanted.
fn check_platform(
    what: &str,
    understood: &Understood,
    configuration: &Configuration,
) -> Result<String, Problem> {
    let wanted = &understood.platform;
    let Some(own) = configuration.platform() else {
        return Ok(wanted.to_string());
    };
    if wanted.runs(&own).is_some() {
        return Ok(own.to_string());
    }
    Err(Problem::Unsatisfiable {
        code: "container.platform.none".to_owned(),
        message: format!(
            "{what} is for `{}`, and `{wanted}` is wanted",
            explain::foreign(&own.to_string())
        ),
        help: Some("use an image of this platform; `platform` asks for another one".to_owned()),
    })
}

/// The module of an image that is one.
fn module(what: &str, manifest: &Manifest) -> Result<Content, Problem> {
    let invalid = |reason: &str| explain::document(what, reason);
    let modules: Vec<&Descriptor> = manifest.layers.iter().filter(|layer| layer.is_module()).collect();
    let [module] = modules.as_slice() else {
        return Err(invalid(&format!(
            "it is a WebAssembly image with {} modules, and one is what can be run",
            modules.len()
        )));
    };
    if module.size > MODULE_MAXIMUM {
        return Err(invalid(&format!(
            "its module is larger than {MODULE_MAXIMUM} bytes"
        )));
    }
    Ok(Content::Module {
        digest: module.sha256().map_err(|reason| invalid(&reason))?,
        size: module.size,
    })
}

fn files(
    what: &str,
    understood: &Understood,
    manifest: &Manifest,
    configuration: &Configuration,
) -> Result<Content, Problem> {
    let invalid = |reason: &str| explain::document(what, reason);
    let diff_ids = configuration.diff_ids().map_err(|reason| invalid(&reason))?;
    if manifest.layers.len() != diff_ids.len() {
        return Err(invalid(&format!(
            "its manifest has {} layers and its configuration {}",
            manifest.layers.len(),
            diff_ids.len()
        )));
    }
    if diff_ids.len() > LAYERS {
        return Err(invalid(&format!(
            "it has {} layers, and {LAYERS} is what can be stacked",
            diff_ids.len()
        )));
    }
    let layers = manifest.layers.iter().zip(diff_ids).map(|(layer, diff_id)| {
        Ok(Layer {
            digest: layer.sha256()?,
            size: layer.size,
            packing: layer.packing()?,
            diff_id,
        })
    });
    let layers: Vec<Layer> = layers
        .collect::<Result<_, String>>()
        .map_err(|reason| invalid(&reason))?;
    if layers.is_empty() {
        return Err(invalid("it has no layers, so there is nothing that could run"));
    }
    let spec = &understood.spec;
    let Start {
        env,
        entrypoint,
        cmd,
        working_dir,
        user,
    } = configuration.start();
    let command = match &spec.entrypoint {
        // As with every engine: the command belongs to the entrypoint that it was written for.
        Some(_) => Vec::new(),
        None => cmd.unwrap_or_default(),
    };
    let user = spec.user.clone().or(user).unwrap_or_default();
    crate::user::check_written(&user).map_err(|reason| invalid(&reason))?;
    Ok(Content::Files(Box::new(Files {
        layers,
        env: variables(env.unwrap_or_default()).map_err(|reason| invalid(&reason))?,
        entrypoint: spec.entrypoint.clone().or(entrypoint).unwrap_or_default(),
        command,
        working_dir: working_dir
            .filter(|folder| !folder.is_empty())
            .map(|folder| absolute(folder).map_err(|reason| invalid(&reason)))
            .transpose()?,
        start_in: spec.working_dir.clone(),
        user,
        engine: spec.engine.engine(),
    })))
}

/// Variables as an image writes them: `NAME=value`.
fn variables(written: Vec<String>) -> Result<Vec<(String, String)>, String> {
    written
        .into_iter()
        .map(|line| match line.split_once('=') {
            Some((name, value)) if !name.is_empty() && !line.contains('\0') => {
                Ok((name.to_owned(), value.to_owned()))
            }
            None if !line.is_empty() && !line.contains('\0') => Ok((line, String::new())),
            _ => Err(format!("`{}` is no variable", line.escape_debug())),
        })
        .collect()
}

/// The folder of a configuration, which some builders write without its slash.
///
/// # Errors
/// It can be none.
fn absolute(folder: String) -> Result<String, String> {
    let is_usable = folder.len() < PATH_MAXIMUM
        && !folder.contains('\0')
        && folder.split('/').all(|part| part.len() <= NAME_MAXIMUM);
    if !is_usable {
        let beginning: String = folder.chars().take(64).collect();
        return Err(format!(
            "its working folder `{}` is none that there can be",
            beginning.escape_debug()
        ));
    }
    Ok(if folder.starts_with('/') {
        folder
    } else {
        format!("/{folder}")
    })
}
