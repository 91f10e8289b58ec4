//! Watching: everything, once, in order.

use super::fixture::*;
use crate::kv::KeyRange;
use crate::request::{Op, RangeRequest, Txn};
use crate::store::Store;
use crate::watch::WatchRequest;

pub(super) async fn a_watch_from_now_sees_what_comes(store: Arc<dyn Store>) {
    put(&store, "/a", "before").await;
    let mut stream = watch(&store, "/", 0).await;
    let revision = put(&store, "/a", "after").await;
    let changes = next(&mut stream, 1).await;
    assert_eq!(brief(&changes[0]), format!("put /a=after @{revision}"));
}

pub(super) async fn a_watch_from_the_past_replays_it(store: Arc<dyn Store>) {
    put(&store, "/a", "0").await;
    let from = put(&store, "/a", "1").await;
    put(&store, "/b", "2").await;
    delete(&store, "/a").await;
    let mut stream = watch(&store, "/", from).await;
    let seen: Vec<_> = next(&mut stream, 3).await.iter().map(brief).collect();
    let expected = [format!("put /a=1 @{from}"), format!("put /b=2 @{}", from + 1), format!("delete /a @{}", from + 2)];
    assert_eq!(seen, expected);
}

pub(super) async fn a_watch_carries_the_version_before(store: Arc<dyn Store>) {
    let mut stream = watch(&store, "/", 0).await;
    put(&store, "/a", "1").await;
    put(&store, "/a", "2").await;
    let changes = next(&mut stream, 2).await;
    assert!(changes[0].is_create() && !changes[1].is_create());
    assert_eq!(changes[1].prev.as_ref().map(text).as_deref(), Some("1"));
}

pub(super) async fn a_deletion_carries_the_last_version(store: Arc<dyn Store>) {
    put(&store, "/a", "last").await;
    let mut stream = watch(&store, "/", 0).await;
    let revision = delete(&store, "/a").await;
    let changes = next(&mut stream, 1).await;
    assert!(changes[0].is_delete());
    assert_eq!((changes[0].revision, &**changes[0].key()), (revision, "/a"));
    assert_eq!(changes[0].prev.as_ref().map(text).as_deref(), Some("last"));
}

pub(super) async fn a_watch_sees_its_prefix_only(store: Arc<dyn Store>) {
    let mut stream = watch(&store, "/a/", 0).await;
    for key in ["/a", "/a/1", "/a0", "/b", "/a/2"] {
        put(&store, key, "x").await;
    }
    let seen: Vec<_> = next(&mut stream, 2).await.iter().map(|change| change.key().to_string()).collect();
    assert_eq!(seen, ["/a/1", "/a/2"]);
}

pub(super) async fn a_watch_of_one_key_sees_that_key(store: Arc<dyn Store>) {
    let mut stream = store.watch(WatchRequest { range: KeyRange::key("/a"), from: 0 }).await.unwrap();
    for key in ["/a/1", "/b", "/a"] {
        put(&store, key, "x").await;
    }
    assert_eq!(&**next(&mut stream, 1).await[0].key(), "/a");
}

pub(super) async fn events_come_exactly_once_in_order(store: Arc<dyn Store>) {
    const WRITERS: usize = 8;
    const EACH: usize = 100;
    let start = now(&store).await;
    let mut stream = watch(&store, "/", 0).await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for i in 0..EACH {
                    put(&store, &format!("/{writer}/{}", i % 7), i.to_string()).await;
                }
            })
        })
        .collect();
    let changes = next(&mut stream, WRITERS * EACH).await;
    for (change, expected) in changes.iter().zip(start + 1..) {
        assert_eq!(change.revision, expected);
    }
    for writer in writers {
        writer.await.unwrap();
    }
}

pub(super) async fn the_changes_of_a_revision_come_together(store: Arc<dyn Store>) {
    let mut stream = watch(&store, "/", 0).await;
    for round in 0..40 {
        let many = (0..50).fold(Txn::new(), |txn, i| txn.then(Op::put(format!("/{i}"), round.to_string())));
        txn(&store, many).await;
    }
    let mut seen = 0;
    while seen < 2_000 {
        let batch = soon(stream.next()).await.unwrap().unwrap();
        for revision in batch.changes.chunk_by(|a, b| a.revision == b.revision) {
            assert_eq!(revision.len(), 50, "a revision was cut");
        }
        seen += batch.changes.len();
    }
}

pub(super) async fn two_watches_see_the_same(store: Arc<dyn Store>) {
    let start = now(&store).await;
    let mut live = watch(&store, "/", 0).await;
    for i in 0..50 {
        put(&store, &format!("/{}", i % 5), i.to_string()).await;
        if i % 3 == 0 {
            delete(&store, &format!("/{}", i % 4)).await;
        }
    }
    let count = usize::try_from(now(&store).await - start).unwrap();
    let mut late = watch(&store, "/", start + 1).await;
    assert_eq!(next(&mut live, count).await, next(&mut late, count).await);
}

pub(super) async fn a_watch_from_the_future_waits_for_it(store: Arc<dyn Store>) {
    let from = now(&store).await + 3;
    let mut stream = watch(&store, "/", from).await;
    for i in 0..4 {
        put(&store, "/a", i.to_string()).await;
    }
    assert_eq!(next(&mut stream, 2).await[0].revision, from);
}

pub(super) async fn a_batch_says_how_far_it_reaches(store: Arc<dyn Store>) {
    let mut stream = watch(&store, "/a", 0).await;
    let revision = put(&store, "/a", "1").await;
    let batch = soon(stream.next()).await.unwrap().unwrap();
    assert!(batch.revision >= revision);
    assert!(batch.changes.iter().all(|change| change.revision <= batch.revision));
}

/// Whatever happens elsewhere, a watch that has nothing to read is up to date.
pub(super) async fn a_quiet_watch_keeps_up(store: Arc<dyn Store>) {
    let mut stream = watch(&store, "/quiet/", 0).await;
    let progress = stream.progress();
    for i in 0..20 {
        put(&store, "/loud", i.to_string()).await;
    }
    let current = now(&store).await;
    progress.request(current);
    if progress.handled() < current {
        let batch = soon(stream.next()).await.unwrap().unwrap();
        assert!(batch.changes.is_empty() && batch.revision >= current);
    }
    put(&store, "/quiet/a", "1").await;
    next_after_progress(&mut stream).await;
}

async fn next_after_progress(stream: &mut crate::watch::WatchStream) {
    loop {
        let batch = soon(stream.next()).await.unwrap().unwrap();
        if !batch.changes.is_empty() {
            assert_eq!(batch.changes.len(), 1);
            return;
        }
    }
}

pub(super) async fn progress_is_told_when_asked_for(store: Arc<dyn Store>) {
    let mut stream = watch(&store, "/quiet/", 0).await;
    let progress = stream.progress();
    let reader = tokio::spawn(async move { soon(stream.next()).await.unwrap().unwrap() });
    let revision = put(&store, "/loud", "1").await;
    progress.request(revision);
    let batch = reader.await.unwrap();
    assert!(batch.changes.is_empty() && batch.revision >= revision, "{batch:?}");
}

pub(super) async fn progress_in_the_future_waits_for_it(store: Arc<dyn Store>) {
    let mut stream = watch(&store, "/quiet/", 0).await;
    let wanted = now(&store).await + 3;
    stream.progress().request(wanted);
    let reader = tokio::spawn(async move { soon(stream.next()).await.unwrap().unwrap() });
    for i in 0..3 {
        put(&store, "/loud", i.to_string()).await;
    }
    assert!(reader.await.unwrap().revision >= wanted);
}

pub(super) async fn what_is_with_the_reader_is_not_handled(store: Arc<dyn Store>) {
    let mut stream = watch(&store, "/", 0).await;
    let progress = stream.progress();
    let before = progress.handled();
    let first = put(&store, "/a", "1").await;
    assert!(progress.handled() < first, "nobody has read it");
    let batch = soon(stream.next()).await.unwrap().unwrap();
    assert_eq!(progress.handled(), before, "it is with the reader");
    progress.request(batch.revision);
    soon(stream.next()).await.unwrap().unwrap_or_else(|error| panic!("{error}"));
    assert!(progress.handled() >= first, "the reader came back for more");
}

pub(super) async fn a_list_and_a_watch_meet_without_a_gap(store: Arc<dyn Store>) {
    let writing = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for i in 0..300 {
                put(&store, &format!("/{}", i % 10), i.to_string()).await;
            }
        }
    });
    for _ in 0..20 {
        let listed = store.range(RangeRequest::prefix("/")).await.unwrap();
        let mut state: std::collections::BTreeMap<_, _> =
            listed.kvs.iter().map(|kv| (kv.key.to_string(), text(kv))).collect();
        let mut stream = watch(&store, "/", listed.revision + 1).await;
        let until = now(&store).await;
        let mut reached = listed.revision;
        while reached < until {
            let batch = soon(stream.next()).await.unwrap().unwrap();
            for change in batch.changes.iter().filter(|change| change.revision <= until) {
                state.insert(change.key().to_string(), text(change.kv.as_ref().unwrap()));
            }
            reached = batch.revision;
        }
        let read: std::collections::BTreeMap<_, _> =
            list(&store, RangeRequest::prefix("/").at(until)).await.into_iter().collect();
        assert_eq!(state, read);
        tokio::task::yield_now().await;
    }
    writing.await.unwrap();
}

pub(super) async fn a_dropped_watch_is_not_counted(store: Arc<dyn Store>) {
    let one = watch(&store, "/", 0).await;
    let two = watch(&store, "/", 0).await;
    assert_eq!(store.status().await.unwrap().watches_count, 2);
    drop(one);
    assert_eq!(store.status().await.unwrap().watches_count, 1);
    drop(two);
    assert_eq!(store.status().await.unwrap().watches_count, 0);
}
