//! Lists: selectors, pages, and what a resourceVersion means.

use std::time::Instant;

use berth_api::ApiServer;
use serde_json::json;

use crate::support::*;

async fn with_ten() -> ApiServer {
    let server = server().await;
    for index in 0..10 {
        let mut object = config_map(&format!("c{index}"));
        object["metadata"]["labels"] =
            json!({"n": index.to_string(), "parity": if index % 2 == 0 { "even" } else { "odd" }});
        post(&server, CONFIG_MAPS, &object).await.expect(201);
    }
    server
}

async fn names(server: &ApiServer, query: &str) -> Vec<String> {
    let list = get(server, &format!("{CONFIG_MAPS}?{query}")).await.expect(200);
    let items = list["items"].as_array().unwrap();
    items.iter().map(|i| i["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn pages_show_one_state() {
    let server = with_ten().await;
    let first = get(&server, &format!("{CONFIG_MAPS}?limit=3")).await.expect(200);
    assert_eq!(first["items"].as_array().map(Vec::len), Some(3));
    assert_eq!(first["metadata"]["remainingItemCount"], 7);
    let token = first["metadata"]["continue"].as_str().unwrap().to_owned();
    post(&server, CONFIG_MAPS, &config_map("c9z")).await.expect(201);
    delete(&server, &format!("{CONFIG_MAPS}/c5")).await.expect(200);
    let second = get(&server, &format!("{CONFIG_MAPS}?limit=30&continue={token}")).await.expect(200);
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    assert_eq!(second["items"].as_array().map(Vec::len), Some(7));
    assert_eq!(second["metadata"]["continue"], "");
    get(&server, &format!("{CONFIG_MAPS}?continue={token}&resourceVersion=5")).await.expect(400);
    get(&server, &format!("{CONFIG_MAPS}?continue=garbage")).await.expect(400);
    get(&server, &format!("{CONFIG_MAPS}?limit=abc")).await.expect(400);
    assert_eq!(names(&server, "limit=-1").await.len(), 10);
    assert_eq!(names(&server, "limit=2&resourceVersion=0").await.len(), 10);
    let selected = get(&server, &format!("{CONFIG_MAPS}?limit=2&labelSelector=parity%3Dodd")).await.expect(200);
    assert!(selected["metadata"].get("remainingItemCount").is_none());
    assert_ne!(selected["metadata"]["continue"], "");
}

#[tokio::test]
async fn selectors_pick() {
    let server = with_ten().await;
    for (query, count) in [
        ("labelSelector=parity%3Deven", 5),
        ("labelSelector=parity%21%3Deven", 5),
        ("labelSelector=n%20in%20(1,2)", 2),
        ("labelSelector=n%20notin%20(1,2)", 8),
        ("labelSelector=n%3E7", 2),
        ("labelSelector=%21zzz", 10),
        ("labelSelector=zzz", 0),
        ("fieldSelector=metadata.name%3Dc3", 1),
        ("fieldSelector=metadata.name%21%3Dc3", 9),
        ("fieldSelector=metadata.name%3Dc3,metadata.name%3Dc4", 0),
        ("fieldSelector=metadata.namespace%3Ddefault", 10),
    ] {
        assert_eq!(names(&server, query).await.len(), count, "{query}");
    }
    for bad in ["labelSelector=a%20b%20c", "labelSelector=a,", "fieldSelector=data.a%3D1", "fieldSelector=x"] {
        get(&server, &format!("{CONFIG_MAPS}?{bad}")).await.expect(400);
    }
}

#[tokio::test]
async fn selectable_fields_are_indexed() {
    let server = server().await;
    for (name, node) in [("a", "n1"), ("b", "n2"), ("c", "")] {
        let mut object = task(name);
        if !node.is_empty() {
            object["spec"]["nodeName"] = json!(node);
        }
        post(&server, TASKS, &object).await.expect(201);
    }
    let list = get(&server, "/apis/berth.dev/v1/tasks?fieldSelector=spec.nodeName%3Dn1").await.expect(200);
    assert_eq!(list["items"][0]["metadata"]["name"], "a");
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    let unbound = get(&server, "/apis/berth.dev/v1/tasks?fieldSelector=spec.nodeName%3D").await.expect(200);
    assert_eq!(unbound["items"][0]["metadata"]["name"], "c");
    assert_eq!(unbound["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn revisions_mean_what_kubernetes_says() {
    let server = server().await;
    let made = post(&server, CONFIG_MAPS, &config_map("a")).await.expect(201);
    let first: u64 = made["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    post(&server, CONFIG_MAPS, &config_map("b")).await.expect(201);
    let at = |query: String| {
        let server = server.clone();
        async move { get(&server, &format!("{CONFIG_MAPS}?{query}")).await.expect(200) }
    };
    let exact = at(format!("resourceVersion={first}&resourceVersionMatch=Exact")).await;
    assert_eq!(exact["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(exact["metadata"]["resourceVersion"], first.to_string());
    let legacy = at(format!("resourceVersion={first}&limit=10")).await;
    assert_eq!(legacy["items"].as_array().map(Vec::len), Some(1));
    // The consistent read comes first: the others may be answered with any state that is not older than asked.
    for query in [
        String::new(),
        format!("resourceVersion={first}"),
        format!("resourceVersion={first}&resourceVersionMatch=NotOlderThan"),
    ] {
        assert_eq!(at(query).await["items"].as_array().map(Vec::len), Some(2));
    }
    let started = Instant::now();
    let future = get(&server, &format!("{CONFIG_MAPS}?resourceVersion=99999999")).await;
    assert_eq!(future.headers["retry-after"], "1");
    let status = future.expect(504);
    assert_eq!(status["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    assert!(started.elapsed().as_secs() >= 2);
    get(&server, &format!("{CONFIG_MAPS}/a?resourceVersion=0")).await.expect(200);
    get(&server, &format!("{CONFIG_MAPS}?resourceVersion=abc")).await.expect(400);
}

#[tokio::test]
async fn a_list_of_all_namespaces_is_ordered() {
    let server = server().await;
    post(&server, "/api/v1/namespaces", &json!({"metadata": {"name": "aaa"}})).await.expect(201);
    post(&server, CONFIG_MAPS, &config_map("z")).await.expect(201);
    post(&server, "/api/v1/namespaces/aaa/configmaps", &config_map("y")).await.expect(201);
    let list = get(&server, "/api/v1/configmaps").await.expect(200);
    let all = list["items"].as_array().unwrap().iter();
    let places: Vec<(&str, &str)> =
        all.map(|i| (i["metadata"]["namespace"].as_str().unwrap(), i["metadata"]["name"].as_str().unwrap())).collect();
    assert_eq!(places[..2], [("aaa", "y"), ("default", "z")], "the server's own follow");
    assert!(places.is_sorted(), "{places:?}");
    ask(&server, "POST", "/api/v1/configmaps").json(&config_map("q")).send().await;
    assert_eq!(post(&server, "/api/v1/configmaps", &config_map("q")).await.code, 404);
}
