//! A stand-in for the kernel's control groups in a temporary folder, with its rules as far as they matter here.
#![expect(
    clippy::disallowed_methods,
    reason = "files of a temporary folder are not files of the store"
)]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustix::io::Errno;
use tempfile::TempDir;

use super::files::{Files, OpenMode, System};
use super::hierarchies::Hierarchies;

/// Where a hierarchy says which controllers every group of it has; the kernel has no such file.
const LEGACY: &str = "legacy-controllers";

/// The operations that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Make,
    Write,
    Access,
}

/// What happens instead of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Error(Errno),
    Ignored,
}

/// A machine with control groups in a temporary folder.
#[derive(Debug)]
pub(super) struct Fake {
    root: TempDir,
    faults: Mutex<Vec<(Operation, String, Fault)>>,
    delegated: Mutex<BTreeSet<PathBuf>>,
}

impl Fake {
    /// A machine with these mounts (kind, point, options) and memberships.
    pub(super) fn new(mounts: &[(&str, &str, &str)], memberships: &str) -> Arc<Self> {
        let fake = Self {
            root: TempDir::new().unwrap(),
            faults: Mutex::default(),
            delegated: Mutex::default(),
        };
        let mut lines = vec!["23 30 0:22 / /sys rw - sysfs sysfs rw".to_owned()];
        for (kind, point, options) in mounts {
            lines.push(format!(
                "31 23 0:28 / {point} rw,relatime shared:9 - {kind} {kind} rw,{options}"
            ));
            let folder = fake.real(Path::new(point));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("cgroup.procs"), "1\n").unwrap();
            if *kind == "cgroup2" {
                fs::write(folder.join("cgroup.controllers"), options).unwrap();
                fs::write(folder.join("cgroup.subtree_control"), "").unwrap();
            } else {
                fs::write(folder.join(LEGACY), options).unwrap();
            }
        }
        fs::create_dir_all(fake.real(Path::new("/proc/self"))).unwrap();
        fake.put("/proc/self/mountinfo", &lines.join("\n"));
        fake.put("/proc/self/cgroup", memberships);
        fake.put("/proc/swaps", "Filename Type Size Used Priority\n");
        Arc::new(fake)
    }

    /// Makes a group and those above it; every controller that there is is handed down to those below the root.
    pub(super) fn group(&self, folder: &str) {
        let folder = Path::new(folder);
        let mut missing: Vec<_> = folder
            .ancestors()
            .take_while(|folder| !self.exists(folder))
            .collect();
        while let Some(folder) = missing.pop() {
            self.make(folder).unwrap();
        }
    }

    /// Puts a process into a group.
    pub(super) fn enter(&self, folder: &str, pid: i32) {
        self.put(&format!("{folder}/cgroup.procs"), &format!("{pid}\n"));
        if self.exists(Path::new(&format!("{folder}/cgroup.events"))) {
            self.put(&format!("{folder}/cgroup.events"), "populated 1\nfrozen 0\n");
        }
    }

    /// Sets a file, whatever the kernel would say to that.
    pub(super) fn put(&self, path: &str, text: &str) {
        fs::write(self.real(Path::new(path)), text).unwrap();
    }

    pub(super) fn text(&self, path: &Path) -> String {
        fs::read_to_string(self.real(path)).unwrap().trim().to_owned()
    }

    /// Takes a file away, as a kernel that does not have it.
    pub(super) fn take(&self, path: &str) {
        fs::remove_file(self.real(Path::new(path))).unwrap();
    }

    /// Lets an operation go wrong on files whose path ends so.
    pub(super) fn fail(&self, operation: Operation, suffix: &str, fault: Fault) {
        self.faults
            .lock()
            .unwrap()
            .push((operation, suffix.to_owned(), fault));
    }

    /// Marks a group as handed to this user.
    pub(super) fn delegate(&self, folder: &str) {
        self.delegated.lock().unwrap().insert(folder.into());
    }

    pub(super) fn hierarchies(self: &Arc<Self>) -> Hierarchies {
        let files: Arc<Self> = Arc::clone(self);
        Hierarchies::find_with(files)
    }

    /// The groups in a group, by name.
    pub(super) fn names(&self, folder: &str) -> Vec<String> {
        let names = self.groups(Path::new(folder)).unwrap();
        names
            .into_iter()
            .map(|name| name.into_string().unwrap())
            .collect()
    }

    fn real(&self, path: &Path) -> PathBuf {
        self.root.path().join(path.strip_prefix("/").unwrap())
    }

    fn fault(&self, operation: Operation, path: &Path) -> Option<Fault> {
        let faults = self.faults.lock().unwrap();
        let path = path.to_str().unwrap();
        faults
            .iter()
            .find(|(of, suffix, _)| *of == operation && path.ends_with(suffix.as_str()))
            .map(|(_, _, fault)| *fault)
    }

    fn fill(&self, folder: &Path, controllers: &str, unified: bool) {
        let put = |name: &str, text: &str| fs::write(self.real(&folder.join(name)), text).unwrap();
        put("cgroup.procs", "");
        if unified {
            put("cgroup.type", "domain\n");
            put("cgroup.events", "populated 0\nfrozen 0\n");
            put("cgroup.kill", "");
            put("cgroup.freeze", "0\n");
            put("cgroup.controllers", controllers);
            put("cgroup.subtree_control", "");
        } else {
            put(LEGACY, controllers);
        }
        for controller in controllers.split([' ', ',']) {
            let files: &[(&str, &str)] = match (controller, unified) {
                ("memory", true) => &[
                    ("memory.max", "max\n"),
                    ("memory.high", "max\n"),
                    ("memory.swap.max", "max\n"),
                    ("memory.oom.group", "0\n"),
                    ("memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n"),
                    ("memory.peak", "0\n"),
                ],
                ("memory", false) => &[
                    ("memory.limit_in_bytes", "9223372036854771712\n"),
                    ("memory.memsw.limit_in_bytes", "9223372036854771712\n"),
                    (
                        "memory.oom_control",
                        "oom_kill_disable 1\nunder_oom 0\noom_kill 0\n",
                    ),
                    ("memory.max_usage_in_bytes", "0\n"),
                ],
                ("pids", _) => &[("pids.max", "max\n"), ("pids.events", "max 0\n")],
                ("cpu", true) => &[
                    ("cpu.max", "max 100000\n"),
                    ("cpu.stat", "usage_usec 0\nnr_throttled 0\n"),
                ],
                ("cpu", false) => &[
                    ("cpu.cfs_quota_us", "-1\n"),
                    ("cpu.cfs_period_us", "100000\n"),
                    ("cpu.stat", "nr_periods 0\nnr_throttled 0\n"),
                ],
                ("freezer", false) => &[("freezer.state", "THAWED\n")],
                _ => &[],
            };
            for (name, text) in files {
                put(name, text);
            }
        }
    }

    fn hand_down(&self, folder: &Path, text: &str) -> io::Result<()> {
        let controller = text.strip_prefix('+').unwrap();
        let has = self.text(&folder.join("cgroup.controllers"));
        if !has.split(' ').any(|name| name == controller) {
            return Err(Errno::NOENT.into());
        }
        let is_root = !self.exists(&folder.join("cgroup.type"));
        if !is_root && !self.text(&folder.join("cgroup.procs")).is_empty() {
            return Err(Errno::BUSY.into());
        }
        let subtree = folder.join("cgroup.subtree_control");
        let now = format!("{} {controller}", self.text(&subtree));
        self.put(subtree.to_str().unwrap(), now.trim());
        Ok(())
    }
}

impl Files for Fake {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(self.real(path))
    }

    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        match self.fault(Operation::Write, path) {
            Some(Fault::Error(error)) => return Err(error.into()),
            Some(Fault::Ignored) => return Ok(()),
            None => {}
        }
        if !self.exists(path) {
            return Err(Errno::NOENT.into());
        }
        let folder = path.parent().unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let taken = match name {
            "cgroup.subtree_control" => return self.hand_down(folder, text),
            "cgroup.kill" => {
                self.put(folder.join("cgroup.procs").to_str().unwrap(), "");
                self.put(
                    folder.join("cgroup.events").to_str().unwrap(),
                    "populated 0\nfrozen 0\n",
                );
                return Ok(());
            }
            "memory.oom_control" => format!("oom_kill_disable {text}\nunder_oom 0\noom_kill 0"),
            "memory.max" | "memory.limit_in_bytes" | "memory.memsw.limit_in_bytes" => {
                (text.parse::<u64>().unwrap() / 4096 * 4096).to_string()
            }
            _ => text.to_owned(),
        };
        fs::write(self.real(path), taken + "\n")
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<OwnedFd> {
        System.open(&self.real(path), mode)
    }

    fn make(&self, folder: &Path) -> io::Result<()> {
        if let Some(Fault::Error(error)) = self.fault(Operation::Make, folder) {
            return Err(error.into());
        }
        System.make(&self.real(folder))?;
        let parent = folder.parent().unwrap();
        let unified = self.exists(&parent.join("cgroup.subtree_control"));
        let controllers = self.text(&parent.join(if unified { "cgroup.subtree_control" } else { LEGACY }));
        self.fill(folder, &controllers, unified);
        Ok(())
    }

    fn remove(&self, folder: &Path) -> io::Result<()> {
        if !self.exists(folder) {
            return Err(Errno::NOENT.into());
        }
        if !self.text(&folder.join("cgroup.procs")).is_empty() || !self.groups(folder)?.is_empty() {
            return Err(Errno::BUSY.into());
        }
        fs::remove_dir_all(self.real(folder))
    }

    fn groups(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        System.groups(&self.real(folder))
    }

    fn exists(&self, path: &Path) -> bool {
        self.real(path).exists()
    }

    fn may_write(&self, path: &Path) -> io::Result<()> {
        match self.fault(Operation::Access, path) {
            Some(Fault::Error(error)) => Err(error.into()),
            Some(Fault::Ignored) | None => Ok(()),
        }
    }

    fn is_delegated(&self, folder: &Path) -> bool {
        self.delegated.lock().unwrap().contains(folder)
    }
}
