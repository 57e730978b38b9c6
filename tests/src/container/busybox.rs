//! An image that can run something.

use std::path::Path;

use crate::container::Image;
use crate::files;

/// The program of this machine that is many.
const BUSYBOX: &str = "/bin/busybox";

/// An image with a shell. `None` where this machine has no static busybox to put into it, after saying so.
#[must_use]
pub fn shell_image() -> Option<Image> {
    let path = Path::new(BUSYBOX);
    if !path.is_file() {
        crate::skipped("there is no /bin/busybox (Debian: busybox-static)");
        return None;
    }
    let bytes = files::bytes(path);
    // A program that names an interpreter needs files that the image does not have.
    if bytes.windows(11).any(|window| window == b"/lib64/ld-l") {
        crate::skipped("/bin/busybox is not static (Debian: busybox-static)");
        return None;
    }
    Some(Image::new().layer(&[
        ("bin/", b""),
        ("bin/sh", &bytes),
        ("bin/cat", &bytes),
        ("bin/id", &bytes),
    ]))
}
