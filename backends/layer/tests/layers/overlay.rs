//! What the kernel makes of unpacked layers: real overlay mounts, as root and as a user without rights.

use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

use wrun_core::id::Digest;
use wrun_layer::{Limits, unpack};

use crate::archive::{Item, Tar};

/// The user that has no rights.
const NOBODY: u32 = 65534;
/// Says to a copy of this program where to do it.
const ROOT: &str = "WRUN_LAYER_TEST_ROOT";
/// The first kernel that lets every user mount an overlay.
const FIRST_KERNEL: (u32, u32) = (5, 11);

/// Mounts the layers and shows what is to be seen, before and after some changes.
const LOOK: &str = r#"
cd "$WRUN_LAYER_TEST_ROOT"
mount -t tmpfs -o mode=0755 none space
mkdir space/upper space/work space/merged
mount -t overlay -o userxattr,lowerdir=top:middle:bottom,upperdir=space/upper,workdir=space/work none space/merged
cd space/merged
list() { find . -mindepth 1 | LC_ALL=C sort | tr '\n' ' '; echo; }
list
cat replaced/new etc/keep
for gone in etc/gone dir/a sub/x replaced/old deep/deeper/file twice; do
    if [ -e "$gone" ]; then echo "$gone is there"; fi
done
ls -A etc deep/deeper
echo back > etc/gone
mkdir sub
rm deep/deeper/other
echo more >> etc/keep
list
cat etc/gone etc/keep
"#;

fn layer(root: &Path, name: &str, tar: &Tar) {
    let folder = root.join(name);
    std::fs::create_dir(&folder).unwrap();
    let archive = tar.end();
    unpack(
        archive.as_slice(),
        None,
        &folder,
        &Digest::of(&archive),
        Limits::default(),
    )
    .unwrap();
}

/// Unpacks three layers and mounts them; the second part of the test, as another user.
#[test]
fn role() {
    let Some(root) = std::env::var_os(ROOT) else {
        return;
    };
    let root = Path::new(&root);
    let mut bottom = Tar::default();
    bottom
        .file("etc/keep", "kept\n")
        .file("etc/gone", "x")
        .file("dir/a", "x")
        .file("dir/b", "x")
        .file("sub/x", "x")
        .file("replaced/old", "x")
        .file("deep/deeper/file", "x")
        .file("deep/deeper/other", "x")
        .file("twice", "x");
    let mut middle = Tar::default();
    middle
        .file(".wh.twice", "")
        .file("dir/.wh.b", "")
        .file("etc/.wh.gone", "")
        .item(&Item {
            path: b"etc/hidden",
            content: b"x",
            ..Item::default()
        });
    let mut top = Tar::default();
    top.folder("etc", 0o555)
        .file("etc/.wh.hidden", "")
        .file("dir/.wh..wh..opq", "")
        .file("dir/c", "x")
        .file(".wh.sub", "")
        .file(".wh.replaced", "")
        .file("replaced/new", "new\n")
        .file("deep/deeper/.wh.file", "");
    layer(root, "bottom", &bottom);
    layer(root, "middle", &middle);
    layer(root, "top", &top);
    std::fs::create_dir(root.join("space")).unwrap();
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-ec", LOOK])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let expected = "\
./deep ./deep/deeper ./deep/deeper/other ./dir ./dir/c ./etc ./etc/keep ./replaced ./replaced/new 
new
kept
deep/deeper:
other

etc:
keep
./deep ./deep/deeper ./dir ./dir/c ./etc ./etc/gone ./etc/keep ./replaced ./replaced/new ./sub 
back
kept
more
";
    assert_eq!(text, expected);
    println!("the kernel hides what is removed");
}

/// Why this machine cannot show it, if it cannot.
fn missing(command: &[&str]) -> Option<String> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split('.').map_while(|number| number.parse::<u32>().ok());
    let kernel = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if kernel < FIRST_KERNEL {
        return Some(format!("the kernel {release} mounts overlays for root only"));
    }
    let probe = Command::new(command[0])
        .args(&command[1..])
        .args(["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"])
        .arg("mkdir -p /tmp/. && mount -t tmpfs none /tmp && mkdir /tmp/a /tmp/b /tmp/c && mount -t overlay -o userxattr,lowerdir=/tmp/a:/tmp/b none /tmp/c")
        .output();
    match probe {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!(
            "this user cannot mount an overlay: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Some(format!("{}: {error}", command[0])),
    }
}

fn play(name: &str, command: &[&str], owner: Option<u32>) {
    if let Some(reason) = missing(command) {
        println!("skipped {name}: {reason}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    chown(folder.path(), owner, owner).unwrap();
    let program = std::env::current_exe().unwrap();
    let output = Command::new(command[0])
        .args(&command[1..])
        .arg(program)
        .args(["--exact", "overlay::role", "--nocapture"])
        .env(ROOT, folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("the kernel hides what is removed"),
        "{name}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn removals_hold_in_a_mount_of_this_user() {
    play("this user", &["env"], None);
}

#[test]
fn removals_hold_in_a_mount_of_a_user_without_rights() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: this user is one without rights already");
        return;
    }
    let nobody = NOBODY.to_string();
    let become_nobody = [
        "setpriv",
        "--reuid",
        &nobody,
        "--regid",
        &nobody,
        "--clear-groups",
    ];
    play("nobody", &become_nobody, Some(NOBODY));
}

/// A file system without attributes of users is named: `ramfs` has none.
#[test]
fn a_file_system_without_attributes_is_told() {
    const WITHOUT: &str = r#"mount -t ramfs none "$WRUN_LAYER_TEST_RAMFS" && exec "$0" "$@""#;
    if let Some(folder) = std::env::var_os("WRUN_LAYER_TEST_RAMFS") {
        let archive = Tar::default().file("folder/.wh..wh..opq", "").end();
        let into = Path::new(&folder);
        let error = unpack(
            archive.as_slice(),
            None,
            into,
            &Digest::of(&archive),
            Limits::default(),
        )
        .unwrap_err();
        assert_eq!(error.code(), "layer.attributes.unsupported", "{error}");
        println!("there are no attributes");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mounted = Command::new("unshare")
        .args(["--mount", "mount", "-t", "ramfs", "none"])
        .arg(folder.path())
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!("skipped: this user cannot mount a file system without attributes");
        return;
    }
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", WITHOUT])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "overlay::a_file_system_without_attributes_is_told",
            "--nocapture",
        ])
        .env("WRUN_LAYER_TEST_RAMFS", folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("there are no attributes"),
        "{text}"
    );
}
