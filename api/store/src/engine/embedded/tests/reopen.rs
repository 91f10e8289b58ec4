//! Closing and opening again, and directories that cannot be used.

use std::time::Duration;

use super::*;
use crate::kv::KeyRange;
use crate::request::{Op, RangeRequest};
use crate::watch::WatchRequest;

#[tokio::test]
async fn a_reopened_store_is_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (before, revision) = {
        let store = open(dir.path());
        for i in 0..200 {
            put(&store, &format!("/k/{}", i % 50), &i.to_string()).await.unwrap();
        }
        store.txn(Txn::new().then(Op::DeleteRange { range: KeyRange::prefix("/k/1") })).await.unwrap();
        let all = store.range(RangeRequest::prefix("/")).await.unwrap();
        (all.kvs, all.revision)
    };
    let store = open(dir.path());
    let after = store.range(RangeRequest::prefix("/")).await.unwrap();
    assert_eq!((after.kvs, after.revision), (before, revision));
    assert_eq!(put(&store, "/next", "x").await.unwrap(), revision + 1, "the revision goes on");
}

#[tokio::test]
async fn the_revision_survives_when_the_last_key_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, "/a", "1").await.unwrap();
    let revision = store.txn(Txn::new().then(Op::delete("/a"))).await.unwrap().revision;
    drop(store);
    assert_eq!(open(dir.path()).current_revision().await.unwrap(), revision);
}

#[tokio::test]
async fn history_from_before_a_restart_is_compacted() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let first = put(&store, "/a", "1").await.unwrap();
    let last = put(&store, "/a", "2").await.unwrap();
    drop(store);
    let store = open(dir.path());
    assert!(matches!(store.get("/a", Some(first)).await, Err(StoreError::Compacted { .. })));
    assert!(store.get("/a", Some(last)).await.unwrap().kv.is_some());
    let watch = store.watch(WatchRequest::prefix("/", last)).await;
    assert!(matches!(watch, Err(StoreError::Compacted { .. })));
    let mut watch = store.watch(WatchRequest::prefix("/", last + 1)).await.unwrap();
    put(&store, "/a", "3").await.unwrap();
    let batch = watch.next().await.unwrap().unwrap();
    assert_eq!(batch.changes[0].prev.as_ref().unwrap().mod_revision, last);
}

#[tokio::test]
async fn a_lease_goes_on_after_a_restart_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let long = store.lease_grant(Duration::from_secs(3_600)).await.unwrap();
    let short = store.lease_grant(Duration::from_millis(150)).await.unwrap();
    for (key, lease) in [("/long", long.id), ("/short", short.id)] {
        store.txn(Txn::new().then(Op::put_with_lease(key, "x", lease))).await.unwrap();
    }
    let revision = store.current_revision().await.unwrap();
    drop(store);
    let store = open(dir.path());
    // It may be gone by now, or go before our eyes.
    if value(&store, "/short").await.is_some() {
        let mut watch = store.watch(WatchRequest::prefix("/short", revision + 1)).await.unwrap();
        let batch = tokio::time::timeout(Duration::from_secs(20), watch.next()).await.unwrap();
        assert!(batch.unwrap().unwrap().changes[0].is_delete());
    }
    assert_eq!(value(&store, "/long").await.as_deref(), Some("x"));
    assert_eq!(store.lease_keep_alive(long.id).await.unwrap(), long);
    let next = store.lease_grant(Duration::from_secs(1)).await.unwrap();
    assert!(next.id > short.id, "ids of ended leases are not used again");
}

#[tokio::test]
async fn watches_end_when_the_store_closes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut watch = store.watch(WatchRequest::prefix("/", 0)).await.unwrap();
    drop(store);
    assert!(matches!(watch.next().await, Some(Err(StoreError::Closed))));
    assert!(watch.next().await.is_none());
}

#[test]
fn a_directory_is_for_one_store() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let error = EmbeddedStore::open(EmbeddedConfig::new(dir.path())).unwrap_err();
    assert!(
        matches!(&error, StoreError::Locked { holder, .. } if holder.contains(&std::process::id().to_string())),
        "{error}"
    );
    drop(first);
    open(dir.path());
}

#[test]
fn what_is_no_directory_is_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = EmbeddedStore::open(EmbeddedConfig::new(&path)).unwrap_err();
        assert!(matches!(error, StoreError::Io { .. }) && error.to_string().contains("file"), "{error}");
    }
}

#[test]
fn a_directory_that_may_not_be_read_is_a_clear_error() {
    use std::os::unix::fs::PermissionsExt;
    if rustix::process::geteuid().is_root() {
        // Root may read everything; the state file being a directory fails for everyone.
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("LOCK")).unwrap();
        let error = EmbeddedStore::open(EmbeddedConfig::new(dir.path())).unwrap_err();
        assert!(matches!(error, StoreError::Io { action: "lock", .. }), "{error}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o000)).unwrap();
    let error = EmbeddedStore::open(EmbeddedConfig::new(dir.path())).unwrap_err();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
}

#[test]
fn another_format_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    for found in ["berth-store 2\n", "", "\u{0}"] {
        std::fs::write(dir.path().join("FORMAT"), found).unwrap();
        let error = EmbeddedStore::open(EmbeddedConfig::new(dir.path())).unwrap_err();
        assert!(matches!(error, StoreError::UnknownFormat { .. }), "{error}");
    }
    std::fs::remove_file(dir.path().join("FORMAT")).unwrap();
    let error = EmbeddedStore::open(EmbeddedConfig::new(dir.path())).unwrap_err();
    assert!(matches!(error, StoreError::UnknownFormat { .. }), "{error}");
}

#[test]
fn a_damaged_file_is_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    std::fs::write(dir.path().join("state.redb"), vec![0x55; 64 << 10]).unwrap();
    let error = EmbeddedStore::open(EmbeddedConfig::new(dir.path())).unwrap_err();
    assert!(error.to_string().contains("state.redb"), "{error}");
}

#[test]
fn only_the_owner_may_look_inside() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("data");
    drop(open(&dir));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(&dir.join("state.redb"))), (0o700, 0o600));
}
