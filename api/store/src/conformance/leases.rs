//! Keys that end by themselves.

use std::time::Duration;

use super::fixture::*;
use crate::error::StoreError;
use crate::request::{Op, Txn};
use crate::store::Store;
use crate::ttl::TtlLeases;

const LONG: Duration = Duration::from_secs(3_600);
const SHORT: Duration = Duration::from_millis(100);

async fn put_leased(store: &Arc<dyn Store>, key: &str, lease: u64) {
    txn(store, Txn::new().then(Op::put_with_lease(key, "x", lease))).await;
}

pub(super) async fn a_lease_ends_and_takes_its_keys(store: Arc<dyn Store>) {
    let mut stream = watch(&store, "/", 0).await;
    let lease = store.lease_grant(SHORT).await.unwrap();
    put_leased(&store, "/a", lease.id).await;
    put(&store, "/stays", "x").await;
    let changes = next(&mut stream, 3).await;
    assert!(changes[2].is_delete() && &**changes[2].key() == "/a");
    assert_eq!(keys(&store, "/").await, ["/stays"]);
    let ended = store.lease_keep_alive(lease.id).await;
    assert!(matches!(ended, Err(StoreError::LeaseNotFound { .. })));
}

pub(super) async fn a_revoked_lease_takes_its_keys_in_one_revision(store: Arc<dyn Store>) {
    let lease = store.lease_grant(LONG).await.unwrap();
    for key in ["/a", "/b", "/c"] {
        put_leased(&store, key, lease.id).await;
    }
    assert_eq!(get(&store, "/a").await.unwrap().lease, Some(lease.id));
    let before = now(&store).await;
    store.lease_revoke(lease.id).await.unwrap();
    assert_eq!((keys(&store, "/").await.len(), now(&store).await), (0, before + 1));
    assert!(matches!(store.lease_revoke(lease.id).await, Err(StoreError::LeaseNotFound { .. })));
}

pub(super) async fn a_lease_kept_alive_lives_on(store: Arc<dyn Store>) {
    let ttl = Duration::from_millis(1_500);
    let lease = store.lease_grant(ttl).await.unwrap();
    put_leased(&store, "/a", lease.id).await;
    let begin = std::time::Instant::now();
    // A second, shorter lease is the clock: each of its ends is a third of the first one's time.
    while begin.elapsed() < ttl * 2 {
        let mut ticks = watch(&store, "/tick", 0).await;
        let tick = store.lease_grant(ttl / 5).await.unwrap();
        put_leased(&store, "/tick", tick.id).await;
        next(&mut ticks, 2).await;
        assert_eq!(store.lease_keep_alive(lease.id).await.unwrap(), lease);
    }
    assert!(get(&store, "/a").await.is_some(), "it was kept alive");
    let mut stream = watch(&store, "/a", 0).await;
    assert!(next(&mut stream, 1).await[0].is_delete(), "it is no longer");
}

pub(super) async fn an_unknown_lease_is_refused(store: Arc<dyn Store>) {
    assert!(matches!(store.lease_revoke(99).await, Err(StoreError::LeaseNotFound { id: 99 })));
    assert!(matches!(store.lease_keep_alive(99).await, Err(StoreError::LeaseNotFound { id: 99 })));
}

pub(super) async fn a_put_with_an_unknown_lease_changes_nothing(store: Arc<dyn Store>) {
    let before = now(&store).await;
    let request = Txn::new().then(Op::put_with_lease("/a", "x", 99));
    assert!(matches!(store.txn(request).await, Err(StoreError::LeaseNotFound { id: 99 })));
    assert_eq!((get(&store, "/a").await, now(&store).await), (None, before));
}

pub(super) async fn a_put_without_a_lease_frees_the_key(store: Arc<dyn Store>) {
    let lease = store.lease_grant(LONG).await.unwrap();
    put_leased(&store, "/a", lease.id).await;
    put(&store, "/a", "mine").await;
    store.lease_revoke(lease.id).await.unwrap();
    assert_eq!(value(&store, "/a").await.as_deref(), Some("mine"));
}

pub(super) async fn a_put_with_another_lease_moves_the_key(store: Arc<dyn Store>) {
    let one = store.lease_grant(LONG).await.unwrap();
    let two = store.lease_grant(LONG).await.unwrap();
    put_leased(&store, "/a", one.id).await;
    put_leased(&store, "/a", two.id).await;
    store.lease_revoke(one.id).await.unwrap();
    assert!(get(&store, "/a").await.is_some());
    store.lease_revoke(two.id).await.unwrap();
    assert_eq!(get(&store, "/a").await, None);
}

pub(super) async fn lease_ids_are_not_used_twice(store: Arc<dyn Store>) {
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..5 {
        let lease = store.lease_grant(LONG).await.unwrap();
        assert!(lease.id > 0 && ids.insert(lease.id));
        store.lease_revoke(lease.id).await.unwrap();
    }
    assert_eq!(store.status().await.unwrap().leases_count, 0);
}

pub(super) async fn a_lease_of_no_time_is_refused(store: Arc<dyn Store>) {
    for ttl in [Duration::ZERO, Duration::MAX] {
        assert!(matches!(store.lease_grant(ttl).await, Err(StoreError::InvalidRequest { .. })));
    }
}

pub(super) async fn short_lived_objects_share_leases(store: Arc<dyn Store>) {
    let leases = TtlLeases::new(Arc::clone(&store));
    let hour = leases.lease_for(LONG).await.unwrap();
    assert_eq!(leases.lease_for(LONG).await.unwrap(), hour);
    assert_ne!(leases.lease_for(LONG * 2).await.unwrap(), hour);
    assert_eq!(store.status().await.unwrap().leases_count, 2);
}
