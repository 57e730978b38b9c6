//! What matters only to a user whom the system refuses things.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use miette::Diagnostic as _;
use wrun_store::Store;

use crate::roles::{ARGUMENTS, alone, command, run};
use crate::support::build;

/// The user that has no rights (`nobody` on Linux).
const NOBODY: u32 = 65534;

pub(crate) fn use_store(root: &Path) {
    let store = Store::open(&root.join("store")).unwrap();
    let environment = build(&store, "x");
    assert!(
        std::fs::write(environment.prefix.join("bin/tool"), "").is_err(),
        "it is read-only"
    );
    assert!(
        std::fs::write(environment.prefix.join("new"), "").is_err(),
        "it is read-only"
    );
    store.remove(&environment.id).unwrap();
    assert_eq!(std::fs::read_dir(store.root().join("trash")).unwrap().count(), 0);

    let scratch = store.scratch("locked away").unwrap();
    scratch.tree().write("a/b/c/file", b"", false).unwrap();
    for rel in ["a/b/c", "a/b", "a"] {
        let locked = std::fs::Permissions::from_mode(0o000);
        std::fs::set_permissions(scratch.path().join(rel), locked).unwrap();
    }
    drop(scratch);
    let swept = store.sweep().unwrap();
    assert_eq!((swept.trash, swept.problems.len()), (0, 0), "{swept:?}");

    std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o500)).unwrap();
    let error = Store::open(&root.join("second")).unwrap_err();
    assert_eq!(error.code().unwrap().to_string(), "store.permission", "{error}");
    println!("rights were missing");
}

#[test]
fn missing_rights_do_not_keep_a_user_from_removing_what_is_theirs() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    let program = program.to_str().unwrap();
    let mut play = if rustix::process::geteuid().is_root() {
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        let user = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        let probe = std::process::Command::new("setpriv")
            .args(user)
            .args([program, "--list"])
            .output();
        if !probe.is_ok_and(|output| output.status.success()) {
            println!("skipped: `setpriv` cannot run this program as another user");
            return;
        }
        command(
            "setpriv",
            &[user.as_slice(), &[program], &ARGUMENTS].concat(),
            "unprivileged",
            folder.path(),
        )
    } else {
        command(program, &ARGUMENTS, "unprivileged", folder.path())
    };
    let output = run(&mut play);
    assert!(String::from_utf8_lossy(&output.stdout).contains("rights were missing"));
}
