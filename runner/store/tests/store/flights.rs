use std::os::unix::fs::MetadataExt as _;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;

use wrun_store::{FlightFailure, FlightKey, StoreError};

use crate::support::{env_id, flight, fresh, info, spec_id};

fn failure(code: &str) -> FlightFailure {
    FlightFailure {
        code: code.to_owned(),
        message: "no such package".to_owned(),
        help: None,
    }
}

#[test]
fn of_many_threads_one_builds_and_all_get_the_environment() {
    const THREADS: usize = 32;
    let (_folder, store) = fresh();
    let id = env_id("shared");
    let key = FlightKey::Env(id.clone());
    let builds = AtomicUsize::new(0);
    let inside = AtomicUsize::new(0);
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                start.wait();
                let lease = store.lease(&id).unwrap();
                let flight = flight(&store, &key).unwrap();
                assert_eq!(
                    inside.fetch_add(1, Ordering::SeqCst),
                    0,
                    "two hold the same flight"
                );
                if lease.environment().unwrap().is_none() {
                    builds.fetch_add(1, Ordering::SeqCst);
                    let build = store.begin(&flight, &id).unwrap();
                    build.tree().write("file", b"content", false).unwrap();
                    build.commit(info("shared")).unwrap();
                }
                inside.fetch_sub(1, Ordering::SeqCst);
                drop(flight);
                let environment = lease.environment().unwrap().unwrap();
                assert_eq!(
                    std::fs::read(environment.prefix.join("file")).unwrap(),
                    b"content"
                );
            });
        }
    });
    assert_eq!(builds.load(Ordering::SeqCst), 1);
}

#[test]
fn those_who_waited_share_the_failure_and_those_who_come_later_do_not() {
    const WAITERS: usize = 8;
    let (_folder, store) = fresh();
    let key = FlightKey::Spec(spec_id("x"));
    let holder = flight(&store, &key).unwrap();
    holder.set_phase("solving");
    let (waiting, told) = channel();
    std::thread::scope(|scope| {
        for _ in 0..WAITERS {
            let waiting = waiting.clone();
            let (store, key) = (&store, &key);
            scope.spawn(move || {
                let mut seen = Vec::new();
                let flight = store
                    .flight(key, &|| false, &mut |holder| {
                        seen.push(holder.clone());
                        waiting.send(()).unwrap();
                    })
                    .unwrap();
                assert_eq!(seen[0].pid, std::process::id());
                assert_eq!(seen[0].what, "solving");
                assert_eq!(flight.shared_failure(), Some(failure("solve.none")));
            });
        }
        for _ in 0..WAITERS {
            told.recv().unwrap();
        }
        holder.fail(&failure("solve.none")).unwrap();
        drop(holder);
    });
    let later = flight(&store, &key).unwrap();
    assert_eq!(later.shared_failure(), None);
}

#[test]
fn an_old_failure_is_not_shared_with_who_waits_for_somebody_else() {
    let (_folder, store) = fresh();
    let key = FlightKey::Tool("uv".to_owned());
    flight(&store, &key).unwrap().fail(&failure("old")).unwrap();
    let holder = flight(&store, &key).unwrap();
    let (waiting, told) = channel();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            store
                .flight(&key, &|| false, &mut |_| waiting.send(()).unwrap())
                .unwrap()
                .shared_failure()
        });
        told.recv().unwrap();
        drop(holder);
        assert_eq!(waiter.join().unwrap(), None);
    });
}

#[test]
fn who_waits_is_told_when_the_phase_changes() {
    let (_folder, store) = fresh();
    let key = FlightKey::Code("x".to_owned());
    let holder = flight(&store, &key).unwrap();
    let (waiting, told) = channel();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let mut tell = |holder: &wrun_store::Holder| waiting.send(holder.what.clone()).unwrap();
            store.flight(&key, &|| false, &mut tell).map(drop)
        });
        assert_eq!(told.recv().unwrap(), "code `x`");
        holder.set_phase("compiling");
        assert_eq!(told.recv().unwrap(), "compiling");
        holder.set_phase(&"long ".repeat(1000));
        assert!(told.recv().unwrap().starts_with("long "));
        drop(holder);
        waiter.join().unwrap().unwrap();
    });
}

#[test]
fn a_wait_can_be_given_up_and_loses_nobody_the_lock() {
    let (_folder, store) = fresh();
    let key = FlightKey::Env(env_id("x"));
    let holder = flight(&store, &key).unwrap();
    for _ in 0..4 {
        let enough = AtomicBool::new(false);
        let given_up = store.flight(&key, &|| enough.load(Ordering::SeqCst), &mut |_| {
            enough.store(true, Ordering::SeqCst);
        });
        assert!(matches!(given_up, Err(StoreError::Cancelled { .. })));
    }
    drop(holder);
    flight(&store, &key).unwrap();
}

#[test]
fn a_lock_whose_file_lost_its_name_counts_for_nothing() {
    let (folder, store) = fresh();
    let id = env_id("x");
    let key = FlightKey::Env(id.clone());
    let holder = flight(&store, &key).unwrap();
    let file = store.root().join(format!("v1/build/env-{id}.lock"));
    // Held before it takes the name: whichever of the two files the waiter has opened by then, it has to wait for it.
    let replacement = folder.path().join("replacement");
    let other = std::fs::File::create(&replacement).unwrap();
    other.lock().unwrap();
    let (waiting, told) = channel();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            store
                .flight(&key, &|| false, &mut |_| waiting.send(()).unwrap())
                .unwrap()
        });
        told.recv().unwrap();
        std::fs::rename(&replacement, &file).unwrap();
        drop(holder);
        drop(other);
        let flight = waiter.join().unwrap();
        assert_eq!(
            std::fs::metadata(&file).unwrap().ino(),
            rustix::fs::fstat(&flight).unwrap().st_ino,
            "the waiter holds a file without a name"
        );
        let contended = AtomicBool::new(false);
        let second = store.flight(&key, &|| contended.load(Ordering::SeqCst), &mut |_| {
            contended.store(true, Ordering::SeqCst);
        });
        assert!(matches!(second, Err(StoreError::Cancelled { .. })));
        drop(flight);
    });
}

#[test]
fn different_keys_do_not_wait_for_each_other() {
    let (_folder, store) = fresh();
    let keys = [
        FlightKey::Spec(spec_id("x")),
        FlightKey::Env(env_id("x")),
        FlightKey::Tool("x".to_owned()),
        FlightKey::Code("x".to_owned()),
        FlightKey::Tool("../../x".to_owned()),
    ];
    let held: Vec<_> = keys
        .iter()
        .map(|key| store.flight(key, &|| true, &mut |_| {}).unwrap())
        .collect();
    assert_eq!(held.len(), keys.len());
}
