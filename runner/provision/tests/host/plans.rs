//! Install plans with real programs.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::support::{World, checked, give_up, plan, shell, shell_in_prefix, step};
use rustix::fs::{CWD, Mode, mkfifoat};
use tokio::io::AsyncReadExt as _;
use wrun_core::event::{Event, Phase};
use wrun_core::plan::{Action, Check, InstallPlan, NetworkUse, Place};
use wrun_core::problem::{Advice, Problem};

fn write(to: &str, content: &str) -> Action {
    Action::Write {
        to: Place::prefix(to),
        content: content.to_owned(),
        executable: false,
    }
}

#[tokio::test]
async fn steps_are_done_in_their_order() {
    let plan = checked(
        plan([
            step("folder", &[], Action::MakeDir(Place::prefix("a/b"))),
            step("write", &[0], write("a/b/one", "1")),
            step(
                "link",
                &[],
                Action::Symlink {
                    at: Place::prefix("link"),
                    target: Place::prefix("a/b/one").into(),
                },
            ),
            step(
                "run",
                &[1, 2],
                Action::Run(shell_in_prefix(
                    "cat $1/link > $1/two; printf 2 >> $1/two; echo x > tmp",
                )),
            ),
            step("remove", &[3], Action::Remove(Place::prefix("a"))),
        ]),
        Check::Exists(Place::prefix("two")),
    );
    let mut world = World::new();
    let built = world.build(&plan, give_up).await;
    assert_eq!(built.result, Ok(()));
    assert_eq!(built.text("two"), "12");
    assert!(!built.prefix.join("a").exists());
    let events = world.events.lock().unwrap();
    let started: Vec<usize> = events
        .iter()
        .filter_map(|event| match event {
            Event::StepStarted {
                phase: Phase::Build,
                step,
                of: 5,
                ..
            } => Some(*step),
            _ => None,
        })
        .collect();
    assert_eq!(started, [0, 1, 2, 3, 4]);
    let finished = events
        .iter()
        .filter(|event| matches!(event, Event::StepFinished { .. }))
        .count();
    assert_eq!(finished, 5);
}

#[tokio::test]
async fn a_failed_step_is_told_in_the_backends_words_with_its_output() {
    let plan = plan([
        step(
            "install",
            &[],
            Action::Run(shell("echo out; echo why >&2; exit 7")),
        ),
        step("never", &[0], write("never", "")),
    ]);
    let mut world = World::new();
    let built = world.build(&plan, give_up).await;
    assert_eq!(
        built.result,
        Err(Problem::Failed {
            code: "test.failed".to_owned(),
            message: "install failed with Some(7)\nwhy".to_owned(),
            help: Some("help".to_owned()),
        })
    );
    assert!(!built.prefix.join("never").exists());
}

fn try_again(failure: &wrun_core::problem::StepFailure) -> Advice {
    Advice {
        retry: true,
        ..give_up(failure)
    }
}

#[tokio::test]
async fn a_step_is_tried_again_where_its_backend_says_so() {
    let fails_twice = "echo x >> $1/tries; [ $(wc -l < $1/tries) = 3 ]";
    let mut world = World::new();
    let built = world
        .build(
            &plan([step("try", &[], Action::Run(shell_in_prefix(fails_twice)))]),
            try_again,
        )
        .await;
    assert_eq!(built.result, Ok(()));
    let events = world.events.lock().unwrap();
    let attempts: Vec<u32> = events
        .iter()
        .filter_map(|event| match event {
            Event::StepRetried { attempt, .. } => Some(*attempt),
            _ => None,
        })
        .collect();
    assert_eq!(attempts, [2, 3]);
}

#[tokio::test]
async fn a_step_is_tried_three_times_at_most() {
    let asked = AtomicU32::new(0);
    let explain = |failure: &_| {
        asked.fetch_add(1, Ordering::Relaxed);
        try_again(failure)
    };
    let mut world = World::new();
    let built = world
        .build(&plan([step("try", &[], Action::Run(shell("exit 1")))]), explain)
        .await;
    assert_eq!(built.result.unwrap_err().code(), "test.failed");
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_step_that_takes_too_long_is_named_with_its_limit() {
    let mut run = shell("echo stuck >&2; sleep 1000");
    run.timeout = Duration::from_millis(200);
    let problem = World::new()
        .build(&plan([step("slow", &[], Action::Run(run))]), try_again)
        .await
        .result
        .unwrap_err();
    assert_eq!(problem.code(), "provision.step.timed-out");
    assert!(
        problem
            .to_string()
            .starts_with("slow: not done after 0.2 seconds"),
        "{problem}"
    );
    assert!(problem.to_string().ends_with("stuck"), "{problem}");
}

#[tokio::test]
async fn a_full_disk_is_told_as_such() {
    let run = shell("echo 'error: No space left on device (os error 28)' >&2; exit 2");
    let problem = World::new()
        .build(&plan([step("fill", &[], Action::Run(run))]), try_again)
        .await
        .result
        .unwrap_err();
    assert_eq!(problem.code(), "store.disk.full");
    let plan = InstallPlan {
        estimated_bytes: Some(u64::MAX),
        reads: Vec::new(),
        ..plan([step("write", &[], write("a", ""))])
    };
    let mut world = World::new();
    let built = world.build(&plan, give_up).await;
    assert_eq!(built.result.unwrap_err().code(), "store.disk.full");
    assert!(!built.prefix.join("a").exists());
}

#[tokio::test]
async fn cancelling_ends_the_whole_tree() {
    let mut world = World::new();
    let pipe = world.folder.path().join("pipe");
    mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
    let reader = tokio::net::unix::pipe::OpenOptions::new()
        .open_receiver(&pipe)
        .unwrap();
    // The shell's child keeps the pipe open as long as it lives.
    let script = format!("exec 9> '{}'; echo begun >&9; sleep 1000 & wait", pipe.display());
    let cancel = world.cancel.clone();
    let plan = plan([
        step("wait", &[], Action::Run(shell(&script))),
        step("never", &[0], write("never", "")),
    ]);
    let begun = async {
        let mut begun = [0; 6];
        loop {
            // Without a writer yet, a pipe is at its end.
            reader.readable().await.unwrap();
            match reader.try_read(&mut begun) {
                Ok(6) => break,
                _ => tokio::task::yield_now().await,
            }
        }
        cancel.cancel();
        reader
    };
    let (built, mut reader) = tokio::join!(world.build(&plan, try_again), begun);
    assert_eq!(built.result, Err(Problem::Cancelled));
    assert!(!built.prefix.join("never").exists());
    let mut rest = Vec::new();
    assert_eq!(reader.read_to_end(&mut rest).await.unwrap(), 0);
}

#[tokio::test]
async fn what_was_built_is_checked() {
    let step = || step("write", &[], write("a", ""));
    let missing = checked(plan([step()]), Check::Exists(Place::prefix("b")));
    let problem = World::new().build(&missing, give_up).await.result.unwrap_err();
    assert_eq!(problem.code(), "provision.check.failed");
    let broken = Check::Succeeds {
        label: "import x".to_owned(),
        run: shell("echo broken; exit 1"),
    };
    let problem = World::new()
        .build(&checked(plan([step()]), broken), give_up)
        .await
        .result
        .unwrap_err();
    assert!(problem.to_string().ends_with("import x\nbroken"), "{problem}");
    let fine = Check::Succeeds {
        label: "fine".to_owned(),
        run: shell("true"),
    };
    assert_eq!(
        World::new()
            .build(&checked(plan([step()]), fine), give_up)
            .await
            .result,
        Ok(())
    );
}

#[tokio::test]
async fn an_invalid_plan_is_refused_before_its_first_step() {
    let plan = plan([
        step("write", &[], write("a", "")),
        step("leave", &[], write("../b", "")),
    ]);
    let mut world = World::new();
    let built = world.build(&plan, give_up).await;
    assert_eq!(built.result.unwrap_err().code(), "provision.plan.invalid");
    assert!(!built.prefix.join("a").exists());
}

#[tokio::test]
async fn a_step_that_needs_the_network_is_refused_offline() {
    let mut world = World::new();
    world.settings.offline = true;
    let mut run = shell("true");
    run.network = NetworkUse::Everyone;
    let problem = world
        .build(&plan([step("install", &[], Action::Run(run))]), give_up)
        .await
        .result
        .unwrap_err();
    assert_eq!(problem.code(), "provision.offline");
}
