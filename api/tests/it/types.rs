//! Definitions that users post: served at once, changed, refused, and taken away with their objects.

use serde_json::{Value, json};

use crate::support::*;

#[tokio::test]
async fn a_definition_is_served_as_soon_as_it_is_established() {
    let server = server_with_widgets().await;
    let made = post(&server, WIDGETS, &widget("w")).await.expect(201);
    assert_eq!(made["spec"], json!({"color": "red", "size": 3, "replicas": 1}));
    let resources = get(&server, "/apis/demo.example.com/v1").await.expect(200);
    let names: Vec<&str> =
        resources["resources"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["widgets", "widgets/status", "widgets/scale"]);
    let list = get(&server, &format!("{WIDGETS}?fieldSelector=spec.color%3Dred")).await.expect(200);
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    let crd = get(&server, &format!("{DEFINITIONS}/widgets.demo.example.com")).await.expect(200);
    assert_eq!(crd["status"]["acceptedNames"]["listKind"], "WidgetList");
    assert_eq!(crd["status"]["storedVersions"], json!(["v1"]));
}

#[tokio::test]
async fn bad_definitions_are_refused_with_reasons() {
    let server = server().await;
    let change = |edit: &dyn Fn(&mut Value)| {
        let mut crd = widget_definition();
        edit(&mut crd);
        crd
    };
    for (what, crd) in [
        ("name", change(&|c| c["metadata"]["name"] = json!("x.demo.example.com"))),
        ("no schema", change(&|c| c["spec"]["versions"][0]["schema"] = Value::Null)),
        ("no storage", change(&|c| c["spec"]["versions"][0]["storage"] = json!(false))),
        (
            "not structural",
            change(&|c| {
                c["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = json!({"properties": {}})
            }),
        ),
        (
            "our group",
            change(&|c| {
                c["metadata"]["name"] = json!("widgets.berth.dev");
                c["spec"]["group"] = json!("berth.dev");
            }),
        ),
    ] {
        let answer = post(&server, DEFINITIONS, &crd).await;
        assert_eq!(answer.code, 422, "{what}: {}", answer.text());
    }
}

#[tokio::test]
async fn taken_names_are_refused_until_they_are_free() {
    let server = server_with_widgets().await;
    let mut rival = widget_definition();
    rival["metadata"]["name"] = json!("gadgets.demo.example.com");
    rival["spec"]["names"] = json!({"plural": "gadgets", "kind": "Widget", "listKind": "GadgetList"});
    post(&server, DEFINITIONS, &rival).await.expect(201);
    let path =
        format!("{DEFINITIONS}?watch=1&timeoutSeconds=20&fieldSelector=metadata.name%3Dgadgets.demo.example.com");
    let mut lines = Lines::new(ask(&server, "GET", &path).response().await);
    loop {
        let event = lines.next().await.unwrap();
        let conditions = event["object"]["status"]["conditions"].as_array().cloned().unwrap_or_default();
        if let Some(names) = conditions.iter().find(|c| c["type"] == "NamesAccepted") {
            assert_eq!((&names["status"], &names["reason"]), (&json!("False"), &json!("KindConflict")));
            break;
        }
    }
    assert_eq!(get(&server, "/apis/demo.example.com/v1/gadgets").await.code, 404);
    delete(&server, &format!("{DEFINITIONS}/widgets.demo.example.com")).await.expect(200);
    established(&server, "gadgets.demo.example.com").await;
    get(&server, "/apis/demo.example.com/v1/gadgets").await.expect(200);
}

#[tokio::test]
async fn a_definition_takes_its_objects_with_it() {
    let server = server_with_widgets().await;
    post(&server, WIDGETS, &widget("a")).await.expect(201);
    let mut held = widget("b");
    held["metadata"]["finalizers"] = json!(["x.io/f"]);
    post(&server, WIDGETS, &held).await.expect(201);
    let crd = format!("{DEFINITIONS}/widgets.demo.example.com");
    let path = format!("{WIDGETS}?watch=1");
    let mut lines = Lines::new(ask(&server, "GET", &path).response().await);
    assert_eq!(lines.brief(2).await, ["ADDED a", "ADDED b"]);
    delete(&server, &crd).await.expect(200);
    let mut seen = lines.brief(2).await;
    seen.sort();
    assert_eq!(seen, ["DELETED a", "MODIFIED b"]);
    post(&server, WIDGETS, &widget("c")).await.expect(403);
    get(&server, &crd).await.expect(200);
    let watch =
        format!("{DEFINITIONS}?watch=1&fieldSelector=metadata.name%3Dwidgets.demo.example.com&timeoutSeconds=20");
    let mut gone = Lines::new(ask(&server, "GET", &watch).response().await);
    patch(&server, "merge", &format!("{WIDGETS}/b"), &json!({"metadata": {"finalizers": null}})).await.expect(200);
    while gone.next().await.unwrap()["type"] != "DELETED" {}
    get(&server, &crd).await.expect(404);
}

#[tokio::test]
async fn a_changed_schema_counts_at_once() {
    let server = server_with_widgets().await;
    let path = format!("{DEFINITIONS}/widgets.demo.example.com");
    let body = json!([{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/color/enum", "value": ["red", "pink"]}]);
    patch(&server, "json", &path, &body).await.expect(200);
    let mut pink = widget("p");
    pink["spec"]["color"] = json!("pink");
    // The change is followed, not waited for: a write may come before it.
    let mut last = 0;
    for _ in 0..200 {
        last = post(&server, WIDGETS, &pink).await.code;
        if last == 201 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(last, 201);
}

#[tokio::test]
async fn stored_definitions_are_served_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let config = || berth_api::Config {
        store: berth_api::StoreConfig::Embedded(dir.path().to_owned()),
        ..berth_api::Config::default()
    };
    let first = berth_api::ApiServer::open(config()).await.unwrap();
    post(&first, DEFINITIONS, &widget_definition()).await.expect(201);
    established(&first, "widgets.demo.example.com").await;
    let made = post(&first, WIDGETS, &widget("w")).await.expect(201);
    first.stop();
    drop(first);
    // The store is let go when the last task of the first server has ended.
    let mut second = berth_api::ApiServer::open(config()).await;
    for _ in 0..200 {
        if second.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        second = berth_api::ApiServer::open(config()).await;
    }
    let second = second.unwrap();
    assert_eq!(get(&second, &format!("{WIDGETS}/w")).await.expect(200), made);
}

#[tokio::test]
async fn two_versions_share_their_objects() {
    let server = server().await;
    let mut crd = widget_definition();
    let mut v2 = crd["spec"]["versions"][0].clone();
    v2["name"] = json!("v2");
    v2["storage"] = json!(false);
    v2["deprecated"] = json!(true);
    crd["spec"]["versions"].as_array_mut().unwrap().push(v2);
    post(&server, DEFINITIONS, &crd).await.expect(201);
    established(&server, "widgets.demo.example.com").await;
    post(&server, WIDGETS, &widget("w")).await.expect(201);
    let path = "/apis/demo.example.com/v2/namespaces/default/widgets";
    let read = get(&server, &format!("{path}/w")).await;
    assert_eq!(read.warnings(), ["299 - \"demo.example.com/v2 Widget is deprecated\""]);
    assert_eq!(read.expect(200)["apiVersion"], "demo.example.com/v2");
    let list = get(&server, path).await.expect(200);
    assert_eq!(list["items"][0]["apiVersion"], "demo.example.com/v2");
    let patched = patch(&server, "merge", &format!("{path}/w"), &json!({"spec": {"color": "blue"}})).await.expect(200);
    assert_eq!(patched["apiVersion"], "demo.example.com/v2");
    assert_eq!(get(&server, &format!("{WIDGETS}/w")).await.expect(200)["apiVersion"], "demo.example.com/v1");
    let groups = get(&server, "/apis/demo.example.com").await.expect(200);
    assert_eq!(groups["preferredVersion"]["version"], "v2");
}

#[tokio::test]
async fn what_a_definition_cannot_have_here_is_told() {
    let server = server().await;
    let mut definition = widget_definition();
    definition["spec"]["conversion"] = json!({"strategy": "Webhook"});
    definition["metadata"]["name"] = json!("gadgets.demo.example.com");
    let status = post(&server, DEFINITIONS, &definition).await.expect(422);
    let fields: Vec<&str> =
        status["details"]["causes"].as_array().unwrap().iter().map(|cause| cause["field"].as_str().unwrap()).collect();
    assert_eq!(fields[1..], ["spec.conversion.webhookClientConfig", "spec.conversion.conversionReviewVersions"]);
}
