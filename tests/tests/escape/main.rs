//! A task gets what it was granted and nothing else, however it tries.
//!
//! `wrun-attempts` makes the attempts, `rows` says what is to come of each in which tier, and every table is also run
//! without a sandbox, where the same attempts have to work: a harness that is broken cannot pass. The attempts are those
//! of a program inside (by topic), of whoever surrounds `wrun` (`supervisor`), and of a machine on which a step of the
//! sandbox fails (`faults`).
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and looks at files from the outside"
)]

mod faults;
mod files;
mod granted_network;
mod guests;
mod images;
mod kernel;
mod leaks;
mod machine_ipc;
mod mounts;
mod neighbour;
mod network;
mod others;
mod own_terminal;
mod privileges;
mod processes;
mod reachable;
mod resources;
mod rows;
mod scene;
mod supervisor;
mod terminal;

use rows::Row;
use scene::{Scene, Tier, User};

/// A table of attempts, made for a scene.
type Table = fn(&Scene) -> Vec<Row>;

/// Runs a table in a tier.
#[track_caller]
fn holds(user: User, tier: Tier, table: Table) {
    let Some(scene) = Scene::new(user) else { return };
    let rows = table(&scene);
    if let Some(answers) = scene.attempt(tier, "", &rows) {
        answers.hold(tier, &rows);
        scene.is_undisturbed();
    }
}

/// Runs a table without a sandbox, where its attempts work.
#[track_caller]
fn is_possible(user: User, table: Table) {
    let Some(scene) = Scene::new(user) else { return };
    let rows = table(&scene);
    scene.attempt_without_sandbox(&rows).work(user, &rows);
}

/// The tests of a topic: both tiers, the stronger also in an image, and none, as root and as another user.
macro_rules! topics {
    ($($topic:ident: $table:expr;)*) => {
        $(mod $topic {
            use crate::scene::{Tier, User};

            #[test]
            fn full_as_root() {
                crate::holds(User::Root, Tier::Full, $table);
            }

            #[test]
            fn full_as_a_user() {
                crate::holds(User::Other, Tier::Full, $table);
            }

            #[test]
            fn in_an_image_as_root() {
                crate::holds(User::Root, Tier::Image, $table);
            }

            #[test]
            fn in_an_image_as_a_user() {
                crate::holds(User::Other, Tier::Image, $table);
            }

            #[test]
            fn restricted_as_root() {
                crate::holds(User::Root, Tier::Restricted, $table);
            }

            #[test]
            fn restricted_as_a_user() {
                crate::holds(User::Other, Tier::Restricted, $table);
            }

            #[test]
            fn control_as_root() {
                crate::is_possible(User::Root, $table);
            }

            #[test]
            fn control_as_a_user() {
                crate::is_possible(User::Other, $table);
            }
        })*
    };
}

mod of {
    topics! {
        files: crate::files::rows;
        files_metadata: crate::files::metadata;
        files_modes: crate::files::modes;
        processes_of_others: crate::others::rows;
        processes_of_its_own: crate::processes::rows;
        privileges: crate::privileges::rows;
        mounts: crate::mounts::rows;
        kernel: crate::kernel::rows;
        ipc: crate::machine_ipc::rows;
        network: crate::network::rows;
        leaks: crate::leaks::rows;
    }
}
