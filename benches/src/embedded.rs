//! Warm starts of WebAssembly guests in a program that embeds the runner.

use std::path::Path;
use std::time::{Duration, Instant};

use wrun::{Grants, GuestRun, LoadedModule, Module, Runner, Stdio};

use crate::stats::Sample;
use crate::wasi::NOOP;
use crate::world::{Result, World, say};

const ROUNDS: usize = 5_000;
const THROUGHPUT_RUNS: usize = 40_000;

pub(crate) fn measure(world: &World) -> Result<()> {
    let module = world.write("embedded.wasm", wat::parse_str(NOOP)?)?;
    let component = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests/out/noop.component.wasm");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let runner = Runner::builder().cache_dir(world.store()).pooling(true).build()?;
    let one = runtime.block_on(latency(&runner, &module))?;
    say(&format!(
        "no-op WASI 0.1 module:  {}, p99 {}",
        one.text(),
        crate::stats::time(one.at(0.99))
    ));
    if component.exists() {
        let one = runtime.block_on(latency(&runner, &component))?;
        say(&format!(
            "no-op WASI 0.2 component (Rust, with its standard library):  {}",
            one.text()
        ));
    } else {
        say("no-op WASI 0.2 component: skipped, guests/build.sh was not run");
    }
    let elapsed = runtime.block_on(throughput(&runner, &module))?;
    #[expect(clippy::cast_precision_loss, reason = "tens of thousands of runs")]
    let rate = THROUGHPUT_RUNS as f64 / elapsed.as_secs_f64();
    say(&format!("no-op modules per second, two workers: {rate:.0}"));
    say("goal: module under 30 us, component under 100 us, 20,000 per second");
    Ok(())
}

fn guest(module: &LoadedModule) -> GuestRun {
    GuestRun {
        module: Module::Loaded(module.clone()),
        args: Vec::new(),
        env: std::collections::BTreeMap::new(),
        grants: Grants::default(),
        stdio: Stdio::default(),
        output_events: false,
    }
}

async fn latency(runner: &Runner, path: &Path) -> Result<Sample> {
    let module = runner.load_module(path).await?;
    for _ in 0..100 {
        runner.exec(guest(&module)).wait().await?;
    }
    let mut sample = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let finished = runner.exec(guest(&module)).wait().await?;
        sample.push(start.elapsed());
        if !finished.outcome.is_success() {
            return Err(finished.outcome.to_string().into());
        }
    }
    Ok(Sample::of(sample))
}

async fn throughput(runner: &Runner, path: &Path) -> Result<Duration> {
    let module = runner.load_module(path).await?;
    let start = Instant::now();
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let (runner, module) = (runner.clone(), module.clone());
            tokio::spawn(async move {
                for _ in 0..THROUGHPUT_RUNS / 4 {
                    runner.exec(guest(&module)).wait().await?;
                }
                Ok::<(), wrun::Error>(())
            })
        })
        .collect();
    for worker in workers {
        worker.await??;
    }
    Ok(start.elapsed())
}
