//! Unpacked packages and downloads that are shared by all builds, and that a disk or somebody damaged: a build from them
//! repairs them, or says what it lacks.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wrun_tests::conda::{Channel, Package, Server};
use wrun_tests::{Ran, Running, World, files};

use crate::of_channel;

const PACKAGE: &str = "thing-1.0-0.conda";

/// What is wrong, and how to make it so with what was unpacked.
type OfTree = (&'static str, fn(&Path));

/// The same with the bytes of an archive.
type OfArchive = (&'static str, fn(&[u8]) -> Vec<u8>);

/// A world in which a package was unpacked for one environment.
struct Cached {
    world: World,
    server: Server,
    _channel: Channel,
    /// What was unpacked.
    tree: PathBuf,
}

impl Cached {
    fn new() -> Self {
        let world = World::new();
        let more = (0..4).map(|number| {
            let name = format!("more{number}");
            Package::new(&name, "1.0").file(&format!("share/{name}"), "more")
        });
        let thing = Package::new("thing", "1.0")
            .program(
                "bin/thing",
                "#!/bin/sh\ncat $CONDA_PREFIX/share/data $CONDA_PREFIX/share/alias\n",
            )
            .file("share/data", "data\n")
            .link("share/alias", "data");
        let channel = Channel::with(more.chain([thing]));
        let server = Server::of(channel.path());
        world
            .submit(&of_channel(&server.url(), &["thing"]))
            .prints("data\ndata\n");
        let tree = files::walk(&packages(&world))
            .into_iter()
            .find(|path| path.ends_with("tree/share/data"))
            .and_then(|path| path.ancestors().nth(2).map(Path::to_path_buf))
            .unwrap_or_default();
        assert!(tree.is_dir(), "the package is unpacked");
        Self {
            tree,
            world,
            server,
            _channel: channel,
        }
    }

    /// The environments.
    fn environments(&self) -> Vec<PathBuf> {
        let environments = self.world.environments();
        environments.iter().map(|one| self.world.tree(one)).collect()
    }

    /// The environments that were built later have the files of the package. Those before have the same files as what was
    /// unpacked, so they have what was done to them.
    #[track_caller]
    fn has_right_files_since(&self, before: &[PathBuf], what: &str) {
        let mut later = self.environments();
        later.retain(|tree| !before.contains(tree));
        assert!(!later.is_empty(), "{what}");
        for tree in later {
            for name in ["data", "alias"] {
                assert_eq!(files::read(&tree.join("share").join(name)), "data\n", "{what}");
            }
        }
    }

    /// Builds another environment of the package.
    fn build(&self, other: usize) -> Ran {
        self.world.submit(&of_channel(
            &self.server.url(),
            &["thing", &format!("more{other}")],
        ))
    }

    /// The next environment is right because the package was repaired, and the one after that needs no repair.
    #[track_caller]
    fn is_repaired(&self, what: &str) {
        let before = self.environments();
        let ran = self.build(0);
        assert!(
            ran.stderr.contains(&format!("repair {PACKAGE}")),
            "{what}: {ran:?}"
        );
        is_right(&ran, what);
        self.has_right_files_since(&before, what);
        self.build(1).prints("data\ndata\n").does_not_say("repair");
        let unfinished = self.world.store().join("pkgs/conda/unfinished-2");
        assert_eq!(files::names(&unfinished), [""; 0], "{what}");
    }

    /// Writes a task whose environment is not there and all of whose packages are, and gives the number of environments.
    fn with_everything_at_hand(&self) -> usize {
        for other in [2, 3] {
            self.build(other).prints("data\ndata\n");
        }
        let all = of_channel(&self.server.url(), &["thing", "more2", "more3"]);
        self.world.write("task.toml", all);
        self.world.environments().len()
    }

    /// The archives that are kept.
    fn archives(&self) -> Vec<PathBuf> {
        files::walk(&self.world.store().join("pkgs/http"))
            .into_iter()
            .filter(|path| path.is_file() && files::bytes(path).starts_with(b"PK"))
            .collect()
    }
}

fn packages(world: &World) -> PathBuf {
    world.store().join("pkgs/conda/packages-2")
}

/// The program of the package printed what is in it.
#[track_caller]
fn is_right(ran: &Ran, what: &str) {
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (0, "data\ndata\n"),
        "{what}: {ran:?}"
    );
}

/// Writes a file that environments have made read-only.
fn overwrite(path: &Path, content: &[u8]) {
    files::set_mode(path, 0o644);
    files::write(path, content);
}

#[test]
fn an_unpacked_package_that_was_changed_is_unpacked_anew() {
    let cases: &[OfTree] = &[
        ("a file is gone", |tree| files::remove(&tree.join("share/data"))),
        ("a link is gone", |tree| files::remove(&tree.join("share/alias"))),
        ("a link leads elsewhere", |tree| {
            files::remove(&tree.join("share/alias"));
            std::os::unix::fs::symlink("../bin/thing", tree.join("share/alias")).unwrap();
        }),
        ("a file is cut", |tree| overwrite(&tree.join("share/data"), b"da")),
        ("a file is empty", |tree| overwrite(&tree.join("share/data"), b"")),
        ("a file has other bytes", |tree| {
            overwrite(&tree.join("share/data"), b"DATA\n");
        }),
        ("a program cannot be executed", |tree| {
            files::set_mode(&tree.join("bin/thing"), 0o444);
        }),
        ("the list of files is cut", |tree| {
            overwrite(&tree.join("info/paths.json"), b"{ \"paths\": [");
        }),
        ("the list of files is another", |tree| {
            overwrite(
                &tree.join("info/paths.json"),
                br#"{ "paths": [], "paths_version": 1 }"#,
            );
        }),
        ("what the package is called is gone", |tree| {
            files::remove(&tree.join("info/index.json"));
        }),
        ("a folder is gone", |tree| {
            files::remove_folder(&tree.join("share"));
        }),
        ("a folder is a file", |tree| {
            files::remove_folder(&tree.join("share"));
            files::write(&tree.join("share"), "");
        }),
        ("everything that was unpacked is gone", files::remove_folder),
        ("the record of its condition is gone", |tree| {
            files::remove(&tree.with_file_name("condition.json"));
        }),
        ("the record of its condition makes no sense", |tree| {
            files::write(&tree.with_file_name("condition.json"), "{");
        }),
        ("the package is a file", |tree| {
            let package = tree.parent().unwrap();
            files::remove_folder(package);
            files::write(package, "");
        }),
    ];
    for (what, damage) in cases {
        let cached = Cached::new();
        damage(&cached.tree);
        cached.is_repaired(what);
    }
}

#[test]
fn an_unpacked_package_that_is_gone_is_unpacked_again() {
    let cached = Cached::new();
    files::remove_folder(cached.tree.parent().unwrap());
    cached.build(0).prints("data\ndata\n").does_not_say("repair");
    files::remove_folder(&packages(&cached.world));
    cached.build(1).prints("data\ndata\n").does_not_say("repair");
    assert_eq!(cached.server.downloads().len(), 3, "the archives are kept");
}

#[test]
fn what_a_disk_did_not_keep_shows_after_the_next_start_of_the_machine() {
    let cached = Cached::new();
    let record = cached.tree.with_file_name("condition.json");
    let start_anew = || {
        let mut condition: Value = serde_json::from_str(&files::read(&record)).unwrap();
        let seen = condition["seen"].clone();
        condition["seen"] = json!("another start");
        files::write(&record, condition.to_string());
        seen
    };
    // What is right is read once and not unpacked.
    let seen = start_anew();
    cached.build(2).prints("data\ndata\n").does_not_say("unpack 2");
    let condition: Value = serde_json::from_str(&files::read(&record)).unwrap();
    assert_eq!(condition["seen"], seen);
    start_anew();
    files::overwrite_unnoticed(&cached.tree.join("share/data"), b"\0\0\0\0\0");
    cached.is_repaired("zeros in place of what was written");
}

#[test]
fn what_cannot_be_repaired_is_told_and_no_environment_is_made_of_it() {
    let cached = Cached::new();
    let before = cached.with_everything_at_hand();
    files::remove(&cached.tree.join("share/data"));
    for archive in cached.archives() {
        files::remove(&archive);
    }
    cached
        .world
        .wrun(&["--offline", "submit", "task.toml"])
        .run()
        .ends_with(125)
        .says(PACKAGE)
        .says("provision.offline");
    assert_eq!(cached.world.environments().len(), before);
    cached
        .world
        .wrun(&["submit", "task.toml"])
        .run()
        .prints("data\ndata\n")
        .says(&format!("repair {PACKAGE}"));
}

#[test]
fn a_download_that_was_changed_is_fetched_again() {
    let cases: &[OfArchive] = &[
        ("empty", |_| Vec::new()),
        ("cut", |bytes| bytes[..bytes.len() / 2].to_vec()),
        ("zeros", |bytes| vec![0; bytes.len()]),
        ("another byte", |bytes| {
            let mut bytes = bytes.to_vec();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            bytes
        }),
        ("longer", |bytes| [bytes, b"more"].concat()),
    ];
    for (what, damage) in cases {
        let cached = Cached::new();
        let before = cached.server.downloads().len();
        for archive in cached.archives() {
            overwrite(&archive, &damage(&files::bytes(&archive)));
        }
        files::remove_folder(&packages(&cached.world));
        let ran = cached.build(0);
        assert!(
            ran.stderr.contains(&format!("fetch {PACKAGE} again")),
            "{what}: {ran:?}"
        );
        is_right(&ran, what);
        let asked: Vec<String> = cached
            .server
            .downloads()
            .split_off(before)
            .into_iter()
            .filter(|request| request.path.ends_with(PACKAGE))
            .map(|request| request.path)
            .collect();
        assert_eq!(asked.len(), 1, "{what}: it is fetched once");
    }
}

#[test]
fn a_download_that_was_changed_and_cannot_be_fetched_is_told() {
    let cached = Cached::new();
    let before = cached.with_everything_at_hand();
    for archive in cached.archives() {
        overwrite(&archive, b"PK nothing");
    }
    files::remove_folder(&packages(&cached.world));
    cached
        .world
        .wrun(&["--offline", "submit", "task.toml"])
        .run()
        .ends_with(125)
        .says("provision.offline");
    assert_eq!(cached.world.environments().len(), before);
    cached
        .world
        .wrun(&["submit", "task.toml"])
        .run()
        .prints("data\ndata\n");
}

#[test]
fn several_processes_repair_the_same_package() {
    let cached = Cached::new();
    let before = cached.environments();
    files::remove(&cached.tree.join("share/data"));
    let running: Vec<Running> = (0..4)
        .map(|number| {
            let file = format!("task{number}.toml");
            cached.world.write(
                &file,
                of_channel(&cached.server.url(), &["thing", &format!("more{number}")]),
            );
            cached.world.wrun(&["submit", &file]).spawn()
        })
        .collect();
    for run in running {
        run.wait().prints("data\ndata\n");
    }
    cached.has_right_files_since(&before, "each process builds its own");
}
