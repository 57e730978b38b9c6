//! A disk that is full, on a small file system of its own.

use std::path::Path;
use std::process::Command;

use miette::Diagnostic as _;
use wrun_core::id::Digest;
use wrun_store::{FlightKey, Store, StoreError};

use crate::roles::{ARGUMENTS, alone, command, run};
use crate::support::{build, env_id, flight, info, spec_id};

/// Mounts a file system of four megabytes in a mount namespace of its own, and goes on there.
const ON_A_SMALL_DISK: &str =
    r#"mount -t tmpfs -o size=4m,mode=0700 none "$WRUN_STORE_TEST_ROOT" && exec "$0" "$@""#;

pub(crate) fn fill(root: &Path) {
    let store = Store::open(&root.join("store")).unwrap();
    let complete = build(&store, "small");
    let id = env_id("large");
    let flight = flight(&store, &FlightKey::Env(id.clone())).unwrap();
    let building = store.begin(&flight, &id).unwrap();
    let mut number = 0;
    let error = loop {
        number += 1;
        if let Err(error) = building
            .tree()
            .write(&format!("file{number}"), &vec![1; 256 * 1024], false)
        {
            break error;
        }
    };
    check(&error, store.root());
    let scratch = Digest::of(b"never complete");
    let mut writer = store.artifact_writer();
    check(&writer.write(&vec![1; 256 * 1024]).unwrap_err(), store.root());
    assert!(writer.finish(&scratch).is_err());

    // Not enough room for the manifest and the record: there is no environment then.
    while building
        .tree()
        .write(&format!("more{number}"), &[1; 1024], false)
        .is_ok()
    {
        number += 1;
    }
    check(&building.commit(info("large")).unwrap_err(), store.root());
    assert_eq!(store.lease(&id).unwrap().environment().unwrap(), None);
    assert!(
        !store.root().join(format!("v1/env/{id}")).exists(),
        "what was given up is deleted"
    );

    assert_eq!(store.check_environment(&complete.id).unwrap(), []);
    assert_eq!(store.pointer(&spec_id("x")).unwrap(), None);
    assert!(store.free_bytes().unwrap() > 2 << 20);
    println!("the disk was full");
}

fn check(error: &StoreError, root: &Path) {
    assert_eq!(error.code().unwrap().to_string(), "store.disk.full", "{error}");
    let help = error.help().unwrap().to_string();
    assert!(
        help.contains(root.to_str().unwrap()) && help.contains("wrun cache ls"),
        "{help}"
    );
}

#[test]
fn a_full_disk_is_said_to_be_full_and_leaves_nothing_half_made() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let probe = Command::new("unshare")
        .args(["-m", "mount", "-t", "tmpfs", "none"])
        .arg(folder.path())
        .output();
    if !probe.is_ok_and(|output| output.status.success()) {
        println!("skipped: this user cannot mount a file system of their own");
        return;
    }
    let program = std::env::current_exe().unwrap();
    let arguments = [
        &["-m", "sh", "-c", ON_A_SMALL_DISK, program.to_str().unwrap()],
        ARGUMENTS.as_slice(),
    ]
    .concat();
    let output = run(&mut command("unshare", &arguments, "full", folder.path()));
    assert!(String::from_utf8_lossy(&output.stdout).contains("the disk was full"));
}
