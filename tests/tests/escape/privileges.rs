//! Users, capabilities, and what keeps a task from getting more rights.

use crate::rows::{DENIED, FILTERED, GONE, NO_EFFECT, Row, row};
use crate::scene::{Scene, User};

/// What a task of root is where nothing but a change of the user could make it another one.
const STAYS_ROOT: &str = "a task of root stays user 0 there, without its rights";

/// What a task sees itself as in an image that wants to be run as user 0.
const A_NUMBER: &str = "0 is a number for whoever calls there, or for nobody where that is root";

/// Becoming root, keeping capabilities, undoing the filter.
pub(crate) fn rows(scene: &Scene) -> Vec<Row> {
    let tools = scene.path("tools");
    let mut rows = vec![
        row(39, &format!("set-id-program {tools}/set-id"))
            .full(&[GONE])
            .restricted(&[DENIED, NO_EFFECT])
            .varies("the file belongs to root only if root runs the tests"),
        row(40, "is-root")
            .both(&[NO_EFFECT])
            .unpromised_in_image(A_NUMBER)
            .for_root(),
        row(41, "capabilities").both(&[NO_EFFECT]).for_root(),
        row(41, "bounding-set")
            .full(&[NO_EFFECT])
            .unpromised_in_restricted(
                "to empty it takes a capability; without new privileges it has no meaning",
            ),
        row(41, "new-privileges").both(&[FILTERED, &["EINVAL"]]),
        row(41, "secure-bits").both(&[FILTERED]).for_root(),
        row(57, "no-filter").both(&[NO_EFFECT]),
        row(57, "filter-undo").both(&[FILTERED]),
    ];
    for way in [
        "setuid",
        "setreuid",
        "setresuid",
        "setfsuid",
        "setgid",
        "setregid",
        "setresgid",
        "setfsgid",
        "setgroups",
    ] {
        rows.push(
            row(40, &format!("become-root {way}"))
                .both(&[FILTERED, NO_EFFECT, &["EINVAL"]])
                .unpromised_in_image(A_NUMBER)
                .for_root(),
        );
    }
    if scene.user == User::Root {
        let of_the_user = |row: &Row| matches!(row.item, 39 | 40);
        rows = rows
            .into_iter()
            .map(|row| {
                if of_the_user(&row) {
                    row.unpromised_in_restricted(STAYS_ROOT)
                } else {
                    row
                }
            })
            .collect();
    }
    rows
}
