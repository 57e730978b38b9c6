//! Says whom a step still waits for.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use wrun_core::event::Event;

use crate::host::Events;

/// Does some work, and tells of the hosts that are `awaited` when it has taken `patience`, and again each time that
/// it has taken twice as long. `what` is the work, for people.
pub(crate) async fn patiently<T>(
    events: &Events,
    patience: Duration,
    what: &str,
    awaited: impl Fn() -> BTreeSet<String>,
    work: impl Future<Output = T>,
) -> T {
    let began = Instant::now();
    let mut waited = patience;
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = sleep_until(began + waited) => {
                let hosts = awaited();
                if !hosts.is_empty() {
                    events(Event::StillWaiting {
                        what: what.to_owned(),
                        hosts: hosts.into_iter().collect(),
                        milliseconds: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
                    });
                }
                waited = waited.saturating_mul(2);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_told_less_and_less_often() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&told);
        let events: Events = Arc::new(move |event| keep.lock().unwrap().push(event));
        let second = Duration::from_secs(1);
        let host = || ["example.org:443".to_owned()].into();
        let work = tokio::time::sleep(second * 60);
        patiently(&events, second * 10, "work", host, work).await;
        let times: Vec<u64> = told
            .lock()
            .unwrap()
            .iter()
            .map(|event| match event {
                Event::StillWaiting { milliseconds, .. } => *milliseconds,
                _ => 0,
            })
            .collect();
        assert_eq!(times, [10_000, 20_000, 40_000]);
        let work = tokio::time::sleep(second * 60);
        patiently(&events, second, "work", BTreeSet::new, work).await;
        assert_eq!(told.lock().unwrap().len(), 3);
    }
}
