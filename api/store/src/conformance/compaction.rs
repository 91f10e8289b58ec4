//! Forgetting the past, and saying so.

use super::fixture::*;
use crate::error::StoreError;
use crate::request::RangeRequest;
use crate::store::Store;
use crate::watch::WatchRequest;

async fn put_some(store: &Arc<dyn Store>) -> Vec<u64> {
    let mut revisions = Vec::new();
    for i in 0..5 {
        revisions.push(put(store, "/a", i.to_string()).await);
    }
    revisions
}

pub(super) async fn the_past_before_a_compaction_is_refused(store: Arc<dyn Store>) {
    let revisions = put_some(&store).await;
    store.compact(revisions[2]).await.unwrap();
    let error = store.get("/a", Some(revisions[1])).await.unwrap_err();
    let StoreError::Compacted { requested, compact_revision } = error else { panic!("{error}") };
    assert_eq!((requested, compact_revision), (revisions[1], revisions[2]));
    let range = store.range(RangeRequest::prefix("/").at(revisions[0])).await;
    assert!(matches!(range, Err(StoreError::Compacted { .. })));
    assert_eq!(store.status().await.unwrap().compact_revision, revisions[2]);
}

pub(super) async fn the_compacted_revision_itself_can_be_read(store: Arc<dyn Store>) {
    let revisions = put_some(&store).await;
    store.compact(revisions[2]).await.unwrap();
    for (i, revision) in revisions.iter().enumerate().skip(2) {
        assert_eq!(value_at(&store, "/a", *revision).await, Some(i.to_string()));
    }
}

pub(super) async fn a_watch_from_before_a_compaction_is_refused(store: Arc<dyn Store>) {
    let revisions = put_some(&store).await;
    store.compact(revisions[2]).await.unwrap();
    for from in [revisions[0], revisions[2]] {
        // Either at once or as the first thing that is read.
        let error = match store.watch(WatchRequest::prefix("/", from)).await {
            Err(error) => error,
            Ok(mut stream) => soon(stream.next()).await.unwrap().unwrap_err(),
        };
        assert!(
            matches!(error, StoreError::Compacted { compact_revision, .. } if compact_revision == revisions[2]),
            "{error}"
        );
    }
}

pub(super) async fn a_watch_right_after_a_compaction_goes_on(store: Arc<dyn Store>) {
    let revisions = put_some(&store).await;
    store.compact(revisions[2]).await.unwrap();
    let mut stream = watch(&store, "/", revisions[2] + 1).await;
    let changes = next(&mut stream, 2).await;
    assert_eq!(changes[0].revision, revisions[3]);
    assert_eq!(text(changes[0].prev.as_ref().unwrap()), "2", "the version before is still told");
}

pub(super) async fn compaction_goes_forward_only(store: Arc<dyn Store>) {
    let revisions = put_some(&store).await;
    store.compact(revisions[3]).await.unwrap();
    assert!(matches!(store.compact(revisions[1]).await, Err(StoreError::Compacted { .. })));
    assert!(matches!(store.compact(revisions[4] + 1).await, Err(StoreError::FutureRevision { .. })));
    store.compact(revisions[3]).await.unwrap();
}

pub(super) async fn the_present_survives_its_compaction(store: Arc<dyn Store>) {
    let revisions = put_some(&store).await;
    put(&store, "/gone", "x").await;
    let last = delete(&store, "/gone").await;
    store.compact(last).await.unwrap();
    let kv = get(&store, "/a").await.unwrap();
    assert_eq!((kv.mod_revision, kv.version), (revisions[4], 5));
    assert_eq!(keys(&store, "/").await, ["/a"]);
    assert_eq!(put(&store, "/a", "next").await, last + 1);
}

pub(super) async fn a_slow_watch_is_told_of_the_compaction(store: Arc<dyn Store>) {
    let start = now(&store).await;
    let mut stream = watch(&store, "/", start + 1).await;
    let revisions = put_some(&store).await;
    store.compact(revisions[3]).await.unwrap();
    // A store may have sent some of it already; it may not skip what it has not.
    let mut expected = start + 1;
    loop {
        match soon(stream.next()).await.unwrap() {
            Ok(batch) => {
                for change in batch.changes {
                    assert_eq!(change.revision, expected);
                    expected += 1;
                }
                if expected > revisions[4] {
                    return;
                }
            }
            Err(StoreError::Compacted { compact_revision, .. }) => {
                assert_eq!(compact_revision, revisions[3]);
                assert!(stream.next().await.is_none(), "an error is the end");
                return;
            }
            Err(other) => panic!("{other}"),
        }
    }
}

pub(super) async fn a_watch_that_is_up_to_date_survives_compaction(store: Arc<dyn Store>) {
    let mut stream = watch(&store, "/quiet/", 0).await;
    let revisions = put_some(&store).await;
    store.compact(revisions[4]).await.unwrap();
    put(&store, "/quiet/a", "1").await;
    assert_eq!(next(&mut stream, 1).await.len(), 1);
}
