//! conda packages and channels made by the tests, and a server of channels that can be made to fail.

#![expect(
    clippy::indexing_slicing,
    reason = "members are added to objects that are made right there"
)]

mod channel;
mod machine;
mod package;
mod server;

pub use channel::{Added, Channel};
pub use machine::{package_of_wheel, pip_package, python_package, python_version};
pub use package::{Format, PLACEHOLDER, Package, SUBDIR};
pub use server::Server;
