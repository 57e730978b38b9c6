//! Layers: each is unpacked once, into a folder of the store that every image with it shares.

use std::path::{Path, PathBuf};

use tokio::sync::oneshot;
use wrun_core::host::{Host, PartRequest};
use wrun_core::problem::Problem;
use wrun_layer::{Compression, Limits};

use crate::blobs::Span;
use crate::documents::Packing;
use crate::files;
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
            format!("the store's path is not text: {path:?}"),
        )
    })
}

/// The text of a small file of the image, seen through its layers from the top; empty if there is none.
pub(crate) fn text(layers: &[String], path: &str) -> String {
    layers
        .iter()
        .rev()
        .find_map(|layer| files::small_text_beneath(Path::new(layer), path))
        .unwrap_or_default()
}

/// Unpacks a layer into its folder.
fn unpack(layer: &Layer, span: &Span, folder: &Path) -> Result<(), Problem> {
    let source = span.open().map_err(|error| {
        Problem::failed(
            "container.layer.unreadable",
            format!("a layer cannot be read: {error}"),
        )
    })?;
    let announced = match layer.packing {
        Packing::Tar => Compression::None,
        Packing::Gzip => Compression::Gzip,
        Packing::Zstd => Compression::Zstd,
    };
    wrun_layer::unpack(source, Some(announced), folder, &layer.diff_id, Limits::default())?;
    Ok(())
}

/// The layers that are seen, of all layers: a layer may hide everything below it.
pub(crate) fn seen(mut layers: Vec<String>) -> Result<Vec<String>, Problem> {
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
