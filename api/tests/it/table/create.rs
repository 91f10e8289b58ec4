//! Rows C032 to C054: objects that come into being, and those that do not.

use serde_json::{Value, json};

use super::*;

/// A toy with a change in it.
fn with(pointer: &str, value: Value) -> Value {
    let mut object = widget("new");
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[field] = value;
    object
}

#[tokio::test]
async fn a_new_object_has_defaults_and_an_identity() {
    let server = toy().await;
    let made = ask(&server, "POST", WIDGETS).header("user-agent", "").json(&widget("c1")).send().await.expect(201);
    assert_eq!(made["spec"], json!({"color": "red", "replicas": 1, "size": 3}));
    let meta = &made["metadata"];
    assert_eq!((&meta["generation"], &meta["namespace"]), (&json!(1), &json!("default")));
    assert_eq!(meta["uid"].as_str().map(str::len), Some(36));
    assert!(meta["creationTimestamp"].as_str().unwrap().ends_with('Z') && revision(&made) > 0);
    let fields = json!({"f:spec": {".": {}, "f:color": {}, "f:replicas": {}, "f:size": {}}});
    let time = &meta["creationTimestamp"];
    assert_eq!(
        meta["managedFields"],
        json!([{"apiVersion": "demo.example.com/v1", "fieldsType": "FieldsV1", "fieldsV1": fields,
            "manager": "unknown", "operation": "Update", "time": time}])
    );
}

#[tokio::test]
async fn the_manager_is_the_client_unless_it_says_another() {
    let server = toy().await;
    let made = ask(&server, "POST", WIDGETS).header("user-agent", "mytool/1.2 (x)").json(&widget("a")).send().await;
    assert_eq!(entry(&made.expect(201), "mytool")["operation"], "Update");
    let made = post(&server, &format!("{WIDGETS}?fieldManager=me"), &widget("b")).await.expect(201);
    assert_eq!(entry(&made, "me")["fieldsV1"]["f:spec"]["f:size"], json!({}));
    for bad in ["m".repeat(129), "a%07b".to_owned()] {
        let refused = post(&server, &format!("{WIDGETS}?fieldManager={bad}"), &widget("c")).await;
        refused.hints(422, "Invalid", "fieldManager");
    }
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let server = toy().await;
    post(&server, WIDGETS, &widget("c1")).await.expect(201);
    let details = post(&server, WIDGETS, &widget("c1")).await.says(
        409,
        "AlreadyExists",
        "widgets.demo.example.com \"c1\" already exists",
    );
    assert_eq!(details, json!({"name": "c1", "group": "demo.example.com", "kind": "widgets"}));
    let details = get(&server, &at("zzz")).await.says(404, "NotFound", "widgets.demo.example.com \"zzz\" not found");
    assert_eq!(details, json!({"name": "zzz", "group": "demo.example.com", "kind": "widgets"}));
}

#[tokio::test]
async fn names_are_made_up_from_a_beginning() {
    let server = toy().await;
    let mut object = widget("x");
    object["metadata"] = json!({"generateName": "gen-"});
    let made = post(&server, WIDGETS, &object).await.expect(201);
    let end = made["metadata"]["name"].as_str().unwrap().strip_prefix("gen-").unwrap();
    assert!(end.len() == 5 && end.chars().all(|c| "bcdfghjklmnpqrstvwxz2456789".contains(c)), "{end}");
    object["metadata"] = json!({"generateName": "g".repeat(100)});
    let made = post(&server, WIDGETS, &object).await.expect(201);
    assert_eq!(made["metadata"]["name"].as_str().map(str::len), Some(63));
    object["metadata"] = json!({"name": "both", "generateName": "gen-"});
    let made = post(&server, WIDGETS, &object).await.expect(201);
    assert_eq!((&made["metadata"]["name"], &made["metadata"]["generateName"]), (&json!("both"), &json!("gen-")));
}

#[tokio::test]
async fn names_have_a_form() {
    let server = toy().await;
    let nameless = post(&server, WIDGETS, &with("/metadata", json!({}))).await;
    let details = nameless.hints(422, "Invalid", "name or generateName is required")["details"].clone();
    assert_eq!(
        details["causes"][0],
        json!({"reason": "FieldValueRequired", "message": "Required value: name or generateName is required",
            "field": "metadata.name"})
    );
    post(&server, WIDGETS, &with("/metadata/name", json!("Bad_Name"))).await.hints(
        422,
        "Invalid",
        "a lowercase RFC 1123 subdomain must consist of",
    );
    post(&server, WIDGETS, &with("/metadata/name", json!("a".repeat(254)))).await.hints(
        422,
        "Invalid",
        "must be no more than 253 characters",
    );
    post(&server, WIDGETS, &with("/metadata/name", json!("a".repeat(253)))).await.expect(201);
}

#[tokio::test]
async fn the_namespace_is_the_one_of_the_path() {
    let server = toy().await;
    post(&server, WIDGETS, &with("/metadata/namespace", json!("other"))).await.says(
        400,
        "BadRequest",
        "the namespace of the provided object does not match the namespace sent on the request",
    );
    let missing = post(&server, "/apis/demo.example.com/v1/namespaces/nons/widgets", &widget("a")).await;
    let details = missing.says(404, "NotFound", "namespaces \"nons\" not found");
    assert_eq!(details, json!({"name": "nons", "kind": "namespaces"}));
}

#[tokio::test]
async fn a_body_is_an_object_of_the_kind() {
    let server = toy().await;
    let kind = post(&server, WIDGETS, &with("/kind", json!("Gadget"))).await;
    assert_eq!(kind.hints(422, "Invalid", "must be Widget")["details"]["causes"][0]["field"], "kind");
    let mut other = widget("a");
    other["apiVersion"] = "demo.example.com/v9".into();
    post(&server, WIDGETS, &other).await.says(
        400,
        "BadRequest",
        "the API version in the data (demo.example.com/v9) does not match the expected API version (demo.example.com/v1)",
    );
    let mut kindless = widget("a");
    kindless.as_object_mut().unwrap().remove("kind");
    post(&server, WIDGETS, &kindless).await.hints(
        400,
        "BadRequest",
        "the object provided is unrecognized (must be of type Widget): Object 'Kind' is missing",
    );
    ask(&server, "POST", WIDGETS).header("content-type", "application/json").send().await.hints(
        400,
        "BadRequest",
        "unexpected end of JSON input",
    );
    post(&server, WIDGETS, &json!([widget("a")])).await.expect(400);
}

#[tokio::test]
async fn what_the_server_decides_a_client_cannot() {
    let server = toy().await;
    let versioned = post(&server, WIDGETS, &with("/metadata/resourceVersion", json!("5"))).await;
    assert!(versioned.text().contains("resourceVersion should not be set on objects to be created"));
    assert!([400, 422, 500].contains(&versioned.code));
    let mut object = widget("a");
    for (field, value) in [
        ("uid", json!("mine")),
        ("creationTimestamp", json!("2001-01-01T00:00:00Z")),
        ("deletionTimestamp", json!("2001-01-01T00:00:00Z")),
        ("generation", json!(7)),
    ] {
        object["metadata"][field] = value;
    }
    object["status"] = json!({"phase": "Mine"});
    let made = post(&server, WIDGETS, &object).await.expect(201);
    assert_ne!(made["metadata"]["uid"], "mine");
    assert!(!made["metadata"]["creationTimestamp"].as_str().unwrap().starts_with("2001"));
    assert_eq!(made["metadata"]["generation"], 1);
    assert!(made["metadata"].get("deletionTimestamp").is_none() && made.get("status").is_none(), "{made}");
}

#[tokio::test]
async fn all_errors_are_told_at_once() {
    let server = toy().await;
    let spec = json!({"color": "pink", "size": 0, "note": "x".repeat(30), "tags": ["a", "a"],
        "ports": [{"port": 1}, {"name": "a"}, {"name": "a"}]});
    let status = post(&server, WIDGETS, &toy_of("c4", spec)).await.expect(422);
    let message = status["message"].as_str().unwrap();
    assert!(message.starts_with("Widget.demo.example.com \"c4\" is invalid: ["), "{message}");
    for part in [
        "spec.note: Too long: may not be more than 20 bytes",
        "spec.color: Unsupported value: \"pink\": supported values: \"red\", \"green\", \"blue\", \"locked\"",
        "spec.ports[0].name: Required value",
        "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1",
        "spec.tags[1]: Duplicate value: \"a\"",
        "spec.ports[2]: Duplicate value: {\"name\":\"a\"}",
        "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
    ] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
    let reason_of = |field: &str| {
        let causes = status["details"]["causes"].as_array().unwrap();
        causes.iter().find(|cause| cause["field"] == field).map(|cause| cause["reason"].clone()).unwrap()
    };
    for (field, reason) in [
        ("spec.note", "FieldValueTooLong"),
        ("spec.color", "FieldValueNotSupported"),
        ("spec.ports[0].name", "FieldValueRequired"),
        ("spec.size", "FieldValueInvalid"),
        ("spec.tags[1]", "FieldValueDuplicate"),
        ("spec.ports[2]", "FieldValueDuplicate"),
    ] {
        assert_eq!(reason_of(field), reason, "{field}");
    }
    assert_eq!(
        (&status["details"]["kind"], &status["details"]["group"]),
        (&json!("Widget"), &json!("demo.example.com"))
    );
    let typed = post(&server, WIDGETS, &toy_of("c5", json!({"color": "red", "size": "x"}))).await.expect(422);
    assert_eq!(
        typed["details"]["causes"][0],
        json!({"reason": "FieldValueTypeInvalid", "field": "spec.size",
            "message": "Invalid value: \"string\": spec.size in body must be of type integer: \"string\""})
    );
}

#[tokio::test]
async fn a_rule_refuses_with_its_field_and_reason() {
    let server = toy().await;
    let refused = post(&server, WIDGETS, &toy_of("a", json!({"color": "red", "size": 101}))).await;
    let details = refused.says(
        422,
        "Invalid",
        "Widget.demo.example.com \"a\" is invalid: spec.size: Forbidden: size must be <= 100",
    );
    assert_eq!(
        details["causes"],
        json!([{"reason": "FieldValueForbidden", "message": "Forbidden: size must be <= 100", "field": "spec.size"}])
    );
}

#[tokio::test]
async fn unknown_fields_are_dropped_told_or_refused() {
    let server = toy().await;
    let mut object = toy_of("a", json!({"color": "red", "bogus": 1, "ports": [{"name": "a", "zip": 1}]}));
    object["foo"] = 1.into();
    let warned = post(&server, WIDGETS, &object).await;
    let mut warnings = warned.warnings();
    warnings.sort();
    assert_eq!(
        warnings,
        [
            r#"299 - "unknown field \"foo\"""#,
            r#"299 - "unknown field \"spec.bogus\"""#,
            r#"299 - "unknown field \"spec.ports[0].zip\"""#
        ]
    );
    assert!(warned.expect(201)["spec"].get("bogus").is_none());
    object["metadata"]["name"] = "b".into();
    post(&server, &format!("{WIDGETS}?fieldValidation=Strict"), &object).await.says(
        400,
        "BadRequest",
        "Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: unknown field \"foo\", unknown field \"spec.bogus\", unknown field \"spec.ports[0].zip\"",
    );
    let silent = post(&server, &format!("{WIDGETS}?fieldValidation=Ignore"), &object).await;
    assert!(silent.code == 201 && silent.warnings().is_empty());
    post(&server, &format!("{WIDGETS}?fieldValidation=Bogus"), &object).await.hints(422, "Invalid", "fieldValidation");
    let twice = r#"{"apiVersion":"demo.example.com/v1","kind":"Widget","metadata":{"name":"c"},"spec":{"color":"red","color":"blue"}}"#;
    let strict = format!("{WIDGETS}?fieldValidation=Strict");
    let sent = ask(&server, "POST", &strict).header("content-type", "application/json").body(twice).send().await;
    sent.hints(400, "BadRequest", "strict decoding error: duplicate field \"spec.color\"");
    let sent = ask(&server, "POST", WIDGETS).header("content-type", "application/json").body(twice).send().await;
    assert_eq!(sent.warnings(), [r#"299 - "duplicate field \"spec.color\"""#]);
    post(&server, &strict, &with("/metadata/nope", json!(1))).await.hints(
        400,
        "BadRequest",
        "unknown field \"metadata.nope\"",
    );
}

#[tokio::test]
async fn a_dry_run_leaves_nothing_behind() {
    let server = toy().await;
    let tried = post(&server, &format!("{WIDGETS}?dryRun=All"), &widget("d")).await.expect(201);
    assert!(tried["metadata"].get("resourceVersion").is_none() && tried["metadata"]["uid"].is_string(), "{tried}");
    get(&server, &at("d")).await.expect(404);
    post(&server, &format!("{WIDGETS}?dryRun=bogus"), &widget("d")).await.says(
        422,
        "Invalid",
        "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"bogus\"]: supported values: \"All\"",
    );
}

#[tokio::test]
async fn labels_and_annotations_have_forms_and_sizes() {
    let server = toy().await;
    let labels = with("/metadata/labels", json!({"-bad-": "ok", "good": "not ok!"}));
    let status = post(&server, WIDGETS, &labels).await.expect(422);
    let causes = status["details"]["causes"].as_array().unwrap();
    assert_eq!(causes.len(), 2, "{status}");
    assert!(causes.iter().all(|cause| cause["field"] == "metadata.labels" && cause["reason"] == "FieldValueInvalid"));
    let large = with("/metadata/annotations", json!({"a": "x".repeat(262_145)}));
    let status = post(&server, WIDGETS, &large).await.hints(
        422,
        "Invalid",
        "metadata.annotations: Too long: may not be more than 262144 bytes",
    );
    assert_eq!(status["details"]["causes"][0]["reason"], "FieldValueTooLong");
    let body = with("/spec/note", json!("x".repeat(3_200_000)));
    post(&server, WIDGETS, &body).await.hints(
        413,
        "RequestEntityTooLarge",
        "Request entity too large: limit is 3145728",
    );
}

#[tokio::test]
async fn owners_and_finalizers_have_forms() {
    let server = toy().await;
    let owner = |uid: &str, controller: bool| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": uid, "controller": controller});
    let status =
        post(&server, WIDGETS, &with("/metadata/ownerReferences", json!([owner("", false)]))).await.expect(422);
    assert_eq!(status["details"]["causes"][0]["field"], "metadata.ownerReferences[0].uid", "{status}");
    let two = with("/metadata/ownerReferences", json!([owner("a", true), owner("b", true)]));
    post(&server, WIDGETS, &two).await.hints(422, "Invalid", "Only one reference can have Controller set to true");
    let plain = post(&server, WIDGETS, &with("/metadata/finalizers", json!(["foo"]))).await;
    assert_eq!(
        plain.warnings(),
        [
            r#"299 - "metadata.finalizers: \"foo\": prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers""#
        ]
    );
    plain.expect(201);
    let mut malformed = with("/metadata/finalizers", json!(["a/b/c"]));
    malformed["metadata"]["name"] = "m".into();
    post(&server, WIDGETS, &malformed).await.hints(422, "Invalid", "metadata.finalizers");
}
