//! Things that are asked for, be it far below, and that do not go together.

use std::collections::BTreeSet;

use rattler_conda_types::{MatchSpec, PackageRecord, RepoDataRecord};

use crate::blocked::Blocked;
use crate::explain::{Asked, CONFLICT, Reason, fits, identity, name, parsed, shown, versions};
use crate::together;

/// How many dependencies are looked at for one that cannot be met.
const WANTS_LOOKED_AT: usize = 500;

/// What is asked for that is named when it cannot be had together.
const NAMED: usize = 6;

/// Who needs what is in the spec itself.
const TASK: &str = "the task asks for";

/// Something that is needed, and by whom.
#[derive(Clone)]
struct Want {
    /// Who needs it, with the verb.
    who: String,
    /// What was asked for in the first place.
    root: String,
    spec: MatchSpec,
    /// Whether it has to be there at all, or only to be of that kind if it is.
    is_needed: bool,
    /// Whether nothing else could stand in for whoever needs it.
    only_choice: bool,
}

impl Asked<'_> {
    /// Why what is asked for cannot be had, where each part of it could.
    pub(crate) fn conflict(&self, blocked: &Blocked<'_>) -> Reason {
        let pair = self.pair();
        if let Some((reason, true)) = pair {
            return reason;
        }
        let mut named: Vec<String> = self
            .specs
            .iter()
            .take(NAMED)
            .map(|spec| format!("`{}`", shown(spec)))
            .collect();
        if self.specs.len() > NAMED {
            named.push(format!("{} more", self.specs.len() - NAMED));
        }
        let what = match named.split_last() {
            Some((last, others)) if !others.is_empty() => {
                format!("{} and {last} cannot be had together", others.join(", "))
            }
            _ => format!("{} cannot be had", named.concat()),
        };
        let why = match (together::why(self, blocked), pair) {
            (Some(why), _) => format!(": {why}"),
            (None, Some((pair, _))) => format!(
                ", whatever versions are chosen; of the newest that fit, {}",
                pair.message
            ),
            (None, None) => {
                ": whatever is chosen, something that one needs does not go with the rest".to_owned()
            }
        };
        Reason {
            code: CONFLICT,
            message: what + &why,
            help: Some(
                if self.specs.len() == 1 {
                    "ask for another version, or for something else; `WRUN_LOG=debug` shows all that the solver says"
                } else {
                    "loosen one of them, or put what they are for into two tasks"
                }
                .to_owned(),
            ),
        }
    }

    fn newest(&self, spec: &MatchSpec) -> Option<&RepoDataRecord> {
        let wanted = name(spec)?;
        self.records()
            .filter(|record| {
                record.package_record.name == *wanted && fits(spec, record) && self.is_in_time(record)
            })
            .max_by(|left, right| left.package_record.version.cmp(&right.package_record.version))
    }

    /// Two things that need different versions of a third. Of each package the newest that fits is looked at, so what is
    /// found is a reason for sure only where there is no other choice.
    fn pair(&self) -> Option<(Reason, bool)> {
        let wants = self.wants();
        for (position, left) in wants.iter().enumerate() {
            for right in wants.iter().skip(position + 1) {
                let (Some(third), true) = (name(&left.spec), name(&left.spec) == name(&right.spec)) else {
                    continue;
                };
                if !left.is_needed && !right.is_needed {
                    continue;
                }
                let (in_time, left_out): (Vec<&RepoDataRecord>, Vec<&RepoDataRecord>) =
                    self.of_name(third).partition(|record| self.is_in_time(record));
                let both = |record: &&RepoDataRecord| fits(&left.spec, record) && fits(&right.spec, record);
                if in_time.is_empty() || in_time.iter().any(&both) {
                    continue;
                }
                let way_out: Vec<&RepoDataRecord> = left_out.into_iter().filter(&both).collect();
                let note = self
                    .cut_off
                    .and_then(|cut_off| cut_off.note(third.as_source(), &way_out));
                let [one, other] = [left, right].map(|want| shown(&want.spec));
                let is_asked_twice = left.who == TASK && right.who == TASK;
                let who = if is_asked_twice {
                    format!("{TASK} both `{one}` and `{other}`")
                } else {
                    format!("{} `{one}`, and {} `{other}`", left.who, right.who)
                };
                let reason = Reason {
                    code: CONFLICT,
                    message: format!(
                        "{who}: no version is both, there is {}{}",
                        versions(&in_time),
                        note.unwrap_or_default()
                    ),
                    help: Some(
                        if is_asked_twice {
                            "an environment has one version of a package: remove one of the two, or make two tasks"
                        } else {
                            "loosen one of the two, or put what they are for into two tasks"
                        }
                        .to_owned(),
                    ),
                };
                return Some((reason, left.only_choice && right.only_choice));
            }
        }
        None
    }

    /// What is asked for, and what that needs in turn.
    fn wants(&self) -> Vec<Want> {
        let mut wants: Vec<Want> = self
            .specs
            .iter()
            .map(|spec| Want {
                who: TASK.to_owned(),
                root: shown(spec),
                spec: spec.clone(),
                is_needed: true,
                only_choice: true,
            })
            .collect();
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let mut next = 0;
        while let Some(want) = wants.get(next).cloned() {
            next += 1;
            let Some(record) = self.newest(&want.spec).filter(|_| want.is_needed) else {
                continue;
            };
            let who = identity(record);
            if !seen.insert(who.clone()) || wants.len() > WANTS_LOOKED_AT {
                continue;
            }
            let choices = self
                .of_name(&record.package_record.name)
                .filter(|other| fits(&want.spec, other) && self.is_in_time(other))
                .count();
            let of = if want.root.starts_with(record.package_record.name.as_normalized()) {
                String::new()
            } else {
                format!(" (for `{}`)", want.root)
            };
            let only_choice = want.only_choice && choices == 1;
            let PackageRecord {
                depends, constrains, ..
            } = &record.package_record;
            for (texts, verb, is_needed) in [(depends, "needs", true), (constrains, "goes only with", false)]
            {
                wants.extend(texts.iter().filter_map(|text| {
                    Some(Want {
                        who: format!("`{who}`{of} {verb}"),
                        root: want.root.clone(),
                        spec: parsed(text)?,
                        is_needed,
                        only_choice,
                    })
                }));
            }
        }
        wants
    }
}
