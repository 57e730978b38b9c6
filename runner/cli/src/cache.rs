//! `wrun cache`.

use std::fmt::Write as _;
use std::sync::Arc;

use bytesize::ByteSize;
use serde::Serialize;
use serde_json::json;
use wrun::Runner;
use wrun::core::id::EnvId;
use wrun_store::{PartId, PartSummary, Store, Summary, Usage};

use crate::args::Cache;
use crate::failure::Failure;
use crate::speak::Speaker;

/// Characters of an id that name an environment at least: what is typed by mistake should name none.
const SHORTEST_ID: usize = 4;

/// Looks at the store, or removes from it.
pub(crate) fn cache(runner: &Runner, command: &Cache, speaker: &Arc<Speaker>) -> Result<u8, Failure> {
    let store = runner.store();
    match command {
        Cache::Dir if speaker.is_json() => speaker.json(&json!({ "v": 1, "dir": store.root() })),
        Cache::Dir => speaker.data(&format!("{}\n", store.root().display())),
        Cache::Ls => list(store, speaker),
        Cache::Info { id } => info(store, id, speaker),
        Cache::Rm { ids } => remove(store, ids, speaker),
    }
}

fn list(store: &Store, speaker: &Speaker) -> Result<u8, Failure> {
    let mut environments = store.environments()?;
    environments.sort_by_key(|summary| std::cmp::Reverse(summary.last_used));
    let parts = store.parts()?;
    let Usage {
        downloads,
        tools,
        code,
    } = store.usage()?;
    if speaker.is_json() {
        let rows: Vec<_> = environments.iter().map(row_json).collect();
        return speaker.json(&json!({
            "v": 1,
            "environments": rows,
            "parts": parts.iter().map(part_json).collect::<Vec<_>>(),
            "downloads_bytes": downloads,
            "tools_bytes": tools,
            "code_bytes": code,
        }));
    }
    let mut text = String::new();
    for summary in &environments {
        let record = &summary.record;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{}  {:<6} {:>10} {:>5} {:<8}  {}  {}{}",
            record.env_id,
            record.backend,
            ByteSize(record.bytes).display().iec().to_string(),
            record.packages.len(),
            if record.packages.len() == 1 {
                "package"
            } else {
                "packages"
            },
            used(summary),
            record.label,
            if summary.in_use { "  (in use)" } else { "" },
        );
    }
    let total: u64 = environments.iter().map(|summary| summary.record.bytes).sum();
    if environments.is_empty() {
        speaker.line("store", "no environment yet");
    } else {
        speaker.line(
            "store",
            &format!(
                "{} environment{}, {}",
                environments.len(),
                if environments.len() == 1 { "" } else { "s" },
                ByteSize(total).display().iec()
            ),
        );
    }
    for part in &parts {
        let _ = writeln!(text, "{}", part_row(part));
    }
    if !parts.is_empty() {
        let total: u64 = parts.iter().map(|part| part.record.bytes).sum();
        speaker.line(
            "store",
            &format!(
                "{} part{} that environments share, {}",
                parts.len(),
                if parts.len() == 1 { "" } else { "s" },
                ByteSize(total).display().iec()
            ),
        );
    }
    let size = |bytes: u64| ByteSize(bytes).display().iec().to_string();
    let others = format!(
        "{} of downloads, {} of tools, {} of compiled code",
        size(downloads),
        size(tools),
        size(code)
    );
    speaker.line("store", &others);
    speaker.data(&text)
}

/// A part in a list, by the beginning of its id: with all of its digits nothing else would fit into a line.
fn part_row(summary: &PartSummary) -> String {
    const SHOWN_DIGITS: usize = 25;
    let PartSummary {
        record,
        environments,
        in_use,
    } = summary;
    let id = &record.part_id;
    let hex = id.digest().hex();
    let mut name = format!("{}-{hex}", id.kind());
    name.truncate(id.kind().len() + 1 + SHOWN_DIGITS);
    format!(
        "{name:<32}  part   {:>10}  {}  {}{}",
        ByteSize(record.bytes).display().iec().to_string(),
        match environments.len() {
            0 => "of no environment".to_owned(),
            1 => "of 1 environment".to_owned(),
            count => format!("of {count} environments"),
        },
        record.label,
        if *in_use { "  (in use)" } else { "" },
    )
}

fn part_json(summary: &PartSummary) -> serde_json::Value {
    let PartSummary {
        record,
        environments,
        in_use,
    } = summary;
    json!({
        "part_id": record.part_id,
        "label": record.label,
        "bytes": record.bytes,
        "files": record.files,
        "created_at": record.created_at,
        "environments": environments,
        "in_use": in_use,
    })
}

fn used(summary: &Summary) -> String {
    summary.last_used.strftime("%Y-%m-%d %H:%M").to_string()
}

fn row_json(summary: &Summary) -> serde_json::Value {
    let record = &summary.record;
    json!({
        "env_id": record.env_id,
        "lock_id": record.lock_id,
        "spec_id": record.spec_id,
        "backend": record.backend,
        "label": record.label,
        "bytes": record.bytes,
        "files": record.files,
        "packages": record.packages.len(),
        "created_at": record.created_at,
        "last_used": summary.last_used,
        "in_use": summary.in_use,
    })
}

fn info(store: &Store, text: &str, speaker: &Speaker) -> Result<u8, Failure> {
    let value = match one(store, text)? {
        Named::Environment(id) => environment_info(store, &id)?,
        Named::Part(id) => part_info(store, &id)?,
    };
    speaker.json(&value.ok_or_else(|| unknown(text))?)
}

fn environment_info(store: &Store, id: &EnvId) -> Result<Option<serde_json::Value>, Failure> {
    let Some(summary) = store
        .environments()?
        .into_iter()
        .find(|summary| summary.record.env_id == *id)
    else {
        return Ok(None);
    };
    let mut value = members(&summary.record)?;
    value.insert("last_used".to_owned(), json!(summary.last_used));
    value.insert("in_use".to_owned(), json!(summary.in_use));
    value.insert(
        "prefix".to_owned(),
        json!(store.lease(id)?.environment()?.map(|found| found.prefix)),
    );
    Ok(Some(value.into()))
}

fn part_info(store: &Store, id: &PartId) -> Result<Option<serde_json::Value>, Failure> {
    let Some(summary) = store
        .parts()?
        .into_iter()
        .find(|summary| summary.record.part_id == *id)
    else {
        return Ok(None);
    };
    let mut value = members(&summary.record)?;
    value.insert("environments".to_owned(), json!(summary.environments));
    value.insert("in_use".to_owned(), json!(summary.in_use));
    value.insert(
        "path".to_owned(),
        json!(store.part_lease(id)?.part()?.map(|found| found.path)),
    );
    Ok(Some(value.into()))
}

/// The members of a record, with the version of this output.
fn members(record: &impl Serialize) -> Result<serde_json::Map<String, serde_json::Value>, Failure> {
    match serde_json::to_value(record) {
        Ok(serde_json::Value::Object(mut members)) => {
            members.insert("v".to_owned(), json!(1));
            Ok(members)
        }
        Ok(_) => Ok(serde_json::Map::new()),
        Err(error) => Err(Failure::io("show the record", error)),
    }
}

fn remove(store: &Store, ids: &[String], speaker: &Speaker) -> Result<u8, Failure> {
    // All are looked up first, so that a mistake in the last removes nothing.
    let ids = ids
        .iter()
        .map(|text| one(store, text))
        .collect::<Result<Vec<_>, _>>()?;
    for id in ids {
        match id {
            Named::Environment(id) => {
                let removal = store.remove(&id)?;
                speaker.line("removed", id.as_str());
                for part in removal.parts {
                    speaker.line("removed", &part.id.to_string());
                }
            }
            Named::Part(id) => {
                store.remove_part(&id)?;
                speaker.line("removed", &id.to_string());
            }
        }
    }
    Ok(0)
}

/// What an id names.
enum Named {
    Environment(EnvId),
    Part(PartId),
}

/// The one environment or part that the beginning of an id stands for. The ids of parts have a hyphen in them and those
/// of environments have none; the kind of a part alone is no beginning.
fn one(store: &Store, text: &str) -> Result<Named, Failure> {
    let own = text.split_once('-').map_or(text, |(_, digest)| digest);
    if own.len() < SHORTEST_ID {
        return Err(Failure::usage(
            format!("`{text}` is too short to name an environment"),
            format!("write {SHORTEST_ID} characters of the id or more; `wrun cache ls` lists them"),
        ));
    }
    let mut found: Vec<Named> = if text.contains('-') {
        store.find_parts(text)?.into_iter().map(Named::Part).collect()
    } else {
        store.find(text)?.into_iter().map(Named::Environment).collect()
    };
    match (found.pop(), found.len()) {
        (Some(id), 0) => Ok(id),
        (Some(_), others) => Err(Failure::usage(
            format!("`{text}` is the beginning of {} ids", others + 1),
            "write more of the id; `wrun cache ls` lists them",
        )),
        (None, _) => Err(unknown(text)),
    }
}

fn unknown(text: &str) -> Failure {
    Failure::usage(
        format!("there is no environment and no part `{text}`"),
        "`wrun cache ls` lists them",
    )
}
