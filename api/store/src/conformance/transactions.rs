//! Compare and write.

use super::fixture::*;
use crate::error::StoreError;
use crate::kv::KeyRange;
use crate::request::{
    Compare, CompareOp, CompareTarget, KEY_BYTES_MAX, Op, OpResponse, RangeRequest, TXN_BYTES_MAX, TXN_OPS_MAX, Txn,
};
use crate::store::Store;

pub(super) async fn a_create_of_an_existing_key_answers_with_it(store: Arc<dyn Store>) {
    assert!(txn(&store, Txn::create("/a", "1")).await.succeeded);
    let second = txn(&store, Txn::create("/a", "2")).await;
    assert!(!second.succeeded);
    assert_eq!(text(second.responses[0].kv().unwrap()), "1");
    assert_eq!(value(&store, "/a").await.as_deref(), Some("1"));
}

pub(super) async fn an_update_of_a_stale_version_answers_with_the_live_one(store: Arc<dyn Store>) {
    let first = put(&store, "/a", "1").await;
    let second = txn(&store, Txn::update("/a", "2", first)).await;
    assert!(second.succeeded && second.revision == first + 1);
    let stale = txn(&store, Txn::update("/a", "3", first)).await;
    assert!(!stale.succeeded);
    assert_eq!(stale.responses[0].kv().unwrap().mod_revision, second.revision);
    let gone = txn(&store, Txn::update("/nothing", "3", first)).await;
    assert_eq!((gone.succeeded, gone.responses), (false, vec![OpResponse::Get(None)]));
}

pub(super) async fn a_delete_of_a_stale_version_does_nothing(store: Arc<dyn Store>) {
    let first = put(&store, "/a", "1").await;
    let second = put(&store, "/a", "2").await;
    assert!(!txn(&store, Txn::delete("/a", first)).await.succeeded);
    assert_eq!(value(&store, "/a").await.as_deref(), Some("2"));
    let deleted = txn(&store, Txn::delete("/a", second)).await;
    let OpResponse::Delete { deleted } = &deleted.responses[0] else { panic!("{deleted:?}") };
    assert_eq!(text(&deleted[0]), "2");
    assert_eq!(get(&store, "/a").await, None);
}

pub(super) async fn all_compares_must_hold(store: Arc<dyn Store>) {
    let revision = put(&store, "/a", "1").await;
    let both = |b| {
        let when = Txn::new().when(Compare::mod_revision("/a", revision)).when(Compare::mod_revision("/b", b));
        when.then(Op::put("/c", "yes")).otherwise(Op::put("/c", "no"))
    };
    assert!(!txn(&store, both(7)).await.succeeded);
    assert_eq!(value(&store, "/c").await.as_deref(), Some("no"));
    assert!(txn(&store, both(0)).await.succeeded);
    assert_eq!(value(&store, "/c").await.as_deref(), Some("yes"));
}

pub(super) async fn every_target_and_operator_compares(store: Arc<dyn Store>) {
    let create = put(&store, "/a", "1").await;
    let modified = put(&store, "/a", "2").await;
    let targets =
        [(CompareTarget::CreateRevision, create), (CompareTarget::ModRevision, modified), (CompareTarget::Version, 2)];
    for (target, actual) in targets {
        for op in [CompareOp::Equal, CompareOp::NotEqual, CompareOp::Greater, CompareOp::Less] {
            for value in [actual - 1, actual, actual + 1] {
                let expected = match op {
                    CompareOp::Equal => actual == value,
                    CompareOp::NotEqual => actual != value,
                    CompareOp::Greater => actual > value,
                    CompareOp::Less => actual < value,
                };
                let compare = Compare { key: "/a".to_owned(), target, op, value };
                let response = txn(&store, Txn::new().when(compare.clone())).await;
                assert_eq!(response.succeeded, expected, "{compare:?}, it is {actual}");
            }
        }
    }
}

pub(super) async fn a_transaction_takes_one_revision(store: Arc<dyn Store>) {
    put(&store, "/old", "1").await;
    let before = now(&store).await;
    let three = Txn::new().then(Op::put("/a", "1")).then(Op::put("/b", "2")).then(Op::delete("/old"));
    assert_eq!(txn(&store, three).await.revision, before + 1);
    for key in ["/a", "/b"] {
        assert_eq!(get(&store, key).await.unwrap().mod_revision, before + 1);
    }
    assert_eq!(now(&store).await, before + 1);
}

pub(super) async fn a_transaction_reads_its_own_writes(store: Arc<dyn Store>) {
    put(&store, "/gone", "x").await;
    let request = Txn::new()
        .then(Op::get("/a"))
        .then(Op::put("/a", "1"))
        .then(Op::get("/a"))
        .then(Op::delete("/gone"))
        .then(Op::get("/gone"));
    let response = txn(&store, request).await;
    assert_eq!(response.responses[0].kv(), None);
    assert_eq!(text(response.responses[2].kv().unwrap()), "1");
    assert_eq!(response.responses[4].kv(), None);
}

pub(super) async fn a_range_in_a_transaction_sees_its_writes(store: Arc<dyn Store>) {
    put(&store, "/p/1", "old").await;
    put(&store, "/p/2", "old").await;
    let request = Txn::new()
        .then(Op::delete("/p/1"))
        .then(Op::put("/p/2", "new"))
        .then(Op::put("/p/3", "new"))
        .then(Op::Range(RangeRequest::prefix("/p/")));
    let response = txn(&store, request).await;
    let OpResponse::Range(range) = &response.responses[3] else { panic!("{response:?}") };
    let seen: Vec<_> = range.kvs.iter().map(|kv| format!("{}={}", kv.key, text(kv))).collect();
    assert_eq!(seen, ["/p/2=new", "/p/3=new"]);
}

pub(super) async fn a_range_is_deleted_in_one_revision(store: Arc<dyn Store>) {
    for key in ["/p/1", "/p/2", "/q"] {
        put(&store, key, "x").await;
    }
    let before = now(&store).await;
    let response = txn(&store, Txn::new().then(Op::DeleteRange { range: KeyRange::prefix("/p/") })).await;
    let OpResponse::Delete { deleted } = &response.responses[0] else { panic!("{response:?}") };
    assert_eq!((deleted.len(), response.revision), (2, before + 1));
    assert_eq!(keys(&store, "/").await, ["/q"]);
}

pub(super) async fn the_answer_of_a_put_holds_both_versions(store: Arc<dyn Store>) {
    put(&store, "/a", "1").await;
    let response = txn(&store, Txn::put("/a", "2")).await;
    let OpResponse::Put { kv, prev } = &response.responses[0] else { panic!("{response:?}") };
    assert_eq!((text(kv), prev.as_ref().map(text)), ("2".to_owned(), Some("1".to_owned())));
}

pub(super) async fn a_key_written_twice_is_refused(store: Arc<dyn Store>) {
    let twice = [
        Txn::put("/a", "1").then(Op::put("/a", "2")),
        Txn::put("/a", "1").then(Op::delete("/a")),
        Txn::new().then(Op::delete("/a")).then(Op::put("/a", "1")),
        Txn::new().when(Compare::absent("/b")).otherwise(Op::put("/a", "1")).otherwise(Op::put("/a", "1")),
    ];
    for request in twice {
        let error = store.txn(request).await.unwrap_err();
        assert!(matches!(error, StoreError::InvalidRequest { .. }), "{error}");
    }
    assert_eq!(get(&store, "/a").await, None);
}

pub(super) async fn a_put_inside_a_deleted_range_is_refused(store: Arc<dyn Store>) {
    let request = Txn::new().then(Op::DeleteRange { range: KeyRange::prefix("/p/") }).then(Op::put("/p/a", "1"));
    assert!(matches!(store.txn(request).await, Err(StoreError::InvalidRequest { .. })));
}

pub(super) async fn an_empty_transaction_is_fine(store: Arc<dyn Store>) {
    let before = now(&store).await;
    let response = txn(&store, Txn::new()).await;
    assert_eq!((response.succeeded, response.revision, response.responses.len()), (true, before, 0));
}

pub(super) async fn too_many_operations_are_refused(store: Arc<dyn Store>) {
    let of = |count| (0..count).fold(Txn::new(), |txn, i| txn.then(Op::put(format!("/{i}"), "x")));
    let error = store.txn(of(TXN_OPS_MAX + 1)).await.unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
    assert_eq!(keys(&store, "/").await.len(), 0);
    txn(&store, of(TXN_OPS_MAX)).await;
    assert_eq!(keys(&store, "/").await.len(), TXN_OPS_MAX);
}

pub(super) async fn too_many_bytes_are_refused(store: Arc<dyn Store>) {
    let error = store.txn(Txn::put("/a", vec![0; TXN_BYTES_MAX + 1])).await.unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
    put(&store, "/a", vec![0; TXN_BYTES_MAX]).await;
}

pub(super) async fn bad_keys_are_refused(store: Arc<dyn Store>) {
    assert!(matches!(store.txn(Txn::put("", "x")).await, Err(StoreError::InvalidRequest { .. })));
    let long = "k".repeat(KEY_BYTES_MAX + 1);
    assert!(matches!(store.txn(Txn::put(long.as_str(), "x")).await, Err(StoreError::TooLarge { .. })));
    put(&store, &long[1..], "x").await;
}

pub(super) async fn a_read_in_the_past_inside_a_transaction_is_refused(store: Arc<dyn Store>) {
    let past = Op::Range(RangeRequest::prefix("/").at(1));
    assert!(matches!(store.txn(Txn::new().then(past)).await, Err(StoreError::InvalidRequest { .. })));
}

pub(super) async fn only_one_of_many_creates_wins(store: Arc<dyn Store>) {
    let tries: Vec<_> = (0..50)
        .map(|i| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { txn(&store, Txn::create("/a", i.to_string())).await.succeeded })
        })
        .collect();
    let mut won = 0;
    for one in tries {
        won += usize::from(one.await.unwrap());
    }
    assert_eq!(won, 1);
    assert_eq!(get(&store, "/a").await.unwrap().version, 1);
}

pub(super) async fn concurrent_increments_lose_nothing(store: Arc<dyn Store>) {
    const CLIENTS: usize = 8;
    const EACH: usize = 20;
    put(&store, "/n", "0").await;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for _ in 0..EACH {
                    loop {
                        let kv = get(&store, "/n").await.unwrap();
                        let next = text(&kv).parse::<usize>().unwrap() + 1;
                        if txn(&store, Txn::update("/n", next.to_string(), kv.mod_revision)).await.succeeded {
                            break;
                        }
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(value(&store, "/n").await, Some((CLIENTS * EACH).to_string()));
}

pub(super) async fn a_refused_transaction_changes_nothing(store: Arc<dyn Store>) {
    let before = now(&store).await;
    let request = Txn::put("/a", "1").then(Op::put_with_lease("/b", "2", 4_711));
    assert!(matches!(store.txn(request).await, Err(StoreError::LeaseNotFound { id: 4_711 })));
    assert_eq!((get(&store, "/a").await, now(&store).await), (None, before));
}
