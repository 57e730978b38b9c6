//! Files that were not granted, by every way to a file, and those that were.

use std::os::unix::fs::MetadataExt as _;

use wrun_tests::files;

use crate::rows::{DENIED, FILTERED, GONE, NO_EFFECT, Row, row};
use crate::scene::{Scene, Tier, User};

const LOOKED_AT: &str = "Landlock knows no right to look at a path";
const OWN_FILES: &str = "Landlock knows no right to change what is known of one's own files";

/// Reading, writing, making, linking, moving.
pub(crate) fn rows(scene: &Scene) -> Vec<Row> {
    let (secret, folder, marker) = (scene.secret(), scene.path("secret"), &scene.marker);
    let (store, home) = (scene.open_store(), scene.path("home"));
    let handle = scene.handle();
    let mut rows = vec![
        row(1, "read /etc/shadow").hidden().for_root(),
        row(1, "read /etc/gshadow").hidden().for_root(),
        row(2, &format!("read {secret} {marker}")).hidden(),
        row(2, &format!("read-by-openat2 {secret}"))
            .full(&[GONE, FILTERED])
            .restricted(&[DENIED, FILTERED]),
        row(2, &format!("reopen {secret} {marker}")).hidden(),
        row(2, &format!("read {home}/.ssh/id_ed25519 {marker}")).hidden(),
        row(3, "list /root").hidden().open_in_image().for_root(),
        row(3, &format!("list {home}")).hidden(),
        row(3, &format!("list {folder}")).hidden(),
        row(4, &format!("write {secret}")).hidden(),
        row(4, "write /etc/passwd")
            .full(&[GONE, DENIED])
            .open_in_image()
            .restricted(&[DENIED])
            .for_root(),
        row(4, "make file /usr/lib")
            .both(&[DENIED])
            .open_in_image()
            .for_root(),
        row(4, "make file .").both(&[DENIED]),
        row(4, "write attempts.json").both(&[DENIED]),
        row(4, "make file ~").open(),
        row(5, &format!("read link {marker}")).hidden(),
        row(5, &format!("read-through-own-link {secret} {marker}")).hidden(),
        row(6, "write link").hidden(),
        row(6, &format!("write-through-own-link {secret}")).hidden(),
        row(6, &format!("create-through-own-link {folder}")).hidden(),
        row(7, &format!("link-in {secret} ~")).hidden(),
        row(7, &format!("link-in-descriptor {secret} ~")).hidden(),
        row(7, "link-in attempts.json ~").both(&[DENIED]),
        row(7, "link-in-descriptor attempts.json ~").both(&[DENIED]),
        row(8, &format!("rename-out ~ {folder}")).hidden(),
        row(8, &format!("rename-in {secret} ~")).hidden(),
        row(8, "rename-in attempts.json ~").both(&[DENIED]),
        row(8, &format!("exchange {secret} ~")).hidden(),
        row(8, "exchange attempts.json ~").both(&[DENIED]),
        row(9, &format!("truncate {secret}")).hidden(),
        row(9, "truncate attempts.json").both(&[DENIED]),
        row(9, &format!("truncate-open {folder}/socket"))
            .hidden()
            .varies("a socket cannot be opened at all"),
        row(11, &format!("climb {secret} {marker}")).hidden(),
        row(11, &format!("enter {folder}"))
            .full(&[GONE])
            .unpromised_in_restricted(LOOKED_AT),
        row(11, &format!("look {secret}"))
            .full(&[GONE])
            .unpromised_in_restricted(LOOKED_AT),
        row(12, &format!("process-path self root {secret} {marker}")).hidden(),
        row(13, &format!("process-path 1 root {secret} {marker}"))
            .full(&[GONE, DENIED])
            .restricted(&[DENIED, GONE])
            .varies("the first process of the machine may be out of reach of root as well"),
        row(15, &format!("handle {handle} . {marker}"))
            .both(&[FILTERED])
            .for_root(),
        row(15, &format!("handle {handle} ~ {marker}"))
            .both(&[FILTERED])
            .for_root(),
        row(16, &format!("chroot ~ {secret} {marker}"))
            .both(&[FILTERED])
            .for_root(),
        row(19, &format!("write {store}/canary.txt")).hidden(),
        // The folder above the environment is the task's own there, not the store's.
        row(19, &format!("make file {store}")).hidden().open_in_image(),
        row(19, &format!("read {store}/canary.txt {marker}")).hidden(),
    ];
    for kind in ["file", "folder", "link", "pipe", "socket"] {
        rows.push(row(4, &format!("make {kind} {folder}")).hidden());
    }
    rows
}

/// What is known of a file beside its content.
pub(crate) fn metadata(scene: &Scene) -> Vec<Row> {
    let secret = scene.secret();
    // What root owns is not the task's, also where root calls.
    let mut rows = vec![
        row(10, "chmod /etc/shadow")
            .full(&[GONE])
            .restricted(&[DENIED])
            .for_root(),
        row(10, "chmod /etc/passwd")
            .full(&[GONE, DENIED])
            .open_in_image()
            .restricted(&[DENIED])
            .for_root(),
        row(10, "chmod /usr")
            .full(&[DENIED])
            .open_in_image()
            .restricted(&[DENIED])
            .for_root(),
        row(10, "chown /usr")
            .full(&[DENIED])
            .open_in_image()
            .restricted(&[DENIED])
            .for_root(),
    ];
    for way in ["chmod", "chown", "touch", "set-attribute", "get-attribute"] {
        rows.push(
            row(10, &format!("{way} {secret}"))
                .full(&[GONE])
                .unpromised_in_restricted(OWN_FILES)
                .may_lack(),
        );
        if way != "get-attribute" {
            rows.push(
                row(10, &format!("{way} attempts.json"))
                    .full(&[DENIED])
                    .unpromised_in_restricted(OWN_FILES)
                    .may_lack(),
            );
        }
    }
    rows
}

/// Files that give whoever executes them more rights, and devices.
pub(crate) fn modes(_: &Scene) -> Vec<Row> {
    const WAYS: &[&str] = &[
        "chmod",
        "fchmod",
        "fchmodat",
        "fchmodat2",
        "open",
        "openat",
        "openat2",
        "creat",
        "mknod",
        "mknodat",
    ];
    const DEVICES: &[&str] = &[
        "vda",
        "sda",
        "nvme0n1",
        "mem",
        "kmem",
        "port",
        "kvm",
        "fuse",
        "net/tun",
        "kmsg",
        "console",
        "tty0",
        "vsock",
        "vhost-vsock",
        "vhost-net",
        "loop-control",
        "loop0",
        "btrfs-control",
        "userfaultfd",
        "rtc0",
        "hwrng",
        "uinput",
        "snapshot",
        "mapper/control",
        "dri/card0",
        "dri/renderD128",
        "nvidia0",
        "nvidiactl",
        "kfd",
        "snd/seq",
        "input/event0",
        "video0",
        "sgx_enclave",
        "udmabuf",
        "vfio/vfio",
        "uhid",
    ];
    let mut rows = vec![
        row(22, "make-device ~").both(&[FILTERED]).for_root(),
        row(22, "other-devices")
            .full(&[NO_EFFECT])
            .unpromised_in_restricted("the names in /dev can be seen, not opened"),
        row(22, "open-device /dev/null").open(),
        row(22, "open-device /dev/urandom").open(),
        row(22, "write /dev/null").open(),
    ];
    for way in WAYS {
        for mode in ["4755", "2755", "6777"] {
            rows.push(
                row(20, &format!("set-id {way} {mode} ~"))
                    .both(&[FILTERED, NO_EFFECT])
                    .may_lack(),
            );
        }
    }
    for way in ["setxattr", "lsetxattr", "fsetxattr", "setxattrat"] {
        rows.push(
            row(21, &format!("file-capability {way} ~"))
                .both(&[FILTERED, &["EOPNOTSUPP"]])
                .for_root()
                .may_lack(),
        );
    }
    for device in DEVICES {
        rows.push(
            row(
                if device.contains("nvidia") || device.contains("dri") {
                    83
                } else {
                    22
                },
                &format!("open-device /dev/{device}"),
            )
            .full(&[GONE])
            .restricted(&[DENIED, GONE])
            .varies("not every machine has every device")
            .may_lack(),
        );
    }
    rows
}

/// What is granted works, and no more than that.
fn granted(user: User, tier: Tier) {
    let Some(scene) = Scene::new(user) else { return };
    let (secret, folder, marker) = (scene.secret(), scene.path("secret"), &scene.marker);
    let (out, tools) = (scene.path("out"), scene.path("tools"));
    files::write(&scene.world.path().join("out/given.txt"), marker);
    if user == User::Other && wrun_tests::machine::is_root() {
        files::give(&scene.world.path().join("out"), 65533);
    }
    let mut rows = vec![
        row(2, &format!("read {secret} {marker}")).open(),
        row(2, &format!("reopen {secret} {marker}")).open(),
        row(3, &format!("list {folder}")).open(),
        row(5, &format!("read link {marker}")).open(),
        row(5, &format!("read-through-own-link {secret} {marker}")).open(),
        row(11, &format!("climb {secret} {marker}")).open(),
        row(11, &format!("enter {folder}")).open(),
        row(11, &format!("look {secret}")).open(),
        row(4, &format!("write {out}/given.txt")).open(),
        row(9, &format!("truncate {out}/given.txt")).open(),
        row(6, &format!("create-through-own-link {out}")).open(),
        row(7, &format!("link-in {out}/given.txt {out}")).open(),
        row(8, &format!("rename-out {out} {out}")).open(),
        row(23, &format!("names {out}")).open(),
        // Granted to read is not granted to write.
        row(4, &format!("write {secret}")).both(&[DENIED]),
        row(4, &format!("make file {folder}")).both(&[DENIED]),
        row(6, &format!("write-through-own-link {secret}")).both(&[DENIED]),
        row(7, &format!("link-in {secret} {out}")).both(&[DENIED]),
        row(7, &format!("link-in {secret} ~")).both(&[DENIED]),
        row(7, &format!("link-in-descriptor {secret} {out}")).both(&[DENIED]),
        row(8, &format!("rename-out {out} {folder}")).both(&[DENIED]),
        row(8, &format!("rename-in {secret} {out}")).both(&[DENIED]),
        row(8, &format!("exchange {secret} {out}")).both(&[DENIED]),
        row(9, &format!("truncate {secret}")).both(&[DENIED]),
        row(10, &format!("chmod {secret}"))
            .full(&[DENIED])
            .unpromised_in_restricted(OWN_FILES),
        row(10, &format!("touch {secret}"))
            .full(&[DENIED])
            .unpromised_in_restricted(OWN_FILES),
        row(22, &format!("make-device {out}")).both(&[FILTERED]),
        // What lies above what is granted is not.
        row(11, &format!("read {folder}/../home/.ssh/id_ed25519 {marker}")).hidden(),
        row(11, &format!("look {folder}/../home/.ssh/id_ed25519"))
            .full(&[GONE])
            .unpromised_in_restricted(LOOKED_AT),
    ];
    let set_id = row(39, &format!("set-id-program {tools}/set-id"))
        .both(&[NO_EFFECT, DENIED])
        .unpromised_in_image("0 is a number for whoever calls there, or for nobody where that is root")
        .may_lack();
    rows.push(if scene.user == User::Root {
        set_id.unpromised_in_restricted("a task of root stays user 0 there, without its rights")
    } else {
        set_id
    });
    for way in ["chmod", "openat", "openat2", "mknodat"] {
        rows.push(row(20, &format!("set-id {way} 4755 {out}")).both(&[FILTERED, NO_EFFECT]));
    }
    for kind in ["file", "folder", "link", "pipe", "socket"] {
        rows.push(row(4, &format!("make {kind} {out}")).open());
    }
    let rest = format!("[allow]\nread = [\"{folder}\", \"{tools}\"]\nwrite = [\"{out}\"]\n");
    if let Some(answers) = scene.attempt(tier, &rest, &rows) {
        answers.hold(tier, &rows);
        // The names that were left there: a line break, bytes that are no text, 255 bytes.
        let made: Vec<_> = std::fs::read_dir(&out).unwrap().map(Result::unwrap).collect();
        assert_eq!(made.len(), 1 + 7, "{made:?}");
        let owner = std::fs::metadata(&out).unwrap().uid();
        for entry in made {
            let found = entry.metadata().unwrap().uid();
            assert_eq!(found, owner, "{entry:?} belongs to whom the folder belongs to");
        }
        scene.is_undisturbed();
    }
}

#[test]
fn what_is_granted_works_in_full_as_root() {
    granted(User::Root, Tier::Full);
}

#[test]
fn what_is_granted_works_in_full_as_a_user() {
    granted(User::Other, Tier::Full);
}

#[test]
fn what_is_granted_works_in_an_image_as_root() {
    granted(User::Root, Tier::Image);
}

#[test]
fn what_is_granted_works_in_an_image_as_a_user() {
    granted(User::Other, Tier::Image);
}

#[test]
fn what_is_granted_works_in_restricted_as_root() {
    granted(User::Root, Tier::Restricted);
}

#[test]
fn what_is_granted_works_in_restricted_as_a_user() {
    granted(User::Other, Tier::Restricted);
}

/// Temporary files have a folder of the task's own; the machine's `/tmp` is nobody's to share.
#[test]
fn temporary_files_are_the_tasks_own() {
    const TEXT: &str =
        "f=$(mktemp) && echo in ${f%/*} && [ ${f%/*} = $TMPDIR ] && [ $TMPDIR = $HOME ] && echo own
        echo x > /tmp/wrun-shared-$1 && echo written; ls /tmp > /dev/null && echo listed; :";
    for (user, tier) in [
        (User::Root, Tier::Full),
        (User::Other, Tier::Full),
        (User::Root, Tier::Restricted),
        (User::Other, Tier::Restricted),
    ] {
        let Some(scene) = Scene::new(user) else { continue };
        if !scene.offers(tier) {
            continue;
        }
        let marker = scene.marker.clone();
        scene.world.write(
            "task.toml",
            wrun_tests::tasks::command(&["sh", "-c", TEXT, "sh", &marker], ""),
        );
        scene.give_project();
        let ran = scene
            .wrun(&["submit", "--sandbox", tier.name(), "task.toml"])
            .run();
        ran.ends_with(0);
        assert!(ran.stdout.contains("own\n"), "{ran:?}");
        let shared = std::path::Path::new("/tmp").join(format!("wrun-shared-{marker}"));
        assert!(!shared.exists(), "{ran:?}");
        if tier == Tier::Restricted {
            assert!(
                !ran.stdout.contains("written") && !ran.stdout.contains("listed"),
                "{ran:?}"
            );
        }
    }
}
