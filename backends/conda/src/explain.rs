//! Why there is no solution, in sentences.

use rattler_conda_types::{
    MatchSpec, Matches as _, PackageName, ParseMatchSpecOptions, RepoDataRecord, RepodataRevision, Subdir,
};
use rattler_repodata_gateway::RepoData;
use wrun_core::diagnostic::suggestion;
use wrun_core::problem::Problem;

use crate::blocked::{Blocked, Lack};
use crate::builds;
use crate::channels;
use crate::cut_off::CutOff;
use crate::spec::Priority;
use crate::understand::Understood;
use crate::virtual_packages::Virtual;

/// The code of a conflict of several things.
pub(crate) const CONFLICT: &str = "conda.solve.conflict";

/// Versions that are shown when none fits.
const VERSIONS_SHOWN: usize = 5;

/// What was asked, and what is known about it.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) understood: &'a Understood,
    pub(crate) specs: &'a [MatchSpec],
    pub(crate) repodata: &'a [RepoData],
    /// The names of everything that the channels have.
    pub(crate) names: &'a [String],
    pub(crate) virtual_packages: &'a Virtual,
    pub(crate) cut_off: Option<&'a CutOff>,
    /// Names that only other platforms have.
    pub(crate) elsewhere: &'a [(String, Subdir)],
}

/// A reason.
pub(crate) struct Reason {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

/// What is said of reasons, of which there is at least one.
pub(crate) fn unsatisfiable(reasons: Vec<Reason>) -> Problem {
    let messages: Vec<&str> = reasons.iter().map(|reason| reason.message.as_str()).collect();
    let message = messages.join("; ");
    let first = reasons.into_iter().next();
    Problem::Unsatisfiable {
        code: first.as_ref().map_or(CONFLICT, |first| first.code).to_owned(),
        message,
        help: first.and_then(|first| first.help),
    }
}

/// The name of a spec.
pub(crate) fn name(spec: &MatchSpec) -> Option<&PackageName> {
    spec.name.as_exact()
}

/// The name of a spec as a spec, for everything of that name.
pub(crate) fn bare(spec: &MatchSpec) -> Option<MatchSpec> {
    let name = name(spec)?.as_normalized();
    if name.starts_with("__") {
        None
    } else {
        parsed(name)
    }
}

/// A dependency as a spec, or why it is none.
pub(crate) fn read(depends: &str) -> Result<MatchSpec, String> {
    // As the solver reads it: what that cannot read it does not install.
    let options = ParseMatchSpecOptions::lenient().with_repodata_revision(RepodataRevision::V3);
    MatchSpec::from_str(depends, options).map_err(|error| error.to_string())
}

/// A dependency as a spec, if it is one.
pub(crate) fn parsed(depends: &str) -> Option<MatchSpec> {
    read(depends).ok()
}

/// What a spec says about channel, version and build, for people: `zlib >=2`.
pub(crate) fn shown(spec: &MatchSpec) -> String {
    let channel = spec
        .channel
        .as_ref()
        .map(|channel| format!("{}::", channels::name(channel)))
        .unwrap_or_default();
    let name = name(spec).map_or_else(|| spec.name.to_string(), |name| name.as_source().to_owned());
    let version = spec.version.as_ref().map(|version| format!(" {version}"));
    let build = spec.build.as_ref().map(|build| format!(" {build}"));
    let version = version.filter(|text| text != " *").unwrap_or_default();
    format!("{channel}{name}{version}{}", build.unwrap_or_default())
}

impl Asked<'_> {
    pub(crate) fn records(&self) -> impl Iterator<Item = &RepoDataRecord> {
        self.repodata.iter().flat_map(RepoData::iter)
    }

    pub(crate) fn of_name<'s>(&'s self, name: &'s PackageName) -> impl Iterator<Item = &'s RepoDataRecord> {
        self.records()
            .filter(move |record| record.package_record.name == *name)
    }

    /// Why each spec that cannot be had, whatever the others are, cannot.
    pub(crate) fn each_alone(&self, blocked: &Blocked<'_>) -> Vec<Reason> {
        let reasons = self.specs.iter().filter_map(|spec| self.alone(spec, blocked));
        reasons.collect()
    }

    /// Why one spec cannot be had, whatever the others are.
    fn alone(&self, spec: &MatchSpec, blocked: &Blocked<'_>) -> Option<Reason> {
        let name = name(spec)?;
        if name.as_normalized().starts_with("__") {
            return self.not_offered(spec, "the task");
        }
        let all: Vec<&RepoDataRecord> = self.of_name(name).collect();
        if all.is_empty() {
            return Some(self.no_such_package(name));
        }
        let fitting: Vec<&RepoDataRecord> = all.iter().copied().filter(|record| fits(spec, record)).collect();
        if fitting.is_empty() {
            let of_channel: Vec<&RepoDataRecord> = all
                .iter()
                .copied()
                .filter(|record| is_of_channel(spec, record))
                .collect();
            return Some(if of_channel.is_empty() {
                not_of_channel(spec, &all)
            } else {
                no_such_version(spec, &of_channel)
            });
        }
        let in_time: Vec<&RepoDataRecord> = fitting
            .iter()
            .copied()
            .filter(|record| self.is_in_time(record))
            .collect();
        if in_time.is_empty() {
            let spec = shown(spec);
            return self
                .cut_off?
                .reason("", &spec, &format!("every `{spec}`"), &fitting);
        }
        if self.understood.spec.channel_priority == Priority::Strict
            && let Some(reason) = self.hidden_by_priority(spec, &all, &in_time)
        {
            return Some(reason);
        }
        self.blocked(spec, &in_time, blocked)
    }

    /// Whether a package is older than the cut-off, if there is one.
    pub(crate) fn is_in_time(&self, record: &RepoDataRecord) -> bool {
        self.cut_off.is_none_or(|cut_off| !cut_off.leaves_out(record))
    }

    /// Everything that cannot be installed, whatever else is chosen.
    pub(crate) fn all_blocked(&self) -> Blocked<'_> {
        let records = self.records().filter(|record| self.is_in_time(record)).collect();
        Blocked::find(records, |spec| self.not_offered(spec, "").is_none())
    }

    fn no_such_package(&self, name: &PackageName) -> Reason {
        let names = self.understood.channels.names();
        let channels = format!("`{}`", names.join("`, `"));
        let word = name.as_normalized();
        let platforms: Vec<String> = self
            .elsewhere
            .iter()
            .filter(|(other, _)| other == word)
            .map(|(_, platform)| format!("`{platform}`"))
            .collect();
        let platform = self.understood.platform;
        if !platforms.is_empty() {
            return Reason {
                code: "conda.solve.platform",
                message: format!(
                    "`{word}` is not made for `{platform}`: {channels} has it only for {}",
                    platforms.join(", ")
                ),
                help: Some("run the task on such a machine, or ask another channel".to_owned()),
            };
        }
        let help = suggestion(word, self.names.iter().map(String::as_str)).map_or_else(
            || "correct the name, or add the channel that has it to `channels`".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        Reason {
            code: "conda.solve.missing",
            message: if names.len() == 1 {
                format!("the channel {channels} has no package `{word}`")
            } else {
                format!("none of the channels {channels} has a package `{word}`")
            },
            help: Some(help),
        }
    }

    /// With strict priority a package comes from the first channel that has its name.
    fn hidden_by_priority(
        &self,
        spec: &MatchSpec,
        all: &[&RepoDataRecord],
        fitting: &[&RepoDataRecord],
    ) -> Option<Reason> {
        let at = |record: &RepoDataRecord| {
            self.understood
                .channels
                .all()
                .position(|channel| record.url.as_str().starts_with(channel.base_url.as_str()))
        };
        let first = all.iter().filter_map(|record| at(record)).min()?;
        if spec.channel.is_some() || fitting.iter().any(|record| at(record) == Some(first)) {
            return None;
        }
        let of_first: Vec<&RepoDataRecord> = all
            .iter()
            .copied()
            .filter(|record| at(record) == Some(first))
            .collect();
        let channel_name = |position: usize| self.understood.channels.all().nth(position).map(channels::name);
        let later = fitting
            .iter()
            .filter_map(|record| at(record))
            .min()
            .and_then(channel_name);
        Some(Reason {
            code: "conda.solve.priority",
            message: format!(
                "`{}` is to be had from `{}`, but `{}` comes first and has {}",
                shown(spec),
                later.unwrap_or_default(),
                channel_name(first).unwrap_or_default(),
                versions(&of_first)
            ),
            help: Some("put the channel first, or write `channel-priority = \"flexible\"`".to_owned()),
        })
    }

    /// Why every package that fits a spec needs something that cannot be had, be it far below.
    fn blocked(
        &self,
        spec: &MatchSpec,
        fitting: &[&RepoDataRecord],
        blocked: &Blocked<'_>,
    ) -> Option<Reason> {
        let ends = fitting
            .iter()
            .map(|record| Some((*record, blocked.end_of(record)?)))
            .collect::<Option<Vec<_>>>()?;
        let (first, (last, lacks)) = ends
            .iter()
            .max_by_key(|(record, _)| &record.package_record.version)?;
        let who = if std::ptr::eq(*first, *last) {
            format!("`{}`", identity(last))
        } else {
            format!("`{}` (for `{}`)", identity(last), shown(spec))
        };
        let mut reason = match lacks {
            Lack::Spec(spec) => self.unavailable(&who, spec)?,
            Lack::Unreadable(text, why) => unreadable(&who, text, why),
        };
        if ends.len() > 1 {
            let all_lack_it = ends.iter().all(|(_, (_, other))| match (other, lacks) {
                (Lack::Spec(other), Lack::Spec(lacks)) => name(other) == name(lacks),
                (Lack::Unreadable(other, _), Lack::Unreadable(text, _)) => other == text,
                _ => false,
            });
            let spec = shown(spec);
            let others = if all_lack_it {
                [" (and so do all others that fit `", &spec, "`)"]
            } else {
                [
                    " (and others that fit `",
                    &spec,
                    "` need other things that are missing)",
                ]
            };
            reason.message += &others.concat();
        }
        Some(reason)
    }

    /// Why something that `who` depends on cannot be had, if it cannot.
    fn unavailable(&self, who: &str, depends: &MatchSpec) -> Option<Reason> {
        let needed = name(depends)?;
        if needed.as_normalized().starts_with("__") {
            return self.not_offered(depends, who);
        }
        let all: Vec<&RepoDataRecord> = self.of_name(needed).collect();
        if all.is_empty() {
            return Some(Reason {
                code: "conda.solve.missing",
                message: format!("{who} needs `{}`, which no channel has", shown(depends)),
                help: Some("add the channel that has it to `channels`".to_owned()),
            });
        }
        let fitting: Vec<&RepoDataRecord> = all
            .iter()
            .copied()
            .filter(|record| fits(depends, record))
            .collect();
        if !fitting.is_empty() {
            let depends = shown(depends);
            let before = format!("{who} needs `{depends}`, and ");
            return self.cut_off?.reason(&before, &depends, "every one", &fitting);
        }
        Some(Reason {
            code: "conda.solve.version",
            message: format!(
                "{who} needs `{}`, and there is {}",
                shown(depends),
                builds::said(depends, &all).unwrap_or_else(|| versions(&all))
            ),
            help: Some("ask for another version, or add a channel that has what is needed".to_owned()),
        })
    }

    /// Why the machine does not offer what a virtual package stands for, if it does not.
    fn not_offered(&self, spec: &MatchSpec, who: &str) -> Option<Reason> {
        let needed = name(spec)?;
        let offered = self
            .virtual_packages
            .0
            .iter()
            .find(|package| package.name == *needed);
        let fits = offered.is_some_and(|offered| {
            spec.version
                .as_ref()
                .is_none_or(|version| version.matches(&offered.version))
        });
        if fits {
            return None;
        }
        let has = offered.map_or_else(
            || format!("this machine has no `{}`", needed.as_normalized()),
            |offered| format!("this machine has {}", offered.version),
        );
        let bare = needed.as_normalized().trim_start_matches('_');
        let system = match bare {
            "osx" => Some("macOS"),
            "win" => Some("Windows"),
            "linux" if offered.is_none() => Some("Linux"),
            _ => None,
        };
        Some(Reason {
            code: "conda.solve.virtual-package",
            message: format!("{who} needs `{}`, and {has}", shown(spec)),
            help: Some(system.map_or_else(
                || {
                    format!(
                        "run it on a machine that has it, or say that there is one: `virtual-packages = {{ {bare} = \"…\" }}`"
                    )
                },
                |system| format!("it is made for {system}: run the task there, or ask for something else"),
            )),
        })
    }
}

/// Whether a package is what a spec asks for, its channel included.
pub(crate) fn fits(spec: &MatchSpec, record: &RepoDataRecord) -> bool {
    spec.matches(record) && is_of_channel(spec, record)
}

/// Whether a package is of the channel that a spec asks for, if it asks for one.
fn is_of_channel(spec: &MatchSpec, record: &RepoDataRecord) -> bool {
    spec.channel
        .as_ref()
        .is_none_or(|channel| record.channel.as_deref() == Some(channel.canonical_name().as_str()))
}

/// Why nothing fits where the channel that is asked for has nothing of the name.
fn not_of_channel(spec: &MatchSpec, all: &[&RepoDataRecord]) -> Reason {
    Reason {
        code: "conda.solve.missing",
        message: format!(
            "no `{}` is to be had: that channel has nothing of the name; others have {}",
            shown(spec),
            versions(all)
        ),
        help: Some("leave out the channel in front of the name, or correct it".to_owned()),
    }
}

/// Why a package is not installed that says of its dependencies what nobody understands.
fn unreadable(who: &str, text: &str, why: &str) -> Reason {
    Reason {
        code: "conda.solve.unreadable",
        message: format!(
            "{who} cannot be used: it says that it needs `{text}`, which is no match spec: {why}"
        ),
        help: Some(
            "the channel describes the package wrongly: tell those who keep it, or ask for another version"
                .to_owned(),
        ),
    }
}

fn no_such_version(spec: &MatchSpec, all: &[&RepoDataRecord]) -> Reason {
    Reason {
        code: "conda.solve.version",
        message: format!(
            "no `{}` is to be had; there is {}",
            shown(spec),
            builds::said(spec, all).unwrap_or_else(|| versions(all))
        ),
        help: Some(if is_word(spec) {
            format!("ask for one of these; {}", crate::match_spec::ONE_BY_ONE)
        } else if let Some(help) = builds::help(spec, all) {
            help
        } else {
            "ask for one of these, or add a channel that has another".to_owned()
        }),
    }
}

/// Whether what stands in the place of a version looks like the name of another package.
fn is_word(spec: &MatchSpec) -> bool {
    let version = spec.version.as_ref().map(ToString::to_string).unwrap_or_default();
    let version = version.trim_start_matches('=');
    !version.is_empty()
        && version
            .chars()
            .all(|letter| letter.is_ascii_alphabetic() || "-_".contains(letter))
}

/// What a package is called, with its version.
pub(crate) fn identity(record: &RepoDataRecord) -> String {
    format!(
        "{} {}",
        record.package_record.name.as_normalized(),
        record.package_record.version
    )
}

/// The newest versions of a package, for people.
pub(crate) fn versions(records: &[&RepoDataRecord]) -> String {
    let mut versions: Vec<_> = records
        .iter()
        .map(|record| &record.package_record.version)
        .collect();
    versions.sort();
    versions.dedup();
    let shown: Vec<String> = versions
        .iter()
        .rev()
        .take(VERSIONS_SHOWN)
        .map(ToString::to_string)
        .collect();
    let more = if versions.len() > VERSIONS_SHOWN {
        " and older ones"
    } else {
        ""
    };
    let only = if versions.len() == 1 { "only " } else { "" };
    format!("{only}{}{more}", shown.join(", "))
}
