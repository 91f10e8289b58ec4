//! Reads at a revision.

use std::collections::BTreeMap;

use super::fixture::*;
use crate::error::StoreError;
use crate::kv::Revision;
use crate::request::{Op, RangeRequest, Txn};
use crate::store::Store;

pub(super) async fn a_get_at_a_revision_is_the_past(store: Arc<dyn Store>) {
    let before = now(&store).await;
    let one = put(&store, "/a", "1").await;
    let other = put(&store, "/b", "x").await;
    let two = put(&store, "/a", "2").await;
    let mut seen = Vec::new();
    for at in [before, one, other, two] {
        seen.push(value_at(&store, "/a", at).await);
    }
    assert_eq!(seen, [None, Some("1".to_owned()), Some("1".to_owned()), Some("2".to_owned())]);
    let response = store.get("/a", Some(one)).await.unwrap();
    assert_eq!(response.revision, two, "the answer says where the store is");
}

pub(super) async fn a_get_at_zero_is_now(store: Arc<dyn Store>) {
    put(&store, "/a", "1").await;
    put(&store, "/a", "2").await;
    assert_eq!(value_at(&store, "/a", 0).await.as_deref(), Some("2"));
}

pub(super) async fn a_deleted_key_is_there_in_the_past(store: Arc<dyn Store>) {
    let there = put(&store, "/a", "1").await;
    let gone = delete(&store, "/a").await;
    assert_eq!(value_at(&store, "/a", there).await.as_deref(), Some("1"));
    assert_eq!(value_at(&store, "/a", gone).await, None);
}

pub(super) async fn earlier_lives_are_told_apart(store: Arc<dyn Store>) {
    let mut expected = Vec::new();
    for life in 0..3 {
        for write in 0..2 {
            let text = format!("{life}.{write}");
            expected.push((put(&store, "/a", text.clone()).await, Some(text)));
        }
        expected.push((delete(&store, "/a").await, None));
    }
    for (at, value) in expected {
        assert_eq!(value_at(&store, "/a", at).await, value, "at {at}");
    }
}

pub(super) async fn a_range_at_a_revision_is_the_past(store: Arc<dyn Store>) {
    put(&store, "/a", "1").await;
    put(&store, "/c", "1").await;
    let at = now(&store).await;
    delete(&store, "/a").await;
    put(&store, "/b", "2").await;
    put(&store, "/c", "2").await;
    let past = list(&store, RangeRequest::prefix("/").at(at)).await;
    assert_eq!(past, [("/a".to_owned(), "1".to_owned()), ("/c".to_owned(), "1".to_owned())]);
    let counted = store.range(RangeRequest::prefix("/").at(at).limit(1)).await.unwrap();
    assert_eq!((counted.count, counted.more), (2, true));
}

pub(super) async fn the_future_is_refused(store: Arc<dyn Store>) {
    let current = now(&store).await;
    let error = store.get("/a", Some(current + 1)).await.unwrap_err();
    assert!(
        matches!(error, StoreError::FutureRevision { requested, current: c } if requested == current + 1 && c == current)
    );
    assert!(store.range(RangeRequest::prefix("/").at(current + 9)).await.is_err());
}

/// A few hundred pseudo-random transactions; then every revision is read and compared with the
/// events up to it.
pub(super) async fn any_revision_equals_the_replay_of_its_events(store: Arc<dyn Store>) {
    let start = now(&store).await;
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = |below: u64| {
        // xorshift: the same on every run.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    for i in 0..300 {
        let mut request = Txn::new();
        let mut used = std::collections::BTreeSet::new();
        for _ in 0..=random(3) {
            let key = format!("/k{}", random(12));
            if used.insert(key.clone()) {
                let op = if random(3) == 0 { Op::delete(key) } else { Op::put(key, i.to_string()) };
                request = request.then(op);
            }
        }
        txn(&store, request).await;
    }
    let end = now(&store).await;
    put(&store, "/end", "").await;
    let mut events = watch(&store, "/k", start + 1).await;
    let mut replay: BTreeMap<String, String> = BTreeMap::new();
    let mut states: BTreeMap<Revision, BTreeMap<String, String>> = BTreeMap::from([(start, replay.clone())]);
    while states.last_key_value().unwrap().0 < &end {
        for change in soon(events.next()).await.unwrap().unwrap().changes {
            match &change.kv {
                Some(kv) => drop(replay.insert(kv.key.to_string(), text(kv))),
                None => drop(replay.remove(&**change.key())),
            }
            states.insert(change.revision, replay.clone());
        }
    }
    for (at, state) in states {
        let read: BTreeMap<_, _> = list(&store, RangeRequest::prefix("/k").at(at)).await.into_iter().collect();
        assert_eq!(read, state, "at {at}");
        for key in (0..12).map(|i| format!("/k{i}")) {
            assert_eq!(value_at(&store, &key, at).await.as_ref(), state.get(&key), "{key} at {at}");
        }
    }
}
