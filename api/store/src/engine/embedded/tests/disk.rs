//! Disks that are full or broken.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::io::Errno;

use super::*;
use crate::engine::embedded::faults::Faults;
use crate::request::RangeRequest;

fn open_on(dir: &Path, faults: &Arc<Faults>) -> Arc<dyn Store> {
    let mut config = EmbeddedConfig::new(dir);
    config.faults = Some(Arc::clone(faults));
    Arc::new(EmbeddedStore::open(config).unwrap())
}

async fn all(store: &Arc<dyn Store>) -> BTreeMap<String, String> {
    let kvs = store.range(RangeRequest::prefix("/")).await.unwrap().kvs;
    kvs.iter().map(|kv| (kv.key.to_string(), String::from_utf8_lossy(&kv.value).into_owned())).collect()
}

/// Until the store has noticed that the disk is well again.
async fn put_when_healed(store: &Arc<dyn Store>, key: &str) {
    let healed = async {
        while put(store, key, "healed").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), healed).await.expect("a good disk is used again");
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_serves_reads() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Arc::new(Faults::default());
    let store = open_on(dir.path(), &faults);
    let revision = put(&store, "/a", "1").await.unwrap();
    let lease = store.lease_grant(Duration::from_secs(3_600)).await.unwrap();

    faults.fail(Errno::NOSPC, 0);
    for _ in 0..3 {
        let error = put(&store, "/a", "2").await.unwrap_err();
        assert!(matches!(error, StoreError::NoSpace { .. }), "{error}");
        assert_eq!(value(&store, "/a").await.as_deref(), Some("1"));
    }
    assert!(store.lease_revoke(lease.id).await.is_err());
    assert!(matches!(store.health().await, Err(StoreError::NoSpace { .. })));
    assert_eq!(store.current_revision().await.unwrap(), revision);

    faults.heal();
    put_when_healed(&store, "/b").await;
    store.health().await.unwrap();
    store.lease_keep_alive(lease.id).await.expect("its end was refused");
    assert_eq!(store.current_revision().await.unwrap(), revision + 1);
    let in_memory = all(&store).await;
    drop(store);
    assert_eq!(all(&open(dir.path())).await, in_memory);
}

/// The fault strikes at the first, second, … access of the disk. Whatever was acknowledged is
/// there afterwards, and the file agrees with what the store said while it lived.
#[tokio::test]
async fn a_fault_at_any_access_loses_nothing_acknowledged() {
    let mut faults_met = 0;
    for after in 0..48 {
        let errno = if after % 2 == 0 { Errno::NOSPC } else { Errno::IO };
        let dir = tempfile::tempdir().unwrap();
        let faults = Arc::new(Faults::default());
        let store = open_on(dir.path(), &faults);
        let mut expected = BTreeMap::new();
        for i in 0..8 {
            put(&store, &format!("/{i}"), "old").await.unwrap();
            expected.insert(format!("/{i}"), "old".to_owned());
        }
        faults.fail(errno, after);
        for i in 0..4 {
            let key = format!("/{i}");
            if put(&store, &key, "new").await.is_ok() {
                expected.insert(key, "new".to_owned());
            }
        }
        faults_met += faults.failed();
        assert_eq!(all(&store).await, expected, "in memory, fault after {after}");
        // Half of them die with the fault, half get over it first.
        if after % 4 < 2 {
            faults.heal();
            put_when_healed(&store, "/healed").await;
            expected.insert("/healed".to_owned(), "healed".to_owned());
            drop(store);
            assert_eq!(all(&open(dir.path())).await, expected, "on disk, fault after {after}");
        } else {
            drop(store);
            let found = all(&open(dir.path())).await;
            for (key, value) in &expected {
                // What failed may have happened; what was acknowledged must have.
                let is_as_acknowledged = found.get(key) == Some(value) || value == "old";
                assert!(is_as_acknowledged, "{key} is {:?}, fault after {after}", found.get(key));
            }
        }
    }
    assert!(faults_met > 20, "the faults were met: {faults_met}");
}

#[tokio::test]
async fn an_expired_lease_ends_once_the_disk_is_well() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Arc::new(Faults::default());
    let store = open_on(dir.path(), &faults);
    let lease = store.lease_grant(Duration::from_millis(50)).await.unwrap();
    store.txn(Txn::new().then(crate::Op::put_with_lease("/a", "x", lease.id))).await.unwrap();
    let mut watch = store.watch(crate::WatchRequest::prefix("/a", 0)).await.unwrap();
    faults.fail(Errno::IO, 0);
    let refused = async {
        while store.health().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), refused).await.expect("its expiry fails");
    faults.heal();
    let batch = tokio::time::timeout(Duration::from_secs(20), watch.next()).await.unwrap().unwrap().unwrap();
    assert!(batch.changes[0].is_delete());
}
