//! A run as a WebAssembly guest.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use wrun_core::launch::Launch;
use wrun_exec::{Guest, Report, WasiTask};
use wrun_store::Scratch;

use crate::context::Context;
use crate::grants::grants;
use crate::launch::edited;
use crate::run::{Attempt, Entered};
use crate::signals::Signals;
use crate::{Error, GuestRun, single_files};

/// One attempt at a task: with its own folder to look at and a scratch folder.
pub(crate) async fn run_task(
    attempt: &Attempt<'_>,
    module: &Path,
    args: &[String],
    scratch: &Scratch,
    signals: &mut Signals,
) -> Result<Report, Error> {
    let mut env = BTreeMap::from([
        ("HOME".to_owned(), "/tmp".to_owned()),
        ("TMPDIR".to_owned(), "/tmp".to_owned()),
    ]);
    if let Some(Entered {
        base: _,
        leased,
        launch: Launch::Wasi {
            env: edits,
            module: _,
        },
        tools: _,
    }) = attempt.entered
    {
        env.extend(edited(edits, &leased.environment.prefix)?.variables);
    }
    env.extend(attempt.vars.clone());
    let mut grants = grants(attempt.task, attempt.folder, scratch.path())?;
    let (grants, copies) = if attempt.task.allow.read.is_empty() {
        (grants, None)
    } else {
        let prepared = attempt.context.blocking(move |context| {
            let copies = single_files::as_folders(&mut grants, &context.inner.store)?;
            Ok::<_, Error>((grants, copies))
        });
        prepared.await??
    };
    let guest = GuestRun {
        module: Module::File(attempt.task.base.join(module)),
        args: args.to_vec(),
        env,
        grants,
        stdio: attempt.stdio.clone(),
        // They are in the streams already.
        output_events: false,
    };
    let report = run(attempt.context, guest, signals).await;
    // They are there for as long as the guest runs.
    drop(copies);
    report
}

/// A program that was compiled and linked, or found compiled in the store.
#[derive(Debug, Clone)]
pub struct LoadedModule {
    name: String,
    guest: Guest,
}

/// Where a program comes from.
#[derive(Debug, Clone)]
pub enum Module {
    /// A file, read for each run.
    File(PathBuf),
    /// One that was loaded before, which makes a start cheaper.
    Loaded(LoadedModule),
}

/// Reads a program and makes it ready to run.
#[tracing::instrument(name = "compile", skip_all, fields(module = %path.display()))]
pub(crate) async fn load(context: &Context, path: &Path) -> Result<LoadedModule, Error> {
    let name = path
        .file_name()
        .map_or_else(|| "main".to_owned(), |name| name.to_string_lossy().into_owned());
    let missing = |error: std::io::Error| Error::Module {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let owned = path.to_owned();
    let bytes = context.blocking(move |_| read(&owned)).await?.map_err(missing)?;
    let loaded = context.inner.wasi.load(&bytes, &context.inner.store).await;
    let guest = loaded.map_err(|cause| Error::Program {
        path: path.to_owned(),
        cause,
    })?;
    Ok(LoadedModule { name, guest })
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    wrun_provision::open_regular(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Runs a guest with exactly what it is given. A signal ends it: a guest has none.
pub(crate) async fn run(context: &Context, guest: GuestRun, signals: &mut Signals) -> Result<Report, Error> {
    let GuestRun {
        module,
        args,
        env,
        grants,
        stdio,
        output_events: _,
    } = guest;
    let LoadedModule { name, guest: loaded } = match module {
        Module::Loaded(loaded) => loaded,
        Module::File(path) => tokio::select! {
            loaded = load(context, &path) => loaded?,
            Some(_) = signals.recv() => return Err(Error::Cancelled),
        },
    };
    let task = WasiTask {
        name,
        args,
        env,
        grants,
    };
    let running = context
        .inner
        .wasi
        .run(&loaded, task, stdio, context.cancel.clone());
    tokio::pin!(running);
    loop {
        tokio::select! {
            report = &mut running => return Ok(report?),
            Some(_) = signals.recv() => context.cancel.cancel(),
        }
    }
}
