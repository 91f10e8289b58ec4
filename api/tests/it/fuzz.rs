//! Every field of every kind, replaced by what it must not be: each is an answer, none a failure of the server.

use serde_json::{Value, json};

use crate::support::*;

/// Paths of all parts of an object, as JSON pointers.
fn pointers(value: &Value, here: &str, found: &mut Vec<String>) {
    let escape = |step: &str| step.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(map) => {
            for (name, child) in map {
                let at = format!("{here}/{}", escape(name));
                found.push(at.clone());
                pointers(child, &at, found);
            }
        }
        Value::Array(items) => {
            for (index, child) in items.iter().enumerate() {
                let at = format!("{here}/{index}");
                found.push(at.clone());
                pointers(child, &at, found);
            }
        }
        _ => {}
    }
}

fn kinds() -> Vec<(&'static str, Value)> {
    let meta = |name: &str| {
        json!({"name": name, "labels": {"a": "b"}, "annotations": {"a": "b"}, "finalizers": ["a.io/b"],
            "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u", "controller": true}],
            "managedFields": [{"manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
                "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:a": {}}}}]})
    };
    let mut full_service = service("f");
    full_service["metadata"] = meta("f");
    let container = &mut full_service["spec"]["template"]["spec"]["containers"][0];
    container["env"] = json!([{"name": "A", "value": "b"}]);
    container["ports"] = json!([{"name": "http", "containerPort": 8080}]);
    container["resources"] = json!({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1"}});
    full_service["spec"]["template"]["spec"]["volumes"] = json!([{"name": "v", "emptyDir": {}}]);
    let mut full_task = task("f");
    full_task["metadata"] = meta("f");
    full_task["spec"]["nodeName"] = json!("n1");
    let job = json!({"apiVersion": "berth.dev/v1", "kind": "Job", "metadata": meta("f"), "spec": {
        "schedules": [{"name": "s", "cron": "* * * * *", "timeZone": "Europe/Berlin"}],
        "template": {"spec": {"template": {"spec": {"containers": [{"name": "a", "shell": "true"}]}}}}}});
    vec![
        (SERVICES, full_service),
        (TASKS, full_task),
        ("/apis/berth.dev/v1/namespaces/default/jobs", job),
        (
            "/apis/berth.dev/v1/nodes",
            json!({"apiVersion": "berth.dev/v1", "kind": "Node", "metadata": meta("f"),
            "spec": {"unschedulable": true}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}),
        ),
        (
            CONFIG_MAPS,
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta("f"), "data": {"a": "b"}, "binaryData": {"c": "YQ=="}, "immutable": false}),
        ),
        (
            "/api/v1/namespaces/default/secrets",
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta("f"), "type": "Opaque", "data": {"a": "YQ=="}, "stringData": {"b": "c"}}),
        ),
        (
            "/api/v1/namespaces",
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": meta("f"), "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}),
        ),
        (
            "/api/v1/namespaces/default/events",
            json!({"apiVersion": "v1", "kind": "Event", "metadata": meta("f"), "involvedObject": {"kind": "ConfigMap", "name": "x", "namespace": "default"}, "reason": "R", "message": "m", "count": 1}),
        ),
        (
            "/apis/coordination.k8s.io/v1/namespaces/default/leases",
            json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta("f"), "spec": {"holderIdentity": "a", "leaseDurationSeconds": 1, "renewTime": "2026-01-01T00:00:00.000000Z"}}),
        ),
        (DEFINITIONS, widget_definition()),
    ]
}

#[tokio::test]
async fn no_field_of_a_wrong_type_makes_the_server_fail() {
    let server = server().await;
    let wrong = [json!(null), json!(-1.5), json!("x\u{0}"), json!([null]), json!({"": [7]}), json!(true), json!("")];
    for (collection, whole) in kinds() {
        let mut places = Vec::new();
        pointers(&whole, "", &mut places);
        let name = whole["metadata"]["name"].as_str().unwrap().to_owned();
        for place in places {
            for value in &wrong {
                let mut object = whole.clone();
                *object.pointer_mut(&place).unwrap() = value.clone();
                let created = post(&server, &format!("{collection}?dryRun=All"), &object).await;
                let path = format!("{collection}/{name}?fieldManager=m&dryRun=All&force=true");
                let applied = patch(&server, "apply", &path, &object).await;
                for answer in [created, applied] {
                    assert!(answer.code < 500, "{collection} {place} = {value}: {} {}", answer.code, answer.text());
                    assert_eq!(answer.code >= 400, answer.json()["kind"] == "Status", "{place}");
                }
            }
        }
    }
}

#[tokio::test]
async fn no_patch_of_a_wrong_type_makes_the_server_fail() {
    let server = server().await;
    let wrong = [json!(null), json!(-1.5), json!([null]), json!({"": [7]}), json!("")];
    for (collection, whole) in kinds() {
        let mut good = whole.clone();
        good["metadata"].as_object_mut().unwrap().remove("managedFields");
        let made = post(&server, collection, &good).await;
        if made.code == 422 {
            continue;
        }
        let stored = made.expect(201);
        let mut places = Vec::new();
        pointers(&stored, "", &mut places);
        let name = whole["metadata"]["name"].as_str().unwrap();
        for place in places {
            for value in &wrong {
                let operations = json!([{"op": "replace", "path": place, "value": value}]);
                for end in ["", "/status", "/scale"] {
                    let path = format!("{collection}/{name}{end}?dryRun=All");
                    let answer = patch(&server, "json", &path, &operations).await;
                    assert!(answer.code < 500, "{path} {operations}: {} {}", answer.code, answer.text());
                }
            }
        }
    }
}
