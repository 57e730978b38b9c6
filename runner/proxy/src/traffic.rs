//! The connections of a run that are open.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::activity::Activity;
use crate::target::Target;

/// The connections of a run that are open: tells whom a run waits for.
#[derive(Debug, Clone, Default)]
pub struct Traffic(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    next: u64,
    connections: BTreeMap<u64, (String, Arc<Activity>)>,
}

impl Traffic {
    /// The hosts, with their ports, that are being connected to, or that owe an answer or the rest of one.
    #[must_use]
    pub fn awaited(&self) -> BTreeSet<String> {
        self.open()
            .connections
            .values()
            .filter(|(_, activity)| activity.is_awaited())
            .map(|(host, _)| host.clone())
            .collect()
    }

    /// Notes a connection, until what is returned is dropped.
    pub(crate) fn note(&self, target: &Target) -> Noted {
        let activity = Arc::new(Activity::new());
        let mut open = self.open();
        let number = open.next;
        open.next += 1;
        open.connections
            .insert(number, (target.to_string(), Arc::clone(&activity)));
        Noted {
            traffic: self.clone(),
            number,
            activity,
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is noted.
pub(crate) struct Noted {
    traffic: Traffic,
    number: u64,
    activity: Arc<Activity>,
}

impl Deref for Noted {
    type Target = Activity;

    fn deref(&self) -> &Activity {
        &self.activity
    }
}

impl fmt::Debug for Noted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.activity.fmt(formatter)
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.traffic.open().connections.remove(&self.number);
    }
}
