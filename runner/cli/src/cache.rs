//! `wrun cache`.

use std::fmt::Write as _;
use std::sync::Arc;

use bytesize::ByteSize;
use serde_json::json;
use wrun::Runner;
use wrun::core::id::EnvId;
use wrun_store::{Store, Summary, Usage};

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
    let id = one(store, text)?;
    let Some(summary) = store
        .environments()?
        .into_iter()
        .find(|summary| summary.record.env_id == id)
    else {
        return Err(unknown(text));
    };
    let mut value =
        serde_json::to_value(&summary.record).map_err(|error| Failure::io("show the record", error))?;
    if let Some(members) = value.as_object_mut() {
        members.insert("v".to_owned(), json!(1));
        members.insert("last_used".to_owned(), json!(summary.last_used));
        members.insert("in_use".to_owned(), json!(summary.in_use));
        members.insert(
            "prefix".to_owned(),
            json!(store.lease(&id)?.environment()?.map(|found| found.prefix)),
        );
    }
    speaker.json(&value)
}

fn remove(store: &Store, ids: &[String], speaker: &Speaker) -> Result<u8, Failure> {
    // All are looked up first, so that a mistake in the last removes nothing.
    let ids = ids
        .iter()
        .map(|text| one(store, text))
        .collect::<Result<Vec<_>, _>>()?;
    for id in ids {
        store.remove(&id)?;
        speaker.line("removed", id.as_str());
    }
    Ok(0)
}

/// The one environment that the beginning of an id stands for.
fn one(store: &Store, text: &str) -> Result<EnvId, Failure> {
    if text.len() < SHORTEST_ID {
        return Err(Failure::usage(
            format!("`{text}` is too short to name an environment"),
            format!("write {SHORTEST_ID} characters of the id or more; `wrun cache ls` lists them"),
        ));
    }
    let mut found = store.find(text)?;
    match (found.pop(), found.len()) {
        (Some(id), 0) => Ok(id),
        (Some(_), others) => Err(Failure::usage(
            format!("`{text}` is the beginning of {} environments", others + 1),
            "write more of the id; `wrun cache ls` lists them",
        )),
        (None, _) => Err(unknown(text)),
    }
}

fn unknown(text: &str) -> Failure {
    Failure::usage(
        format!("there is no environment `{text}`"),
        "`wrun cache ls` lists them",
    )
}
