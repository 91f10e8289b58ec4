//! The cache over a real store: what a client sees through it.

mod properties;
mod snapshots;
mod watchers;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::request::{Op, Txn};
use crate::{HistoryLimits, MemoryStore};

const PREFIX: &str = "/registry/g/things/";
const TIMEOUT: Duration = Duration::from_secs(20);

fn store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new().unwrap())
}

async fn cache(store: &Arc<dyn Store>) -> Arc<Cache> {
    let config = CacheConfig { indexed_fields: vec!["spec.nodeName".to_owned()], ..CacheConfig::default() };
    Cache::start(Arc::clone(store), PREFIX, config).await.unwrap()
}

fn object(name: &str, app: &str, node: &str) -> String {
    format!(
        r#"{{"kind":"Thing","metadata":{{"name":"{name}","labels":{{"app":"{app}"}}}},"spec":{{"nodeName":"{node}"}}}}"#
    )
}

/// `path` is `[namespace/]name`.
async fn put(store: &Arc<dyn Store>, path: &str, app: &str, node: &str) -> Revision {
    let name = path.rsplit('/').next().unwrap();
    store.txn(Txn::put(format!("{PREFIX}{path}"), object(name, app, node))).await.unwrap().revision
}

async fn delete(store: &Arc<dyn Store>, path: &str) -> Revision {
    store.txn(Txn::new().then(Op::delete(format!("{PREFIX}{path}")))).await.unwrap().revision
}

async fn put_elsewhere(store: &Arc<dyn Store>) -> Revision {
    store.txn(Txn::put("/registry/g/others/x", "{}")).await.unwrap().revision
}

/// Until the cache has what the store has.
async fn catch_up(store: &Arc<dyn Store>, cache: &Cache) -> Revision {
    let current = store.current_revision().await.unwrap();
    cache.wait_until(current, TIMEOUT).await.unwrap()
}

fn names(snapshot: &Snapshot) -> Vec<String> {
    snapshot.iter().map(|entry| format!("{}/{}", entry.namespace(), entry.name())).collect()
}

fn app(value: &'static str) -> Filter {
    Filter { predicate: Some(Arc::new(move |entry: &Entry| entry.label("app") == Some(value))), ..Filter::default() }
}

fn on_node(node: &str) -> Filter {
    Filter { field: Some(("spec.nodeName".to_owned(), node.to_owned())), ..Filter::default() }
}

/// `ADDED shop/web @7` for each of the next items, over as many batches as it takes.
async fn next(watcher: &mut Watcher, count: usize) -> Vec<String> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let batch = tokio::time::timeout(TIMEOUT, watcher.next_batch()).await.expect("events come").unwrap();
        assert!(!batch.is_empty(), "a batch has at least one event");
        seen.extend(batch.iter().map(brief));
    }
    assert_eq!(seen.len(), count, "more than was expected: {seen:?}");
    seen
}

fn brief(item: &WatchItem) -> String {
    let entry = item.entry();
    format!("{} {}/{} @{}", item.kind.as_str(), entry.namespace(), entry.name(), item.revision())
}

#[tokio::test]
async fn what_was_there_before_is_in_the_cache() {
    let store = store();
    for path in ["b/1", "a-b/1", "a/2", "a/1"] {
        put(&store, path, "web", "n1").await;
    }
    put_elsewhere(&store).await;
    let cache = cache(&store).await;
    assert_eq!(names(&cache.snapshot()), ["a/1", "a/2", "a-b/1", "b/1"]);
    assert_eq!(cache.revision(), store.current_revision().await.unwrap());
    let entry = cache.get("a", "2").unwrap();
    let json = String::from_utf8(entry.json().to_vec()).unwrap();
    assert!(json.contains(&format!(r#""resourceVersion":"{}""#, entry.kv().mod_revision)), "{json}");
    assert_eq!((entry.label("app"), entry.field("spec.nodeName")), (Some("web"), "n1"));
    assert!(cache.get("a", "3").is_none());
}

#[tokio::test]
async fn an_entry_shares_the_bytes_of_the_store() {
    let store = store();
    put(&store, "a/1", "web", "n1").await;
    let cache = cache(&store).await;
    let read = store.get(&format!("{PREFIX}a/1"), None).await.unwrap().kv.unwrap();
    assert!(Arc::ptr_eq(&read, cache.get("a", "1").unwrap().kv()));
    assert_eq!(cache.entry_of(&read).json(), cache.get("a", "1").unwrap().json());
}

#[tokio::test]
async fn cluster_scoped_objects_have_no_namespace() {
    let store = store();
    put(&store, "n1", "", "").await;
    let cache = cache(&store).await;
    assert_eq!(cache.get("", "n1").unwrap().sort_key(), ("", "n1"));
}

#[tokio::test]
async fn waiting_for_a_revision_ends_when_it_is_there() {
    let store = store();
    let cache = cache(&store).await;
    for i in 0..50 {
        let revision = if i % 2 == 0 { put(&store, "a/1", "web", "n1").await } else { put_elsewhere(&store).await };
        let reached = cache.wait_until(revision, TIMEOUT).await.unwrap();
        assert!(reached >= revision && cache.snapshot().revision() >= revision);
        if i % 2 == 0 {
            assert_eq!(cache.get("a", "1").unwrap().revision(), revision);
        }
    }
}

#[tokio::test]
async fn waiting_for_the_future_ends_in_time_or_with_it() {
    let store = store();
    let cache = cache(&store).await;
    let current = catch_up(&store, &cache).await;
    let error = cache.wait_until(current + 1, Duration::from_millis(20)).await.unwrap_err();
    assert_eq!(error, TooNew { requested: current + 1, current });
    let waiting = tokio::spawn({
        let cache = Arc::clone(&cache);
        async move { cache.wait_until(current + 3, TIMEOUT).await }
    });
    for _ in 0..3 {
        put_elsewhere(&store).await;
    }
    assert!(waiting.await.unwrap().unwrap() >= current + 3);
}

#[tokio::test]
async fn a_cache_that_fell_behind_lists_anew_and_ends_its_watchers() {
    let limits = HistoryLimits { changes_max: 5, ..HistoryLimits::default() };
    let store: Arc<dyn Store> = Arc::new(MemoryStore::with_limits(limits).unwrap());
    let cache = cache(&store).await;
    let mut watcher = cache.watch(0, Filter::default()).unwrap();
    let mut indexed = cache.watch(0, on_node("n1")).unwrap();
    // More at once than history keeps: the watch of the cache must miss it.
    let many = (0..20).fold(Txn::new(), |txn, i| txn.then(Op::put(format!("{PREFIX}a/{i}"), "{}")));
    store.txn(many).await.unwrap();
    catch_up(&store, &cache).await;
    assert_eq!(cache.snapshot().len(), 20);
    assert_eq!(cache.stats().relists_count, 1);
    assert!(watcher.next_batch().await.is_err() && watcher.bookmark().is_err());
    assert!(indexed.next_batch().await.is_err());
    let mut after = cache.watch(0, Filter::default()).unwrap();
    let revision = put(&store, "a/new", "web", "n1").await;
    assert_eq!(next(&mut after, 1).await, [format!("ADDED a/new @{revision}")]);
}

#[tokio::test]
async fn watchers_end_with_the_cache_and_with_the_store() {
    let store = store();
    let one = cache(&store).await;
    let mut watcher = one.watch(0, Filter::default()).unwrap();
    drop(one);
    assert!(watcher.next_batch().await.is_err());

    let two = cache(&store).await;
    let mut watcher = two.watch(0, on_node("n1")).unwrap();
    drop(store);
    let ended = tokio::time::timeout(TIMEOUT, watcher.next_batch());
    // The cache's feeder holds the store as well; it goes when the cache does.
    drop(two);
    assert!(ended.await.unwrap().is_err());
}

#[tokio::test]
async fn an_empty_cache_is_ready_at_once() {
    let store = store();
    let cache = cache(&store).await;
    assert_eq!(cache.stats(), CacheStats::default());
    assert!(cache.snapshot().is_empty());
}
