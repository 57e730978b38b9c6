//! Guests are compiled in a process that can be bounded and killed.
#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and looks at processes from the outside"
)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use wrun_tests::random::Random;
use wrun_tests::{Cmd, World, binary, files};

/// How long is waited for what comes soon.
const PATIENCE: Duration = Duration::from_mins(1);

/// Processor time, in hundredths of a second, after which a process is at its work and not at its start.
const AT_WORK: u64 = 50;

/// A number as WebAssembly has them (LEB128).
fn number(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).expect("seven bits fit");
        value >>= 7;
        bytes.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return bytes;
        }
    }
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id], number(content.len()).as_slice(), content].concat()
}

/// A valid program of one function that is a loop over very many branches, in which everything depends on everything.
fn heavy() -> Vec<u8> {
    const LOCALS: u64 = 400;
    let mut random = Random::new(7);
    let mut any = || number(usize::try_from(random.below(LOCALS)).expect("it is small"));
    // One group of locals: so many numbers of 32 bits.
    let mut body = [number(1), number(400), vec![0x7f, 0x03, 0x40]].concat();
    for _ in 0..150_000 {
        // block; local.get, br_if 0; local.get, local.get, i32.add, local.set; end
        body.extend([0x02, 0x40, 0x20]);
        body.extend(any());
        body.extend([0x0d, 0x00, 0x20]);
        body.extend(any());
        body.push(0x20);
        body.extend(any());
        body.extend([0x6a, 0x21]);
        body.extend(any());
        body.push(0x0b);
    }
    // local.get, br_if 0; end of the loop, end of the function
    body.push(0x20);
    body.extend(any());
    body.extend([0x0d, 0x00, 0x0b, 0x0b]);
    let code = [number(1), number(body.len()), body].concat();
    let export = [number(1), number(6), b"_start".to_vec(), vec![0, 0]].concat();
    [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &[1, 0x60, 0, 0]),
        section(3, &[1, 0]),
        section(7, &export),
        section(10, &code),
    ]
    .concat()
}

fn with_heavy() -> (World, PathBuf) {
    let world = World::new();
    let path = world.project().join("heavy.wasm");
    files::write(&path, heavy());
    (world, path)
}

/// The descendants of a process with the processor time that they have used, in hundredths of a second.
fn descendants(root: i32) -> Vec<(i32, u64)> {
    let all: Vec<(i32, i32, u64)> = files::names("/proc".as_ref())
        .iter()
        .filter_map(|name| name.parse::<i32>().ok())
        .filter_map(|pid| {
            let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The name is in parentheses and may hold anything (`proc_pid_stat(5)`).
            let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
            Some((pid, fields.get(1)?.parse().ok()?, fields.get(11)?.parse().ok()?))
        })
        .collect();
    let mut found = vec![(root, 0)];
    let mut next = 0;
    while let Some((parent, _)) = found.get(next).copied() {
        next += 1;
        let children = all.iter().filter(|(_, of, _)| *of == parent);
        found.extend(children.map(|(pid, _, time)| (*pid, *time)));
    }
    found.split_off(1)
}

/// Waits for the process that compiles.
fn compiler_of(root: i32) -> i32 {
    let started = Instant::now();
    loop {
        let found = descendants(root).into_iter().find(|(_, time)| *time > AT_WORK);
        if let Some((pid, _)) = found {
            return pid;
        }
        assert!(started.elapsed() < PATIENCE, "nothing compiles");
        std::thread::yield_now();
    }
}

fn exec(world: &World, path: &PathBuf) -> Cmd {
    world.wrun(&["exec"]).arg(path)
}

#[test]
fn a_guest_that_takes_too_long_to_compile_is_named() {
    let (world, path) = with_heavy();
    let ran = exec(&world, &path).env("WRUN_COMPILE_TIME", "500ms").run();
    ran.ends_with(125)
        .says("compiling the guest took more than 500ms")
        .says("exec.wasi.compile-time");
    assert!(ran.elapsed < Duration::from_secs(20), "it is ended then: {ran:?}");
}

#[test]
fn a_guest_that_takes_too_much_memory_to_compile_is_named() {
    let (world, path) = with_heavy();
    exec(&world, &path)
        .env("WRUN_COMPILE_MEMORY", "64MiB")
        .run()
        .ends_with(125)
        .says("compiling the guest took more than 64 MiB of memory")
        .says("exec.wasi.compile-memory");
}

#[test]
fn a_compiler_that_is_killed_is_named_and_nothing_else_is_harmed() {
    let (world, path) = with_heavy();
    let running = exec(&world, &path).spawn();
    let compiler = compiler_of(running.pid());
    kill_process(Pid::from_raw(compiler).expect("a process"), Signal::KILL).expect("it is there");
    running
        .wait()
        .ends_with(125)
        .says("the compiler failed: it was ended by SIGKILL")
        .says("exec.wasi.compiler");
    // Nothing half-made is left for others.
    exec(&world, &path)
        .env("WRUN_COMPILE_TIME", "500ms")
        .run()
        .ends_with(125);
}

#[test]
fn a_compiler_ends_with_the_one_who_waits_for_it() {
    for signal in [Signal::KILL, Signal::TERM] {
        let (world, path) = with_heavy();
        let running = exec(&world, &path).spawn();
        let compiler = compiler_of(running.pid());
        running.signal(signal);
        let started = Instant::now();
        while std::fs::read(format!("/proc/{compiler}/cmdline")).is_ok_and(|words| !words.is_empty()) {
            assert!(
                started.elapsed() < PATIENCE,
                "{compiler} is left after {signal:?}"
            );
            std::thread::yield_now();
        }
        drop(running.kill_after(PATIENCE));
    }
}

#[test]
fn kept_code_needs_no_compiler() {
    for guest in ["probe.wasm", "probe.component.wasm"] {
        let world = World::new();
        let run = || {
            world
                .wrun(&["exec"])
                .arg(binary::guest(guest))
                .args(["args", "a"])
        };
        run().env("WRUN_COMPILE_TIME", "1ms").run().ends_with(125);
        let first = run().run();
        first.ends_with(0);
        run()
            .env("WRUN_COMPILE_TIME", "1ms")
            .env("WRUN_COMPILE_MEMORY", "1B")
            .run()
            .prints(&first.stdout);
    }
}

#[test]
fn a_guest_that_is_not_valid_is_told_as_before() {
    let world = World::new();
    let path = world.project().join("broken.wasm");
    // A function that promises a number and leaves none.
    let broken = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &[1, 0x60, 0, 1, 0x7f]),
        section(3, &[1, 0]),
        section(10, &[1, 2, 0, 0x0b]),
    ]
    .concat();
    files::write(&path, broken);
    exec(&world, &path)
        .run()
        .ends_with(125)
        .says("the guest is not valid WebAssembly: ")
        .says("exec.wasi.invalid");
}

#[test]
fn a_setting_that_means_nothing_is_an_error() {
    let (world, path) = with_heavy();
    for (name, value) in [("WRUN_COMPILE_TIME", "soon"), ("WRUN_COMPILE_MEMORY", "much")] {
        exec(&world, &path)
            .env(name, value)
            .run()
            .ends_with(125)
            .says(&format!(
                "the variable `{name}` cannot be used: `{value}` is not a "
            ));
    }
}
