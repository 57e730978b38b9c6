//! Layers: each is unpacked once, into a folder of the store that every image with it shares.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tokio::sync::oneshot;
use wrun_core::host::{Host, PartRequest};
use wrun_core::problem::Problem;
use wrun_layer::{Compression, Limits};

use crate::blobs::Span;
use crate::documents::Packing;
use crate::files::{self, Seen};
use crate::lock::Layer;
use crate::source::Origin;

/// The kind of parts that layers are.
const KIND: &str = "layer";

/// The folder of a layer. It is fetched only if nobody has unpacked it yet.
pub(crate) async fn provide(
    host: &dyn Host,
    origin: &Origin,
    layer: &Layer,
    at: usize,
    count: usize,
) -> Result<String, Problem> {
    let request = PartRequest {
        kind: KIND.to_owned(),
        digest: layer.diff_id,
        label: format!("layer {} of {count}", at + 1),
    };
    // Whoever fills the folder says that the file is needed, and waits for it.
    let (needed, is_needed) = oneshot::channel::<()>();
    let (give, given) = oneshot::channel::<Result<Span, Problem>>();
    let wanted = layer.clone();
    let fill = Box::new(move |folder: &Path| {
        let ended = || Problem::Cancelled;
        needed.send(()).map_err(|()| ended())?;
        let span = given.blocking_recv().map_err(|_| ended())??;
        unpack(&wanted, &span, folder)
    });
    let fetching = async {
        if is_needed.await.is_ok() {
            // Nobody waits any more if the build was given up.
            drop(give.send(origin.layer(host, layer, at, count).await));
        }
    };
    let (part, ()) = futures::join!(host.part(&request, fill), fetching);
    let path: PathBuf = part?;
    path.into_os_string().into_string().map_err(|path| {
        Problem::failed(
            "container.store.path",
            format!("the store's path is not text: {}", path.display()),
        )
    })
}

/// The text of a small file of the image, seen through its layers from the top; empty if there is none.
pub(crate) fn text(layers: &[String], path: &str) -> String {
    for layer in layers.iter().rev() {
        match files::small_text_beneath(Path::new(layer), path) {
            Seen::Text(text) => return text,
            Seen::Hidden => break,
            Seen::Nothing => {}
        }
    }
    String::new()
}

/// Whether a path of the image is surely a file, seen through its layers from the top.
pub(crate) fn is_file(layers: &[String], path: &str) -> bool {
    let mut seen = layers.iter().rev();
    seen.find_map(|layer| files::is_file_beneath(Path::new(layer), path)) == Some(true)
}

/// Unpacks a layer into its folder.
fn unpack(layer: &Layer, span: &Span, folder: &Path) -> Result<(), Problem> {
    let source = span.open().map_err(|error| {
        Problem::failed(
            "container.layer.unreadable",
            format!("a layer cannot be read: {error}"),
        )
    })?;
    if span.length != layer.size {
        return Err(Problem::Failed {
            code: "container.layer.size".to_owned(),
            message: format!(
                "a layer has {} bytes, and the image's manifest says {}",
                span.length, layer.size
            ),
            help: Some("ask whoever made the image, or use another one".to_owned()),
        });
    }
    let announced = match layer.packing {
        Packing::Tar => Compression::None,
        Packing::Gzip => Compression::Gzip,
        Packing::Zstd => Compression::Zstd,
    };
    wrun_layer::unpack(source, Some(announced), folder, &layer.diff_id, Limits::default())?;
    Ok(())
}

/// The layers that are seen, of all layers: a layer may hide everything below it, and one that is there again further up
/// adds nothing. The kernel takes no folder twice (`ELOOP`).
pub(crate) fn seen(layers: Vec<String>) -> Result<Vec<String>, Problem> {
    let mut layers = last_of_each(layers);
    for at in (1..layers.len()).rev() {
        let Some(layer) = layers.get(at) else { continue };
        let hides = wrun_layer::hides_all_below(Path::new(layer)).map_err(|error| {
            Problem::failed(
                "container.layer.unreadable",
                format!("`{layer}` cannot be looked at: {error}"),
            )
        })?;
        if hides {
            return Ok(layers.split_off(at));
        }
    }
    Ok(layers)
}

/// Each layer once, where it is uppermost.
fn last_of_each(layers: Vec<String>) -> Vec<String> {
    let mut known = BTreeSet::new();
    let mut kept: Vec<String> = layers
        .into_iter()
        .rev()
        .filter(|layer| known.insert(layer.clone()))
        .collect();
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_that_is_there_twice_is_taken_where_it_is_uppermost() {
        let folder = tempfile::tempdir().unwrap();
        let layers = |names: &[&str]| -> Vec<String> {
            let path = |name: &&str| folder.path().join(name).display().to_string();
            names.iter().map(path).collect()
        };
        for name in ["a", "b", "c"] {
            rustix::fs::mkdir(folder.path().join(name), rustix::fs::Mode::RWXU).unwrap();
        }
        assert_eq!(
            seen(layers(&["a", "b", "a", "c", "b"])).unwrap(),
            layers(&["a", "c", "b"])
        );
        assert_eq!(seen(layers(&["a", "b", "c"])).unwrap(), layers(&["a", "b", "c"]));
    }
}
