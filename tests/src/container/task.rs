//! Task files with an image.

use std::fmt::Write as _;

/// A task file with an image and nothing under `[run]`, so that the image says what runs. `rest` are lines of
/// `[env.container]`.
#[must_use]
pub fn of_image(image: &str, run: &str, rest: &str) -> String {
    let mut text = String::new();
    drop(writeln!(
        text,
        "[run]\n{run}\n[env.container]\nimage = \"{image}\"\n{rest}"
    ));
    text
}
