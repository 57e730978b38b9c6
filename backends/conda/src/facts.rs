//! What is said of a conflict: facts, each with those that it follows from.

use std::collections::BTreeSet;

use rattler_conda_types::RepoDataRecord;

/// Facts that are told at most.
const TOLD: usize = 8;

/// Versions that are listed one by one.
const LISTED: usize = 4;

/// A fact, by its place in the order in which they were found.
pub(crate) type FactId = usize;

struct Fact {
    said: String,
    because: BTreeSet<FactId>,
}

/// All that was found.
#[derive(Default)]
pub(crate) struct Facts(Vec<Fact>);

impl Facts {
    pub(crate) fn add(&mut self, said: String, because: BTreeSet<FactId>) -> FactId {
        self.0.push(Fact { said, because });
        self.0.len() - 1
    }

    /// Some facts with all that they follow from, each after those, in one sentence.
    pub(crate) fn told(&self, of: BTreeSet<FactId>) -> String {
        let mut all = of.clone();
        let mut open: Vec<FactId> = of.into_iter().collect();
        while let Some(fact) = open.pop().and_then(|id| self.0.get(id)) {
            open.extend(fact.because.iter().copied().filter(|id| all.insert(*id)));
        }
        let mut said: Vec<&str> = Vec::new();
        for fact in all.iter().filter_map(|id| self.0.get(*id)) {
            if !said.contains(&fact.said.as_str()) {
                said.push(&fact.said);
            }
        }
        let count = said.len();
        let more;
        if count > TOLD {
            // What is asked for is at the beginning, and what contradicts it at the end.
            more = format!("{} more of that kind", count - TOLD);
            said.splice(TOLD / 2..count - TOLD / 2, [more.as_str()]);
        }
        match said.split_last() {
            Some((last, [])) => (*last).to_owned(),
            Some((last, others)) => format!("{}, and {last}", others.join("; ")),
            None => String::new(),
        }
    }
}

/// What some packages of one name are called, out of all of that name: the subject of a sentence.
pub(crate) fn subject(some: &[&RepoDataRecord], all: &[&RepoDataRecord]) -> String {
    let versions = |records: &[&RepoDataRecord]| -> BTreeSet<_> {
        records
            .iter()
            .map(|record| record.package_record.version.clone())
            .collect()
    };
    let of_some = versions(some);
    let (Some(first), Some(last), Some(record)) = (of_some.first(), of_some.last(), some.first()) else {
        return String::new();
    };
    let name = record.package_record.name.as_normalized();
    let in_range: Vec<&RepoDataRecord> = all
        .iter()
        .copied()
        .filter(|record| (first..=last).contains(&&record.package_record.version))
        .collect();
    let is_all = in_range.len() == some.len();
    if first == last {
        return if is_all {
            format!("`{name} {first}`")
        } else {
            format!("what is left of the builds of `{name} {first}`")
        };
    }
    if is_all {
        return format!("every `{name}` from {first} to {last}");
    }
    if of_some.len() <= LISTED {
        let listed: Vec<String> = of_some.iter().map(ToString::to_string).collect();
        return format!("what is left of `{name}` ({})", listed.join(", "));
    }
    format!("every `{name}` from {first} to {last} that is left")
}

/// Alternatives, for people.
pub(crate) fn any_of(specs: &[String]) -> String {
    let shown: Vec<String> = specs
        .iter()
        .take(LISTED)
        .map(|spec| format!("`{spec}`"))
        .collect();
    let more = if specs.len() > LISTED { " or another" } else { "" };
    match shown.split_last() {
        Some((last, others)) if !others.is_empty() && more.is_empty() => {
            format!("{} or {last}", others.join(", "))
        }
        _ => format!("{}{more}", shown.join(", ")),
    }
}
