//! Input and output of tasks.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use wrun_core::event::Stream;
use wrun_core::outcome::Outcome;
use wrun_process::{Command, Out, spawn};

use super::{LONG, Memory, outcome_of, run, run_into, script, task};
use crate::native::output::{Budget, Forwarder, Target, forward};
use crate::stdio::{Stdin, Stdio};

#[tokio::test]
async fn the_output_limit_is_exact_over_both_streams() {
    let writes = |out: u32, err: u32, limit: u64| {
        let mut task = script(&format!("head -c {out} /dev/zero; head -c {err} /dev/zero >&2"));
        task.confinement.limits.output = Some(limit);
        task
    };
    for (out, err, limit, exceeded) in [
        (600, 400, 1000, false),
        (600, 401, 1000, true),
        (200_000, 0, 100_000, true),
        (0, 1, 0, true),
        (0, 0, 0, false),
    ] {
        let (outcome, sink) = outcome_of(writes(out, err, limit)).await;
        let written = u64::try_from(sink.stdout().len() + sink.stderr().len()).unwrap();
        let expected = if exceeded {
            Outcome::OutputLimit { limit }
        } else {
            Outcome::Exited { code: 0 }
        };
        assert_eq!(outcome, expected, "{out} {err} {limit}");
        assert_eq!(written, limit.min(u64::from(out + err)));
    }
}

#[tokio::test]
async fn a_task_that_never_stops_writing_is_ended_at_its_limit() {
    let mut yes = task(&["yes"]);
    yes.confinement.limits.output = Some(123_457);
    let (outcome, sink) = outcome_of(yes).await;
    assert_eq!(outcome, Outcome::OutputLimit { limit: 123_457 });
    assert_eq!(sink.stdout().len(), 123_457);
}

#[tokio::test]
async fn eight_mebibytes_go_both_ways() {
    let bytes: Vec<u8> = (0..8 << 20).map(|index: u32| (index % 251) as u8).collect();
    let sink = Arc::new(Memory::default());
    let outcome = run_into(task(&["cat"]), Stdin::Bytes(bytes.clone()), &sink).await;
    assert_eq!(outcome, Outcome::Exited { code: 0 });
    assert!(sink.stdout() == bytes);
}

#[tokio::test]
async fn input_that_is_not_read_holds_nothing() {
    let sink = Arc::new(Memory::default());
    let outcome = run_into(script("exit 6"), Stdin::Bytes(vec![0; 8 << 20]), &sink).await;
    assert_eq!(outcome, Outcome::Exited { code: 6 });
    let outcome = run_into(script("exec 0<&-; echo x"), Stdin::Bytes(vec![0; 8 << 20]), &sink).await;
    assert_eq!(outcome, Outcome::Exited { code: 0 });
}

#[tokio::test]
async fn both_streams_are_kept_apart_and_in_order() {
    let (_, sink) = outcome_of(script("for i in 1 2 3; do echo o$i; echo e$i >&2; done")).await;
    assert_eq!(sink.text(), "o1\no2\no3\n");
    assert_eq!(sink.stderr(), b"e1\ne2\ne3\n");
}

#[tokio::test]
async fn a_sink_that_is_gone_stops_the_task() {
    let sink = Memory::with_hook(|_| Err(io::ErrorKind::BrokenPipe.into()));
    let outcome = run_into(task(&["yes"]), Stdin::Null, &sink).await;
    assert_eq!(
        outcome,
        Outcome::Signalled {
            signal: 13,
            name: "SIGPIPE".into()
        }
    );
}

#[tokio::test]
async fn streams_without_a_limit_are_handed_on_as_they_are() {
    let own = std::fs::read_link("/proc/self/fd/2").unwrap();
    let compare = script(&format!(
        "[ \"$(readlink /proc/$$/fd/2)\" = '{}' ]",
        own.display()
    ));
    let report = run(compare, Stdio::default(), CancellationToken::new(), None)
        .await
        .unwrap();
    assert_eq!(report.outcome, Outcome::Exited { code: 0 });
}

/// Runs a script with standard output forwarded into a pipe, whose reading end `read` gets on a thread of its own.
async fn forwarded<T: Send + 'static>(
    text: &str,
    read: impl FnOnce(OwnedFd) -> T + Send + 'static,
) -> (std::process::ExitStatus, T) {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let mut tree = spawn(Command {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), text.into()],
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        cwd: "/".into(),
        stdout: Out::Piped,
        ..Command::default()
    })
    .unwrap();
    let reading = std::thread::spawn(move || read(reader));
    let (ended, overflow, budget) = (
        CancellationToken::new(),
        CancellationToken::new(),
        Budget::new(None),
    );
    let target = Target::Descriptor(Forwarder::new(writer).unwrap());
    let pipe = tree.take_stdout().unwrap();
    let (status, ()) = tokio::join!(
        tree.wait(),
        forward(pipe, target, Stream::Stdout, &budget, &ended, &overflow)
    );
    let status = status.unwrap();
    tree.end(LONG).await.unwrap();
    (status, reading.join().unwrap())
}

#[tokio::test]
async fn a_reader_in_small_sips_gets_every_byte() {
    let (status, count) = forwarded("head -c 1000003 /dev/zero", |reader| {
        let mut buffer = [0; 777];
        let mut count = 0;
        loop {
            match rustix::io::read(&reader, &mut buffer).unwrap() {
                0 => return count,
                read => count += read,
            }
        }
    })
    .await;
    assert!(status.success());
    assert_eq!(count, 1_000_003);
}

#[tokio::test]
async fn a_reader_that_leaves_stops_the_task() {
    use std::os::unix::process::ExitStatusExt as _;
    let (status, ()) = forwarded("exec yes", drop).await;
    assert_eq!(status.signal(), Some(13));
}
