//! Expressions of definitions (`x-kubernetes-validations`), asked of objects through every endpoint that writes them.

use berth_api::ApiServer;
use serde_json::{Value, json};

use crate::support::*;

/// The toy kind with rules of every sort.
fn definition() -> Value {
    let mut crd = widget_definition();
    let schema = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let spec = &mut schema["properties"]["spec"];
    spec["properties"]["immutable"] = json!({"type": "string",
        "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "immutable is immutable"}]});
    spec["x-kubernetes-validations"] = json!([
        {"rule": "self.size <= 100", "message": "size must be <= 100", "reason": "FieldValueForbidden", "fieldPath": ".size"},
        {"rule": "!has(self.note) || self.note != self.color", "messageExpression": "'note is ' + self.color"},
    ]);
    spec["properties"]["color"]["maxLength"] = json!(10);
    schema["properties"]["status"]["x-kubernetes-validations"] =
        json!([{"rule": "!has(self.replicas) || self.replicas < 50", "message": "too many"}]);
    crd
}

async fn served() -> ApiServer {
    let server = server().await;
    post(&server, DEFINITIONS, &definition()).await.expect(201);
    established(&server, "widgets.demo.example.com").await;
    server
}

fn with(name: &str, fields: Value) -> Value {
    let mut object = widget(name);
    for (field, value) in fields.as_object().unwrap() {
        object["spec"][field] = value.clone();
    }
    object
}

fn causes(status: &Value) -> Vec<String> {
    let list = status["details"]["causes"].as_array().cloned().unwrap_or_default();
    let text = |cause: &Value, field: &str| cause[field].as_str().unwrap_or_default().to_owned();
    list.iter().map(|c| format!("{} {} {}", text(c, "reason"), text(c, "field"), text(c, "message"))).collect()
}

#[tokio::test]
async fn a_broken_rule_is_told_with_its_reason_at_its_field() {
    let server = served().await;
    let status = post(&server, WIDGETS, &with("a", json!({"size": 101, "note": "red"}))).await.expect(422);
    assert_eq!(
        causes(&status),
        [
            "FieldValueForbidden spec.size Forbidden: size must be <= 100",
            "FieldValueInvalid spec Invalid value: note is red"
        ]
    );
    assert_eq!(
        status["message"],
        "Widget.demo.example.com \"a\" is invalid: [spec.size: Forbidden: size must be <= 100, spec: Invalid value: note is red]"
    );
    let status = post(&server, WIDGETS, &with("a", json!({"size": 101, "color": "pink"}))).await.expect(422);
    assert_eq!(
        causes(&status).last().unwrap(),
        "FieldValueInvalid <nil> Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation"
    );
    post(&server, WIDGETS, &with("a", json!({"size": 100}))).await.expect(201);
}

#[tokio::test]
async fn every_way_to_write_is_asked() {
    let server = served().await;
    let made = post(&server, WIDGETS, &with("a", json!({"immutable": "x"}))).await.expect(201);
    let path = format!("{WIDGETS}/a");
    let mut changed = made.clone();
    changed["spec"]["immutable"] = json!("y");
    let status = put(&server, &path, &changed).await.expect(422);
    assert_eq!(causes(&status), [r#"FieldValueInvalid spec.immutable Invalid value: "y": immutable is immutable"#]);
    for (kind, body) in [
        ("merge", json!({"spec": {"size": 101}})),
        ("json", json!([{"op": "replace", "path": "/spec/size", "value": 101}])),
        ("apply", json!({"apiVersion": "demo.example.com/v1", "kind": "Widget", "spec": {"size": 101}})),
    ] {
        let status = patch(&server, kind, &format!("{path}?fieldManager=m&force=true"), &body).await;
        if kind == "apply" || kind == "merge" || kind == "json" {
            assert_eq!(status.code, 422, "{kind}: {}", status.text());
        }
    }
    let status = patch(&server, "merge", &format!("{path}/status"), &json!({"status": {"replicas": 50}})).await;
    assert_eq!(causes(&status.expect(422)), ["FieldValueInvalid status Invalid value: too many"]);
    patch(&server, "merge", &format!("{path}/status"), &json!({"status": {"replicas": 49}})).await.expect(200);
    // A transition may start from nothing and end in nothing.
    patch(&server, "merge", &path, &json!({"spec": {"immutable": null}})).await.expect(200);
    patch(&server, "merge", &path, &json!({"spec": {"immutable": "z"}})).await.expect(200);
    let dry = post(&server, &format!("{WIDGETS}?dryRun=All"), &with("b", json!({"size": 101}))).await;
    assert_eq!(dry.code, 422);
}

#[tokio::test]
async fn what_a_new_rule_finds_in_old_objects_blocks_only_changes_of_it() {
    let server = server_with_widgets().await;
    post(&server, WIDGETS, &with("a", json!({"size": 500}))).await.expect(201);
    let path = format!("{DEFINITIONS}/widgets.demo.example.com");
    let mut crd = get(&server, &path).await.expect(200);
    crd["spec"]["versions"] = definition()["spec"]["versions"].clone();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["note"]["maxLength"] =
        json!(3);
    put(&server, &path, &crd).await.expect(200);
    let body = json!({"metadata": {"labels": {"a": "b"}}});
    let mut warned = Vec::new();
    for _ in 0..200 {
        let answer = patch(&server, "merge", &format!("{WIDGETS}/a"), &body).await;
        warned = answer.warnings();
        answer.expect(200);
        if !warned.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(warned, ["299 - \"spec.size: Forbidden: size must be <= 100\""]);
    let answer = patch(&server, "merge", &format!("{WIDGETS}/a"), &json!({"spec": {"size": 400}})).await;
    assert_eq!(causes(&answer.expect(422)), ["FieldValueForbidden spec.size Forbidden: size must be <= 100"]);
    patch(&server, "merge", &format!("{WIDGETS}/a"), &json!({"spec": {"size": 4}})).await.expect(200);
}

#[tokio::test]
async fn rules_that_make_no_sense_are_refused_with_the_definition() {
    let server = server().await;
    let with_rule = |rule: Value| {
        let mut crd = widget_definition();
        let schema = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        schema["properties"]["spec"]["x-kubernetes-validations"] = json!([rule]);
        crd
    };
    let at = "spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0]";
    let status = post(&server, DEFINITIONS, &with_rule(json!({"rule": "self.sise > 0"}))).await.expect(422);
    let cause = &status["details"]["causes"][0];
    assert_eq!(cause["field"], format!("{at}.rule"));
    let message = cause["message"].as_str().unwrap();
    assert!(
        message.contains("compilation failed: ERROR: <input>:1:5: undefined field 'sise'\n | self.sise > 0\n | ....^"),
        "{message}"
    );
    let costly = json!({"rule": "self.tags.all(a, self.tags.all(b, a == b))"});
    let status = post(&server, DEFINITIONS, &with_rule(costly)).await.expect(422);
    assert_eq!(
        status["details"]["causes"][0]["message"],
        "Forbidden: estimated rule cost exceeds budget by factor of more than 100x (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"
    );
    let mut two = with_rule(json!({"rule": "1"}));
    let mut v2 = two["spec"]["versions"][0].clone();
    v2["name"] = json!("v2");
    v2["storage"] = json!(false);
    v2["schema"]["openAPIV3Schema"]["description"] = json!("another");
    two["spec"]["versions"].as_array_mut().unwrap().push(v2);
    let status = post(&server, DEFINITIONS, &two).await.expect(422);
    let fields: Vec<&str> =
        status["details"]["causes"].as_array().unwrap().iter().map(|c| c["field"].as_str().unwrap()).collect();
    let rest = "schema.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule";
    assert_eq!(fields, [format!("spec.versions[0].{rest}"), format!("spec.versions[1].{rest}")]);
}
