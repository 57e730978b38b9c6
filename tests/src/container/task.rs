//! Task files with an image.

/// A task file with an image and nothing under `[run]`, so that the image says what runs. `rest` are lines of
/// `[env.container]`.
#[must_use]
pub fn of_image(image: &str, run: &str, rest: &str) -> String {
    format!("[run]\n{run}\n[env.container]\nimage = \"{image}\"\n{rest}")
}
