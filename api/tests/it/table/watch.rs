//! Rows C106 to C116: changes as they happen.

use std::time::{Duration, Instant};

use berth_api::ApiServer;
use serde_json::json;

use super::*;

async fn watching(server: &ApiServer, query: &str) -> Lines {
    Lines::new(ask(server, "GET", &format!("{WIDGETS}?watch=1&{query}")).response().await)
}

#[tokio::test]
async fn every_change_since_the_list_comes_in_order() {
    let server = toy().await;
    let from = revision(&get(&server, WIDGETS).await.expect(200));
    post(&server, WIDGETS, &widget("a")).await.expect(201);
    for size in 4..7 {
        patch(&server, "merge", &at("a"), &json!({"spec": {"size": size}})).await.expect(200);
    }
    delete(&server, &at("a")).await.expect(200);
    let mut lines = watching(&server, &format!("resourceVersion={from}")).await;
    let mut last = from;
    for (kind, size) in [("ADDED", 3), ("MODIFIED", 4), ("MODIFIED", 5), ("MODIFIED", 6), ("DELETED", 6)] {
        let event = lines.next().await.unwrap();
        assert_eq!((&event["type"], &event["object"]["spec"]["size"]), (&json!(kind), &json!(size)));
        assert!(revision(&event["object"]) > last);
        last = revision(&event["object"]);
    }
}

#[tokio::test]
async fn a_selection_is_entered_and_left() {
    let server = toy().await;
    for (selector, enter, leave) in [
        (
            "labelSelector=on%3Dyes",
            json!({"metadata": {"labels": {"on": "yes"}}}),
            json!({"metadata": {"labels": {"on": "no"}}}),
        ),
        ("fieldSelector=spec.color%3Dblue", json!({"spec": {"color": "blue"}}), json!({"spec": {"color": "red"}})),
    ] {
        let mut lines = watching(&server, selector).await;
        post(&server, WIDGETS, &widget("a")).await.expect(201);
        patch(&server, "merge", &at("a"), &enter).await.expect(200);
        let left = patch(&server, "merge", &at("a"), &leave).await.expect(200);
        patch(&server, "merge", &at("a"), &enter).await.expect(200);
        delete(&server, &at("a")).await.expect(200);
        assert_eq!(lines.brief(1).await, ["ADDED a"]);
        let event = lines.next().await.unwrap();
        assert_eq!((&event["type"], revision(&event["object"])), (&json!("DELETED"), revision(&left)));
        let old = json!([event["object"]["metadata"]["labels"]["on"], event["object"]["spec"]["color"]]);
        assert!(old == json!(["yes", "red"]) || old == json!([null, "blue"]), "the state before: {old}");
        assert_eq!(lines.brief(2).await, ["ADDED a", "DELETED a"]);
    }
}

#[tokio::test]
async fn a_watch_from_nowhere_begins_with_what_is_there() {
    let server = toy().await;
    for name in ["a", "b"] {
        post(&server, WIDGETS, &widget(name)).await.expect(201);
    }
    for query in ["", "resourceVersion=0", "resourceVersion="] {
        assert_eq!(watching(&server, query).await.brief(2).await, ["ADDED a", "ADDED b"], "{query}");
    }
    let nowhere = "/apis/demo.example.com/v1/namespaces/nowhere/widgets?watch=1&timeoutSeconds=1";
    let mut lines = Lines::new(ask(&server, "GET", nowhere).response().await);
    assert!(lines.next_or_end().await.is_none());
    let off = get(&server, &format!("{WIDGETS}?watch=0")).await.expect(200);
    assert_eq!(off["kind"], "WidgetList");
    assert_eq!(get(&server, &format!("{}?watch=1", at("a"))).await.expect(200)["kind"], "Widget");
}

#[tokio::test]
async fn an_end_comes_in_time_and_marks_before_it() {
    let server = toy().await;
    let started = Instant::now();
    assert!(watching(&server, "timeoutSeconds=1").await.next_or_end().await.is_none());
    assert!(started.elapsed() >= Duration::from_millis(900) && started.elapsed() < Duration::from_secs(5));
    post(&server, WIDGETS, &widget("a")).await.expect(201);
    let from = revision(&get(&server, WIDGETS).await.expect(200));
    let mut lines =
        watching(&server, &format!("timeoutSeconds=3&allowWatchBookmarks=true&resourceVersion={from}")).await;
    let mark = lines.next().await.unwrap();
    assert_eq!(mark["type"], "BOOKMARK");
    assert!(revision(&mark["object"]) >= from);
    let bare = json!({"kind": "Widget", "apiVersion": "demo.example.com/v1",
        "metadata": {"resourceVersion": mark["object"]["metadata"]["resourceVersion"]}});
    assert_eq!(mark["object"], bare);
    let mut lines = watching(&server, &format!("timeoutSeconds=2&resourceVersion={from}")).await;
    assert!(lines.next_or_end().await.is_none(), "no marks unless they are asked for");
}

#[tokio::test]
async fn a_list_may_come_as_a_stream() {
    let server = toy().await;
    for name in ["a", "b"] {
        post(&server, WIDGETS, &widget(name)).await.expect(201);
    }
    let at_least = revision(&get(&server, WIDGETS).await.expect(200));
    let all = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    for query in [all.to_owned(), format!("{all}&resourceVersion=0"), format!("{all}&resourceVersion={at_least}")] {
        let mut lines = watching(&server, &query).await;
        assert_eq!(lines.brief(2).await, ["ADDED a", "ADDED b"]);
        let mark = lines.next().await.unwrap();
        assert!(revision(&mark["object"]) >= at_least || query.ends_with("=0"));
        let meta = json!({"annotations": {"k8s.io/initial-events-end": "true"},
            "resourceVersion": mark["object"]["metadata"]["resourceVersion"]});
        assert_eq!(
            mark,
            json!({"type": "BOOKMARK", "object": {"apiVersion": "demo.example.com/v1", "kind": "Widget", "metadata": meta}})
        );
    }
    let quiet = "sendInitialEvents=false&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=5";
    let mut lines = watching(&server, quiet).await;
    post(&server, WIDGETS, &widget("c")).await.expect(201);
    let next = loop {
        let event = lines.next().await.unwrap();
        if event["type"] != "BOOKMARK" {
            break event;
        }
    };
    assert_eq!((&next["type"], &next["object"]["metadata"]["name"]), (&json!("ADDED"), &json!("c")));
}

#[tokio::test]
async fn a_stream_that_cannot_be_had_is_refused() {
    let server = toy().await;
    let path = |query: &str| format!("{WIDGETS}?watch=1&{query}");
    get(&server, &path("sendInitialEvents=true")).await.hints(
        422,
        "Invalid",
        "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
    );
    get(&server, &path("resourceVersionMatch=NotOlderThan")).await.hints(
        422,
        "Invalid",
        "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
    );
}

#[tokio::test]
async fn what_was_acknowledged_is_in_the_next_stream() {
    let server = toy().await;
    for n in 0..20 {
        let name = format!("w{n}");
        post(&server, WIDGETS, &widget(&name)).await.expect(201);
        let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
        let mut lines = watching(&server, query).await;
        let mut seen = vec![];
        loop {
            let event = lines.next().await.unwrap();
            if event["type"] == "BOOKMARK" {
                break;
            }
            seen.push(event["object"]["metadata"]["name"].as_str().unwrap().to_owned());
        }
        assert!(seen.contains(&name), "{seen:?}");
    }
}

#[tokio::test]
async fn events_come_as_rows_or_as_metadata() {
    let server = toy().await;
    post(&server, WIDGETS, &widget("a")).await.expect(201);
    let path = format!("{WIDGETS}?watch=1");
    let mut rows = Lines::new(ask(&server, "GET", &path).header("accept", TABLE).response().await);
    let mut metas = Lines::new(ask(&server, "GET", &path).header("accept", PARTIAL).response().await);
    let first = rows.next().await.unwrap();
    assert_eq!(
        (&first["object"]["kind"], first["object"]["rows"].as_array().map(Vec::len)),
        (&json!("Table"), Some(1))
    );
    assert_eq!(first["object"]["columnDefinitions"].as_array().map(Vec::len), Some(6));
    post(&server, WIDGETS, &widget("b")).await.expect(201);
    let second = rows.next().await.unwrap();
    assert!(second["object"]["columnDefinitions"].is_null());
    assert_eq!(second["object"]["rows"][0]["cells"][0], "b");
    for name in ["a", "b"] {
        let event = metas.next().await.unwrap();
        assert_eq!(
            (&event["object"]["kind"], &event["object"]["metadata"]["name"]),
            (&json!("PartialObjectMetadata"), &json!(name))
        );
        assert!(event["object"].get("spec").is_none());
    }
}

#[tokio::test]
async fn a_quiet_watch_is_marked_every_minute() {
    use http_body_util::BodyExt;
    let server = toy().await;
    let from = revision(&get(&server, WIDGETS).await.expect(200));
    let path = format!("{WIDGETS}?watch=1&allowWatchBookmarks=true&resourceVersion={from}");
    let mut body = ask(&server, "GET", &path).response().await.into_body();
    // Nothing else happens: the clock jumps to what comes next.
    tokio::time::pause();
    let mut last = tokio::time::Instant::now();
    for _ in 0..3 {
        let frame = body.frame().await.expect("the watch goes on").expect("bodies never fail");
        let event: Value = serde_json::from_slice(frame.data_ref().expect("no trailers")).expect("a line is JSON");
        assert_eq!(event["type"], "BOOKMARK");
        assert!(revision(&event["object"]) >= from);
        assert!(last.elapsed() < Duration::from_secs(65), "{:?}", last.elapsed());
        last = tokio::time::Instant::now();
    }
}
