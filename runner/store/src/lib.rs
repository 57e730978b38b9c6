//! The cache store of `wrun`: locks, environments, downloads and compiled code in one folder, shared by every
//! process of a user.
//!
//! The rules that everything here follows:
//!
//! - A tree is an environment only if its commit record is valid. The presence of a folder proves nothing.
//! - An environment names the parts that it needs in its record; a part that is in use or named is not removed.
//! - A held [`Lease`] keeps an environment from being removed. It is a `flock(2)`, so it ends with the last process
//!   that inherited it, however that process ends.
//! - One holder of a [`Flight`] builds; everybody else waits for it, across threads and processes.
//! - What is not in use is moved to the trash first and deleted there, so that nobody ever sees half of it.
//!
//! The folder is opened once and all further access goes through that handle; names that come from outside are
//! checked before they are used.
//!
//! ```text
//! CACHEDIR.TAG  .gitignore  store.json
//! v1/spec/ab/ID.json      what a request resolved to
//! v1/lock/ab/ID.json      locks, immutable
//! v1/env/ID/              prefix/ (the tree), manifest, meta.json (the commit record, written last)
//! v1/part/KIND-DIGEST/    tree/, manifest, meta.json: a tree that environments share, such as a layer of an image
//! v1/lease/ID             locked by those who use an environment or a part
//! v1/build/KEY.lock       locked by the one who builds, with a word on who that is
//! v1/use/ID               when an environment was last used
//! v1/fact/KIND/KEY.json   small things that were found out
//! v1/pin/                 what must be kept
//! pkgs/NAME/              downloads
//! tools/NAME/VERSION/     programs
//! code/KEY.cwasm          compiled WebAssembly
//! tmp/  trash/            what is being made, and what is being deleted
//! ```

mod artifact;
mod build;
mod code;
mod downloaded;
mod environment;
mod error;
mod flight;
mod holder;
mod initial;
mod inventory;
mod layout;
mod lease;
mod lock_file;
mod manifest;
mod name;
mod part;
mod part_build;
mod part_id;
mod part_inventory;
mod record;
mod root;
mod scratch;
mod seal;
mod store;
mod sweep;
mod sync;
mod tools;
mod trash;
mod tree;
mod unpack;
mod usage;
mod walk;

pub use artifact::ArtifactWriter;
pub use build::{Build, CommitInfo, Sealed};
pub use downloaded::Downloaded;
pub use environment::{Builder, CommitRecord, Environment};
pub use error::StoreError;
pub use flight::{Flight, FlightFailure, FlightKey};
pub use holder::Holder;
pub use inventory::{Removal, Summary};
pub use lease::Lease;
pub use manifest::{Difference, Mismatch};
pub use part::{Part, PartLease, PartRecord};
pub use part_build::PartBuild;
pub use part_id::PartId;
pub use part_inventory::{PartRemoval, PartSummary};
pub use record::Pointer;
pub use scratch::Scratch;
pub use store::Store;
pub use sweep::Swept;
pub use tree::Tree;
pub use unpack::{UnpackLimits, Unpacked};
pub use usage::Usage;
