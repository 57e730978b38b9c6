//! What is said where a version is there and a build is not.

use rattler_conda_types::version_spec::EqualityOperator;
use rattler_conda_types::{MatchSpec, RepoDataRecord, StringMatcher, VersionSpec};

use crate::explain::{fits, name, parsed};

/// Builds that are shown when none fits.
const SHOWN: usize = 5;

/// What there is of the version that a spec asks for, if that is there and only the build is not.
pub(crate) fn said(spec: &MatchSpec, all: &[&RepoDataRecord]) -> Option<String> {
    spec.build.as_ref()?;
    let of_any_build = MatchSpec {
        build: None,
        ..spec.clone()
    };
    let of_version = |spec: &MatchSpec| -> Vec<&RepoDataRecord> {
        all.iter().copied().filter(|record| fits(spec, record)).collect()
    };
    let mut there = of_version(&of_any_build);
    if there.is_empty() {
        there = of_version(&family(spec)?);
    }
    let version = there.iter().map(|record| &record.package_record.version).max()?;
    let mut builds: Vec<String> = there
        .iter()
        .filter(|record| record.package_record.version == *version)
        .map(|record| format!("`{}`", record.package_record.build))
        .collect();
    builds.sort();
    builds.dedup();
    let word = if builds.len() == 1 { "build" } else { "builds" };
    let more = if builds.len() > SHOWN { " and others" } else { "" };
    builds.truncate(SHOWN);
    Some(format!("{version} with the {word} {}{more}", builds.join(", ")))
}

/// What to do where a build is asked for and none fits.
pub(crate) fn help(spec: &MatchSpec, all: &[&RepoDataRecord]) -> Option<String> {
    let build = spec.build.as_ref()?;
    said(spec, all)?;
    let is_exact = matches!(
        spec.version,
        Some(VersionSpec::Exact(EqualityOperator::Equals, _))
    );
    if let Some(family) = family(spec).filter(|_| is_exact)
        && let Some(VersionSpec::Exact(_, version)) = &spec.version
        && all
            .iter()
            .any(|record| fits(&with_build(family.clone(), build), record))
    {
        return Some(format!(
            "with a build the version is taken as it stands: write `{}={version}.*={build}`",
            name(spec)?.as_source()
        ));
    }
    Some("ask for one of these builds, or leave the build out".to_owned())
}

/// Everything that begins with the version which a spec takes as it stands.
fn family(spec: &MatchSpec) -> Option<MatchSpec> {
    let Some(VersionSpec::Exact(EqualityOperator::Equals, version)) = &spec.version else {
        return None;
    };
    parsed(&format!("{}={version}", name(spec)?.as_normalized()))
}

fn with_build(spec: MatchSpec, build: &StringMatcher) -> MatchSpec {
    MatchSpec {
        build: Some(build.clone()),
        ..spec
    }
}
