//! A hundred locked conda packages, already unpacked, against rattler's own installer; and a warm submit against one of uv.

use std::path::Path;
use std::process::Command;

use rattler::install::Installer;
use rattler::package_cache::PackageCache;
use rattler_conda_types::RepoDataRecord;
use rattler_package_streaming::fs::repodata_record_from_package_archive;
use wrun_tests::conda::{Channel, Package, SUBDIR};

use crate::stats::{in_turn, time};
use crate::world::{Result, World, remove, run, say};

const PACKAGES: usize = 100;
const FILES: usize = 40;
const ROUNDS: usize = 11;
const WARM_ROUNDS: usize = 100;

pub(crate) fn measure(world: &World) -> Result<()> {
    // The installer makes a client for the web, though all packages are at hand.
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| "another provider of TLS is installed")?;
    let channel = channel();
    let runtime = tokio::runtime::Runtime::new()?;
    let records = (0..PACKAGES)
        .map(|number| {
            let archive = channel
                .path()
                .join(SUBDIR)
                .join(format!("package{number}-1.0-0.conda"));
            Ok(runtime.block_on(repodata_record_from_package_archive(archive))?)
        })
        .collect::<Result<Vec<RepoDataRecord>>>()?;
    let names: Vec<String> = (0..PACKAGES)
        .map(|number| format!("\"package{number}\""))
        .collect();
    let task = world.write(
        "conda.toml",
        format!(
            "[run]\ncommand = [\"true\"]\n[env.conda]\npackages = [{}]\nchannels = [\"{}\"]\n",
            names.join(", "),
            channel.url()
        ),
    )?;
    let lock = world.folder().join("conda.lock.json");
    run(world.wrun(&["plan", "--lock"]).arg(&lock).arg(&task))?;
    let cache = world.folder().join("rattler-cache");
    let (bare, ours) = in_turn(
        ROUNDS,
        || bare(world, &runtime, &cache, &records),
        || ours(world, &task, &lock),
    )?;
    say(&format!("{PACKAGES} packages of {FILES} files, unpacked before:"));
    say(&format!("  rattler's installer:             {}", bare.text()));
    say(&format!("  cold wrun submit --locked:       {}", ours.text()));
    say(&format!(
        "  ratio: {:.2}; goal: at most 1.20",
        ours.median().as_secs_f64() / bare.median().as_secs_f64()
    ));
    let uv = world.write(
        "conda-uv.toml",
        "[run]\ncommand = [\"true\"]\n[env.uv]\npackages = []\n",
    )?;
    run(world.wrun(&["--quiet", "submit"]).arg(&uv))?;
    run(world.wrun(&["--quiet", "submit"]).arg(&task))?;
    let (uv, conda) = in_turn(
        WARM_ROUNDS,
        || run(world.wrun(&["--quiet", "submit"]).arg(&uv)),
        || run(world.wrun(&["--quiet", "submit"]).arg(&task)),
    )?;
    say(&format!("warm submit with uv:               {}", uv.text()));
    say(&format!("warm submit with conda:            {}", conda.text()));
    say(&format!(
        "more:                              {}",
        time(conda.median().saturating_sub(uv.median()))
    ));
    Ok(())
}

/// Packages with small files, of which some hold the prefix.
fn channel() -> Channel {
    Channel::with((0..PACKAGES).map(|number| {
        let name = format!("package{number}");
        let package = Package::new(&name, "1.0")
            .text_with_prefix(&format!("share/{name}/prefix.sh"), "#!PREFIX/bin/sh\n");
        (1..FILES).fold(package, |package, file| {
            package.file(&format!("share/{name}/{file}"), vec![b'x'; 4096])
        })
    }))
}

fn bare(
    world: &World,
    runtime: &tokio::runtime::Runtime,
    cache: &Path,
    records: &[RepoDataRecord],
) -> Result<()> {
    let prefix = world.folder().join("bare-conda");
    remove(&prefix)?;
    let installer = Installer::new()
        .with_package_cache(PackageCache::new(cache))
        .with_installed_packages(Vec::new());
    runtime.block_on(installer.install(&prefix, records.to_vec()))?;
    run(&mut Command::new("true"))
}

fn ours(world: &World, task: &Path, lock: &Path) -> Result<()> {
    for part in ["v1/spec", "v1/lock", "v1/env", "v1/lease", "v1/use", "v1/build"] {
        remove(&world.store().join(part))?;
    }
    run(world.wrun(&["--quiet", "submit", "--locked"]).arg(lock).arg(task))
}
