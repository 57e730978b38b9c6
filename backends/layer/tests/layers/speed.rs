//! How long it takes.

use std::time::{Duration, Instant};

use wrun_core::id::Digest;
use wrun_layer::{Limits, unpack};

use crate::archive::{Item, Place, Tar, gzip};

/// Files of about the sizes of a distribution's, with content that compresses to about a third.
fn distribution() -> Vec<u8> {
    let mut tar = Tar::default();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for number in 0..600 {
        let content: Vec<u8> = (0..28_000)
            .map(|index| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                if index % 3 == 0 {
                    state.to_le_bytes()[0]
                } else {
                    b' '
                }
            })
            .collect();
        tar.item(&Item {
            path: format!("usr/lib/folder{}/file{number}", number % 40).as_bytes(),
            content: &content,
            ..Item::default()
        });
    }
    tar.end()
}

#[test]
fn a_layer_of_ten_megabytes_takes_no_time_to_speak_of() {
    let archive = distribution();
    let compressed = gzip(&archive);
    let digest = Digest::of(&archive);
    let best = (0..3)
        .map(|_| {
            let place = Place::new();
            let begun = Instant::now();
            unpack(
                compressed.as_slice(),
                None,
                &place.inside,
                &digest,
                Limits::default(),
            )
            .unwrap();
            begun.elapsed()
        })
        .min()
        .unwrap();
    println!("{} bytes of gzip, {} files: {best:?}", compressed.len(), 600);
    // Several times what it takes on a slow machine without optimisation: only for what goes wrong altogether.
    assert!(best < Duration::from_secs(10), "{best:?}");
}
