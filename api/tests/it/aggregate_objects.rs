//! APIServices: whether the servers behind are there, what of them is shown, and which are kept by the server itself.

use serde_json::{Value, json};

use crate::aggregate_support::*;
use crate::support::*;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// A group in the aggregated document.
async fn discovered(server: &berth_api::ApiServer, group: &str) -> Option<Value> {
    let all = ask(server, "GET", "/apis").header("accept", AGGREGATED).send().await.expect(200);
    all["items"].as_array().unwrap().iter().find(|item| item["metadata"]["name"] == group).cloned()
}

/// Waits (by watching) until an APIService is there as it should be.
async fn until(server: &berth_api::ApiServer, name: &str, is_good: impl Fn(&Value) -> bool) -> Value {
    let mut lines = watch(server, name).await;
    loop {
        let event = lines.next().await.expect("it comes in time");
        if is_good(&event) {
            return event["object"].clone();
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_and_shown_as_such() {
    let running = crate::tls::running().await;
    let server = &running.server;
    let backend = Backend::start(&running.pki.front_proxy().unwrap().ca_pem).await;
    post(server, API_SERVICES, &backend.api_service()).await.expect(201);
    let message = reason(server, "v1.toys.example", "ServiceNotFound").await;
    assert_eq!(message, "service/toys in \"default\" is not present");
    let status = get(server, TOYS).await;
    assert!(!status.headers.contains_key("retry-after"), "clients would come again at once, many times");
    let status = status.expect(503);
    assert_eq!((&status["reason"], &status["message"]), (&json!("ServiceUnavailable"), &json!("service unavailable")));
    assert_eq!(get(server, "/apis/toys.example/v1").await.code, 503);
    let group = discovered(server, "toys.example").await.unwrap();
    assert_eq!(group["versions"], json!([{"version": "v1", "freshness": "Stale"}]));

    post(server, SERVICES, &service("toys")).await.expect(201);
    let message = reason(server, "v1.toys.example", "MissingEndpoints").await;
    assert_eq!(message, "endpoints for service/toys in \"default\" have no addresses with port name \"\"");
    backend.set_broken(true);
    ready_task(server, backend.port).await;
    let message = reason(server, "v1.toys.example", "FailedDiscoveryCheck").await;
    let url = "https://toys.default.svc:443/apis/toys.example/v1";
    assert_eq!(message, format!("failing or missing response from {url}: bad status from {url}: 500"));
    backend.set_broken(false);
    assert_eq!(reason(server, "v1.toys.example", "Passed").await, "all checks passed");
    get(server, TOYS).await.expect(200);
    let group = discovered(server, "toys.example").await.unwrap();
    assert_eq!(group["versions"][0]["freshness"], "Current");

    // Gone again: what it had is still shown, as stale.
    delete(server, &format!("{TASKS}/toys-0?gracePeriodSeconds=0")).await.expect(200);
    reason(server, "v1.toys.example", "MissingEndpoints").await;
    get(server, TOYS).await.expect(503);
    let group = discovered(server, "toys.example").await.unwrap();
    assert_eq!(group["versions"][0]["freshness"], "Stale");
    assert_eq!(group["versions"][0]["resources"][0]["resource"], "toys");
    remove(server, "v1.toys.example").await;
    assert_eq!(discovered(server, "toys.example").await, None);
    assert_eq!(get(server, TOYS).await.code, 404);
    running.stop.cancel();
}

#[tokio::test]
async fn a_server_that_is_not_trusted_is_not_asked() {
    let running = crate::tls::running().await;
    let server = &running.server;
    let backend = Backend::start(&running.pki.front_proxy().unwrap().ca_pem).await;
    let other = Backend::start(&running.pki.front_proxy().unwrap().ca_pem).await;
    serve_toys(server, backend.port).await;
    post(server, API_SERVICES, &api_service("toys.example", "v1", &other.ca_bundle)).await.expect(201);
    let message = reason(server, "v1.toys.example", "FailedDiscoveryCheck").await;
    assert!(
        message.ends_with("tls: failed to verify certificate: x509: certificate signed by unknown authority"),
        "{message}"
    );
    let path = format!("{API_SERVICES}/v1.toys.example");
    let anybody = json!({"spec": {"caBundle": null, "insecureSkipTLSVerify": true}});
    patch(server, "merge", &path, &anybody).await.expect(200);
    reason(server, "v1.toys.example", "Passed").await;
    get(server, TOYS).await.expect(200);
    // Without a certificate to show nobody is asked for anything.
    let plain = crate::support::server().await;
    serve_toys(&plain, backend.port).await;
    post(&plain, API_SERVICES, &backend.api_service()).await.expect(201);
    let message = reason(&plain, "v1.toys.example", "FailedDiscoveryCheck").await;
    assert!(message.contains("no certificate to show"), "{message}");
    running.stop.cancel();
}

#[tokio::test]
async fn discovery_shows_what_others_serve_among_our_own() {
    let (running, _backend) = with_toys().await;
    let server = &running.server;
    post(server, DEFINITIONS, &widget_definition()).await.expect(201);
    established(server, "widgets.demo.example.com").await;
    let groups = get(server, "/apis").await.expect(200);
    let names: Vec<&str> = groups["groups"].as_array().unwrap().iter().map(|g| g["name"].as_str().unwrap()).collect();
    assert_eq!((names[0], names[1]), ("berth.dev", "events.k8s.io"));
    assert_eq!(names[names.len() - 2..], ["toys.example", "demo.example.com"], "by priority, then by name");
    let group = get(server, "/apis/toys.example").await.expect(200);
    assert_eq!(group["preferredVersion"]["groupVersion"], "toys.example/v1");
    let list = get(server, "/apis/toys.example/v1").await.expect(200);
    assert_eq!((&list["kind"], &list["resources"][0]["name"]), (&json!("APIResourceList"), &json!("toys")));
    let kind = json!({"group": "toys.example", "version": "v1", "kind": "Toy"});
    assert_eq!(
        discovered(server, "toys.example").await.unwrap()["versions"],
        json!([{"version": "v1", "freshness": "Current", "resources": [{
            "resource": "toys", "responseKind": kind, "scope": "Namespaced", "singularResource": "toy",
            "verbs": ["get", "list", "watch", "create", "patch"], "shortNames": ["ty"],
            "subresources": [{"subresource": "connect", "responseKind": kind, "verbs": ["get"]}]}]}])
    );
    let root = get(server, "/").await.expect(200);
    assert!(root["paths"].as_array().unwrap().contains(&json!("/apis/toys.example/v1")));

    // A version of a group that is served here, too.
    post(server, API_SERVICES, &api_service("demo.example.com", "v9", "")).await.expect(201);
    reason(server, "v9.demo.example.com", "FailedDiscoveryCheck").await;
    let group = get(server, "/apis/demo.example.com").await.expect(200);
    let versions: Vec<_> = group["versions"].as_array().unwrap().iter().map(|v| v["version"].clone()).collect();
    assert_eq!(versions, ["v1", "v9"], "by the priority of versions");
    post(server, WIDGETS, &widget("a")).await.expect(201);
    running.stop.cancel();
}

#[tokio::test]
async fn openapi_documents_of_others_are_found_among_ours() {
    let (running, _backend) = with_toys().await;
    let server = &running.server;
    let root = get(server, "/openapi/v3").await.expect(200);
    let url = root["paths"]["apis/toys.example/v1"]["serverRelativeURL"].as_str().unwrap().to_owned();
    assert_eq!(url, "/openapi/v3/apis/toys.example/v1?hash=ABC");
    assert!(root["paths"]["apis/berth.dev/v1"].is_object());
    assert_eq!(get(server, &url).await.expect(200), json!({"openapi": "3.0.0", "query": "hash=ABC"}));
    let v2 = get(server, "/openapi/v2").await.expect(200);
    assert!(v2["paths"]["/apis/toys.example/v1/toys"].is_object());
    assert!(v2["paths"]["/version"].is_null());
    assert_eq!(v2["definitions"]["example.toys.v1.Toy"]["type"], "object");
    assert!(v2["definitions"]["unused"].is_null() && v2["definitions"]["dev.berth.v1.Service"].is_object());
    let accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let protobuf = ask(server, "GET", "/openapi/v2").header("accept", accept).send().await;
    assert!(protobuf.bytes.windows(19).any(|window| window == b"example.toys.v1.Toy"));
    // Gone with the server.
    remove(server, "v1.toys.example").await;
    let root = get(server, "/openapi/v3").await.expect(200);
    assert!(root["paths"]["apis/toys.example/v1"].is_null());
    running.stop.cancel();
}

#[tokio::test]
async fn everything_that_is_served_here_has_an_api_service() {
    let server = server().await;
    let own = until(&server, "v1.berth.dev", |event| event["type"] == "ADDED").await;
    assert_eq!(own["metadata"]["labels"]["kube-aggregator.kubernetes.io/automanaged"], "onstart");
    assert_eq!(
        own["spec"],
        json!({"group": "berth.dev", "version": "v1", "groupPriorityMinimum": 19_900, "versionPriority": 100})
    );
    assert_eq!(own["status"]["conditions"][0]["reason"], "Local");
    let core = until(&server, "v1.", |event| event["type"] == "ADDED").await;
    assert_eq!((&core["spec"]["groupPriorityMinimum"], &core["spec"]["version"]), (&json!(18_000), &json!("v1")));
    post(&server, DEFINITIONS, &widget_definition()).await.expect(201);
    let name = "v1.demo.example.com";
    let defined = until(&server, name, |event| event["type"] == "ADDED").await;
    assert_eq!(defined["metadata"]["labels"]["kube-aggregator.kubernetes.io/automanaged"], "true");
    assert_eq!(
        (&defined["spec"]["groupPriorityMinimum"], &defined["spec"]["versionPriority"]),
        (&json!(1000), &json!(100))
    );
    // Kept as it must be, and served here all the while.
    let path = format!("{API_SERVICES}/{name}");
    let taken = json!({"spec": {"service": {"namespace": "default", "name": "toys"}, "insecureSkipTLSVerify": true}});
    patch(&server, "merge", &path, &taken).await.expect(200);
    post(&server, WIDGETS, &widget("a")).await.expect(201);
    until(&server, name, |event| event["object"]["spec"]["service"].is_null()).await;
    remove(&server, name).await;
    until(&server, name, |event| event["type"] == "ADDED").await;
    let mut lines = watch(&server, name).await;
    delete(&server, &format!("{DEFINITIONS}/widgets.demo.example.com")).await.expect(200);
    until_deleted(&mut lines).await;
}

async fn watch(server: &berth_api::ApiServer, name: &str) -> Lines {
    let path = format!("{API_SERVICES}?watch=1&timeoutSeconds=40&fieldSelector=metadata.name%3D{name}");
    Lines::new(ask(server, "GET", &path).response().await)
}

async fn until_deleted(lines: &mut Lines) {
    while lines.next().await.expect("it goes in time")["type"] != "DELETED" {}
}

/// Deletes an APIService, and waits until everybody knows.
async fn remove(server: &berth_api::ApiServer, name: &str) {
    let mut lines = watch(server, name).await;
    delete(server, &format!("{API_SERVICES}/{name}")).await.expect(200);
    until_deleted(&mut lines).await;
}

#[tokio::test]
async fn somebody_elses_service_takes_the_place_of_a_definition_but_never_of_what_ships_with_the_server() {
    let running = crate::tls::running().await;
    let server = &running.server;
    let backend = Backend::start(&running.pki.front_proxy().unwrap().ca_pem).await;
    serve_toys(server, backend.port).await;
    let mut definition = widget_definition();
    definition["metadata"]["name"] = json!("toys.toys.example");
    definition["spec"]["group"] = json!("toys.example");
    definition["spec"]["names"] = json!({"plural": "toys", "kind": "Toy"});
    // The service was there first: the server makes none of its own beside it.
    post(server, API_SERVICES, &backend.api_service()).await.expect(201);
    reason(server, "v1.toys.example", "Passed").await;
    post(server, DEFINITIONS, &definition).await.expect(201);
    established(server, "toys.toys.example").await;
    assert_eq!(get(server, TOYS).await.expect(200)["kind"], "ToyList");
    assert_eq!(backend.asked().len(), 1);
    // Left to the server it is served here.
    let path = format!("{API_SERVICES}/v1.toys.example");
    let label = json!({"metadata": {"labels": {"kube-aggregator.kubernetes.io/automanaged": "true"}}});
    patch(server, "merge", &path, &label).await.expect(200);
    until(server, "v1.toys.example", |event| event["object"]["status"]["conditions"][0]["reason"] == "Local").await;
    assert_eq!(get(server, TOYS).await.expect(200)["items"], json!([]));
    assert_eq!(backend.asked().len(), 1);
    // Our own group is nobody else's.
    until(server, "v1.berth.dev", |event| event["type"] == "ADDED").await;
    let mut hijack = api_service("berth.dev", "v1", &backend.ca_bundle);
    hijack["metadata"]["labels"] = json!({"kube-aggregator.kubernetes.io/automanaged": null});
    patch(server, "merge", &format!("{API_SERVICES}/v1.berth.dev"), &hijack).await.expect(200);
    get(server, SERVICES).await.expect(200);
    assert_eq!(backend.asked().len(), 1);
    running.stop.cancel();
}
