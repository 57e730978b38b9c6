//! How large answers are once they are unpacked. The libraries unpack what a channel sends whatever comes of it, so that is
//! tried before they get it.

use std::io::Read;

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use wrun_core::host::WebResponse;
use wrun_core::problem::Problem;

const MIB: u64 = 1024 * 1024;

/// The largest repodata that is taken, in bytes when unpacked: several times that of the largest public channel.
const LARGEST: u64 = 2048 * MIB;

/// How many times its packed size an answer may have: repodata is some ten times smaller when it is packed.
const HIGHEST_RATIO: u64 = 200;

/// Up to this size, in bytes, the ratio does not matter.
const SMALL: u64 = 64 * MIB;

/// The code of an answer that unpacks to more.
pub(crate) const TOO_LARGE: &str = "conda.repodata.too-large";

/// An answer, unless it unpacks to more than repodata is.
pub(crate) async fn bounded(path: String, response: WebResponse) -> Result<WebResponse, Problem> {
    let looked_at = tokio::task::spawn_blocking(move || {
        let bounded = match unpacking(&path, &response) {
            Some(unpacked) => check(unpacked, response.body.len()),
            None => Ok(()),
        };
        bounded.map(|()| response)
    });
    looked_at
        .await
        .map_err(|error| Problem::failed("conda.web.failed", error.to_string()))?
}

/// What the libraries unpack an answer with; `None` if they take it as it is.
fn unpacking<'a>(path: &str, response: &'a WebResponse) -> Option<Box<dyn Read + 'a>> {
    let body = response.body.as_slice();
    let is_gzip = response
        .headers
        .iter()
        .any(|(name, value)| name.eq_ignore_ascii_case("content-encoding") && value.contains("gzip"));
    match path.rsplit('.').next() {
        _ if response.status != 200 || body.is_empty() => None,
        Some("zst") => zstd::Decoder::with_buffer(body)
            .ok()
            .map(|decoder| Box::new(decoder) as Box<dyn Read>),
        Some("bz2") => Some(Box::new(MultiBzDecoder::new(body))),
        _ if is_gzip => Some(Box::new(MultiGzDecoder::new(body))),
        _ => None,
    }
}

fn check(mut unpacked: impl Read, packed: usize) -> Result<(), Problem> {
    let packed = u64::try_from(packed).unwrap_or(u64::MAX);
    let mut buffer = vec![0; 128 * 1024];
    let mut size = 0;
    // What is broken is for the libraries to tell.
    while let Ok(count @ 1..) = unpacked.read(&mut buffer) {
        size += count as u64;
        if size > LARGEST {
            return Err(too_large(format!("it unpacks to more than {LARGEST} bytes")));
        }
        if size > SMALL && size / HIGHEST_RATIO > packed {
            return Err(too_large(format!(
                "its {packed} bytes unpack to more than {size}, over {HIGHEST_RATIO} times as many"
            )));
        }
    }
    Ok(())
}

fn too_large(message: String) -> Problem {
    Problem::Failed {
        code: TOO_LARGE.to_owned(),
        message,
        help: Some(
            "no channel is that large, so the channel is damaged or means harm: use another one, or a mirror of it".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::io::repeat;

    use super::*;

    #[test]
    fn what_unpacks_to_more_than_repodata_is_refused() {
        let packed = usize::try_from(SMALL / HIGHEST_RATIO).unwrap();
        assert!(check(repeat(0).take(SMALL), 1).is_ok());
        assert!(check(repeat(0).take(SMALL * 2), packed * 2 + 1).is_ok());
        assert!(check(repeat(0).take(SMALL * 2), packed).is_err());
        assert!(check(repeat(0).take(LARGEST), packed * 1000).is_ok());
        assert!(check(repeat(0).take(LARGEST + 1), packed * 1000).is_err());
    }
}
