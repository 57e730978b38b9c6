//! Container images made by hand, and a registry on this machine.

mod builders;
mod busybox;
mod docker;
pub mod image;
mod python;
pub mod registry;
mod task;

pub use builders::Builders;
pub use busybox::shell_image;
pub use docker::Docker;
pub use image::{Document, Image, Packing};
pub use python::{with_pip, with_python};
pub use registry::{Registry, Trouble};
pub use task::of_image;
