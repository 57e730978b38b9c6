//! Why things cannot be had together, where it takes more than one look: of every package that is certainly needed, what is
//! left once everything is taken away that goes with nothing that is left of another. When nothing is left of one, the
//! facts on the way there are the reason.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rattler_conda_types::{MatchSpec, PackageName, RepoDataRecord};

use crate::blocked::Blocked;
use crate::explain::{Asked, fits, name, parsed, shown};
use crate::facts::{FactId, Facts, any_of, subject};
use crate::spec::Priority;

/// How long this may take.
const TIME: Duration = Duration::from_secs(3);

/// What is left of a package.
#[derive(Clone, Default)]
struct Left {
    records: BTreeSet<usize>,
    /// Why the others are not.
    facts: BTreeSet<FactId>,
    is_needed: bool,
}

/// What something that a package says of another means.
#[derive(Clone)]
struct Demand {
    name: PackageName,
    shown: String,
    fitting: Rc<BTreeSet<usize>>,
}

/// How a look at a package ended.
enum Look {
    Same,
    Changed,
    /// Nothing is left; the facts say why.
    Contradiction(BTreeSet<FactId>),
}

/// Packages, and what they want of another.
#[derive(Default)]
struct Wanting {
    records: BTreeSet<usize>,
    wanted: Vec<String>,
}

struct Search<'a> {
    records: Vec<&'a RepoDataRecord>,
    by_name: HashMap<&'a PackageName, Vec<usize>>,
    demands: HashMap<&'a str, Option<Demand>>,
    left: BTreeMap<PackageName, Left>,
    /// The names that are certainly needed, in the order in which that was found.
    needed: Vec<PackageName>,
    facts: Facts,
}

/// Why the things that are asked for cannot be had together, in one sentence; nothing if that takes trying out.
pub(crate) fn why(asked: &Asked<'_>, blocked: &Blocked<'_>) -> Option<String> {
    let mut search = Search::new(asked, blocked);
    let end = Instant::now() + TIME;
    if let Some(facts) = search.begin(asked.specs) {
        return Some(search.facts.told(facts));
    }
    loop {
        let mut is_changed = false;
        let mut next = 0;
        while let Some(name) = search.needed.get(next).cloned() {
            next += 1;
            if Instant::now() > end {
                return None;
            }
            match search.look(&name) {
                Look::Same => {}
                Look::Changed => is_changed = true,
                Look::Contradiction(facts) => {
                    let told = search.facts.told(facts);
                    return Some(told).filter(|told| !told.is_empty());
                }
            }
        }
        if !is_changed {
            return None;
        }
    }
}

impl<'a> Search<'a> {
    fn new(asked: &'a Asked<'_>, blocked: &Blocked<'_>) -> Self {
        let is_strict = asked.understood.spec.channel_priority == Priority::Strict;
        let pinned: Vec<&PackageName> = asked
            .specs
            .iter()
            .filter(|spec| spec.channel.is_some())
            .filter_map(name)
            .collect();
        let mut first_channel: HashMap<&PackageName, Option<&str>> = HashMap::new();
        let mut search = Self {
            records: Vec::new(),
            by_name: HashMap::new(),
            demands: HashMap::new(),
            left: BTreeMap::new(),
            needed: Vec::new(),
            facts: Facts::default(),
        };
        for record in asked.records() {
            let of = &record.package_record.name;
            let channel = record.channel.as_deref();
            let first = *first_channel.entry(of).or_insert(channel);
            let is_hidden = is_strict && first != channel && !pinned.contains(&of);
            if !is_hidden && asked.is_in_time(record) && !blocked.has(record) {
                search.by_name.entry(of).or_default().push(search.records.len());
                search.records.push(record);
            }
        }
        search
    }

    fn of_name(&self, name: &PackageName) -> &[usize] {
        self.by_name.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    fn fitting(&self, spec: &MatchSpec) -> BTreeSet<usize> {
        let of_name = name(spec).map(|name| self.of_name(name)).unwrap_or_default();
        let fitting = of_name
            .iter()
            .filter(|index| self.records.get(**index).is_some_and(|record| fits(spec, record)));
        fitting.copied().collect()
    }

    /// Takes what the task asks for; the facts say why nothing is left if that is so at once.
    fn begin(&mut self, specs: &[MatchSpec]) -> Option<BTreeSet<FactId>> {
        for spec in specs {
            let Some(name) = name(spec).filter(|name| !name.as_normalized().starts_with("__")) else {
                continue;
            };
            let fitting = self.fitting(spec);
            let left = self.left_of(name);
            left.records.retain(|index| fitting.contains(index));
            let is_empty = left.records.is_empty();
            if !left.is_needed {
                left.is_needed = true;
                self.needed.push(name.clone());
            }
            if is_empty {
                let said = format!("nothing is `{}`", shown(spec));
                return Some(BTreeSet::from([self.facts.add(said, BTreeSet::new())]));
            }
        }
        None
    }

    fn left_of(&mut self, name: &PackageName) -> &mut Left {
        let all: BTreeSet<usize> = self.of_name(name).iter().copied().collect();
        self.left.entry(name.clone()).or_insert_with(|| Left {
            records: all,
            ..Left::default()
        })
    }

    /// What a text that a package says of another means; nothing for what the machine offers and for conditions, which
    /// need not hold.
    fn demand(&mut self, text: &'a str) -> Option<Demand> {
        if let Some(known) = self.demands.get(text) {
            return known.clone();
        }
        let demand = parsed(text)
            .filter(|spec| spec.condition.is_none())
            .and_then(|spec| {
                let name = name(&spec).filter(|name| !name.as_normalized().starts_with("__"))?;
                Some(Demand {
                    name: name.clone(),
                    shown: shown(&spec),
                    fitting: Rc::new(self.fitting(&spec)),
                })
            });
        self.demands.insert(text, demand.clone());
        demand
    }

    fn subject(&self, name: &PackageName, some: &BTreeSet<usize>) -> String {
        let of = |indices: &mut dyn Iterator<Item = &usize>| -> Vec<&RepoDataRecord> {
            indices
                .filter_map(|index| self.records.get(*index).copied())
                .collect()
        };
        subject(&of(&mut some.iter()), &of(&mut self.of_name(name).iter()))
    }

    fn look(&mut self, name: &PackageName) -> Look {
        let Some(before) = self.left.get(name).cloned() else {
            return Look::Same;
        };
        let mut left = before.records.clone();
        // By the verb and the other package: what is taken away, and what that wanted.
        let mut gone: BTreeMap<(&str, PackageName), Wanting> = BTreeMap::new();
        for index in &before.records {
            if let Some((verb, demand)) = self.unmet(*index) {
                left.remove(index);
                let wanting = gone.entry((verb, demand.name)).or_default();
                wanting.records.insert(*index);
                if !wanting.wanted.contains(&demand.shown) {
                    wanting.wanted.push(demand.shown);
                }
            }
        }
        let mut facts = before.facts.clone();
        for ((verb, other), Wanting { records, wanted }) in &gone {
            let because = self
                .left
                .get(other)
                .map(|left| left.facts.clone())
                .unwrap_or_default();
            let said = format!("{} {verb} {}", self.subject(name, records), any_of(wanted));
            facts.insert(self.facts.add(said, because));
        }
        if left.is_empty() {
            return Look::Contradiction(facts);
        }
        if let Some(kept) = self.left.get_mut(name) {
            kept.records.clone_from(&left);
            kept.facts.clone_from(&facts);
        }
        match self.pass_on(name, &left, &facts) {
            Look::Same if !gone.is_empty() => Look::Changed,
            other => other,
        }
    }

    /// What a package says of another that nothing that is left of that one would do for.
    fn unmet(&mut self, index: usize) -> Option<(&'static str, Demand)> {
        let record = &self.records.get(index)?.package_record;
        let is_met = |search: &Self, demand: &Demand, is_there: bool| match search.left.get(&demand.name) {
            Some(left) if left.is_needed || is_there => !demand.fitting.is_disjoint(&left.records),
            _ => !is_there || !demand.fitting.is_empty(),
        };
        for text in &record.depends {
            if let Some(demand) = self.demand(text)
                && !is_met(self, &demand, true)
            {
                return Some(("needs", demand));
            }
        }
        for text in &record.constrains {
            if let Some(demand) = self.demand(text)
                && !is_met(self, &demand, false)
            {
                return Some(("goes only with", demand));
            }
        }
        None
    }

    /// What everything that is left of a package needs is needed too, and of that only what one of them takes.
    fn pass_on(&mut self, name: &PackageName, left: &BTreeSet<usize>, facts: &BTreeSet<FactId>) -> Look {
        let mut taken: BTreeMap<PackageName, (usize, BTreeSet<usize>, Vec<String>)> = BTreeMap::new();
        for index in left {
            let Some(record) = self.records.get(*index).copied() else {
                continue;
            };
            let mut of_one: BTreeMap<PackageName, BTreeSet<usize>> = BTreeMap::new();
            for text in &record.package_record.depends {
                let Some(demand) = self.demand(text) else { continue };
                let wanted = &mut taken.entry(demand.name.clone()).or_default().2;
                if !wanted.contains(&demand.shown) {
                    wanted.push(demand.shown);
                }
                of_one
                    .entry(demand.name)
                    .and_modify(|both| both.retain(|index| demand.fitting.contains(index)))
                    .or_insert_with(|| (*demand.fitting).clone());
            }
            for (other, fitting) in of_one {
                let (count, all, _) = taken.entry(other).or_default();
                *count += 1;
                all.extend(fitting);
            }
        }
        let mut look = Look::Same;
        for (other, (_, fitting, wanted)) in taken.into_iter().filter(|(_, taken)| taken.0 == left.len()) {
            let kept = self.left_of(&other).clone();
            let records: BTreeSet<usize> = kept.records.intersection(&fitting).copied().collect();
            if kept.is_needed && records.len() == kept.records.len() {
                continue;
            }
            let said = format!("{} needs {}", self.subject(name, left), any_of(&wanted));
            let fact = self.facts.add(said, facts.clone());
            if !kept.is_needed {
                self.needed.push(other.clone());
            }
            let is_empty = records.is_empty();
            let kept = self.left_of(&other);
            kept.records = records;
            kept.is_needed = true;
            kept.facts.insert(fact);
            if is_empty {
                return Look::Contradiction(kept.facts.clone());
            }
            look = Look::Changed;
        }
        look
    }
}
