use wrun_core::id::Digest;
use wrun_store::StoreError;

use crate::support::fresh;

#[test]
fn a_download_is_kept_by_its_digest() {
    let (_folder, store) = fresh();
    let digest = Digest::of(b"one two");
    assert_eq!(store.artifact(&digest).unwrap(), None);
    let mut writer = store.artifact_writer();
    writer.write(b"one ").unwrap();
    writer.write(b"two").unwrap();
    assert_eq!(writer.length(), 7);
    let path = writer.finish(&digest).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"one two");
    assert_eq!(store.artifact(&digest).unwrap(), Some(path));
}

#[test]
fn an_empty_download_is_one_too() {
    let (_folder, store) = fresh();
    let path = store.artifact_writer().finish(&Digest::of(b"")).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), b"");
}

#[test]
fn another_content_is_refused_and_not_resumed() {
    let (_folder, store) = fresh();
    let digest = Digest::of(b"right");
    let mut writer = store.artifact_writer();
    writer.resume(&digest).unwrap();
    writer.write(b"wrong").unwrap();
    let error = writer.finish(&digest).unwrap_err();
    assert!(matches!(error, StoreError::WrongDigest { expected, .. } if expected == digest));
    assert_eq!(store.artifact(&digest).unwrap(), None);
    assert_eq!(store.artifact_writer().resume(&digest).unwrap(), 0);
}

#[test]
fn an_interrupted_download_is_resumed() {
    let (_folder, store) = fresh();
    let digest = Digest::of(b"one two");
    let mut first = store.artifact_writer();
    assert_eq!(first.resume(&digest).unwrap(), 0);
    first.write(b"one ").unwrap();
    let mut other = store.artifact_writer();
    assert_eq!(other.resume(&digest).unwrap(), 0, "it is held by the first");
    other.write(b"one two").unwrap();
    drop(first);
    let mut second = store.artifact_writer();
    assert_eq!(second.resume(&digest).unwrap(), 4);
    second.write(b"two").unwrap();
    assert_eq!(
        std::fs::read(second.finish(&digest).unwrap()).unwrap(),
        b"one two"
    );
    assert_eq!(std::fs::read(other.finish(&digest).unwrap()).unwrap(), b"one two");
    let partial = store.root().join("pkgs/http/partial");
    assert_eq!(std::fs::read_dir(partial).unwrap().count(), 0);
}

#[test]
fn a_server_that_cannot_resume_starts_over() {
    let (_folder, store) = fresh();
    let digest = Digest::of(b"whole");
    let mut first = store.artifact_writer();
    first.resume(&digest).unwrap();
    first.write(b"who").unwrap();
    drop(first);
    let mut second = store.artifact_writer();
    assert_eq!(second.resume(&digest).unwrap(), 3);
    second.restart().unwrap();
    second.write(b"whole").unwrap();
    second.finish(&digest).unwrap();
}

#[test]
fn a_sweep_leaves_downloads_that_are_under_way_or_can_be_resumed() {
    let (_folder, store) = fresh();
    let digest = Digest::of(b"later");
    let mut resumable = store.artifact_writer();
    resumable.resume(&digest).unwrap();
    resumable.write(b"la").unwrap();
    drop(resumable);
    let mut running = store.artifact_writer();
    running.write(b"x").unwrap();
    std::fs::write(store.root().join("pkgs/http/partial/dead.once"), "x").unwrap();
    assert_eq!(store.sweep().unwrap().downloads, 1);
    running.finish(&Digest::of(b"x")).unwrap();
    assert_eq!(store.artifact_writer().resume(&digest).unwrap(), 2);
}

#[test]
fn only_a_download_that_is_not_what_it_was_is_thrown_away() {
    let (_folder, store) = fresh();
    let digest = Digest::of(b"right");
    store.discard_artifact(&digest).unwrap();
    let mut writer = store.artifact_writer();
    writer.write(b"right").unwrap();
    let path = writer.finish(&digest).unwrap();
    store.discard_artifact(&digest).unwrap();
    assert_eq!(store.artifact(&digest).unwrap(), Some(path.clone()));
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, b"wrong").unwrap();
    store.discard_artifact(&digest).unwrap();
    assert_eq!(store.artifact(&digest).unwrap(), None);
}
