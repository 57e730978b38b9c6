//! A hundred locked conda packages, already unpacked, against rattler's own installer; and a warm submit against one of uv.
//!
//! Both sides are a process of their own that reads a lock with the same packages, installs them and starts `true`, out of a
//! cache in which every package is unpacked, with hard links. Each starts from an empty prefix and with nothing that waits to
//! be written to the disk; neither is measured. rattler's installer is used as it is by default: it looks at no file of what it
//! unpacked before and writes the records of the packages through to the disk one by one. `wrun` looks at every file that
//! it unpacked, keeps a manifest with the digest of every file, and writes the whole file system through, once. Its task is
//! not held by a sandbox, since that is no part of an installation.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rattler::install::{ExternalSymlinkPolicy, Installer, LinkOptions};
use rattler::package_cache::PackageCache;
use rattler_lock::LockFile;
use wrun_tests::conda::{Channel, Package};

use crate::stats::{in_turn, measured_in_turn, time, timed};
use crate::world::{Result, World, run, say};

/// The argument by which this program is rattler's installer: then a lock, a cache and a prefix.
pub(crate) const INSTALLER: &str = "--install-with-rattler";

const PACKAGES: usize = 100;
const FILES: usize = 40;
const ROUNDS: usize = 21;
const WARM_ROUNDS: usize = 100;

pub(crate) fn measure(world: &World) -> Result<()> {
    let channel = channel();
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
    let bare = Bare {
        lock: of_rattler(world, &lock)?,
        cache: world.folder().join("rattler-cache"),
        prefix: world.folder().join("bare-conda"),
    };
    // Unpacks everything.
    bare.install(world)?;
    ours(world, &task, &lock)?;
    let (bare, ours) = measured_in_turn(ROUNDS, || bare.install(world), || ours(world, &task, &lock))?;
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

/// The lock file of rattler that is in a lock of `wrun`, as a file of its own.
fn of_rattler(world: &World, lock: &Path) -> Result<PathBuf> {
    let lock: serde_json::Value = serde_json::from_reader(std::io::BufReader::new(open(lock)?))?;
    let text = lock
        .pointer("/content/packages/lock-file")
        .and_then(serde_json::Value::as_str)
        .ok_or("the lock has no lock file of rattler")?;
    world.write("rattler.lock", text)
}

#[expect(
    clippy::disallowed_types,
    reason = "the folder of the benchmarks lies outside of any store"
)]
fn open(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::File::open(path)
}

/// rattler's own installer.
struct Bare {
    lock: PathBuf,
    cache: PathBuf,
    prefix: PathBuf,
}

impl Bare {
    /// Installs into an empty prefix, and says how long that took.
    fn install(&self, world: &World) -> Result<Duration> {
        aside(world, &self.prefix)?;
        settle()?;
        timed(|| {
            run(Command::new(std::env::current_exe()?).arg(INSTALLER).args([
                &self.lock,
                &self.cache,
                &self.prefix,
            ]))
        })
    }
}

/// What this program is when it is rattler's installer.
pub(crate) fn install(lock: &Path, cache: &Path, prefix: &Path) -> Result<()> {
    // The installer makes a client for the web, though all packages are at hand.
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| "another provider of TLS is installed")?;
    let lock = LockFile::from_path(lock)?;
    let environment = lock.default_environment().ok_or("the lock is empty")?;
    let platform = environment
        .platforms()
        .next()
        .ok_or("the lock is for no platform")?;
    let records = environment.conda_repodata_records(platform)?.unwrap_or_default();
    let installer = Installer::new()
        .with_package_cache(PackageCache::new(cache))
        .with_installed_packages(Vec::new())
        .with_external_symlink_policy(ExternalSymlinkPolicy::Deny)
        .with_link_options(LinkOptions {
            allow_symbolic_links: Some(true),
            allow_hard_links: Some(true),
            allow_ref_links: Some(false),
        });
    tokio::runtime::Runtime::new()?.block_on(installer.install(prefix, records))?;
    run(&mut Command::new("true"))
}

/// Builds the environment, which is not there, and says how long that took.
fn ours(world: &World, task: &Path, lock: &Path) -> Result<Duration> {
    for part in ["v1/spec", "v1/lock", "v1/env", "v1/lease", "v1/use", "v1/build"] {
        aside(world, &world.store().join(part))?;
    }
    settle()?;
    timed(|| {
        run(world
            .wrun(&["--quiet", "submit", "--sandbox", "off", "--locked"])
            .arg(lock)
            .arg(task))
    })
}

/// Waits until the disk has everything, so that nobody waits for what another wrote.
fn settle() -> Result<()> {
    run(&mut Command::new("sync"))
}

/// Puts a tree aside. It is not removed, since that is what the next one would wait for: file systems do not give the names
/// and numbers of files that are just gone to new ones (ext4: for five seconds), and look for others at length.
#[expect(
    clippy::disallowed_methods,
    reason = "the folder of the benchmarks lies outside of any store"
)]
fn aside(world: &World, path: &Path) -> Result<()> {
    if path.exists() {
        let kept = tempfile::Builder::new()
            .prefix("aside")
            .tempdir_in(world.folder())?
            .keep();
        std::fs::rename(path, kept.join("tree"))?;
    }
    Ok(())
}
