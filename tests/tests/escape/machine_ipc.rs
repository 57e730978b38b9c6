//! Ways between processes of one machine.

use crate::rows::{DENIED, FILTERED, GONE, NO_SOCKET, Row, UNREACHABLE, row};
use crate::scene::Scene;

/// Sockets without a network, and shared memory.
pub(crate) fn rows(scene: &Scene) -> Vec<Row> {
    let (folder, marker) = (scene.path("secret"), &scene.marker);
    let neighbour = scene.neighbour.borrow();
    let (name, key) = (&neighbour.name, &neighbour.ipc);
    vec![
        row(59, &format!("abstract {name} {marker}")).both(&[UNREACHABLE]),
        row(60, &format!("unix {folder}/socket {marker}"))
            .full(&[GONE, NO_SOCKET])
            .restricted(&[NO_SOCKET]),
        row(60, "own-unix")
            .open_in_full()
            .unpromised_in_restricted("no socket of any family is to be had"),
        row(60, "socket-pair").open(),
        row(60, &format!("datagram-pair {folder}/datagrams"))
            .full(&[GONE])
            .restricted(&[NO_SOCKET]),
        row(61, &format!("numbered-memory {key} {marker}"))
            .full(&[GONE])
            .restricted(&[FILTERED]),
        row(61, &format!("numbered-semaphores {key}"))
            .full(&[GONE])
            .restricted(&[FILTERED]),
        row(61, &format!("numbered-messages {key}"))
            .full(&[GONE])
            .restricted(&[FILTERED]),
        row(61, &format!("shared-memory {key} {marker}"))
            .full(&[GONE, FILTERED])
            .restricted(&[FILTERED]),
        row(61, &format!("semaphores {key}"))
            .full(&[GONE, FILTERED])
            .restricted(&[FILTERED]),
        row(61, &format!("messages {key}"))
            .full(&[GONE, FILTERED])
            .restricted(&[FILTERED]),
        row(61, &format!("message-queue {name}"))
            .full(&[GONE, FILTERED])
            .restricted(&[FILTERED]),
        row(61, "own-shared-memory")
            .open_in_full()
            .unpromised_in_restricted("what is shared by number is shared with the machine"),
        row(61, &format!("read /dev/shm/{name} {marker}"))
            .full(&[GONE])
            .restricted(&[DENIED, GONE]),
        row(61, &format!("write /dev/shm/{name}"))
            .full(&[GONE])
            .restricted(&[DENIED, GONE]),
    ]
}
