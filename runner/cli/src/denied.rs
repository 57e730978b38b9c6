//! What a task was refused, for people.

use std::collections::BTreeSet;

use wrun::core::denial::{Denial, DenialKind, Grant, Observation};
use wrun::core::text::harmless_line;

/// Where a person says what a task may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the table `[allow]` of its file.
    TaskFile,
    /// In options of `wrun run`.
    Options,
}

impl Place {
    /// What to do to grant something.
    pub(crate) fn advice(self, grant: &Grant) -> String {
        match self {
            Self::TaskFile => format!("add {} under [allow]", grant.line()),
            Self::Options => format!("add {}", grant.option()),
        }
    }
}

/// The words for a connection that was just refused.
pub(crate) fn refusal(denial: &Denial, place: Place) -> String {
    let reason = denial.reason.as_deref().unwrap_or("it is not granted");
    let advice = denial
        .grant
        .as_ref()
        .map(|grant| format!("; {}", place.advice(grant)))
        .unwrap_or_default();
    format!("refused {}: {reason}{advice}", harmless_line(&denial.what))
}

/// As many things that one grant allows are named.
const MOST_NAMED: usize = 3;

/// The lines that say it, each with what comes before it. Things that one grant allows share a line.
pub(crate) fn lines(observation: &Observation, place: Place) -> Vec<String> {
    let Observation {
        denials,
        unlisted,
        unobserved,
    } = observation;
    let mut lines = Vec::new();
    if let Some(reason) = unobserved {
        lines.push(format!("it cannot be observed what was refused: {reason}"));
    }
    let mut groups: Vec<Vec<&Denial>> = Vec::new();
    for denial in denials {
        let group = groups
            .iter_mut()
            .find(|group| group.first().is_some_and(|first| are_alike(first, denial)));
        match group {
            Some(group) => group.push(denial),
            None => groups.push(vec![denial]),
        }
    }
    lines.extend(groups.iter().filter_map(|group| line(group, place)));
    if *unlisted > 0 {
        lines.push(format!("and {unlisted} more that are not listed"));
    }
    if denials.is_empty() && unobserved.is_none() {
        lines.push("nothing was refused".to_owned());
    }
    lines.extend(together(denials, place));
    lines
}

/// Whether two differ only in what they name.
fn are_alike(one: &Denial, other: &Denial) -> bool {
    one.kind != DenialKind::Operation
        && (one.kind, &one.grant, &one.reason) == (other.kind, &other.grant, &other.reason)
}

fn line(alike: &[&Denial], place: Place) -> Option<String> {
    let Denial {
        kind,
        grant,
        reason,
        what: _,
        line: _,
    } = alike.first()?;
    let named: Vec<_> = alike
        .iter()
        .take(MOST_NAMED)
        .map(|denial| harmless_line(&denial.what))
        .collect();
    let mut text = match kind {
        DenialKind::Read => "read ",
        DenialKind::Write => "write ",
        DenialKind::Net => "net ",
        DenialKind::Operation => "",
    }
    .to_owned();
    text.push_str(&named.join(", "));
    if alike.len() > named.len() {
        let more = alike.len() - named.len();
        text.push_str(&[" and ", &more.to_string(), " more"].concat());
    }
    if let Some(grant) = grant {
        text.push_str(" — ");
        text.push_str(&place.advice(grant));
    }
    if let Some(reason) = reason {
        text.push_str(if grant.is_some() { "; " } else { " — " });
        text.push_str(reason);
    }
    Some(text)
}

/// All grants at once, where there are several.
fn together(denials: &[Denial], place: Place) -> Option<String> {
    let grants: BTreeSet<&Grant> = denials
        .iter()
        .filter_map(|denial| denial.grant.as_ref())
        .collect();
    if grants.len() < 2 {
        return None;
    }
    Some(match place {
        Place::TaskFile => {
            let mut text = "all of it together:\n    [allow]".to_owned();
            for line in Grant::lines(grants) {
                text.push_str("\n    ");
                text.push_str(&line);
            }
            text
        }
        Place::Options => {
            let options: Vec<String> = grants.into_iter().map(Grant::option).collect();
            format!("all of it together: {}", options.join(" "))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_grant_allows_is_one_line() {
        let read =
            |what: &str, grant: &str| Denial::new(DenialKind::Read, what, Grant::Read(grant.to_owned()));
        let observation = Observation {
            denials: vec![
                read("/etc/shadow", "/etc/shadow"),
                read("/srv/a", "/srv"),
                read("/srv/b", "/srv"),
                read("/srv/c", "/srv"),
                read("/srv/d", "/srv"),
                Denial::for_good(
                    DenialKind::Operation,
                    "mount: change mounts",
                    "no grant allows it",
                ),
            ],
            ..Observation::default()
        };
        assert_eq!(
            lines(&observation, Place::TaskFile),
            [
                "read /etc/shadow — add read = [\"/etc/shadow\"] under [allow]",
                "read /srv/a, /srv/b, /srv/c and 1 more — add read = [\"/srv\"] under [allow]",
                "mount: change mounts — no grant allows it",
                "all of it together:\n    [allow]\n    read = [\"/etc/shadow\", \"/srv\"]",
            ]
        );
        assert_eq!(
            lines(&observation, Place::Options).last().unwrap(),
            "all of it together: --read /etc/shadow --read /srv"
        );
    }

    #[test]
    fn nothing_and_no_answer_are_told_apart() {
        assert_eq!(
            lines(&Observation::default(), Place::TaskFile),
            ["nothing was refused"]
        );
        let impossible = lines(&Observation::impossible("why"), Place::TaskFile);
        assert_eq!(impossible, ["it cannot be observed what was refused: why"]);
    }
}
