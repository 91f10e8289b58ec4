//! Lists over several requests.

use super::*;

#[tokio::test]
async fn a_snapshot_does_not_change() {
    let store = store();
    for i in 0..300 {
        put(&store, &format!("a/{i:03}"), "web", "n1").await;
    }
    let cache = cache(&store).await;
    let before = cache.snapshot();
    let listed = names(&before);
    for i in 0..300 {
        if i % 3 == 0 {
            delete(&store, &format!("a/{i:03}")).await
        } else {
            put(&store, &format!("b/{i}"), "", "").await
        };
    }
    catch_up(&store, &cache).await;
    assert_eq!(names(&before), listed);
    assert_eq!(cache.snapshot().len(), 400);
}

#[tokio::test]
async fn pages_of_a_revision_are_one_picture() {
    let store = store();
    for i in 0..10 {
        put(&store, &format!("a/{i}"), "web", "n1").await;
    }
    let cache = cache(&store).await;
    for is_kept in [false, true] {
        let first = cache.snapshot();
        if is_kept {
            cache.keep(&first);
        }
        let mut seen: Vec<(String, String)> = Vec::new();
        loop {
            // The world goes on between two pages.
            delete(&store, "a/7").await;
            put(&store, "a/55", "new", "").await;
            put(&store, "a/2", "changed", "").await;
            catch_up(&store, &cache).await;
            let snapshot = cache.snapshot_at(first.revision()).unwrap();
            assert_eq!(snapshot.revision(), first.revision());
            let last = seen.last().cloned();
            let after = last.as_ref().map(|(namespace, name)| (namespace.as_str(), name.as_str()));
            let page: Vec<_> = snapshot.after(Some("a"), after).take(3).collect();
            if page.is_empty() {
                break;
            }
            seen.extend(page.iter().map(|entry| (entry.namespace().to_owned(), entry.name().to_owned())));
        }
        let names: Vec<_> = seen.iter().map(|(_, name)| name.as_str()).collect();
        let expected = first.iter().map(Entry::name).collect::<Vec<_>>();
        assert_eq!(names, expected, "kept: {is_kept}");
        put(&store, "a/7", "web", "n1").await;
        delete(&store, "a/55").await;
        catch_up(&store, &cache).await;
    }
}

#[tokio::test]
async fn a_page_stays_in_its_namespace() {
    let store = store();
    for path in ["a/1", "a/2", "a-b/1", "b/1"] {
        put(&store, path, "", "").await;
    }
    let snapshot = cache(&store).await.snapshot();
    let page = |namespace, after| {
        snapshot.after(namespace, after).map(|entry| entry.key()[PREFIX.len()..].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(page(Some("a"), None), ["a/1", "a/2"]);
    assert_eq!(page(Some("a"), Some(("a", "1"))), ["a/2"]);
    assert_eq!(page(Some("a"), Some(("a", "2"))), Vec::<String>::new());
    assert_eq!(page(None, Some(("a", "2"))), ["a-b/1", "b/1"]);
    assert_eq!(page(None, Some(("a", "15"))), ["a/2", "a-b/1", "b/1"], "also after one that is gone");
    assert_eq!(page(Some("nothing"), None), Vec::<String>::new());
}

#[tokio::test]
async fn the_past_is_there_while_the_ring_reaches_back() {
    let store = store();
    let config = CacheConfig { ring_events_max: 10, ..CacheConfig::default() };
    let cache = Cache::start(Arc::clone(&store), PREFIX, config).await.unwrap();
    let mut revisions = Vec::new();
    for i in 0..30 {
        revisions.push(put(&store, &format!("a/{i:02}"), "", "").await);
    }
    let current = catch_up(&store, &cache).await;
    assert_eq!(cache.snapshot_at(revisions[25]).unwrap().len(), 26);
    assert_eq!(cache.snapshot_at(0).unwrap().len(), 30);
    assert_eq!(cache.snapshot_at(revisions[19]).unwrap().len(), 20, "the oldest");
    let gone = cache.snapshot_at(revisions[18]).unwrap_err();
    assert_eq!(gone, SnapshotError::Gone(Gone { requested: revisions[18], oldest: revisions[19] }));
    let new = cache.snapshot_at(current + 1).unwrap_err();
    assert_eq!(new, SnapshotError::TooNew(TooNew { requested: current + 1, current }));
}
