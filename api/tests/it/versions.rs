//! Objects that were written before their definition changed, and versions of a kind side by side.

use std::time::Duration;

use berth_api::ApiServer;
use serde_json::{Value, json};

use crate::support::*;

const PATH: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.demo.example.com";

/// Changes the definition, and waits until it is served: until `is` holds of what a GET of the object answers.
async fn change(server: &ApiServer, ops: Value, object: &str, is: impl Fn(&Value) -> bool) -> Value {
    patch(server, "json", PATH, &ops).await.expect(200);
    for _ in 0..400 {
        let seen = get(server, object).await.json();
        if is(&seen) {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never seen: {}", get(server, object).await.text());
}

#[tokio::test]
async fn a_new_default_shows_on_objects_that_are_older() {
    let server = server_with_widgets().await;
    let path = format!("{WIDGETS}/w");
    let made = post(&server, WIDGETS, &widget("w")).await.expect(201);
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    let ops = json!([{"op": "add", "path": format!("{spec}/shape"), "value": {"type": "string", "default": "round"}}]);
    let seen = change(&server, ops, &path, |w| w["spec"]["shape"] == "round").await;
    assert_eq!(seen["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"], "reading writes nothing");
    let list = get(&server, WIDGETS).await.expect(200);
    assert_eq!(list["items"][0]["spec"]["shape"], "round");
    let mut lines = Lines::new(ask(&server, "GET", &format!("{WIDGETS}?watch=1")).response().await);
    assert_eq!(lines.next().await.unwrap()["object"]["spec"]["shape"], "round");
    let table = ask(&server, "GET", WIDGETS).header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io");
    assert_eq!(table.send().await.expect(200)["rows"][0]["cells"][0], "w");
    let labelled = json!({"metadata": {"labels": {"a": "b"}}});
    let patched = patch(&server, "merge", &path, &labelled).await.expect(200);
    assert_eq!(patched["spec"]["shape"], "round");
}

#[tokio::test]
async fn a_field_that_is_gone_from_the_definition_is_gone_from_reads() {
    let server = server_with_widgets().await;
    let path = format!("{WIDGETS}/w");
    post(&server, WIDGETS, &widget("w")).await.expect(201);
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    let ops = json!([{"op": "remove", "path": format!("{spec}/size")}]);
    change(&server, ops, &path, |w| w["spec"].get("size").is_none()).await;
}

#[tokio::test]
async fn a_watch_ends_when_the_definition_changes_and_not_before() {
    let server = server_with_widgets().await;
    let mut lines = Lines::new(ask(&server, "GET", &format!("{WIDGETS}?watch=1")).response().await);
    post(&server, WIDGETS, &widget("w")).await.expect(201);
    assert_eq!(lines.brief(1).await, ["ADDED w"]);
    // A label of the definition changes no object's look.
    patch(&server, "merge", PATH, &json!({"metadata": {"labels": {"x": "y"}}})).await.expect(200);
    patch(&server, "merge", &format!("{WIDGETS}/w"), &json!({"spec": {"color": "blue"}})).await.expect(200);
    assert_eq!(lines.brief(1).await, ["MODIFIED w"]);
    let ops = json!([{"op": "add", "path": "/spec/names/shortNames/-", "value": "wdg"}]);
    patch(&server, "json", PATH, &ops).await.expect(200);
    assert!(lines.next_or_end().await.is_none(), "the watch ends cleanly");
}

#[tokio::test]
async fn objects_of_a_former_storage_version_are_read_in_each() {
    let server = server().await;
    let mut crd = widget_definition();
    let mut v2 = crd["spec"]["versions"][0].clone();
    v2["name"] = json!("v2");
    v2["storage"] = json!(false);
    crd["spec"]["versions"].as_array_mut().unwrap().push(v2);
    post(&server, DEFINITIONS, &crd).await.expect(201);
    established(&server, "widgets.demo.example.com").await;
    post(&server, WIDGETS, &widget("old")).await.expect(201);
    let ops = json!([
        {"op": "replace", "path": "/spec/versions/0/storage", "value": false},
        {"op": "replace", "path": "/spec/versions/1/storage", "value": true},
    ]);
    let crd = patch(&server, "json", PATH, &ops).await.expect(200);
    assert_eq!(crd["status"]["storedVersions"], json!(["v1", "v2"]));
    let v2 = "/apis/demo.example.com/v2/namespaces/default/widgets";
    for _ in 0..2 {
        assert_eq!(get(&server, &format!("{v2}/old")).await.expect(200)["apiVersion"], "demo.example.com/v2");
        assert_eq!(get(&server, &format!("{WIDGETS}/old")).await.expect(200)["apiVersion"], "demo.example.com/v1");
        let list = get(&server, v2).await.expect(200);
        assert_eq!(list["items"][0]["apiVersion"], "demo.example.com/v2");
        patch(&server, "merge", &format!("{v2}/old"), &json!({"spec": {"color": "blue"}})).await.expect(200);
    }
}
