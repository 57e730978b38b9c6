//! What the caller has and the task is not to get: descriptors, variables, memory.

use crate::rows::{DENIED, FILTERED, GONE, NO_EFFECT, Row, row};
use crate::scene::Scene;

/// Inherited descriptors and variables, also those of the processes above.
pub(crate) fn rows(scene: &Scene) -> Vec<Row> {
    const CLEAN: &str = "a task's variables and descriptors are its own without a sandbox too";
    const POLICY: &str = "what a task may write it may execute";
    let marker = &scene.marker;
    vec![
        row(77, &format!("descriptors-hold secret.txt {marker}"))
            .both(&[NO_EFFECT])
            .varies(CLEAN),
        row(78, "descriptors-to-write").both(&[NO_EFFECT]).varies(CLEAN),
        row(79, "variable SECRET_OF_THE_CALLER")
            .both(&[NO_EFFECT])
            .varies(CLEAN),
        row(79, &format!("variables-hold {marker}"))
            .both(&[NO_EFFECT])
            .varies(CLEAN),
        row(80, &format!("process-file parent environ {marker}"))
            .both(&[GONE, DENIED, NO_EFFECT])
            .varies("the process above may be the neighbour of nobody"),
        row(80, &format!("process-file @supervisor environ {marker}"))
            .full(&[GONE, NO_EFFECT])
            .restricted(&[DENIED, GONE]),
        row(
            80,
            &format!("process-path @supervisor cwd outer-mounts {}", "mnt"),
        )
        .full(&[GONE])
        .restricted(&[DENIED, GONE]),
        row(80, &format!("process-file 1 environ {marker}"))
            .both(&[GONE, DENIED, NO_EFFECT])
            .varies("it is not the first process that has it"),
        row(80, "is-dumpable @supervisor").both(&[GONE, DENIED]),
        row(80, "is-dumpable parent")
            .both(&[GONE, DENIED])
            .varies("what is above may be no more than the program that counts attempts"),
        row(81, "execute-memory").unpromised(POLICY),
        row(81, "execute-in ~").unpromised(POLICY),
        row(81, "execute-in /usr/lib")
            .both(&[DENIED, FILTERED])
            .open_in_image()
            .for_root(),
    ]
}
