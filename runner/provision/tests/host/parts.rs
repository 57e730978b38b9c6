//! Parts that environments share.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wrun_core::event::Event;
use wrun_core::host::{Fill, Host as _, PartRequest};
use wrun_core::id::Digest;
use wrun_core::problem::Problem;
use wrun_store::{FlightKey, PartId, StoreError};

use crate::support::World;

fn layer() -> PartRequest {
    PartRequest {
        kind: "layer".to_owned(),
        digest: Digest::of(b"x"),
        label: "layer x".to_owned(),
    }
}

fn id() -> PartId {
    PartId::new("layer", Digest::of(b"x")).unwrap()
}

/// Fills a part with one file and counts.
fn filling(count: &Arc<AtomicUsize>) -> Fill {
    let count = Arc::clone(count);
    Box::new(move |folder: &Path| {
        count.fetch_add(1, Ordering::Relaxed);
        std::fs::write(folder.join("file"), "content").unwrap();
        Ok(())
    })
}

#[tokio::test]
async fn a_part_is_made_once_and_held_by_its_hosts() {
    let mut world = World::new();
    let count = Arc::default();
    let (one, two) = (world.host(), world.host());
    let request = layer();
    let (first, second) = tokio::join!(
        one.part(&request, filling(&count)),
        two.part(&request, filling(&count))
    );
    let path = first.unwrap();
    assert_eq!(second.unwrap(), path);
    assert_eq!(count.load(Ordering::Relaxed), 1);
    assert_eq!(std::fs::read_to_string(path.join("file")).unwrap(), "content");
    assert_eq!((one.parts(), two.parts()), (vec![id()], vec![id()]));
    let steps = || {
        let events = world.events.lock().unwrap();
        events
            .iter()
            .filter(|event| matches!(event, Event::StepStarted { .. }))
            .count()
    };
    let before = steps();
    assert_eq!(one.part(&request, filling(&count)).await.unwrap(), path);
    assert_eq!(
        (steps(), count.load(Ordering::Relaxed)),
        (before, 1),
        "what is there is no step"
    );

    drop(one);
    assert!(matches!(
        world.store.remove_part(&id()),
        Err(StoreError::Busy { .. })
    ));
    drop(two);
    assert_eq!(world.store.remove_part(&id()).unwrap().label, "layer x");
}

#[tokio::test]
async fn a_part_that_cannot_be_made_leaves_nothing_and_is_tried_again() {
    let mut world = World::new();
    let host = world.host();
    let failing: Fill = Box::new(|folder: &Path| {
        std::fs::write(folder.join("half"), "x").unwrap();
        Err(Problem::failed("layer.diff-id", "it is another"))
    });
    let problem = host.part(&layer(), failing).await.unwrap_err();
    assert_eq!(problem.code(), "layer.diff-id");
    assert_eq!(host.parts(), []);
    assert!(!world.store.root().join(format!("v1/part/{}", id())).exists());
    let count = Arc::default();
    let path = host.part(&layer(), filling(&count)).await.unwrap();
    assert!(!path.join("half").exists());
    let bad = PartRequest {
        kind: "../up".to_owned(),
        ..layer()
    };
    assert_eq!(
        host.part(&bad, filling(&count)).await.unwrap_err().code(),
        "store.name.invalid"
    );
}

#[tokio::test]
async fn a_wait_for_another_maker_is_told_and_can_be_cancelled() {
    let mut world = World::new();
    let host = world.host();
    let key = FlightKey::Part(id());
    let held = world.store.flight(&key, &|| false, &mut |_| {}).unwrap();
    let count = Arc::default();
    let request = layer();
    let (cancel, events) = (world.cancel.clone(), Arc::clone(&world.events));
    let cancelling = async {
        while !events
            .lock()
            .unwrap()
            .iter()
            .any(|event| matches!(event, Event::Waiting { .. }))
        {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let (result, ()) = tokio::join!(host.part(&request, filling(&count)), cancelling);
    assert_eq!(result.unwrap_err(), Problem::Cancelled);
    assert_eq!(count.load(Ordering::Relaxed), 0);
    drop(held);
}

#[tokio::test]
async fn who_waited_is_told_why_it_failed() {
    let mut world = World::new();
    let (maker, waiter) = (world.host(), world.host());
    let events = Arc::clone(&world.events);
    // Fails only when the other one waits for it.
    let failing: Fill = Box::new(move |_: &Path| {
        while !events
            .lock()
            .unwrap()
            .iter()
            .any(|event| matches!(event, Event::Waiting { .. }))
        {
            std::thread::yield_now();
        }
        Err(Problem::failed("layer.diff-id", "it is another"))
    });
    let (sender, begun) = tokio::sync::oneshot::channel();
    let failing: Fill = Box::new(move |folder: &Path| {
        sender.send(()).unwrap();
        failing(folder)
    });
    let count = Arc::default();
    let request = layer();
    let waiting = async {
        begun.await.unwrap();
        waiter.part(&request, filling(&count)).await
    };
    let (first, second) = tokio::join!(maker.part(&request, failing), waiting);
    assert_eq!(first.unwrap_err().code(), "layer.diff-id");
    assert_eq!(second.unwrap_err().code(), "layer.diff-id");
    assert_eq!(count.load(Ordering::Relaxed), 0);
}
