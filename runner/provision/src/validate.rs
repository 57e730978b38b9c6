//! Checks a whole plan before its first step.

use std::collections::BTreeSet;

use wrun_core::backend::Request;
use wrun_core::plan::{Action, Check, InstallPlan, Piece, Place, Program, Root, Run, Step, Word};

use crate::error::ProvisionError;
use crate::http;
use crate::places::{invalid, plain};

/// Checks that a plan can be carried out as far as its text says.
///
/// # Errors
/// A place is not plain or not writable, a step waits for a later one, a file is unpacked before it is fetched, or a
/// tool was not asked for.
pub(crate) fn validate(request: &Request, plan: &InstallPlan) -> Result<(), ProvisionError> {
    let mut saved = BTreeSet::new();
    for (index, step) in plan.steps.iter().enumerate() {
        check_step(request, plan, index, step, &mut saved)
            .map_err(|error| invalid(&format!("step {index} (`{}`): {}", step.label, reason(&error))))?;
    }
    for check in &plan.checks {
        match check {
            Check::Exists(place) => plain(place)?,
            Check::Succeeds { label, run } => check_run(request, run)
                .map_err(|error| invalid(&format!("the check `{label}`: {}", reason(&error))))?,
        }
    }
    Ok(())
}

fn check_step<'plan>(
    request: &Request,
    plan: &'plan InstallPlan,
    index: usize,
    step: &'plan Step,
    saved: &mut BTreeSet<&'plan str>,
) -> Result<(), ProvisionError> {
    if let Some(later) = step.after.iter().find(|after| **after >= index) {
        return Err(invalid(&format!(
            "it waits for step {later}, which does not come before it"
        )));
    }
    match &step.action {
        Action::Fetch(fetch) => {
            http::parse(&fetch.url)?;
            let name = fetch.save_as.as_str();
            if name.is_empty() || name.contains('/') {
                return Err(invalid(&format!("`{name}` is not the name of a file")));
            }
            plain(&Place::new(Root::Artifact, name))?;
            if saved.insert(name) {
                Ok(())
            } else {
                Err(invalid(&format!("`{name}` is fetched twice")))
            }
        }
        Action::Unpack {
            artifact,
            format: _,
            to,
        } => {
            writable(to)?;
            let fetched = step
                .after
                .iter()
                .filter_map(|after| plan.steps.get(*after))
                .any(|step| matches!(&step.action, Action::Fetch(fetch) if fetch.save_as == *artifact));
            if fetched {
                Ok(())
            } else {
                Err(invalid(&format!(
                    "`{artifact}` is unpacked, and no step that it waits for fetches it"
                )))
            }
        }
        Action::Write { to, .. } => below_root(to),
        Action::MakeDir(place) => writable(place),
        Action::Symlink { at, target } => below_root(at).and_then(|()| check_word(request, target)),
        Action::VirtualEnvironment(id) => known(request, id),
        Action::Remove(place) => below_root(place),
        Action::Run(run) => check_run(request, run),
    }
}

fn check_run(request: &Request, run: &Run) -> Result<(), ProvisionError> {
    match &run.program {
        Program::Tool(id) => known(request, id)?,
        Program::Place(place) => plain(place)?,
    }
    plain(&run.cwd)?;
    run.args
        .iter()
        .chain(run.env.iter().map(|(_, value)| value))
        .try_for_each(|word| check_word(request, word))
}

fn check_word(request: &Request, word: &Word) -> Result<(), ProvisionError> {
    word.0.iter().try_for_each(|piece| match piece {
        Piece::Text(text) if text.contains('\0') => Err(invalid("an argument holds a NUL byte")),
        Piece::Text(_) | Piece::Patience => Ok(()),
        Piece::Place(place) => plain(place),
        Piece::Tool(id) => known(request, id),
    })
}

fn known(request: &Request, id: &str) -> Result<(), ProvisionError> {
    if request.tools.iter().any(|tool| tool.id == id) {
        Ok(())
    } else {
        Err(invalid(&format!("the tool `{id}` is used and was not asked for")))
    }
}

fn writable(place: &Place) -> Result<(), ProvisionError> {
    plain(place)?;
    match place.root {
        Root::Prefix | Root::Scratch => Ok(()),
        Root::Project | Root::Artifact | Root::Downloads => Err(invalid(&format!(
            "`{}` is in a folder that a plan only reads",
            place.rel
        ))),
    }
}

/// A place that can be written and is not the root itself.
fn below_root(place: &Place) -> Result<(), ProvisionError> {
    writable(place)?;
    if place.rel.is_empty() {
        Err(invalid("the root of a folder is written or removed"))
    } else {
        Ok(())
    }
}

/// The reason of an error alone, to be put into a longer one.
fn reason(error: &ProvisionError) -> String {
    match error {
        ProvisionError::PlanInvalid { reason } => reason.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use wrun_core::backend::Inputs;
    use wrun_core::platform::Platform;

    use super::*;

    fn request() -> Request {
        Request {
            spec: serde_json::Value::Null,
            inputs: Inputs::new(),
            tools: Vec::new(),
            platform: Platform::current(),
        }
    }

    fn reason_for(steps: Vec<(Vec<usize>, Action)>) -> String {
        let steps = steps
            .into_iter()
            .map(|(after, action)| Step {
                label: "label".to_owned(),
                weight: 1,
                after,
                action,
            })
            .collect();
        validate(
            &request(),
            &InstallPlan {
                steps,
                ..InstallPlan::default()
            },
        )
        .unwrap_err()
        .to_string()
    }

    #[test]
    fn plans_that_must_not_be_carried_out_are_refused() {
        let write = |to| Action::Write {
            to,
            content: String::new(),
            executable: false,
        };
        for (steps, expected) in [
            (
                vec![(vec![], write(Place::prefix("../x")))],
                "not a plain relative path",
            ),
            (vec![(vec![], write(Place::project("x")))], "only reads"),
            (vec![(vec![], write(Place::prefix("")))], "the root of a folder"),
            (
                vec![(vec![0], write(Place::prefix("x")))],
                "does not come before it",
            ),
            (
                vec![(vec![], Action::Remove(Place::scratch("")))],
                "the root of a folder",
            ),
            (
                vec![(
                    vec![],
                    Action::Symlink {
                        at: Place::prefix("x"),
                        target: Word(vec![Piece::Tool("uv".into())]),
                    },
                )],
                "`uv` is used and was not asked for",
            ),
            (
                vec![(
                    vec![],
                    Action::Unpack {
                        artifact: "a".into(),
                        format: wrun_core::plan::Archive::Zip,
                        to: Place::prefix(""),
                    },
                )],
                "no step that it waits for fetches it",
            ),
        ] {
            let reason = reason_for(steps);
            assert!(reason.contains(expected), "{reason}");
        }
    }
}
