//! Processes that are not the task's.

use crate::rows::{DENIED, FILTERED, GONE, NO_EFFECT, NO_PROCESS, Row, row};
use crate::scene::Scene;

const NUMBERS: &str = "threads have numbers like processes, and a filter does not tell whose they are";
const NAMES: &str = "that a process is there, and its command line, is for everybody who has /proc";

/// Looking at, signalling, tracing and changing a process of the machine.
pub(crate) fn rows(scene: &Scene) -> Vec<Row> {
    let (secret, marker) = (scene.secret(), &scene.marker);
    let neighbour = scene.neighbour.borrow();
    let (pid, address, descriptor) = (neighbour.pid, &neighbour.address, neighbour.descriptor);
    let mut rows = vec![
        row(14, &format!("process-path {pid} root {secret} {marker}"))
            .full(&[GONE])
            .restricted(&[DENIED, GONE]),
        row(14, &format!("process-path {pid} cwd secret.txt {marker}"))
            .full(&[GONE])
            .restricted(&[DENIED, GONE]),
        row(14, &format!("process-memory {pid} {address} {marker}"))
            .full(&[GONE])
            .restricted(&[DENIED, GONE]),
        row(14, &format!("process-memory-write {pid}"))
            .full(&[GONE])
            .restricted(&[DENIED, GONE]),
        row(14, &format!("see-process {pid} {marker}"))
            .full(&[GONE, NO_EFFECT])
            .unpromised_in_restricted(NAMES),
        row(14, &format!("host-processes {marker}"))
            .full(&[NO_EFFECT, DENIED])
            .unpromised_in_restricted(NAMES),
        row(24, &format!("signal {pid}")).both(&[NO_PROCESS]),
        row(24, &format!("signal-thread {pid}")).both(&[NO_PROCESS]),
        row(24, &format!("signal-queue {pid}")).both(&[NO_PROCESS]),
        row(24, &format!("signal-pidfd {pid}")).both(&[NO_PROCESS]),
        row(24, "signal @supervisor").both(&[NO_PROCESS]),
        row(25, "signal-all 23")
            .unpromised("the task's own processes may be reached; the neighbour says if it was")
            .without_sandbox("signal-all 0"),
        row(25, &format!("signal-by-pipe {pid}"))
            .unpromised("whether it was sent is not told; the neighbour says if it came"),
        row(26, &format!("trace {pid}")).both(&[NO_PROCESS]),
        row(26, "trace parent").both(&[NO_PROCESS]),
        row(26, "trace @supervisor").both(&[NO_PROCESS]),
        row(27, &format!("read-memory {pid} {address} {marker}")).both(&[NO_PROCESS]),
        row(27, &format!("write-memory {pid} {address} {marker}")).both(&[NO_PROCESS]),
        row(28, &format!("take-descriptor {pid} {descriptor} {marker}")).both(&[NO_PROCESS]),
        row(28, "dumpable-parent").both(&[FILTERED, NO_EFFECT]),
        row(29, &format!("limits-of {pid}"))
            .full(&[NO_PROCESS])
            .unpromised_in_restricted("what may be asked of oneself may be asked of others of the same user")
            .varies("root without CAP_SYS_RESOURCE may not"),
        row(29, &format!("set-limits-of {pid}"))
            .both(&[NO_PROCESS])
            .varies("root without CAP_SYS_RESOURCE may not"),
        row(29, &format!("priority-of {pid}"))
            .full(&[NO_PROCESS])
            .unpromised_in_restricted(NUMBERS),
        row(29, &format!("processors-of {pid}"))
            .full(&[NO_PROCESS])
            .unpromised_in_restricted(NUMBERS),
        row(29, "set-limits-of @supervisor").both(&[NO_PROCESS]),
        row(29, &format!("compare {pid}")).both(&[NO_PROCESS]),
        row(29, &format!("robust-list {pid}")).both(&[NO_PROCESS]),
        row(29, &format!("move-pages {pid}")).both(&[NO_PROCESS]),
        row(30, "trace 1").varies("the first process of the machine may be out of reach of root as well"),
        row(45, &format!("join {pid} uts"))
            .full(&[GONE])
            .restricted(&[DENIED, GONE])
            .for_root(),
        row(45, &format!("join {pid} net"))
            .full(&[GONE])
            .restricted(&[DENIED, GONE])
            .for_root(),
        row(45, &format!("join {pid} user"))
            .full(&[GONE])
            .restricted(&[DENIED, GONE])
            .varies("nobody enters the namespace that it is in"),
        row(45, "join self uts").both(&[FILTERED, GONE]).for_root(),
        row(45, &format!("join-process {pid}"))
            .both(&[NO_PROCESS])
            .for_root(),
    ];
    for name in ["environ", "maps", "auxv", "stack", "pagemap"] {
        let marker = if name == "environ" { marker } else { "''" };
        let mut one = row(14, &format!("process-file {pid} {name} {marker}"))
            .full(&[GONE])
            .restricted(&[DENIED, GONE]);
        if !["environ", "maps"].contains(&name) {
            one = one.varies("not every machine shows it");
        }
        rows.push(one);
    }
    rows.push(
        row(14, &format!("process-file {pid} fd/{descriptor} {marker}"))
            .full(&[GONE])
            .restricted(&[DENIED, GONE]),
    );
    rows.push(row(30, "signal 1").both(&[NO_PROCESS]).for_root());
    rows.push(
        row(30, "end-first")
            .full(&[NO_EFFECT, FILTERED])
            .unpromised_in_restricted("the first process of the machine is not tried")
            .varies("the first process of the machine is not tried"),
    );
    rows
}
