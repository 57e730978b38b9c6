//! Container images made by hand, and a registry on this machine.

mod busybox;
pub mod image;
mod python;
pub mod registry;
mod task;

pub use busybox::shell_image;
pub use image::{Document, Image, Packing};
pub use python::with_python;
pub use registry::{Registry, Trouble};
pub use task::of_image;
