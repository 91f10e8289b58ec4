//! What goes wrong below and beside the server: a full disk, a panic, crowds, restarts. No write is lost or doubled.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use berth_api::{ApiServer, Config, StoreConfig};
use berth_store::{
    GetResponse, Lease, LeaseId, MemoryStore, RangeRequest, RangeResponse, Revision, Store, StoreError, StoreStatus,
    Txn, TxnResponse, WatchRequest, WatchStream,
};
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::support::*;

const WELL: u8 = 0;
const FULL: u8 = 1;
const CLOSED: u8 = 2;
const PANICS: u8 = 3;

/// A store that fails on demand.
#[derive(Debug)]
struct Faulty {
    inner: MemoryStore,
    mode: AtomicU8,
}

impl Faulty {
    fn new() -> Arc<Self> {
        Arc::new(Self { inner: MemoryStore::new().unwrap(), mode: AtomicU8::new(WELL) })
    }

    fn set(&self, mode: u8) {
        self.mode.store(mode, Ordering::SeqCst);
    }
}

impl Store for Faulty {
    fn get<'a>(&'a self, key: &'a str, at: Option<Revision>) -> BoxFuture<'a, Result<GetResponse, StoreError>> {
        assert!(self.mode.load(Ordering::SeqCst) != PANICS, "a planted panic");
        self.inner.get(key, at)
    }

    fn range(&self, request: RangeRequest) -> BoxFuture<'_, Result<RangeResponse, StoreError>> {
        self.inner.range(request)
    }

    fn txn(&self, txn: Txn) -> BoxFuture<'_, Result<TxnResponse, StoreError>> {
        match self.mode.load(Ordering::SeqCst) {
            FULL => Box::pin(async { Err(StoreError::NoSpace { path: "/private/place".into() }) }),
            CLOSED => Box::pin(async { Err(StoreError::Closed) }),
            _ => self.inner.txn(txn),
        }
    }

    fn watch(&self, request: WatchRequest) -> BoxFuture<'_, Result<WatchStream, StoreError>> {
        self.inner.watch(request)
    }

    fn current_revision(&self) -> BoxFuture<'_, Result<Revision, StoreError>> {
        self.inner.current_revision()
    }

    fn lease_grant(&self, ttl: Duration) -> BoxFuture<'_, Result<Lease, StoreError>> {
        self.inner.lease_grant(ttl)
    }

    fn lease_revoke(&self, id: LeaseId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.lease_revoke(id)
    }

    fn lease_keep_alive(&self, id: LeaseId) -> BoxFuture<'_, Result<Lease, StoreError>> {
        self.inner.lease_keep_alive(id)
    }

    fn compact(&self, revision: Revision) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.compact(revision)
    }

    fn status(&self) -> BoxFuture<'_, Result<StoreStatus, StoreError>> {
        self.inner.status()
    }

    fn health(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.health()
    }
}

async fn faulty() -> (Arc<Faulty>, ApiServer) {
    let store = Faulty::new();
    let config = Config { store: StoreConfig::Open(Arc::clone(&store) as Arc<dyn Store>), ..Config::default() };
    (store, ApiServer::open(config).await.unwrap())
}

#[tokio::test]
async fn a_full_disk_refuses_writes_in_clear_words_and_reads_go_on() {
    let (store, server) = faulty().await;
    post(&server, CONFIG_MAPS, &config_map("a")).await.expect(201);
    store.set(FULL);
    let one = format!("{CONFIG_MAPS}/a");
    for answer in [
        post(&server, CONFIG_MAPS, &config_map("b")).await,
        patch(&server, "merge", &one, &json!({"data": {"a": "2"}})).await,
        patch(&server, "apply", &format!("{one}?fieldManager=m&force=true"), &config_map("a")).await,
        delete(&server, &one).await,
    ] {
        assert!(answer.headers.contains_key("retry-after"));
        let status = answer.expect(503);
        assert_eq!(status["reason"], "ServiceUnavailable");
        let message = status["message"].as_str().unwrap();
        assert!(message.contains("disk") && message.contains("nothing was written"), "{message}");
        assert!(!message.contains("/private/place"), "a path of the server's is nobody's business");
    }
    assert_eq!(get(&server, &one).await.expect(200)["data"]["a"], "1");
    assert_eq!(get(&server, CONFIG_MAPS).await.expect(200)["items"].as_array().unwrap().len(), 1);
    store.set(WELL);
    post(&server, CONFIG_MAPS, &config_map("b")).await.expect(201);
}

#[tokio::test]
async fn a_closed_store_says_that_the_server_stops() {
    let (store, server) = faulty().await;
    store.set(CLOSED);
    let status = post(&server, CONFIG_MAPS, &config_map("b")).await.expect(503);
    assert!(status["message"].as_str().unwrap().contains("stopping"));
}

#[tokio::test]
async fn a_panic_is_one_failed_request_and_no_more() {
    let (store, server) = faulty().await;
    post(&server, CONFIG_MAPS, &config_map("a")).await.expect(201);
    store.set(PANICS);
    let one = format!("{CONFIG_MAPS}/a");
    for answer in [get(&server, &one).await, patch(&server, "merge", &one, &json!({"data": {"a": "2"}})).await] {
        let status = answer.expect(500);
        assert_eq!((&status["kind"], &status["reason"]), (&json!("Status"), &json!("InternalError")));
        assert!(!status["message"].as_str().unwrap().contains("planted"));
    }
    store.set(WELL);
    assert_eq!(get(&server, &one).await.expect(200)["data"]["a"], "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_writers_of_one_object_all_get_their_write() {
    let server = server().await;
    post(&server, CONFIG_MAPS, &config_map("crowd")).await.expect(201);
    let one = format!("{CONFIG_MAPS}/crowd");
    let writers = (0..100).map(|n| {
        let (server, one) = (server.clone(), one.clone());
        tokio::spawn(async move {
            let mut object = config_map("crowd");
            object["data"] = json!({format!("k{n}"): "v"});
            match n % 3 {
                0 => patch(&server, "merge", &one, &json!({"data": {format!("k{n}"): "v"}})).await,
                1 => {
                    patch(&server, "json", &one, &json!([{"op": "add", "path": format!("/data/k{n}"), "value": "v"}]))
                        .await
                }
                _ => patch(&server, "apply", &format!("{one}?fieldManager=m{n}"), &object).await,
            }
        })
    });
    for written in futures::future::join_all(writers).await {
        written.unwrap().expect(200);
    }
    let data = get(&server, &one).await.expect(200)["data"].clone();
    let missing: Vec<usize> = (0..100).filter(|n| data[format!("k{n}")] != "v").collect();
    assert_eq!(missing, Vec::<usize>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_increment_is_lost_under_tests_and_stale_versions() {
    let server = server().await;
    let mut object = config_map("counter");
    object["data"]["a"] = json!("0");
    post(&server, CONFIG_MAPS, &object).await.expect(201);
    let one = format!("{CONFIG_MAPS}/counter");
    let tasks = (0..8).map(|n| {
        let (server, one) = (server.clone(), one.clone());
        tokio::spawn(async move {
            for _ in 0..10 {
                loop {
                    let object = get(&server, &one).await.expect(200);
                    let was = object["data"]["a"].as_str().unwrap().to_owned();
                    let is = (was.parse::<u32>().unwrap() + 1).to_string();
                    let answer = if n % 2 == 0 {
                        let body = json!([{"op": "test", "path": "/data/a", "value": was}, {"op": "replace", "path": "/data/a", "value": is}]);
                        patch(&server, "json", &one, &body).await
                    } else {
                        let version = object["metadata"]["resourceVersion"].clone();
                        patch(&server, "merge", &one, &json!({"metadata": {"resourceVersion": version}, "data": {"a": is}})).await
                    };
                    match answer.code {
                        200 => break,
                        409 | 422 => {}
                        _ => panic!("{}", answer.text()),
                    }
                }
            }
        })
    });
    for done in futures::future::join_all(tasks).await {
        done.unwrap();
    }
    assert_eq!(get(&server, &one).await.expect(200)["data"]["a"], "80");
}

/// List, then watch; reconnect from the last revision every few events, and rebuild the collection from events only.
async fn follow(server: ApiServer, cut: usize, end: tokio_util::sync::CancellationToken) -> BTreeMap<String, String> {
    let list = get(&server, CONFIG_MAPS).await.expect(200);
    let mut at: u64 = list["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let key = |object: &Value| {
        let text = |field: &str| object["metadata"][field].as_str().unwrap().to_owned();
        (text("name"), text("resourceVersion"))
    };
    for item in list["items"].as_array().unwrap() {
        let (name, version) = key(item);
        known.insert(name, version);
    }
    loop {
        let path = format!("{CONFIG_MAPS}?watch=1&timeoutSeconds=1&resourceVersion={at}");
        let last_round = end.is_cancelled();
        let mut lines = Lines::new(ask(&server, "GET", &path).response().await);
        for seen in 0.. {
            if seen == cut && !last_round {
                break;
            }
            let Some(event) = lines.next_or_end().await else { break };
            let (name, version) = key(&event["object"]);
            let revision: u64 = version.parse().unwrap();
            assert!(revision > at, "events come in order, and each once");
            at = revision;
            match event["type"].as_str().unwrap() {
                "ADDED" => assert_eq!(known.insert(name, version), None, "an addition of what was there"),
                "MODIFIED" => assert!(known.insert(name, version).is_some(), "a change of what was not there"),
                "DELETED" => assert!(known.remove(&name).is_some(), "a deletion of what was not there"),
                other => panic!("{other}: {event}"),
            }
        }
        if last_round {
            return known;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn watchers_that_reconnect_miss_nothing() {
    let server = server().await;
    let end = tokio_util::sync::CancellationToken::new();
    let watchers: Vec<_> =
        [1, 3, 7, 40].into_iter().map(|cut| tokio::spawn(follow(server.clone(), cut, end.clone()))).collect();
    let writers = (0..16).map(|n| {
        let server = server.clone();
        tokio::spawn(async move {
            for round in 0..20 {
                let name = format!("w{n}-{}", round % 3);
                let one = format!("{CONFIG_MAPS}/{name}");
                post(&server, CONFIG_MAPS, &config_map(&name)).await.expect(201);
                patch(&server, "merge", &one, &json!({"data": {"a": format!("r{round}")}})).await.expect(200);
                if round < 17 {
                    delete(&server, &one).await.expect(200);
                }
            }
        })
    });
    for done in futures::future::join_all(writers).await {
        done.unwrap();
    }
    end.cancel();
    let list = get(&server, CONFIG_MAPS).await.expect(200);
    let truth: BTreeMap<String, String> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let text = |field: &str| item["metadata"][field].as_str().unwrap().to_owned();
            (text("name"), text("resourceVersion"))
        })
        .collect();
    assert_eq!(truth.len(), 48);
    for watcher in watchers {
        assert_eq!(watcher.await.unwrap(), truth);
    }
}

#[tokio::test]
async fn revisions_grow_over_a_restart_and_old_ones_are_told_to_list_again() {
    let dir = tempfile::tempdir().unwrap();
    let open = || async {
        let config = Config { store: StoreConfig::Embedded(dir.path().to_owned()), ..Config::default() };
        ApiServer::open(config).await.unwrap()
    };
    let mut last = 0;
    for round in 0..3 {
        let server = open().await;
        let kept = get(&server, CONFIG_MAPS).await.expect(200);
        assert_eq!(kept["items"].as_array().unwrap().len(), round);
        let listed: u64 = kept["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
        assert!(listed >= last, "{listed} after {last}");
        let made = post(&server, CONFIG_MAPS, &config_map(&format!("c{round}"))).await.expect(201);
        let revision: u64 = made["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
        assert!(revision > last && revision > listed);
        if round > 0 {
            // A watch from before the restart goes on without a gap, or says that it cannot: never silently.
            let path = format!("{CONFIG_MAPS}?watch=1&timeoutSeconds=1&resourceVersion={last}");
            let event = Lines::new(ask(&server, "GET", &path).response().await).next_or_end().await.unwrap();
            let goes_on = event["type"] == "ADDED" && event["object"]["metadata"]["name"] == format!("c{round}");
            assert!(goes_on || event["object"]["code"] == 410, "{event}");
        }
        last = revision;
        server.stop();
        drop(server);
        settled(dir.path()).await;
    }
}

/// Waits until the store of the last server is closed.
async fn settled(dir: &std::path::Path) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        let dir = dir.to_owned();
        let opened = tokio::task::spawn_blocking(move || {
            berth_store::EmbeddedStore::open(berth_store::EmbeddedConfig::new(dir)).is_ok()
        });
        if opened.await.unwrap() || tokio::time::Instant::now() > deadline {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
