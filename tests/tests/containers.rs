//! Inside of a container `wrun` is as strong as the container lets it be, says how strong that is, and is never silently
//! weaker: a run is held, held to less and says so, or refused.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;
use wrun_tests::{binary, files, skipped};

/// What `podman run` takes on machines without systemd, with control groups of both versions, and with few rights.
const ENGINE: &[&str] = &["--cgroup-manager=cgroupfs", "--runtime", "runc", "run", "--rm"];
const RUN: &[&str] = &[
    "--network",
    "none",
    "--ulimit",
    "nofile=1024:20000",
    "--ulimit",
    "nproc=1000:1000",
    "--volume",
    "/usr:/usr:ro",
];

/// Tries what is not granted and says what worked.
const PROBE: &str = "\
cat /secret/file >/dev/null 2>&1 && echo read
echo x > /secret/new 2>/dev/null && echo write
[ -n \"$OF_CALLER\" ] && echo variables
echo tried";

/// A container's file system of what the machine's own programs need; nothing where they cannot be had in that way.
struct Machine {
    folder: TempDir,
}

impl Machine {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let root = folder.path().join("root");
        for name in [
            "usr", "etc", "proc", "sys", "dev", "tmp", "run", "secret", "project",
        ] {
            files::folder(&root.join(name));
        }
        for name in ["tmp", "secret", "project"] {
            files::set_mode(&root.join(name), 0o1777);
        }
        for name in ["bin", "sbin", "lib", "lib64"] {
            match Path::new("/").join(name).read_link() {
                Ok(target) => {
                    std::os::unix::fs::symlink(target, root.join(name)).expect("a link can be made");
                }
                Err(_) if Path::new("/").join(name).exists() => {
                    skipped("a container: the programs of this machine are not all below /usr");
                    return None;
                }
                Err(_) => {}
            }
        }
        files::write(
            &root.join("etc/passwd"),
            "root:x:0:0:root:/:/bin/sh\nuser:x:1000:1000:user:/:/bin/sh\n",
        );
        files::write(&root.join("secret/file"), "not for the task\n");
        files::set_mode(&root.join("secret/file"), 0o666);
        let machine = Self { folder };
        let tried = machine.podman(&[], &["true"]);
        match tried {
            Ok(output) if output.status.success() => Some(machine),
            Ok(output) => {
                skipped(&format!(
                    "a container: podman does not run here: {}",
                    String::from_utf8_lossy(&output.stderr).trim()
                ));
                None
            }
            Err(error) => {
                skipped(&format!("a container: podman cannot be started: {error}"));
                None
            }
        }
    }

    /// Runs a command in a container of its own.
    fn podman(&self, options: &[&str], words: &[&str]) -> std::io::Result<Output> {
        let wrun = format!("{}:/project/wrun:ro", binary::wrun().display());
        let root = self.folder.path().join("root");
        Command::new("podman")
            .args(ENGINE)
            .args(RUN)
            .args([
                "--volume",
                &wrun,
                "--env",
                "OF_CALLER=yes",
                "--workdir",
                "/project",
            ])
            .args(options)
            .arg("--rootfs")
            .arg(root)
            .args(words)
            .output()
    }

    /// Whether a container with these options can be started at all.
    fn offers(&self, options: &[&str]) -> bool {
        let output = self.podman(options, &["true"]).expect("podman is there");
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            skipped(&format!("a container with {options:?}: {}", said.trim()));
        }
        output.status.success()
    }

    /// A task that tries what it was not granted, held as strongly as `demand` says; the tier that it says it ran in, if it
    /// ran.
    #[track_caller]
    fn is_honest(&self, options: &[&str], demand: Option<&str>) -> Option<String> {
        // The containers have one folder for their files, and each user a store of its own in it.
        let user = options.windows(2).find(|pair| pair[0] == "--user");
        let store = format!(
            "/tmp/store-{}",
            user.map_or("root", |pair| pair[1]).replace(':', "-")
        );
        let mut words = vec!["/project/wrun", "--cache-dir", &store, "--format", "json", "run"];
        if let Some(demand) = demand {
            words.extend(["--sandbox", demand]);
        }
        words.extend(["--", "bash", "-c", PROBE]);
        let output = self.podman(options, &words).expect("podman is there");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let context = || {
            let errors = String::from_utf8_lossy(&output.stderr);
            format!("{options:?} {demand:?}: {}\n{said}\n{errors}", output.status)
        };
        let events: Vec<Value> = said
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{}", context())))
            .collect();
        let of = |kind: &str| events.iter().find(|event| event["event"] == kind);
        let worked: Vec<String> = events
            .iter()
            .filter(|event| event["event"] == "output" && event["stream"] == "stdout")
            .flat_map(|event| {
                let text = event["text"].as_str().unwrap_or_default();
                text.lines().map(str::to_owned).collect::<Vec<String>>()
            })
            .collect();
        let Some(report) = of("sandbox") else {
            // Refused: with the code for that, the reason, and nothing that ran.
            assert_eq!(output.status.code(), Some(126), "{}", context());
            assert!(worked.is_empty(), "{}", context());
            let reason = of("finished")
                .map(|event| event["outcome"].to_string())
                .unwrap_or_default();
            assert!(reason.contains("refused"), "{}", context());
            return None;
        };
        assert!(worked.iter().any(|line| line == "tried"), "{}", context());
        for capability in ["read", "write", "variables"] {
            let state = &report["capabilities"][capability]["state"];
            assert!(state.is_string(), "{capability} is not told: {}", context());
            // What is told to be held in part is held for content, which is what is tried here.
            if state != "not-enforced" {
                assert!(
                    !worked.iter().any(|line| line == capability),
                    "{capability} is told to be held and is not: {}",
                    context()
                );
            }
        }
        let tier = report["tier"].as_str().unwrap_or_default().to_owned();
        let met = match demand {
            None => tier == "full" || tier == "restricted",
            Some("best-effort") => true,
            Some(demand) => tier == demand,
        };
        assert!(met, "{}", context());
        Some(tier)
    }

    #[track_caller]
    fn is_honest_whatever_is_asked(&self, options: &[&str]) -> Option<String> {
        if !self.offers(options) {
            return None;
        }
        for user in ["0:0", "1000:1000"] {
            let options = [options, &["--user", user]].concat();
            for demand in [None, Some("full"), Some("restricted"), Some("best-effort")] {
                self.is_honest(&options, demand);
            }
        }
        self.is_honest(options, None)
    }

    /// A profile of calls, as engines take it, that refuses some.
    fn profile(&self, name: &str, calls: &Value) -> String {
        let profile = json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": calls });
        let path = self.folder.path().join(name);
        files::write(&path, profile.to_string());
        format!("seccomp={}", path.display())
    }
}

/// What docker's own profile refuses of namespaces and mounts, where a container has no capability for them.
fn namespaces() -> Vec<Value> {
    // Every flag of `clone` that makes a namespace.
    const FLAGS: u64 = 0x7E02_0000;
    let flags = (0..32).map(|bit| 1_u64 << bit).filter(|bit| FLAGS & bit != 0);
    let clones = flags.map(|flag| {
        json!({
            "names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
            "args": [{ "index": 0, "value": flag, "valueTwo": flag, "op": "SCMP_CMP_MASKED_EQ" }],
        })
    });
    let others = json!({
        "names": ["unshare", "setns", "mount", "umount2", "pivot_root", "open_tree", "move_mount", "fsopen", "fsmount"],
        "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
    });
    // `ENOSYS`: libraries use `clone` then.
    let newer_clone = json!({ "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38 });
    clones.chain([others, newer_clone]).collect()
}

fn landlock() -> Value {
    json!({
        "names": ["landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"],
        "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
    })
}

#[test]
fn in_the_default_container_of_podman() {
    let Some(machine) = Machine::new() else { return };
    let tier = machine.is_honest_whatever_is_asked(&[]);
    assert!(tier.is_some(), "tasks can be run in a default container");
}

#[test]
fn in_a_container_that_hides_nothing_of_proc() {
    let Some(machine) = Machine::new() else { return };
    machine.is_honest_whatever_is_asked(&["--security-opt", "unmask=ALL"]);
}

#[test]
fn in_a_container_without_a_filter_of_calls() {
    let Some(machine) = Machine::new() else { return };
    let options = ["--security-opt", "seccomp=unconfined"];
    if machine.is_honest_whatever_is_asked(&options).is_some() {
        let nested = [&options[..], &["--user", "1000:1000"]].concat();
        let own = machine.podman(&nested, &["unshare", "--user", "--mount", "--net", "true"]);
        if own.is_ok_and(|output| output.status.success()) {
            // Root of a container has no right to namespaces of its own, and neither has a user: both have user namespaces.
            for user in ["0:0", "1000:1000"] {
                let options = [&options[..], &["--user", user]].concat();
                assert_eq!(machine.is_honest(&options, None).as_deref(), Some("full"));
            }
        } else {
            skipped("the tier `full` in a container: there are no user namespaces in it");
        }
    }
}

#[test]
fn in_a_container_without_capabilities() {
    let Some(machine) = Machine::new() else { return };
    machine.is_honest_whatever_is_asked(&["--cap-drop=all"]);
}

#[test]
fn in_a_container_with_every_capability() {
    let Some(machine) = Machine::new() else { return };
    machine.is_honest_whatever_is_asked(&["--privileged"]);
}

#[test]
fn in_a_container_whose_files_cannot_be_written() {
    let Some(machine) = Machine::new() else { return };
    machine.is_honest_whatever_is_asked(&["--read-only", "--tmpfs", "/tmp:mode=1777"]);
}

#[test]
fn where_namespaces_are_refused_as_docker_does() {
    let Some(machine) = Machine::new() else { return };
    let profile = machine.profile("namespaces.json", &Value::Array(namespaces()));
    let options = ["--security-opt", &profile];
    if let Some(tier) = machine.is_honest_whatever_is_asked(&options) {
        assert_eq!(tier, "restricted", "Landlock and seccomp are left");
        assert_eq!(machine.is_honest(&options, Some("full")), None);
    }
}

#[test]
fn where_nothing_is_left_a_task_is_refused() {
    let Some(machine) = Machine::new() else { return };
    let mut calls = namespaces();
    calls.push(landlock());
    let profile = machine.profile("nothing.json", &Value::Array(calls));
    let options = ["--security-opt", &profile];
    if !machine.offers(&options) {
        return;
    }
    for user in ["0:0", "1000:1000"] {
        let options = [options.as_slice(), &["--user", user]].concat();
        for demand in [None, Some("full"), Some("restricted")] {
            assert_eq!(machine.is_honest(&options, demand), None);
        }
        assert_eq!(
            machine.is_honest(&options, Some("best-effort")).as_deref(),
            Some("none")
        );
    }
}
