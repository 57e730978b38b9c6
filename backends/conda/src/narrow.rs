//! The fewest of the things that are asked for that still cannot be had together.

use std::time::{Duration, Instant};

use rattler_conda_types::MatchSpec;

/// How long this may take; what is left then is still a true answer, only a longer one.
const TIME: Duration = Duration::from_secs(5);

/// Leaves out of `specs` whatever changes nothing. `is_unsolvable` says whether some of them cannot be had together, and
/// says no where it cannot tell in the time that is left.
pub(crate) fn narrowed(
    specs: &[MatchSpec],
    is_unsolvable: impl Fn(&[MatchSpec], Duration) -> bool,
) -> Vec<MatchSpec> {
    let end = Instant::now() + TIME;
    let mut left = specs.to_vec();
    let mut at = 0;
    while at < left.len() && left.len() > 1 {
        let time = end.saturating_duration_since(Instant::now());
        if time.is_zero() {
            break;
        }
        let mut fewer = left.clone();
        fewer.remove(at);
        if is_unsolvable(&fewer, time) {
            left = fewer;
        } else {
            at += 1;
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::{parsed, shown};

    #[test]
    fn what_changes_nothing_is_left_out() {
        let specs = ["a", "b", "c", "d"].map(|text| parsed(text).unwrap());
        let contradict = |some: &[MatchSpec], _| {
            let names: Vec<String> = some.iter().map(shown).collect();
            names.contains(&"b".to_owned()) && names.contains(&"d".to_owned())
        };
        let names: Vec<String> = narrowed(&specs, contradict).iter().map(shown).collect();
        assert_eq!(names, ["b", "d"]);
    }
}
