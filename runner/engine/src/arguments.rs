//! What a container gets, in the words of an engine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rustix::process::{Resource, getegid, geteuid, getrlimit};
use wrun_core::grants::{Access, Limits};
use wrun_core::image::{Engine, ImageUser};

use crate::owner::Owner;
use crate::program::EngineProgram;
use crate::{LABEL, OWNER_LABEL};

/// Bytes that `/tmp` and `/dev/shm` may each hold where nothing else is said.
const TEMPORARY: u64 = 512 * 1024 * 1024;

/// As many open files a container gets at most.
const FILES: u64 = 1024 * 1024;

/// Processes of a user that an engine is asked for at most: podman lowers its own limit, and then cannot give more.
const PROCESSES: u64 = 32_768;

/// A file or folder of the machine in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// Where it is on the machine, without links.
    pub source: PathBuf,
    /// Where it is in the container.
    pub at: PathBuf,
    /// What may be done with it.
    pub access: Access,
}

/// A container to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its name, which no other has.
    pub name: String,
    /// The process that waits for it, if the system says enough of it.
    pub owner: Option<Owner>,
    /// The image, as the engine knows it.
    pub image: String,
    /// The program with its arguments.
    pub command: Vec<String>,
    /// The folder that it starts in.
    pub cwd: PathBuf,
    /// Its variables beside those of the image.
    pub env: BTreeMap<String, String>,
    /// Its files beside those of the image, folders before what is in them.
    pub binds: Vec<Bind>,
    /// A folder of its own; in memory if its size has a limit, and else among the binds.
    pub scratch: PathBuf,
    /// Whether it has the machine's network; else it has none.
    pub has_network: bool,
    /// Its limits; `time` and `output` are the business of the one who waits for it.
    pub limits: Limits,
    /// Who its processes are, as the image has it.
    pub user: ImageUser,
    /// Whether it has a terminal.
    pub terminal: bool,
}

impl Container {
    /// The arguments of the engine's program, and the variables of its process that go on to the container: values are not
    /// among the arguments, which everybody on the machine can read, unless the engine reads the variable itself.
    #[must_use]
    pub fn arguments(&self, engine: &EngineProgram) -> (Vec<String>, BTreeMap<String, String>) {
        let mut words = engine.options.clone();
        let mut add = |more: &[&str]| words.extend(more.iter().map(|word| (*word).to_owned()));
        add(&[
            "run",
            "--rm",
            "--pull=never",
            "--interactive",
            "--name",
            &self.name,
        ]);
        add(&["--label", &format!("{LABEL}={}", self.name)]);
        if let Some(owner) = &self.owner {
            add(&["--label", &format!("{OWNER_LABEL}={owner}")]);
        }
        add(&["--network", if self.has_network { "host" } else { "none" }]);
        add(&[
            "--read-only",
            "--cap-drop=ALL",
            "--security-opt=no-new-privileges",
        ]);
        if self.terminal {
            add(&["--tty"]);
        }
        for word in self.identity(engine) {
            add(&[&word]);
        }
        let Limits {
            time: _,
            output: _,
            memory,
            processes,
            cpu,
            file_size,
            scratch,
        } = &self.limits;
        if let Some(bytes) = memory.filter(|_| holds_limits(engine)) {
            add(&[&format!("--memory={bytes}b"), &format!("--memory-swap={bytes}b")]);
        }
        if let Some(count) = processes.filter(|_| holds_limits(engine)) {
            add(&[&format!("--pids-limit={count}")]);
        }
        if let Some(thousandths) = cpu.filter(|_| holds_limits(engine)) {
            add(&[&format!(
                "--cpus={}.{:03}",
                thousandths / 1000,
                thousandths % 1000
            )]);
        }
        add(&["--ulimit=core=0:0"]);
        if let Some(bytes) = file_size {
            add(&[&format!("--ulimit=fsize={bytes}:{bytes}")]);
        }
        for word in ceilings() {
            add(&[&word]);
        }
        let temporary = [*scratch, *memory]
            .into_iter()
            .flatten()
            .fold(TEMPORARY, u64::min);
        add(&[&format!("--shm-size={temporary}b")]);
        add(&["--mount", &in_memory("/tmp", temporary)]);
        if let Some(bytes) = scratch {
            add(&["--mount", &in_memory(&self.scratch.to_string_lossy(), *bytes)]);
        }
        for bind in &self.binds {
            add(&["--mount", &mounted(bind)]);
        }
        add(&["--workdir", &self.cwd.to_string_lossy()]);
        let mut passed = BTreeMap::new();
        let own: BTreeMap<String, String> = engine.environment().collect();
        for (name, value) in &self.env {
            match own.get(name) {
                Some(held) if held != value => add(&["--env", &format!("{name}={value}")]),
                _ if reads(name) => add(&["--env", &format!("{name}={value}")]),
                _ => {
                    add(&["--env", name]);
                    passed.insert(name.clone(), value.clone());
                }
            }
        }
        let (program, arguments) = self
            .command
            .split_first()
            .map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
        add(&["--entrypoint", program, &self.image]);
        words.extend(arguments.iter().cloned());
        (words, passed)
    }

    /// Who the container is outside: so that what it writes in a granted folder belongs to the caller.
    fn identity(&self, engine: &EngineProgram) -> Vec<String> {
        let ImageUser { user, group } = self.user;
        match (engine.is_rootless, user) {
            // Root in there is the caller.
            (true, 0) => vec!["--user=0:0".to_owned()],
            (true, _) => vec![
                format!("--userns=keep-id:uid={user},gid={group}"),
                format!("--user={user}:{group}"),
            ],
            (false, _) => vec![format!("--user={}:{}", geteuid().as_raw(), getegid().as_raw())],
        }
    }
}

/// Whether an engine has a user namespace of the caller's own.
pub(crate) fn is_rootless(engine: Engine) -> bool {
    engine == Engine::Podman && !geteuid().is_root()
}

/// Who a task is, as it sees itself, that is to be a user of its image: without a user namespace there is only the caller to
/// whom what it writes in a granted folder could belong.
#[must_use]
pub fn task_user(engine: Engine, wanted: &ImageUser) -> ImageUser {
    if engine == Engine::Builtin || is_rootless(engine) {
        return wanted.clone();
    }
    ImageUser {
        user: geteuid().as_raw(),
        group: getegid().as_raw(),
    }
}

/// Whether an engine holds limits of memory, processes and processors: without rights it takes control groups of version 2.
pub(crate) fn holds_limits(engine: &EngineProgram) -> bool {
    !engine.is_rootless || std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// A name that no other container has.
///
/// # Errors
/// The system has no random numbers.
pub fn new_name() -> std::io::Result<String> {
    let mut bytes = [0_u8; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(format!("wrun-{:016x}", u64::from_ne_bytes(bytes)))
}

/// Whether a variable is one that an engine's own program reads, or its loader: where it keeps things, whom it talks to, and
/// what it is logged in to.
#[must_use]
pub fn reads(name: &str) -> bool {
    const NAMES: &[&str] = &["PATH", "HOME", "TMPDIR", "LANG"];
    const PREFIXES: &[&str] = &[
        "LD_",
        "XDG_",
        "DOCKER_",
        "CONTAINER",
        "PODMAN_",
        "BUILDAH_",
        "STORAGE_",
        "REGISTRY_",
        "REGISTRIES_",
        "SSL_",
        "DBUS_",
        "GO",
        "NO_PROXY",
        "HTTP",
        "ALL_PROXY",
        "LC_",
    ];
    NAMES.contains(&name)
        || PREFIXES
            .iter()
            .any(|prefix| name.to_uppercase().starts_with(prefix))
}

/// Limits of resources that an engine raises beyond those of its caller unless it is told not to, which then fails.
fn ceilings() -> Vec<String> {
    let ceiling = |name: &str, resource, most: u64| {
        let own = getrlimit(resource).maximum?;
        let value = own.min(most);
        Some(format!("--ulimit={name}={value}:{value}"))
    };
    [
        ceiling("nofile", Resource::Nofile, FILES),
        ceiling("nproc", Resource::Nproc, PROCESSES),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn in_memory(at: &str, bytes: u64) -> String {
    let at = quoted(&format!("destination={at}"));
    format!("type=tmpfs,{at},tmpfs-size={bytes},tmpfs-mode=1777")
}

fn mounted(bind: &Bind) -> String {
    let source = quoted(&format!("source={}", bind.source.to_string_lossy()));
    let at = quoted(&format!("destination={}", bind.at.to_string_lossy()));
    let read_only = match bind.access {
        Access::Read => ",readonly",
        Access::Write => "",
    };
    format!("type=bind,{source},{at}{read_only}")
}

/// A field of a list with commas (RFC 4180).
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use wrun_core::image::Engine;

    use super::*;

    fn engine(engine: Engine, is_rootless: bool) -> EngineProgram {
        EngineProgram::for_tests(engine, is_rootless, &[("HOME", "/home/ada"), ("TOKEN", "a")])
    }

    fn container() -> Container {
        Container {
            name: "wrun-1".to_owned(),
            owner: None,
            image: "x@sha256:0".to_owned(),
            command: ["python", "-c", "pass"].map(str::to_owned).to_vec(),
            cwd: PathBuf::from("/work"),
            env: BTreeMap::new(),
            binds: Vec::new(),
            scratch: PathBuf::from("/scratch"),
            has_network: false,
            limits: Limits::default(),
            user: ImageUser { user: 0, group: 0 },
            terminal: false,
        }
    }

    fn words(container: &Container, engine: &EngineProgram) -> String {
        container.arguments(engine).0.join(" ")
    }

    #[test]
    fn a_container_gets_nothing_by_itself() {
        let said = words(&container(), &engine(Engine::Docker, false));
        for word in [
            "run --rm --pull=never",
            "--network none",
            "--read-only",
            "--cap-drop=ALL",
            "--security-opt=no-new-privileges",
            "--label dev.wrun.run=wrun-1",
        ] {
            assert!(said.contains(word), "{word}: {said}");
        }
        assert!(said.ends_with("--entrypoint python x@sha256:0 -c pass"), "{said}");
    }

    #[test]
    fn paths_with_commas_are_one_field() {
        let bind = Bind {
            source: PathBuf::from("/a,b"),
            at: PathBuf::from("/c\"d"),
            access: Access::Read,
        };
        assert_eq!(
            mounted(&bind),
            "type=bind,\"source=/a,b\",\"destination=/c\"\"d\",readonly"
        );
    }

    #[test]
    fn values_are_not_among_the_arguments_unless_the_engine_reads_them() {
        let mut container = container();
        for (name, value) in [("SECRET", "canary"), ("TOKEN", "a"), ("HOME", "/scratch")] {
            container.env.insert(name.to_owned(), value.to_owned());
        }
        let (said, passed) = container.arguments(&engine(Engine::Podman, true));
        let said = said.join(" ");
        assert!(
            !said.contains("canary") && said.contains("--env SECRET"),
            "{said}"
        );
        assert!(
            said.contains("--env TOKEN ") && said.contains("--env HOME=/scratch"),
            "{said}"
        );
        assert_eq!(passed.get("SECRET").map(String::as_str), Some("canary"));
    }

    #[test]
    fn what_is_written_belongs_to_the_caller() {
        let mut container = container();
        let rootless = engine(Engine::Podman, true);
        assert!(words(&container, &rootless).contains("--user=0:0"));
        container.user = ImageUser { user: 7, group: 8 };
        assert!(words(&container, &rootless).contains("--userns=keep-id:uid=7,gid=8 --user=7:8"));
        let caller = format!("--user={}:{}", geteuid().as_raw(), getegid().as_raw());
        assert!(words(&container, &engine(Engine::Docker, false)).contains(&caller));
    }
}
