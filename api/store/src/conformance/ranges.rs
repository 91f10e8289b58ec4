//! Many keys: order, bounds, limits, counts.

use super::fixture::*;
use crate::kv::KeyRange;
use crate::request::RangeRequest;
use crate::store::Store;

async fn put_all(store: &Arc<dyn Store>, all: &[&str]) {
    for key in all {
        put(store, key, (*key).to_owned()).await;
    }
}

pub(super) async fn a_range_is_ordered_by_bytes(store: Arc<dyn Store>) {
    put_all(&store, &["/b", "/a/2", "/a-b", "/a", "/a/10", "/Z", "/ä"]).await;
    assert_eq!(keys(&store, "/").await, ["/Z", "/a", "/a-b", "/a/10", "/a/2", "/b", "/ä"]);
}

pub(super) async fn a_prefix_does_not_reach_its_neighbours(store: Arc<dyn Store>) {
    put_all(&store, &["/a/x", "/a/y", "/a", "/ab", "/a0", "/b"]).await;
    assert_eq!(keys(&store, "/a/").await, ["/a/x", "/a/y"]);
    assert_eq!(list(&store, RangeRequest::new(KeyRange::between("/a/y", "/ab"))).await.len(), 2);
    assert_eq!(list(&store, RangeRequest::new(KeyRange::key("/a"))).await.len(), 1);
}

pub(super) async fn an_upside_down_range_is_empty(store: Arc<dyn Store>) {
    put_all(&store, &["/a", "/b"]).await;
    for (start, end) in [("/b", "/a"), ("/a", "/a")] {
        let request = RangeRequest::new(KeyRange::between(start, end));
        let response = store.range(request.clone()).await.unwrap();
        assert_eq!((response.kvs.len(), response.count, response.more), (0, 0, false));
        let past = store.range(request.at(now(&store).await - 1)).await.unwrap();
        assert_eq!(past.count, 0);
    }
}

pub(super) async fn a_limit_cuts_and_says_that_there_is_more(store: Arc<dyn Store>) {
    put_all(&store, &["/a", "/b", "/c"]).await;
    let cut = store.range(RangeRequest::prefix("/").limit(2)).await.unwrap();
    assert_eq!((cut.kvs.len(), cut.more, cut.count), (2, true, 3));
    let exact = store.range(RangeRequest::prefix("/").limit(3)).await.unwrap();
    assert_eq!((exact.kvs.len(), exact.more, exact.count), (3, false, 3));
}

pub(super) async fn a_count_needs_no_values(store: Arc<dyn Store>) {
    put_all(&store, &["/a/1", "/a/2", "/b"]).await;
    let counted = store.range(RangeRequest::prefix("/a/").count_only()).await.unwrap();
    assert_eq!((counted.kvs.len(), counted.count), (0, 2));
}

pub(super) async fn pages_at_one_revision_are_one_picture(store: Arc<dyn Store>) {
    put_all(&store, &["/1", "/3", "/5", "/7", "/9"]).await;
    let mut range = KeyRange::prefix("/");
    let first = store.range(RangeRequest::new(range.clone()).limit(2)).await.unwrap();
    put_all(&store, &["/0", "/4", "/8"]).await;
    delete(&store, "/7").await;
    let mut seen: Vec<String> = first.kvs.iter().map(|kv| kv.key.to_string()).collect();
    loop {
        range = range.after(seen.last().unwrap());
        let page = store.range(RangeRequest::new(range.clone()).limit(2).at(first.revision)).await.unwrap();
        seen.extend(page.kvs.iter().map(|kv| kv.key.to_string()));
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, ["/1", "/3", "/5", "/7", "/9"]);
}

pub(super) async fn an_open_range_reaches_the_end(store: Arc<dyn Store>) {
    put_all(&store, &["/a", "/\u{10FFFF}", "zz"]).await;
    assert_eq!(list(&store, RangeRequest::new(KeyRange::all())).await.len(), 3);
    assert_eq!(keys(&store, "/\u{10FFFF}").await.len(), 1);
}
