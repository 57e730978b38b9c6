//! Tests of the unpacker on archives that are written here byte by byte, well-meant and hostile ones.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests look at folders from the outside, fail by panicking and say what they skip"
)]

mod archive;
mod forms;
mod hostile;
mod overlay;
mod random;
mod speed;
mod well_meant;
