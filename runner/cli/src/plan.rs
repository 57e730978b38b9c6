//! `wrun plan`.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use owo_colors::OwoColorize as _;
use wrun::core::image::Engine;
use wrun::core::launch::{Launch, TaskKind};
use wrun::core::net::Net;
use wrun::core::task::written_size;
use wrun::core::text::harmless_line;
use wrun::{Access, Level, PlanReport, PlannedImage, PlannedVariable, Runner, asks_to_end};

use crate::args::Plan;
use crate::drive::Signals;
use crate::failure::Failure;
use crate::speak::Speaker;
use crate::submit::{load, submission};

/// Says what a submit would do.
pub(crate) async fn plan(runner: &Runner, arguments: &Plan, speaker: &Arc<Speaker>) -> Result<u8, Failure> {
    let Plan { file, lock, how } = arguments;
    let task = load(runner, file)?;
    let mut signals = Signals::new()?;
    let asked_to_end = async { while !asks_to_end(signals.next().await) {} };
    let report = runner
        .plan_until(submission(&task, true, how)?, asked_to_end)
        .await?;
    if let Some(path) = lock {
        write_lock(path, &report)?;
    }
    if speaker.is_json() {
        let value = serde_json::to_value(&report).map_err(|error| Failure::io("write the plan", error))?;
        return speaker.json(&value);
    }
    speaker.data(&text(&report))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a lock that a person keeps lies outside of the store"
)]
fn write_lock(path: &Path, report: &PlanReport) -> Result<(), Failure> {
    let Some(lock) = &report.found_lock else {
        return Err(Failure::usage(
            "the task has no lock to write",
            "a lock needs an `[env]` table, and the network if the lock is not known yet",
        ));
    };
    let text = serde_json::to_string_pretty(lock).map_err(|error| Failure::io("write the lock", error))?;
    std::fs::write(path, format!("{text}\n"))
        .map_err(|error| Failure::io(format!("write the lock `{}`", path.display()), error))
}

fn text(report: &PlanReport) -> String {
    let mut out = String::new();
    let mut row = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{}{value}",
            if value.starts_with('\n') {
                format!("{name}:")
            } else {
                format!("{:<13}", format!("{name}:"))
            }
            .green()
            .bold()
        );
    };
    row("task", &report.task);
    row("run", &run_text(report));
    row("folder", &harmless_line(&report.folder.display().to_string()));
    if let Some(backend) = &report.backend {
        row("backend", backend);
    }
    if let (Some(spec), Some(id)) = (&report.spec, &report.spec_id) {
        row("spec", &format!("{id}\n{}", indent(&format!("{spec:#}"))));
    }
    if let Some(level) = report.lock {
        row(
            "lock",
            &format!("{} ({})", id_text(report.lock_id.as_ref()), level_text(level)),
        );
    }
    if let Some(level) = report.environment {
        row(
            "environment",
            &format!("{} ({})", id_text(report.env_id.as_ref()), level_text(level)),
        );
    }
    if !report.packages.is_empty() {
        let packages: Vec<String> = report
            .packages
            .iter()
            .map(|package| {
                // What is made from a folder has its version only when it is built.
                let space = if package.version.is_empty() { "" } else { " " };
                format!(
                    "  {}{space}{}  {}",
                    package.name,
                    package.version,
                    package.source.dimmed()
                )
            })
            .collect();
        row(
            "packages",
            &format!("{}\n{}", packages.len(), packages.join("\n")),
        );
    }
    if let Some(plan) = &report.steps {
        let steps: Vec<String> = plan
            .steps
            .iter()
            .enumerate()
            .map(|(index, step)| format!("  {}. {}", index + 1, step.label))
            .collect();
        row("steps", &format!("{}\n{}", steps.len(), steps.join("\n")));
    }
    if let Some(launch) = &report.launch {
        let engine = report.image.as_ref().map(|image| image.engine);
        row("launch", &launch_text(launch, engine));
    }
    if let Some(image) = &report.image {
        row("image", &image_text(image));
    }
    if !report.vars.is_empty() {
        let vars: Vec<String> = report
            .vars
            .iter()
            .map(|(name, value)| match value {
                PlannedVariable::Value(value) => format!("{name}={value}"),
                PlannedVariable::FromCaller { from } => format!("{name} (from the caller's {from})"),
            })
            .collect();
        row("vars", &vars.join(", "));
    }
    row("grants", &grants_text(report));
    if let Some(reason) = &report.refused {
        row("refused", reason);
    }
    out
}

fn run_text(report: &PlanReport) -> String {
    let words = shown(&report.run);
    match (&report.launch, &report.image) {
        (Some(Launch::Image { .. }), None) if report.kind == TaskKind::Image && words.is_empty() => {
            "what the image runs".to_owned()
        }
        (Some(Launch::Image { .. }), None) if report.kind == TaskKind::Image => {
            format!("the entrypoint of the image, with {words}")
        }
        _ => words,
    }
}

fn image_text(image: &PlannedImage) -> String {
    let PlannedImage {
        reference,
        engine,
        layers,
        folder,
        user,
    } = image;
    let engine = match engine {
        Engine::Builtin => format!("{layers} layer{}", if *layers == 1 { "" } else { "s" }),
        Engine::Podman => "run by podman".to_owned(),
        Engine::Docker => "run by docker".to_owned(),
    };
    format!(
        "{reference}\n  {engine}, as user {}:{}, in {}",
        user.user,
        user.group,
        folder.display()
    )
}

fn grants_text(report: &PlanReport) -> String {
    let grants = &report.grants;
    let mut lines = Vec::new();
    for grant in &grants.paths {
        let access = match grant.access {
            Access::Read => "read ",
            Access::Write => "write",
        };
        let host = if grant.guest == "/tmp" {
            "a fresh scratch folder".to_owned()
        } else {
            grant.host.display().to_string()
        };
        lines.push(format!(
            "  {access} {} = {}",
            harmless_line(&grant.guest),
            harmless_line(&host)
        ));
    }
    lines.push(match &grants.net {
        Net::None => "  no network".to_owned(),
        Net::All => "  the whole network".to_owned(),
        Net::Listed(rules) => {
            format!(
                "  net   {}",
                rules
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        }
    });
    let limits = &grants.limits;
    if let Some(time) = limits.time {
        lines.push(format!("  at most {}", humantime::format_duration(time)));
    }
    for (name, bytes) in [
        ("memory", limits.memory),
        ("output", limits.output),
        ("any one file", limits.file_size),
        ("the scratch folder", limits.scratch),
    ] {
        if let Some(bytes) = bytes {
            lines.push(format!("  at most {} of {name}", written_size(bytes)));
        }
    }
    if let Some(processes) = limits.processes {
        lines.push(format!("  at most {processes} processes"));
    }
    if let Some(cpu) = limits.cpu {
        lines.push(format!("  at most {} processors", f64::from(cpu) / 1000.0));
    }
    let held = if report.sandboxed {
        ""
    } else {
        "not sandboxed: paths and network are not held to this"
    };
    format!("{held}\n{}", lines.join("\n"))
}

/// A command as a person would type it.
fn shown(words: &[String]) -> String {
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
}

/// `built` is what runs the image, where it is built.
fn launch_text(launch: &Launch, built: Option<Engine>) -> String {
    match launch {
        Launch::Native { search_path, .. } if search_path.is_empty() => {
            "native, with what is recorded in the environment".to_owned()
        }
        Launch::Native { search_path, .. } => {
            let places: Vec<String> = search_path
                .iter()
                .map(|place| format!("<environment>/{}", place.rel))
                .collect();
            format!("native, with {} first on the search path", places.join(", "))
        }
        Launch::Image { engine, .. } => {
            let how = match built.or(*engine) {
                Some(Engine::Builtin) => "native",
                Some(Engine::Podman) => "by podman",
                Some(Engine::Docker) => "by docker",
                None => "native where this machine can, else by podman or docker",
            };
            format!("{how}, with the files of the image")
        }
        Launch::Wasi { .. } => "WebAssembly".to_owned(),
    }
}

fn indent(text: &str) -> String {
    text.lines()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn id_text<T: ToString>(id: Option<&T>) -> String {
    id.map_or_else(|| "not known".to_owned(), ToString::to_string)
}

const fn level_text(level: Level) -> &'static str {
    match level {
        Level::Hit => "hit",
        Level::Miss => "miss",
        Level::Unknown => "unknown: offline",
    }
}
