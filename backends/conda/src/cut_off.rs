//! What `exclude-newer` leaves out: what is newer, and what may be, since its channel does not say when it was uploaded.

use jiff::Timestamp;
use rattler_conda_types::RepoDataRecord;
use rattler_solve::{ExcludeNewer, TimestampExclusionReason};
use wrun_core::problem::Problem;

use crate::explain::Reason;
use crate::understand::Understood;

/// The cut-off of a spec.
#[derive(Debug, Clone)]
pub(crate) struct CutOff {
    /// As the solver has it.
    pub(crate) exclude: ExcludeNewer,
    /// For people.
    until: String,
}

impl CutOff {
    /// The cut-off of a spec that has one.
    pub(crate) fn of(understood: &Understood) -> Result<Option<Self>, Problem> {
        let Some(until) = &understood.exclude_newer else {
            return Ok(None);
        };
        let instant: Timestamp = until
            .parse()
            .map_err(|error: jiff::Error| Problem::failed("conda.date.syntax", error.to_string()))?;
        Ok(Some(Self {
            exclude: ExcludeNewer::from_datetime(instant),
            until: until.clone(),
        }))
    }

    /// Whether a package is left out.
    pub(crate) fn leaves_out(&self, record: &RepoDataRecord) -> bool {
        self.exclude.is_excluded(record)
    }

    /// What is left out of some packages, in words; `name` is what they are, and `every` stands for all of them.
    fn said(&self, name: &str, every: &str, records: &[&RepoDataRecord]) -> Option<String> {
        let reasons = records
            .iter()
            .filter_map(|record| self.exclude.exclusion_reason(record));
        let (newer, without_time): (Vec<_>, Vec<_>) =
            reasons.partition(|reason| matches!(reason, TimestampExclusionReason::NewerThanCutoff { .. }));
        let without_time = match without_time.len() {
            0 => None,
            1 => Some(format!(
                "1 candidate of `{name}` has no upload time and is left out by `exclude-newer`"
            )),
            count => Some(format!(
                "{count} candidates of `{name}` have no upload time and are left out by `exclude-newer`"
            )),
        };
        let newer = match newer.len() {
            0 => None,
            count if count == records.len() => Some(format!("{every} was uploaded after {}", self.until)),
            1 => Some(format!("1 was uploaded after {}", self.until)),
            count => Some(format!("{count} were uploaded after {}", self.until)),
        };
        match (without_time, newer) {
            (Some(without_time), Some(newer)) => Some(format!("{without_time}, and {newer}")),
            (one, other) => one.or(other),
        }
    }

    /// Why packages that are all left out are not to be had; `before` is who wants them.
    pub(crate) fn reason(
        &self,
        before: &str,
        name: &str,
        every: &str,
        records: &[&RepoDataRecord],
    ) -> Option<Reason> {
        let is_without_time = |record: &&RepoDataRecord| {
            let reason = self.exclude.exclusion_reason(record);
            reason == Some(TimestampExclusionReason::MissingTimestamp)
        };
        let (code, help) = if records.iter().any(is_without_time) {
            (
                "conda.solve.no-time",
                "leave out `exclude-newer`, or have the channel say when packages were made: `timestamp` in its repodata",
            )
        } else {
            (
                "conda.solve.too-new",
                "move `exclude-newer`, or ask for an older version",
            )
        };
        Some(Reason {
            code,
            message: format!("{before}{}", self.said(name, every, records)?),
            help: Some(help.to_owned()),
        })
    }

    /// What is left out of packages that would be a way out of a conflict, to be added to what is said of that.
    pub(crate) fn note(&self, name: &str, records: &[&RepoDataRecord]) -> Option<String> {
        self.said(name, "every one of them", records)
            .map(|said| format!(" ({said})"))
    }
}
