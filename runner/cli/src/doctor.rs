//! `wrun doctor`.

use std::fmt::Write as _;
use std::sync::Arc;

use bytesize::ByteSize;
use owo_colors::OwoColorize as _;
use serde_json::json;
use wrun::core::host::Host as _;
use wrun::core::image::Engine;
use wrun::core::tool::{ToolKind, ToolRequest};
use wrun::{Capability, Demand, Problem, Runner, State};

use crate::failure::Failure;
use crate::speak::Speaker;

/// What was found about one thing.
struct Finding {
    name: &'static str,
    state: Found,
    text: String,
}

/// Whether something is as it is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Good,
    /// It is not, and nothing depends on it.
    Noted,
    Missing,
}

impl Found {
    const fn good_if(good: bool) -> Self {
        if good { Self::Good } else { Self::Missing }
    }
}

/// Looks at this machine. Returns 1 if something that wrun needs is missing.
pub(crate) async fn doctor(runner: &Runner, speaker: &Arc<Speaker>) -> Result<u8, Failure> {
    let mut findings = store(runner);
    findings.extend(others(runner).await);
    show(&findings, speaker)
}

async fn others(runner: &Runner) -> Vec<Finding> {
    let mut findings: Vec<Finding> = settings(runner).into_iter().collect();
    findings.extend(tools(runner).await);
    findings.extend(engines(runner).await);
    findings.extend(sandbox(runner).await);
    findings
}

/// The engines of containers that are there. A machine without them is not broken.
async fn engines(runner: &Runner) -> Vec<Finding> {
    let found = runner.engines().await;
    if found.is_empty() {
        return vec![Finding {
            name: "engine",
            state: Found::Good,
            text: "neither podman nor docker is here; images need none".to_owned(),
        }];
    }
    let finding = |(engine, said): (Engine, Result<String, String>)| Finding {
        name: engine.name(),
        state: if said.is_ok() { Found::Good } else { Found::Noted },
        text: said.unwrap_or_else(|reason| reason),
    };
    found.into_iter().map(finding).collect()
}

/// The same where the store cannot be used; everything else is looked at by a runner with another one.
pub(crate) async fn without_store(
    runner: Option<&Runner>,
    failure: &Failure,
    speaker: &Arc<Speaker>,
) -> Result<u8, Failure> {
    let text = failure
        .help_text()
        .map_or_else(|| failure.to_string(), |help| format!("{failure} ({help})"));
    let store = Finding {
        name: "store",
        state: Found::Missing,
        text,
    };
    let mut findings = vec![store];
    if let Some(runner) = runner {
        findings.extend(others(runner).await);
    }
    show(&findings, speaker)
}

fn show(findings: &[Finding], speaker: &Arc<Speaker>) -> Result<u8, Failure> {
    let good = findings.iter().all(|finding| finding.state != Found::Missing);
    let code = u8::from(!good);
    if speaker.is_json() {
        let rows: Vec<_> = findings
            .iter()
            .map(|finding| json!({ "name": finding.name, "good": finding.state == Found::Good, "text": finding.text }))
            .collect();
        return speaker
            .json(&json!({ "v": 1, "good": good, "findings": rows }))
            .map(|_| code);
    }
    let mut text = String::new();
    for finding in findings {
        let mark = match finding.state {
            Found::Good => "ok".green().to_string(),
            Found::Noted => "note".yellow().to_string(),
            Found::Missing => "missing".red().to_string(),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:<10} {mark:<8} {}", finding.name, finding.text);
    }
    speaker.data(&text).map(|_| code)
}

fn store(runner: &Runner) -> Vec<Finding> {
    let store = runner.store();
    let root = store.root().display();
    let writable = store.scratch("doctor");
    let mut findings = vec![Finding {
        name: "store",
        state: Found::good_if(writable.is_ok()),
        text: match &writable {
            Ok(_) => format!("{root} can be written to"),
            Err(error) => format!("{root}: {error}"),
        },
    }];
    if let Ok(free) = store.free_bytes() {
        findings.push(Finding {
            name: "disk",
            state: Found::Good,
            text: format!("{} free", ByteSize(free).display().iec()),
        });
    }
    findings.extend(store.warnings().into_iter().map(|text| Finding {
        name: "store",
        state: Found::Noted,
        text,
    }));
    findings
}

/// Each tier, and what the strongest one holds. A machine without namespaces is not broken.
async fn sandbox(runner: &Runner) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut strongest = None;
    for (demand, tier) in [(Demand::Full, "full"), (Demand::Restricted, "restricted")] {
        let tried = runner.try_sandbox(demand).await;
        findings.push(Finding {
            name: "sandbox",
            state: if tried.is_ok() { Found::Good } else { Found::Noted },
            text: match &tried {
                Ok(_) => format!("native tasks can be held by the tier `{tier}`"),
                Err(error) => error.to_string(),
            },
        });
        if let Ok(report) = tried {
            strongest.get_or_insert((demand, report));
        }
    }
    let Some((demand, report)) = strongest else {
        findings.push(Finding {
            name: "sandbox",
            state: Found::Missing,
            text: "native tasks run only with `--sandbox off`; WebAssembly tasks are held to their grants"
                .to_owned(),
        });
        return findings;
    };
    findings.extend(report.capabilities.into_iter().map(held));
    match runner.try_limits(demand).await {
        Ok(limits) => findings.extend(limits.into_iter().map(held)),
        Err(error) => findings.push(Finding {
            name: "held",
            state: Found::Noted,
            text: error.to_string(),
        }),
    }
    findings
}

/// How far something is held.
fn held((capability, state): (Capability, State)) -> Finding {
    let (found, text) = match state {
        State::Enforced { by } => (Found::Good, format!("enforced by {}", by.join(", "))),
        State::Partial { by, gap } => (Found::Noted, format!("partial, by {}; {gap}", by.join(", "))),
        State::NotEnforced { gap } => (Found::Noted, format!("not enforced; {gap}")),
    };
    Finding {
        name: "held",
        state: found,
        text: format!("{capability}: {text}"),
    }
}

fn settings(runner: &Runner) -> Option<Finding> {
    let error = runner.check_settings().err()?;
    Some(Finding {
        name: "settings",
        state: Found::Missing,
        text: with_help(&error),
    })
}

async fn tools(runner: &Runner) -> Vec<Finding> {
    let host = runner.host(".".into());
    let python = ToolRequest {
        id: "python".to_owned(),
        kind: ToolKind::Python { request: None },
    };
    let uv = ToolRequest {
        id: "uv".to_owned(),
        kind: ToolKind::Program {
            names: vec!["uv".to_owned()],
            folders: Vec::new(),
            version_args: vec!["--version".to_owned()],
            minimum: None,
            wheel: Some("uv".to_owned()),
        },
    };
    let mut found = Vec::new();
    let mut findings = Vec::new();
    for (name, request) in [("python", python), ("uv", uv)] {
        findings.push(match host.find_tool(&request, &found).await {
            Ok(tool) => {
                let text = format!("{} {}", tool.version, tool.path.display());
                found.push(tool);
                Finding {
                    name,
                    state: Found::Good,
                    text,
                }
            }
            Err(problem) => Finding {
                name,
                state: Found::Missing,
                text: with_help(&problem),
            },
        });
    }
    findings
}

fn with_help(problem: &Problem) -> String {
    problem
        .help()
        .map_or_else(|| problem.to_string(), |help| format!("{problem} ({help})"))
}
