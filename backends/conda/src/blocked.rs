//! Packages that cannot be installed, whatever else is chosen: something that they need is not to be had, or is such a
//! package itself.

use std::collections::HashMap;

use rattler_conda_types::{MatchSpec, PackageName, RepoDataRecord};

use crate::explain::{fits, name, read};

/// What a package needs and no package at all would do for.
pub(crate) enum Lack {
    /// There is nothing that fits.
    Spec(Box<MatchSpec>),
    /// It is written in a way that nobody understands: the words, and why.
    Unreadable(String, String),
}

/// What some package needs, in the words of the package.
struct Need {
    lack: Lack,
    /// The packages that would do.
    candidates: Vec<usize>,
    /// How many of them can be installed as far as is known.
    left: usize,
    /// The packages that need it.
    of: Vec<usize>,
}

/// What is known about packages that cannot be installed.
pub(crate) struct Blocked<'a> {
    records: Vec<&'a RepoDataRecord>,
    /// Where each of them is, by its place in memory.
    places: HashMap<usize, usize>,
    needs: Vec<Need>,
    /// For each package what it lacks, if it cannot be installed.
    lacks: Vec<Option<usize>>,
}

impl<'a> Blocked<'a> {
    /// Finds those among `records` that cannot be installed; `is_offered` says whether the machine offers what a virtual
    /// package stands for.
    pub(crate) fn find(records: Vec<&'a RepoDataRecord>, is_offered: impl Fn(&MatchSpec) -> bool) -> Self {
        let mut by_name: HashMap<&PackageName, Vec<usize>> = HashMap::new();
        for (index, record) in records.iter().enumerate() {
            by_name
                .entry(&record.package_record.name)
                .or_default()
                .push(index);
        }
        // Many packages need the same, word for word.
        let mut known: HashMap<&str, Option<usize>> = HashMap::new();
        let mut needs: Vec<Need> = Vec::new();
        let mut candidate_for: Vec<Vec<usize>> = vec![Vec::new(); records.len()];
        for (index, record) in records.iter().enumerate() {
            for depends in &record.package_record.depends {
                let need = *known.entry(depends.as_str()).or_insert_with(|| {
                    let spec = match read(depends) {
                        Ok(spec) if spec.condition.is_some() => return None,
                        Ok(spec) => spec,
                        Err(why) => {
                            needs.push(Need {
                                lack: Lack::Unreadable(depends.clone(), why),
                                left: 0,
                                candidates: Vec::new(),
                                of: Vec::new(),
                            });
                            return Some(needs.len() - 1);
                        }
                    };
                    let needed = name(&spec)?;
                    if needed.as_normalized().starts_with("__") && is_offered(&spec) {
                        return None;
                    }
                    let of_name = by_name.get(needed).map(Vec::as_slice).unwrap_or_default();
                    let candidates: Vec<usize> = of_name
                        .iter()
                        .copied()
                        .filter(|candidate| records.get(*candidate).is_some_and(|record| fits(&spec, record)))
                        .collect();
                    for candidate in &candidates {
                        if let Some(list) = candidate_for.get_mut(*candidate) {
                            list.push(needs.len());
                        }
                    }
                    needs.push(Need {
                        lack: Lack::Spec(Box::new(spec)),
                        left: candidates.len(),
                        candidates,
                        of: Vec::new(),
                    });
                    Some(needs.len() - 1)
                });
                if let Some(need) = need.and_then(|need| needs.get_mut(need)) {
                    need.of.push(index);
                }
            }
        }
        let mut found = Self {
            lacks: vec![None; records.len()],
            places: records
                .iter()
                .enumerate()
                .map(|(place, record)| (std::ptr::from_ref(*record).addr(), place))
                .collect(),
            records,
            needs,
        };
        found.spread(&candidate_for);
        found
    }

    /// What needs something that is not to be had is not to be had either.
    fn spread(&mut self, candidate_for: &[Vec<usize>]) {
        let mut gone: Vec<usize> = (0..self.needs.len())
            .filter(|need| self.needs.get(*need).is_some_and(|need| need.left == 0))
            .collect();
        while let Some(need) = gone.pop() {
            let of = self
                .needs
                .get(need)
                .map(|need| need.of.clone())
                .unwrap_or_default();
            for record in of {
                match self.lacks.get_mut(record) {
                    Some(lacks @ None) => *lacks = Some(need),
                    _ => continue,
                }
                for other in candidate_for.get(record).into_iter().flatten() {
                    if let Some(need) = self.needs.get_mut(*other) {
                        need.left -= 1;
                        if need.left == 0 {
                            gone.push(*other);
                        }
                    }
                }
            }
        }
    }

    /// Whether a package cannot be installed.
    pub(crate) fn has(&self, record: &RepoDataRecord) -> bool {
        let place = self.places.get(&std::ptr::from_ref(record).addr());
        place.is_some_and(|place| self.lacks.get(*place).copied().flatten().is_some())
    }

    /// The package at the end of the chain of needs that begins with `record`, and what that one lacks: no package at all
    /// would do for it. `None` if nothing is known against `record`.
    pub(crate) fn end_of(&self, record: &RepoDataRecord) -> Option<(&'a RepoDataRecord, &Lack)> {
        let mut at = *self.places.get(&std::ptr::from_ref(record).addr())?;
        loop {
            // Each was found after everything that would do for what it lacks, so this comes to an end.
            let need = self.needs.get((*self.lacks.get(at)?)?)?;
            let newest = need.candidates.iter().copied().max_by_key(|candidate| {
                self.records
                    .get(*candidate)
                    .map(|record| &record.package_record.version)
            });
            match newest {
                Some(next) => at = next,
                None => return Some((self.records.get(at)?, &need.lack)),
            }
        }
    }
}
