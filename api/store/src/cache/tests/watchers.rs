//! Watchers: filters, transitions, bookmarks, and being too slow.

use super::*;

#[tokio::test]
async fn a_watcher_sees_what_comes() {
    let store = store();
    put(&store, "a/1", "web", "n1").await;
    let cache = cache(&store).await;
    let from = cache.revision();
    let mut watcher = cache.watch(0, Filter::default()).unwrap();
    put_elsewhere(&store).await;
    put(&store, "a/1", "web", "n2").await;
    put(&store, "b/2", "web", "n1").await;
    delete(&store, "a/1").await;
    let expected = [
        format!("MODIFIED a/1 @{}", from + 2),
        format!("ADDED b/2 @{}", from + 3),
        format!("DELETED a/1 @{}", from + 4),
    ];
    assert_eq!(next(&mut watcher, 3).await, expected);
    // The same again for one that starts in the past.
    let mut late = cache.watch(from, Filter::default()).unwrap();
    assert_eq!(next(&mut late, 3).await, expected);
    let mut later = cache.watch(from + 2, Filter::default()).unwrap();
    assert_eq!(next(&mut later, 2).await, expected[1..]);
}

#[tokio::test]
async fn the_line_is_the_event_as_json() {
    let store = store();
    let cache = cache(&store).await;
    let mut watcher = cache.watch(0, Filter::default()).unwrap();
    put(&store, "a/1", "web", "n1").await;
    let gone = {
        put(&store, "a/1", "web", "n2").await;
        delete(&store, "a/1").await
    };
    let mut items = Vec::new();
    while items.len() < 3 {
        items.extend(watcher.next_batch().await.unwrap());
    }
    for (item, (kind, node)) in items.iter().zip([("ADDED", "n1"), ("MODIFIED", "n2"), ("DELETED", "n2")]) {
        let line = item.line();
        assert_eq!(line.last(), Some(&b'\n'));
        let event: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!((event["type"].as_str(), event["object"]["spec"]["nodeName"].as_str()), (Some(kind), Some(node)));
        let revision = event["object"]["metadata"]["resourceVersion"].as_str().unwrap();
        assert_eq!(revision, item.revision().to_string());
        assert_eq!(item.line().as_ptr(), line.as_ptr(), "made once");
    }
    assert_eq!(items[2].revision(), gone, "a deletion carries its own revision");
}

#[tokio::test]
async fn beginning_and_ceasing_to_match_are_added_and_deleted() {
    let store = store();
    let cache = cache(&store).await;
    let from = cache.revision();
    put(&store, "a/1", "db", "n1").await;
    put(&store, "a/1", "web", "n1").await;
    put(&store, "a/1", "web", "n2").await;
    put(&store, "a/1", "db", "n2").await;
    put(&store, "a/1", "db", "n1").await;
    delete(&store, "a/1").await;
    put(&store, "a/2", "web", "n1").await;
    catch_up(&store, &cache).await;
    let of_app = [(2, "ADDED a/1"), (3, "MODIFIED a/1"), (4, "DELETED a/1"), (7, "ADDED a/2")];
    let of_node = [
        (1, "ADDED a/1"),
        (2, "MODIFIED a/1"),
        (3, "DELETED a/1"),
        (5, "ADDED a/1"),
        (6, "DELETED a/1"),
        (7, "ADDED a/2"),
    ];
    let expected =
        |of: &[(u64, &str)]| of.iter().map(|(at, what)| format!("{what} @{}", from + at)).collect::<Vec<_>>();
    let mut by_label = cache.watch(from, app("web")).unwrap();
    assert_eq!(next(&mut by_label, 4).await, expected(&of_app));
    let mut by_field = cache.watch(from, on_node("n1")).unwrap();
    assert_eq!(next(&mut by_field, 6).await, expected(&of_node));
    // The object of such a DELETED is the last that matched, under the new revision.
    let mut again = cache.watch(from, app("web")).unwrap();
    let items = again.next_batch().await.unwrap();
    let deleted = items[2].entry();
    assert_eq!((deleted.label("app"), deleted.revision()), (Some("web"), from + 4));
    assert!(String::from_utf8_lossy(&items[2].line()).contains(&format!(r#""resourceVersion":"{}""#, from + 4)));
}

#[tokio::test]
async fn an_indexed_watcher_sleeps_through_the_events_of_others() {
    let store = store();
    let cache = cache(&store).await;
    let mut watcher = cache.watch(0, on_node("n1")).unwrap();
    // Polled only when woken.
    let mut waiting = tokio_test_task(async move { next(&mut watcher, 1).await });
    assert!(waiting.poll().is_pending());
    for i in 0..20 {
        put(&store, &format!("a/{i}"), "", "n2").await;
        put(&store, &format!("a/{i}"), "", "n3").await;
    }
    catch_up(&store, &cache).await;
    assert!(!waiting.is_woken(), "none of these is on n1");
    let revision = put(&store, "a/3", "", "n1").await;
    catch_up(&store, &cache).await;
    assert!(waiting.is_woken());
    assert_eq!(waiting.poll(), std::task::Poll::Ready(vec![format!("ADDED a/3 @{revision}")]));
}

#[tokio::test]
async fn watchers_of_a_name_or_a_namespace_see_just_that() {
    let store = store();
    let cache = cache(&store).await;
    let filter = |namespace: &str, name: Option<&str>| Filter {
        namespace: Some(namespace.to_owned()),
        name: name.map(str::to_owned),
        ..Filter::default()
    };
    let mut namespace = cache.watch(0, filter("a", None)).unwrap();
    let mut name = cache.watch(0, filter("a", Some("2"))).unwrap();
    for path in ["a/1", "b/2", "a/2", "b/1"] {
        put(&store, path, "", "").await;
    }
    let short =
        |seen: Vec<String>| seen.iter().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(short(next(&mut namespace, 2).await), ["a/1", "a/2"]);
    assert_eq!(short(next(&mut name, 1).await), ["a/2"]);
}

#[tokio::test]
async fn a_watcher_that_is_too_slow_is_gone() {
    let store = store();
    let config =
        CacheConfig { indexed_fields: vec!["spec.nodeName".to_owned()], ring_events_max: 10, ..CacheConfig::default() };
    let cache = Cache::start(Arc::clone(&store), PREFIX, config).await.unwrap();
    let start = cache.revision();
    let mut slow = cache.watch(0, Filter::default()).unwrap();
    let mut slow_indexed = cache.watch(0, on_node("n1")).unwrap();
    let mut idle_indexed = cache.watch(0, on_node("n2")).unwrap();
    for i in 0..25 {
        put(&store, &format!("a/{i}"), "", "n1").await;
    }
    let current = catch_up(&store, &cache).await;
    let gone = Gone { requested: start, oldest: current - 10 };
    assert_eq!(slow.next_batch().await.unwrap_err(), gone);
    assert_eq!(slow_indexed.next_batch().await.unwrap_err(), gone);
    assert_eq!(cache.watch(start, Filter::default()).unwrap_err(), gone);
    assert_eq!(idle_indexed.bookmark().unwrap(), Some(current), "nothing of it was lost");
    let revision = put(&store, "a/new", "", "n2").await;
    assert_eq!(next(&mut idle_indexed, 1).await, [format!("ADDED a/new @{revision}")]);
}

#[tokio::test]
async fn the_ring_is_bounded_by_bytes_too() {
    let store = store();
    let config = CacheConfig { ring_bytes_max: 4_000, ..CacheConfig::default() };
    let cache = Cache::start(Arc::clone(&store), PREFIX, config).await.unwrap();
    for _ in 0..100 {
        put(&store, "a/1", "web", "n1").await;
    }
    catch_up(&store, &cache).await;
    let stats = cache.stats();
    assert!(stats.ring_bytes <= 4_000 && stats.events_count > 3, "{stats:?}");
}

#[tokio::test]
async fn a_bookmark_promises_that_nothing_before_it_is_missing() {
    let store = store();
    let cache = cache(&store).await;
    for filter in [Filter::default(), on_node("n1"), app("web")] {
        let mut watcher = cache.watch(0, filter).unwrap();
        put(&store, "a/1", "web", "n1").await;
        catch_up(&store, &cache).await;
        assert_eq!(watcher.bookmark().unwrap(), None, "there is an event to read first");
        assert_eq!(next(&mut watcher, 1).await.len(), 1, "which was not lost by asking");
        let elsewhere = put_elsewhere(&store).await;
        put(&store, "a/2", "db", "n2").await;
        let current = catch_up(&store, &cache).await;
        let Some(bookmark) = watcher.bookmark().unwrap() else {
            // One without a filter has an event more.
            assert_eq!(next(&mut watcher, 1).await.len(), 1);
            assert_eq!(watcher.bookmark().unwrap(), Some(current));
            delete(&store, "a/1").await;
            delete(&store, "a/2").await;
            catch_up(&store, &cache).await;
            continue;
        };
        assert!(bookmark >= elsewhere && bookmark == current);
        delete(&store, "a/1").await;
        delete(&store, "a/2").await;
        catch_up(&store, &cache).await;
    }
}

#[tokio::test]
async fn a_watcher_from_the_future_waits_for_it() {
    let store = store();
    let cache = cache(&store).await;
    let from = cache.revision() + 2;
    let mut plain = cache.watch(from, Filter::default()).unwrap();
    let mut indexed = cache.watch(from, on_node("n1")).unwrap();
    for i in 0..4 {
        put(&store, &format!("a/{i}"), "", "n1").await;
    }
    let expected = [format!("ADDED a/2 @{}", from + 1), format!("ADDED a/3 @{}", from + 2)];
    assert_eq!(next(&mut plain, 2).await, expected);
    assert_eq!(next(&mut indexed, 2).await, expected);
}

#[tokio::test]
async fn more_events_than_a_batch_come_in_several() {
    let store = store();
    let cache = cache(&store).await;
    let from = cache.revision();
    for i in 0..20 {
        let many = (0..100)
            .fold(Txn::new(), |txn, j| txn.then(Op::put(format!("{PREFIX}a/{i}-{j}"), object("x", "web", "n1"))));
        store.txn(many).await.unwrap();
    }
    catch_up(&store, &cache).await;
    for filter in [Filter::default(), on_node("n1"), app("web")] {
        let mut watcher = cache.watch(from, filter).unwrap();
        assert_eq!(next(&mut watcher, 2_000).await.len(), 2_000);
    }
}

#[tokio::test]
async fn a_dropped_watcher_is_not_counted() {
    let store = store();
    let cache = cache(&store).await;
    let watchers: Vec<_> = (0..3).map(|i| cache.watch(0, on_node(&i.to_string())).unwrap()).collect();
    assert_eq!(cache.stats().watchers_count, 3);
    drop(watchers);
    assert_eq!(cache.stats().watchers_count, 0);
}

/// A future that is polled by hand, so that a test sees whether it was woken.
struct Task<T> {
    future: std::pin::Pin<Box<dyn Future<Output = T>>>,
    woken: Arc<Woken>,
}

#[derive(Default)]
struct Woken(std::sync::atomic::AtomicBool);

impl std::task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, std::sync::atomic::Ordering::SeqCst);
    }
}

fn tokio_test_task<T>(future: impl Future<Output = T> + 'static) -> Task<T> {
    Task { future: Box::pin(future), woken: Arc::default() }
}

impl<T> Task<T> {
    fn poll(&mut self) -> std::task::Poll<T> {
        self.woken.0.store(false, std::sync::atomic::Ordering::SeqCst);
        let waker = std::task::Waker::from(Arc::clone(&self.woken));
        self.future.as_mut().poll(&mut std::task::Context::from_waker(&waker))
    }

    fn is_woken(&self) -> bool {
        self.woken.0.load(std::sync::atomic::Ordering::SeqCst)
    }
}
