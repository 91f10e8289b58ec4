//! Upstream's conformance specs of events, in both groups.

use serde_json::{Value, json};

use super::*;

const CORE: &str = "/api/v1/namespaces/default/events";
const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/default/events";

fn core_event(name: &str, label: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "labels": {label: "true"}},
        "message": "This is a test event", "reason": "Test", "type": "Normal", "count": 1,
        "involvedObject": {"namespace": "default"}})
}

fn event(name: &str, label: &str) -> Value {
    json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": name, "labels": {label: "true"}},
        "regarding": {"namespace": "default"}, "eventTime": "2017-09-19T13:49:16.000000Z", "note": "This is it",
        "action": "Do", "reason": "Test", "type": "Normal", "reportingController": "test-controller",
        "reportingInstance": "test-node"})
}

async fn found(server: &ApiServer, path: &str, query: &str) -> Vec<String> {
    let list = get(server, &format!("{path}?{query}")).await.expect(200);
    names(&list).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn an_event_of_the_core_group_is_fetched_patched_and_deleted() {
    let server = server().await;
    post(&server, CORE, &core_event("event-test", "testevent-constant")).await.expect(201);
    let constant = "labelSelector=testevent-constant%3Dtrue";
    assert_eq!(found(&server, "/api/v1/events", constant).await, ["event-test"]);
    let path = format!("{CORE}/event-test");
    patch(&server, "strategic", &path, &json!({"message": "patched"})).await.expect(200);
    let mut read = get(&server, &path).await.expect(200);
    assert_eq!(read["message"], "patched");
    read["series"] = json!({"count": 100, "lastObservedTime": "2017-09-19T13:49:16.000000Z"});
    put(&server, &path, &read).await.expect(200);
    assert_eq!(get(&server, &path).await.expect(200)["series"]["count"], 100);
    delete(&server, &path).await.expect(200);
    assert!(found(&server, "/api/v1/events", constant).await.is_empty());
}

#[tokio::test]
async fn an_event_of_the_events_group_is_fetched_patched_updated_and_deleted() {
    let server = server().await;
    post(&server, EVENTS, &event("event-test", "testevent-constant")).await.expect(201);
    let constant = "labelSelector=testevent-constant%3Dtrue";
    assert_eq!(found(&server, "/apis/events.k8s.io/v1/events", constant).await, ["event-test"]);
    assert_eq!(found(&server, EVENTS, constant).await, ["event-test"]);
    assert_eq!(found(&server, CORE, "fieldSelector=source%3Dtest-controller").await, ["event-test"]);
    assert_eq!(found(&server, EVENTS, "fieldSelector=reportingController%3Dtest-controller").await, ["event-test"]);
    let path = format!("{EVENTS}/event-test");
    let bare = |mut object: Value| {
        for field in ["resourceVersion", "managedFields"] {
            object["metadata"].as_object_mut().unwrap().remove(field);
        }
        object
    };
    let mut want = bare(get(&server, &path).await.expect(200));
    let series = json!({"count": 2, "lastObservedTime": "2017-09-19T13:49:11.000000Z"});
    patch(&server, "strategic", &path, &json!({"series": series})).await.expect(200);
    want["series"] = series;
    assert_eq!(bare(get(&server, &path).await.expect(200)), want);
    want["series"] = json!({"count": 100, "lastObservedTime": "2017-09-19T13:49:16.000000Z"});
    put(&server, &path, &want).await.expect(200);
    assert_eq!(bare(get(&server, &path).await.expect(200)), want);
    delete(&server, &path).await.expect(200);
    assert!(found(&server, EVENTS, constant).await.is_empty());
}

#[tokio::test]
async fn events_are_deleted_as_a_collection_in_either_group() {
    let server = server().await;
    for (path, make) in [(CORE, core_event as fn(&str, &str) -> Value), (EVENTS, event)] {
        for n in 1..4 {
            post(&server, path, &make(&format!("test-event-{n}"), "testevent-set")).await.expect(201);
        }
        let set = "labelSelector=testevent-set%3Dtrue";
        assert_eq!(found(&server, path, set).await.len(), 3);
        delete(&server, &format!("{path}?{set}")).await.expect(200);
        assert!(found(&server, path, set).await.is_empty());
    }
}
