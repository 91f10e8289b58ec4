//! Behaviours of the Kubernetes API that clients rely on, one line each: request, then code and a word of the answer.

use serde_json::json;

use crate::support::*;

/// Asks, and compares the code and a part of the body.
#[track_caller]
fn matches(what: &str, answer: &Answer, code: u16, part: &str) {
    assert_eq!(answer.code, code, "{what}: {}", answer.text());
    assert!(answer.text().contains(part), "{what}: {part:?} is not in {}", answer.text());
}

#[tokio::test]
async fn reads_and_negotiation() {
    let server = server_with_widgets().await;
    for n in 0..10 {
        post(&server, WIDGETS, &widget(&format!("w{n}"))).await.expect(201);
    }
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    for (accept, path, code, part) in [
        ("application/json", "/api".to_owned(), 200, "APIVersions"),
        ("application/json", "/apis".to_owned(), 200, "APIGroupList"),
        ("application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList", "/apis".to_owned(), 406, ""),
        ("application/yaml", format!("{WIDGETS}/w1"), 200, "kind: Widget"),
        ("application/yaml", format!("{WIDGETS}?watch=1"), 406, "NotAcceptable"),
        ("text/html", WIDGETS.to_owned(), 406, "NotAcceptable"),
        ("application/vnd.kubernetes.protobuf,application/json", format!("{WIDGETS}/w1"), 200, "\"kind\":\"Widget\""),
        ("application/json;q=0.1,application/yaml;q=0.9", format!("{WIDGETS}/w1"), 200, "kind: Widget"),
        (table, format!("{WIDGETS}/w1"), 200, "\"kind\":\"Table\""),
        (table, format!("{WIDGETS}?includeObject=None"), 200, "\"object\":null"),
        (table, format!("{WIDGETS}?includeObject=Bogus"), 400, "BadRequest"),
        ("application/json;as=Bogus;v=v1;g=meta.k8s.io", format!("{WIDGETS}/w1"), 406, ""),
        (
            "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
            format!("{WIDGETS}/w1"),
            200,
            "PartialObjectMetadata",
        ),
        (
            "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
            WIDGETS.to_owned(),
            200,
            "PartialObjectMetadataList",
        ),
        ("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", WIDGETS.to_owned(), 406, ""),
        ("", format!("{WIDGETS}?limit=3"), 200, "\"remainingItemCount\":7"),
        ("", format!("{WIDGETS}?limit=abc"), 400, "BadRequest"),
        ("", format!("{WIDGETS}?continue=garbage"), 400, "continue"),
        ("", format!("{WIDGETS}?continue=x&resourceVersion=5"), 400, ""),
        ("", format!("{WIDGETS}?resourceVersion=abc"), 400, ""),
        ("", format!("{WIDGETS}?resourceVersion=99999999"), 504, "ResourceVersionTooLarge"),
        ("", format!("{WIDGETS}?fieldSelector=spec.color%3Dred,spec.color%3Dblue"), 200, "\"items\":[]"),
        ("", format!("{WIDGETS}?fieldSelector=spec.size%3D3"), 400, "field label not supported"),
        ("", format!("{WIDGETS}?labelSelector=a+in+("), 400, ""),
        ("", "/apis/demo.example.com/v1/namespaces/nowhere/widgets".to_owned(), 200, "\"items\":[]"),
        ("", format!("{WIDGETS}?watch=1&sendInitialEvents=true"), 422, ""),
        ("", format!("{WIDGETS}?watch=1&resourceVersionMatch=NotOlderThan"), 422, ""),
        ("", format!("{WIDGETS}/w1/bogus"), 404, "NotFound"),
        ("", "/apis/nope.example.com/v1/things".to_owned(), 404, "404 page not found"),
        ("", "/livez/bogus".to_owned(), 404, ""),
        ("", "/api/v1/namespaces/default/namespaces".to_owned(), 404, ""),
    ] {
        let asked = ask(&server, "GET", &path);
        let answer = if accept.is_empty() { asked.send().await } else { asked.header("accept", accept).send().await };
        matches(&format!("{accept} {path}"), &answer, code, part);
    }
    let head = ask(&server, "HEAD", &format!("{WIDGETS}/w1")).send().await;
    assert!(head.code == 200 && head.bytes.is_empty());
    assert_eq!(ask(&server, "OPTIONS", WIDGETS).send().await.code, 405);
    assert_eq!(ask(&server, "POST", &format!("{WIDGETS}/w1/status")).json(&widget("w1")).send().await.code, 405);
    let pretty = ask(&server, "GET", &format!("{WIDGETS}/w1?pretty=true")).send().await;
    assert!(pretty.text().contains("\n  \""));
}

#[tokio::test]
async fn writes() {
    let server = server_with_widgets().await;
    post(&server, WIDGETS, &widget("w")).await.expect(201);
    let with = |pointer: &str, value: serde_json::Value| {
        let mut object = widget("new");
        match pointer.rsplit_once('/') {
            Some((parent, field)) => object.pointer_mut(parent).unwrap()[field] = value,
            None => object = value,
        }
        object
    };
    let dry = format!("{WIDGETS}?dryRun=All");
    for (what, path, body, code, part) in [
        ("no name", dry.clone(), with("/metadata", json!({})), 422, "FieldValueRequired"),
        ("bad name", dry.clone(), with("/metadata/name", json!("Bad_Name")), 422, "RFC 1123"),
        ("long name", dry.clone(), with("/metadata/name", json!("a".repeat(254))), 422, "no more than 253"),
        (
            "other namespace",
            dry.clone(),
            with("/metadata/namespace", json!("other")),
            400,
            "does not match the namespace",
        ),
        ("wrong kind", dry.clone(), with("/kind", json!("Gadget")), 422, "must be Widget"),
        (
            "wrong version",
            dry.clone(),
            with("/apiVersion", json!("demo.example.com/v9")),
            400,
            "does not match the expected",
        ),
        ("no kind", dry.clone(), with("/kind", json!("")), 400, "Kind"),
        ("a version", dry.clone(), with("/metadata/resourceVersion", json!("5")), 400, "resourceVersion"),
        (
            "owner without uid",
            dry.clone(),
            with("/metadata/ownerReferences", json!([{"apiVersion": "v1", "kind": "A", "name": "a"}])),
            422,
            "uid",
        ),
        ("bad finalizer", dry.clone(), with("/metadata/finalizers", json!(["a/b/c"])), 422, "finalizers"),
        (
            "large annotations",
            dry.clone(),
            with("/metadata/annotations", json!({"a": "x".repeat(262_145)})),
            422,
            "TooLong",
        ),
        ("enum", dry.clone(), with("/spec/color", json!("pink")), 422, "FieldValueNotSupported"),
        (
            "two errors",
            dry.clone(),
            with("/spec", json!({"size": 0, "note": "x".repeat(21)})),
            422,
            "FieldValueRequired",
        ),
        ("strict", format!("{dry}&fieldValidation=Strict"), with("/spec/colour", json!("x")), 400, "did you mean"),
        ("bogus validation", format!("{dry}&fieldValidation=Bogus"), widget("new"), 422, "fieldValidation"),
        ("bogus dry run", format!("{WIDGETS}?dryRun=bogus"), widget("new"), 422, "dryRun"),
        ("taken", dry.clone(), widget("w"), 409, "AlreadyExists"),
        ("ignored", dry.clone(), with("/metadata/uid", json!("mine")), 201, "\"generation\":1"),
        (
            "no namespace",
            "/apis/demo.example.com/v1/namespaces/nowhere/widgets".into(),
            widget("new"),
            404,
            "namespaces",
        ),
    ] {
        matches(what, &post(&server, &path, &body).await, code, part);
    }
    let one = format!("{WIDGETS}/w");
    for (what, kind, query, body, code, part) in [
        ("nothing", "merge", "", json!({}), 200, ""),
        ("stale", "merge", "", json!({"metadata": {"resourceVersion": "1"}}), 409, "Conflict"),
        ("name", "merge", "", json!({"metadata": {"name": "x"}}), 400, ""),
        ("uid", "merge", "", json!({"metadata": {"uid": "x"}}), 422, "metadata.uid"),
        ("kind", "merge", "", json!({"kind": "X"}), 422, ""),
        ("force", "merge", "?force=true", json!({}), 422, "force"),
        ("strategic", "strategic", "", json!({}), 415, ""),
        ("plain json", "application/json", "", json!({}), 415, ""),
        ("test null", "json", "", json!([{"op": "test", "path": "/metadata/finalizers", "value": null}]), 200, ""),
        ("test fails", "json", "", json!([{"op": "test", "path": "/spec/color", "value": "blue"}]), 422, ""),
        ("parent", "json", "", json!([{"op": "add", "path": "/a/b/c", "value": 1}]), 422, ""),
        ("missing", "json", "", json!([{"op": "remove", "path": "/spec/nope"}]), 422, ""),
        ("bad op", "json", "", json!([{"op": "frob", "path": "/spec"}]), 422, ""),
        ("no list", "json", "", json!({}), 400, ""),
        ("no manager", "apply", "", widget("w"), 422, "fieldManager"),
        (
            "managed",
            "apply",
            "?fieldManager=m",
            with("/metadata/managedFields", json!([{}])),
            400,
            "managedFields must be nil",
        ),
        ("other kind", "apply", "?fieldManager=m", with("/kind", json!("X")), 400, ""),
        ("conflict", "apply", "?fieldManager=m", with("/spec/color", json!("blue")), 409, "FieldManagerConflict"),
        ("forced", "apply", "?fieldManager=m&force=true", with("/spec/color", json!("blue")), 200, "blue"),
        ("negative scale", "merge", "/scale", json!({"spec": {"replicas": -1}}), 422, ""),
    ] {
        matches(what, &patch(&server, kind, &format!("{one}{query}"), &body).await, code, part);
    }
    for (what, body, code) in [
        ("bogus policy", json!({"propagationPolicy": "Bogus"}), 422),
        ("both policies", json!({"propagationPolicy": "Orphan", "orphanDependents": true}), 422),
        ("other uid", json!({"preconditions": {"uid": "x"}}), 409),
        ("dry", json!({"dryRun": ["All"]}), 200),
        ("plain", json!({}), 200),
        ("gone", json!({}), 404),
    ] {
        matches(what, &ask(&server, "DELETE", &one).json(&body).send().await, code, "");
    }
}
