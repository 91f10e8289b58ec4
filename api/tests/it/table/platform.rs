//! Rows about many clients and many objects at once, and about two servers on one store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use berth_api::{Config, StoreConfig};
use berth_store::MemoryStore;
use serde_json::json;

use super::*;

#[tokio::test]
async fn an_answer_to_head_has_no_body_and_options_are_not_answered() {
    let server = toy().await;
    post(&server, WIDGETS, &widget("a")).await.expect(201);
    let head = ask(&server, "HEAD", &at("a")).send().await;
    assert_eq!((head.code, head.bytes.len()), (200, 0));
    assert_eq!(head.headers["content-type"], "application/json");
    assert_eq!(ask(&server, "HEAD", &at("zzz")).send().await.code, 404);
    assert_eq!(ask(&server, "OPTIONS", WIDGETS).send().await.code, 405);
    assert_eq!(ask(&server, "OPTIONS", &at("a")).send().await.code, 405);
}

#[tokio::test]
async fn a_watcher_that_reads_nothing_delays_nobody() {
    let server = toy().await;
    post(&server, WIDGETS, &widget("a")).await.expect(201);
    let from = revision(&get(&server, WIDGETS).await.expect(200));
    let path = format!("{WIDGETS}?watch=1&resourceVersion={from}");
    // Open, and never read from.
    let _slow = ask(&server, "GET", &path).response().await;
    let mut quick = Lines::new(ask(&server, "GET", &path).response().await);
    let mut worst = Duration::ZERO;
    for n in 0..500 {
        let started = Instant::now();
        patch(&server, "merge", &at("a"), &json!({"spec": {"params": {"n": n.to_string()}}})).await.expect(200);
        let event = quick.next().await.unwrap();
        assert_eq!(event["object"]["spec"]["params"]["n"], n.to_string());
        worst = worst.max(started.elapsed());
    }
    assert!(worst < Duration::from_secs(2), "{worst:?}");
}

#[tokio::test]
async fn a_thousand_watches_each_see_every_update_in_order() {
    const WATCHES: usize = 1_000;
    const UPDATES: usize = 100;
    let server = toy().await;
    post(&server, WIDGETS, &widget("a")).await.expect(201);
    let from = revision(&get(&server, WIDGETS).await.expect(200));
    let mut watches = tokio::task::JoinSet::new();
    for _ in 0..WATCHES {
        let path = format!("{WIDGETS}?watch=1&resourceVersion={from}");
        let mut lines = Lines::new(ask(&server, "GET", &path).response().await);
        watches.spawn(async move {
            for n in 0..UPDATES {
                let event = lines.next().await.expect("the watch goes on");
                assert_eq!(event["object"]["spec"]["params"]["n"], n.to_string());
            }
        });
    }
    for n in 0..UPDATES {
        patch(&server, "merge", &at("a"), &json!({"spec": {"params": {"n": n.to_string()}}})).await.expect(200);
    }
    assert_eq!(watches.join_all().await.len(), WATCHES);
}

#[tokio::test]
async fn two_servers_on_one_store_read_each_others_writes() {
    let store = Arc::new(MemoryStore::new().unwrap());
    let config = Config { store: StoreConfig::Open(store), ..Config::default() };
    let (one, two) = (ApiServer::open(config.clone()).await.unwrap(), ApiServer::open(config).await.unwrap());
    for n in 0..20 {
        let name = format!("c{n}");
        let made = post(&one, CONFIG_MAPS, &config_map(&name)).await.expect(201);
        let path = format!("{CONFIG_MAPS}/{name}");
        get(&two, &path).await.expect(200);
        assert!(names(&get(&two, CONFIG_MAPS).await.expect(200)).contains(&name.as_str()));
        let at_least = format!("resourceVersion={}", revision(&made));
        get(&two, &format!("{path}?{at_least}")).await.expect(200);
        assert!(names(&get(&two, &format!("{CONFIG_MAPS}?{at_least}")).await.expect(200)).contains(&name.as_str()));
        let mut change = made;
        change["data"]["a"] = "2".into();
        put(&two, &path, &change).await.expect(200);
        put(&one, &path, &change).await.expect(409);
    }
}

#[tokio::test]
async fn ten_thousand_objects_are_listed_whole_and_in_pages() {
    const COUNT: usize = 10_000;
    let server = server().await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let server = server.clone();
        writers.spawn(async move {
            for n in (writer..COUNT).step_by(8) {
                post(&server, CONFIG_MAPS, &config_map(&format!("c{n:05}"))).await.expect(201);
            }
        });
    }
    writers.join_all().await;
    let whole = get(&server, &format!("{CONFIG_MAPS}?resourceVersion=0")).await.expect(200);
    assert_eq!(names(&whole).len(), COUNT);
    let (mut token, mut seen) = (String::new(), 0);
    loop {
        let page = get(&server, &format!("{CONFIG_MAPS}?limit=500&continue={token}")).await.expect(200);
        seen += names(&page).len();
        token = page["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, COUNT);
}
