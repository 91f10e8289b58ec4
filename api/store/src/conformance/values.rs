//! Single keys: put, get, delete, and the numbers they carry.

use bytes::Bytes;

use super::fixture::*;
use crate::request::Txn;
use crate::store::Store;

pub(super) async fn a_new_store_is_empty_and_above_zero(store: Arc<dyn Store>) {
    assert!(now(&store).await > 0, "0 means never");
    assert_eq!(keys(&store, "").await, Vec::<String>::new());
    store.health().await.unwrap();
}

pub(super) async fn a_put_is_read_back(store: Arc<dyn Store>) {
    let revision = put(&store, "/a", "one").await;
    let kv = get(&store, "/a").await.unwrap();
    assert_eq!((text(&kv).as_str(), &*kv.key), ("one", "/a"));
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version, kv.lease), (revision, revision, 1, None));
}

pub(super) async fn a_get_of_nothing_is_nothing(store: Arc<dyn Store>) {
    put(&store, "/a/b", "1").await;
    for key in ["/a", "/a/", "/a/bb", "/", "b"] {
        assert_eq!(value(&store, key).await, None, "{key}");
    }
}

pub(super) async fn an_empty_value_is_a_value(store: Arc<dyn Store>) {
    put(&store, "/a", "").await;
    assert_eq!(value(&store, "/a").await.as_deref(), Some(""));
}

pub(super) async fn a_value_may_hold_any_bytes(store: Arc<dyn Store>) {
    let bytes: Vec<u8> = (0..=255).cycle().take(1_000).collect();
    put(&store, "/a", bytes.clone()).await;
    assert_eq!(get(&store, "/a").await.unwrap().value, bytes);
}

pub(super) async fn a_large_value_is_kept_whole(store: Arc<dyn Store>) {
    let bytes = vec![7; 1_200_000];
    put(&store, "/a", bytes.clone()).await;
    put(&store, "/b", bytes.clone()).await;
    assert_eq!(get(&store, "/a").await.unwrap().value, bytes);
    assert_eq!(get(&store, "/b").await.unwrap().value, bytes);
}

pub(super) async fn a_key_may_hold_any_text(store: Arc<dyn Store>) {
    let all = ["/ü/ß", "/a b", "/a\nb", "/\u{10FFFF}", "/\u{0}", "/%2F"];
    for key in all {
        put(&store, key, key.to_owned()).await;
    }
    for key in all {
        assert_eq!(value(&store, key).await.as_deref(), Some(key));
    }
}

pub(super) async fn versions_count_the_writes_of_a_life(store: Arc<dyn Store>) {
    let first = put(&store, "/a", "1").await;
    put(&store, "/b", "other").await;
    let last = put(&store, "/a", "2").await;
    let kv = get(&store, "/a").await.unwrap();
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (first, last, 2));
}

pub(super) async fn a_second_life_begins_anew(store: Arc<dyn Store>) {
    put(&store, "/a", "1").await;
    put(&store, "/a", "2").await;
    delete(&store, "/a").await;
    let reborn = put(&store, "/a", "3").await;
    let kv = get(&store, "/a").await.unwrap();
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (reborn, reborn, 1));
}

pub(super) async fn a_deleted_key_is_gone(store: Arc<dyn Store>) {
    put(&store, "/a", "1").await;
    delete(&store, "/a").await;
    assert_eq!(get(&store, "/a").await, None);
    assert_eq!(keys(&store, "/").await, Vec::<String>::new());
}

pub(super) async fn the_revision_goes_up_by_one_a_write(store: Arc<dyn Store>) {
    let start = now(&store).await;
    assert_eq!(put(&store, "/a", "1").await, start + 1);
    assert_eq!(put(&store, "/a", "1").await, start + 2, "also for the same value");
    assert_eq!(delete(&store, "/a").await, start + 3);
    assert_eq!(now(&store).await, start + 3);
}

pub(super) async fn reads_and_failed_deletes_take_no_revision(store: Arc<dyn Store>) {
    put(&store, "/a", "1").await;
    let before = now(&store).await;
    delete(&store, "/nothing").await;
    txn(&store, Txn::create("/a", "2")).await;
    txn(&store, Txn::new().then(crate::Op::get("/a"))).await;
    keys(&store, "/").await;
    assert_eq!(now(&store).await, before);
}

pub(super) async fn a_small_slice_of_a_large_buffer_is_a_value(store: Arc<dyn Store>) {
    let large = Bytes::from(vec![b'x'; 100_000]);
    put(&store, "/a", large.slice(10..14)).await;
    assert_eq!(value(&store, "/a").await.as_deref(), Some("xxxx"));
}

pub(super) async fn the_status_counts_keys_and_bytes(store: Arc<dyn Store>) {
    put(&store, "/a", "12345").await;
    put(&store, "/a", "123").await;
    put(&store, "/b", "12").await;
    put(&store, "/c", "1").await;
    delete(&store, "/c").await;
    let status = store.status().await.unwrap();
    assert_eq!((status.keys_count, status.value_bytes), (2, 5));
    assert_eq!(status.revision, now(&store).await);
    assert!(status.write_error.is_none());
}
