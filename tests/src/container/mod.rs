//! Container images made by hand, and a registry on this machine.

pub mod image;
pub mod registry;
mod task;

pub use image::{Document, Image, Packing};
pub use registry::{Registry, Trouble};
pub use task::of_image;
