//! What a native task was refused: said at once for hosts that it asks the proxy for, and at its end for the rest.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use wrun_core::denial::{Denial, DenialKind, Grant, Observation};
use wrun_core::event::Event;
use wrun_exec::{Gate, Observer, Reason, Refusal};

use crate::context::Emit;

/// As many hosts are said; a task can ask for as many as it likes.
const MOST: usize = 64;

/// The hosts that a task was refused.
#[derive(Clone)]
pub(crate) struct Refusals {
    emit: Emit,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    denials: BTreeMap<String, Denial>,
    unlisted: usize,
}

impl Refusals {
    pub(crate) fn new(emit: Emit) -> Self {
        Self {
            emit,
            seen: Arc::default(),
        }
    }

    /// Has the gate say what it refuses.
    pub(crate) fn hear(&self, gate: Gate) -> Gate {
        let refusals = self.clone();
        Gate {
            observer: Arc::new(move |refusal| refusals.add(&refusal)),
            ..gate
        }
    }

    fn add(&self, refusal: &Refusal) {
        let denial = denial(refusal);
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.denials.contains_key(&denial.what) {
                return;
            }
            if seen.denials.len() == MOST {
                seen.unlisted += 1;
                return;
            }
            seen.denials.insert(denial.what.clone(), denial.clone());
        }
        (self.emit)(Event::ConnectionRefused(denial));
    }

    /// Has what a watched task was refused said at its end, with the hosts among it. Paths in the task's folder are
    /// written as a task file writes them.
    pub(crate) fn observer(&self, folder: &Path) -> Observer {
        let (refusals, folder) = (self.clone(), folder.to_owned());
        Observer::new(move |observed| {
            let Observation {
                denials,
                unlisted,
                unobserved,
            } = observed;
            let seen = refusals.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let mut denials: Vec<Denial> = denials
                .into_iter()
                .map(|denial| relative(denial, &folder))
                .chain(seen.denials.values().cloned())
                .collect();
            denials.sort_by_key(|denial| denial.kind);
            (refusals.emit)(Event::Denied(Observation {
                denials,
                unlisted: unlisted + seen.unlisted,
                unobserved,
            }));
        })
    }
}

fn denial(refusal: &Refusal) -> Denial {
    let what = match refusal.host.parse() {
        Ok(address) => std::net::SocketAddr::new(address, refusal.port).to_string(),
        Err(_) => format!("{}:{}", refusal.host, refusal.port),
    };
    let reason = match (refusal.reason, refusal.address) {
        (Reason::PrivateAddress, Some(address)) => Some(format!(
            "it points to {address}, which is not of the public internet"
        )),
        (Reason::PrivateAddress, None) => Some("it points to no address of the public internet".to_owned()),
        (Reason::NotResolved, _) => Some("it has no address".to_owned()),
        _ => None,
    };
    match (refusal.rule(), reason) {
        (Some(rule), None) => Denial::new(DenialKind::Net, what, Grant::Net(rule)),
        (Some(rule), Some(reason)) => Denial::new(DenialKind::Net, what, Grant::Net(rule)).because(reason),
        (None, reason) => Denial::for_good(DenialKind::Net, what, reason.unwrap_or_default()),
    }
}

fn relative(denial: Denial, folder: &Path) -> Denial {
    let in_folder = |path: &str| {
        let inside = Path::new(path).strip_prefix(folder).ok()?.to_str()?;
        Some(if inside.is_empty() { "." } else { inside }.to_owned())
    };
    let grant = match &denial.grant {
        Some(Grant::Read(path)) => in_folder(path).map(Grant::Read),
        Some(Grant::Write(path)) => in_folder(path).map(Grant::Write),
        _ => None,
    };
    match grant {
        Some(grant) => Denial {
            line: Some(grant.line()),
            grant: Some(grant),
            ..denial
        },
        None => denial,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(host: &str, reason: Reason) -> Refusal {
        Refusal {
            host: host.to_owned(),
            port: 443,
            address: None,
            reason,
        }
    }

    #[test]
    fn each_host_is_said_once_and_no_more_than_fit() {
        let said = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&said);
        let refusals = Refusals::new(Arc::new(move |event| sink.lock().unwrap().push(event)));
        for number in 0..MOST + 5 {
            for _ in 0..2 {
                refusals.add(&refusal(&format!("{number}.example"), Reason::NotListed));
            }
        }
        assert_eq!(said.lock().unwrap().len(), MOST);
        let seen = refusals.seen.lock().unwrap();
        assert_eq!((seen.denials.len(), seen.unlisted), (MOST, 10));
    }

    #[test]
    fn a_host_without_an_address_has_no_line() {
        assert_eq!(denial(&refusal("a.example", Reason::NotResolved)).line, None);
        let listed = denial(&refusal("a.example", Reason::NotListed));
        assert_eq!(listed.line.as_deref(), Some(r#"net = ["a.example:443"]"#));
    }

    #[test]
    fn paths_in_the_folder_are_relative_to_it() {
        let line = |path: &str| {
            let denial = Denial::new(DenialKind::Write, path, Grant::Write(path.to_owned()));
            relative(denial, Path::new("/task")).line.unwrap()
        };
        assert_eq!(line("/task/out"), r#"write = ["out"]"#);
        assert_eq!(line("/task"), r#"write = ["."]"#);
        assert_eq!(line("/tasks/out"), r#"write = ["/tasks/out"]"#);
    }
}
