//! Watches.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn a_watch_tells_every_change_in_order() {
    let server = server().await;
    let list = get(&server, CONFIG_MAPS).await.expect(200);
    let from = list["metadata"]["resourceVersion"].as_str().unwrap();
    let path = format!("{CONFIG_MAPS}?watch=1&resourceVersion={from}");
    let mut lines = Lines::new(ask(&server, "GET", &path).response().await);
    post(&server, CONFIG_MAPS, &config_map("a")).await.expect(201);
    patch(&server, "merge", &format!("{CONFIG_MAPS}/a"), &json!({"data": {"a": "2"}})).await.expect(200);
    delete(&server, &format!("{CONFIG_MAPS}/a")).await.expect(200);
    let mut last = 0;
    for expected in ["ADDED", "MODIFIED", "DELETED"] {
        let event = lines.next().await.unwrap();
        assert_eq!(event["type"], expected);
        let revision: u64 = event["object"]["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
        assert!(revision > last);
        last = revision;
    }
    let mut replayed = Lines::new(ask(&server, "GET", &path).response().await);
    assert_eq!(replayed.brief(3).await, ["ADDED a", "MODIFIED a", "DELETED a"]);
}

#[tokio::test]
async fn without_a_revision_a_watch_begins_with_what_is_there() {
    let server = server().await;
    post(&server, CONFIG_MAPS, &config_map("a")).await.expect(201);
    for query in ["watch=true", "watch=1&resourceVersion=0"] {
        let mut lines = Lines::new(ask(&server, "GET", &format!("{CONFIG_MAPS}?{query}")).response().await);
        assert_eq!(lines.brief(1).await, ["ADDED a"]);
    }
}

#[tokio::test]
async fn selectors_turn_changes_into_comings_and_goings() {
    let server = server().await;
    let path = format!("{CONFIG_MAPS}?watch=1&labelSelector=on%3Dyes");
    let mut lines = Lines::new(ask(&server, "GET", &path).response().await);
    post(&server, CONFIG_MAPS, &config_map("a")).await.expect(201);
    let label = |value: &str| json!({"metadata": {"labels": {"on": value}}});
    patch(&server, "merge", &format!("{CONFIG_MAPS}/a"), &label("yes")).await.expect(200);
    patch(&server, "merge", &format!("{CONFIG_MAPS}/a"), &json!({"data": {"a": "2"}})).await.expect(200);
    patch(&server, "merge", &format!("{CONFIG_MAPS}/a"), &label("no")).await.expect(200);
    assert_eq!(lines.brief(3).await, ["ADDED a", "MODIFIED a", "DELETED a"]);
}

#[tokio::test]
async fn a_streaming_list_ends_with_its_mark() {
    let server = server().await;
    post(&server, CONFIG_MAPS, &config_map("a")).await.expect(201);
    let query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut lines = Lines::new(ask(&server, "GET", &format!("{CONFIG_MAPS}?{query}")).response().await);
    assert_eq!(lines.brief(1).await, ["ADDED a"]);
    let mark = lines.next().await.unwrap();
    assert_eq!(mark["type"], "BOOKMARK");
    assert_eq!(mark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    assert_eq!((&mark["object"]["kind"], &mark["object"]["apiVersion"]), (&json!("ConfigMap"), &json!("v1")));
    post(&server, CONFIG_MAPS, &config_map("b")).await.expect(201);
    assert_eq!(lines.brief(1).await, ["ADDED b"]);
    ask(&server, "GET", &format!("{CONFIG_MAPS}?watch=1&sendInitialEvents=true")).send().await.expect(422);
}

#[tokio::test]
async fn an_empty_streaming_list_has_its_mark_too() {
    let server = server().await;
    let query =
        "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&resourceVersion=0";
    let mut lines = Lines::new(ask(&server, "GET", &format!("{CONFIG_MAPS}?{query}")).response().await);
    assert_eq!(lines.next().await.unwrap()["type"], "BOOKMARK");
}

#[tokio::test]
async fn a_watch_ends_in_time_after_a_bookmark() {
    let server = server().await;
    let started = Instant::now();
    let path = format!("{CONFIG_MAPS}?watch=1&timeoutSeconds=3&allowWatchBookmarks=true");
    let mut lines = Lines::new(ask(&server, "GET", &path).response().await);
    post(&server, SERVICES, &service("x")).await.expect(201);
    let bookmark = lines.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert!(lines.next_or_end().await.is_none());
    assert!(started.elapsed() >= Duration::from_millis(2500) && started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_plain_watch_ends_cleanly_without_bookmarks() {
    let server = server().await;
    let mut lines =
        Lines::new(ask(&server, "GET", &format!("{CONFIG_MAPS}?watch=1&timeoutSeconds=1")).response().await);
    assert!(lines.next_or_end().await.is_none());
}

#[tokio::test]
async fn too_old_a_revision_is_410_in_the_stream() {
    let store = std::sync::Arc::new(berth_store::MemoryStore::new().unwrap());
    let config = berth_api::Config { store: berth_api::StoreConfig::Open(store), ..berth_api::Config::default() };
    let first = berth_api::ApiServer::open(config.clone()).await.unwrap();
    for index in 0..20 {
        post(&first, CONFIG_MAPS, &config_map(&format!("c{index}"))).await.expect(201);
    }
    // A second server on the same store has none of the history in memory.
    let second = berth_api::ApiServer::open(config).await.unwrap();
    let mut lines =
        Lines::new(ask(&second, "GET", &format!("{CONFIG_MAPS}?watch=1&resourceVersion=1")).response().await);
    let event = lines.next().await.unwrap();
    assert_eq!(event["type"], "ERROR");
    assert_eq!((&event["object"]["code"], &event["object"]["reason"]), (&json!(410), &json!("Expired")));
    assert!(lines.next_or_end().await.is_none());
    post(&first, CONFIG_MAPS, &config_map("late")).await.expect(201);
    get(&second, &format!("{CONFIG_MAPS}/late")).await.expect(200);
    assert_eq!(get(&second, CONFIG_MAPS).await.expect(200)["items"].as_array().map(Vec::len), Some(21));
}

#[tokio::test]
async fn a_table_watch_has_its_columns_once() {
    let server = server().await;
    post(&server, SERVICES, &service("a")).await.expect(201);
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let mut lines =
        Lines::new(ask(&server, "GET", &format!("{SERVICES}?watch=1")).header("accept", table).response().await);
    let first = lines.next().await.unwrap();
    assert_eq!(first["object"]["kind"], "Table");
    assert!(first["object"]["columnDefinitions"].is_array());
    post(&server, SERVICES, &service("b")).await.expect(201);
    assert!(lines.next().await.unwrap()["object"]["columnDefinitions"].is_null());
    let partial = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
    let mut lines =
        Lines::new(ask(&server, "GET", &format!("{SERVICES}?watch=1")).header("accept", partial).response().await);
    assert_eq!(lines.next().await.unwrap()["object"]["kind"], "PartialObjectMetadata");
    ask(&server, "GET", &format!("{SERVICES}?watch=1")).header("accept", "application/yaml").send().await.expect(406);
}

#[tokio::test]
async fn a_stop_ends_watches_cleanly() {
    let server = server().await;
    let mut lines = Lines::new(ask(&server, "GET", &format!("{CONFIG_MAPS}?watch=1")).response().await);
    assert_eq!(get(&server, "/readyz").await.code, 200);
    server.stop();
    assert!(lines.next_or_end().await.is_none());
    assert_eq!(get(&server, "/readyz").await.code, 500);
    assert_eq!(get(&server, "/livez").await.code, 200);
}
