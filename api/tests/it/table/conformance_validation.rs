//! Upstream's conformance specs of field validation and of the rules of definitions.

use serde_json::{Value, json};

use super::*;

const NOXUS: &str = "/apis/mygroup.example.com/v1beta1/noxus";

/// A kind of the cluster with this schema of `spec`, as those specs make theirs.
async fn noxu(schema: Value) -> ApiServer {
    let server = server().await;
    let root = if schema.is_null() {
        json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
    } else {
        json!({"type": "object", "properties": {"spec": schema}})
    };
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "noxus.mygroup.example.com"},
        "spec": {"group": "mygroup.example.com", "scope": "Cluster",
            "names": {"plural": "noxus", "singular": "nonenglishnoxu", "kind": "WishIHadChosenNoxu", "listKind": "NoxuItemList", "shortNames": ["foo", "bar"]},
            "versions": [{"name": "v1beta1", "served": true, "storage": true, "schema": {"openAPIV3Schema": root}}]},
    });
    post(&server, DEFINITIONS, &definition).await.expect(201);
    established(&server, "noxus.mygroup.example.com").await;
    server
}

fn cron() -> Value {
    json!({"type": "object", "properties": {
        "foo": {"type": "string"},
        "cronSpec": {"type": "string", "pattern": "^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$"},
        "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["containerPort", "protocol"],
            "items": {"type": "object", "required": ["containerPort", "protocol"], "properties": {
                "containerPort": {"type": "integer", "format": "int32"}, "hostIP": {"type": "string"},
                "hostPort": {"type": "integer", "format": "int32"}, "name": {"type": "string"}, "protocol": {"type": "string"}}}},
    }})
}

async fn apply_strictly(server: &ApiServer, more: &str, spec: &str) -> Answer {
    let path = format!("{NOXUS}/mytest?fieldManager=field_validation_mgr&fieldValidation=Strict");
    let body = format!(
        "apiVersion: mygroup.example.com/v1beta1\nkind: WishIHadChosenNoxu\nmetadata:\n  name: mytest\n  finalizers:\n  - test-finalizer\n{more}spec:\n{spec}  cronSpec: \"* * * * */5\"\n  ports:\n  - name: x\n    containerPort: 80\n    protocol: TCP\n"
    );
    ask(server, "PATCH", &path).header("content-type", "application/apply-patch+yaml").body(body).send().await
}

#[tokio::test]
async fn what_fits_its_schema_or_has_none_is_applied() {
    let server = noxu(cron()).await;
    apply_strictly(&server, "", "  foo: foo1\n").await.expect(201);
    let server = noxu(Value::Null).await;
    apply_strictly(&server, "", "  unknown: uk1\n").await.expect(201);
}

#[tokio::test]
async fn what_a_schema_does_not_know_is_not_applied() {
    let server = noxu(cron()).await;
    let refused = apply_strictly(&server, "unknownField: unknown\n", "  foo: foo1\n").await;
    assert!(
        refused.code >= 400 && refused.text().contains(".unknownField: field not declared in schema"),
        "{}",
        refused.text()
    );
}

#[tokio::test]
async fn metadata_that_nobody_knows_is_found_at_the_root_and_in_embedded_objects() {
    let mut schema = cron();
    schema["x-kubernetes-preserve-unknown-fields"] = true.into();
    schema["properties"]["template"] = json!({"type": "object", "x-kubernetes-embedded-resource": true, "properties": {
        "metadata": {"type": "object", "properties": {"name": {"type": "string"}}}, "spec": {"type": "object"}}});
    let server = noxu(schema).await;
    let embedded = "  template:\n    apiVersion: foo/v1\n    kind: Sub\n    metadata:\n      unknownSubMeta: unknown\n      name: subobject\n      namespace: default\n";
    let refused = apply_strictly(&server, "  unknownMeta: unknown\n", embedded).await;
    assert!(refused.code >= 400, "{}", refused.text());
    for part in [
        ".metadata.unknownMeta: field not declared in schema",
        ".spec.template.metadata.unknownSubMeta: field not declared in schema",
    ] {
        assert!(refused.text().contains(part), "{}", refused.text());
    }
}

#[tokio::test]
async fn a_field_that_is_said_twice_is_found_where_unknown_ones_are_kept() {
    let mut schema = cron();
    schema["x-kubernetes-preserve-unknown-fields"] = true.into();
    let server = noxu(schema).await;
    let refused = apply_strictly(&server, "", "  unknown: uk1\n  foo: foo1\n  foo: foo2\n").await;
    assert!(refused.code >= 400 && refused.text().contains("foo"), "{}: {}", refused.code, refused.text());
}

#[tokio::test]
async fn a_typed_object_tells_what_is_unknown_or_twice() {
    let server = server().await;
    let strict = format!("{CONFIG_MAPS}?fieldManager=field_validation_mgr&fieldValidation=Strict");
    let body = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"unknownField":"foo","data":{"a":"1"},"immutable":false,"immutable":true}"#;
    let sent = ask(&server, "POST", &strict).header("content-type", "application/json").body(body).send().await;
    sent.hints(
        400,
        "BadRequest",
        "strict decoding error: unknown field \"unknownField\", duplicate field \"immutable\"",
    );
    let mut map = config_map("c");
    map["metadata"]["unknownMeta"] = "foo".into();
    post(&server, &strict, &map).await.hints(
        400,
        "BadRequest",
        "strict decoding error: unknown field \"metadata.unknownMeta\"",
    );
}

/// The schema of the specs about rules.
fn ruled(rule: &str) -> Value {
    json!({"type": "object", "x-kubernetes-validations": [{"rule": rule}],
        "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}, "l": {"type": "array", "items": {"type": "array",
            "items": {"type": "array", "items": {"type": "integer"}}}}}})
}

fn object(spec: Value) -> Value {
    json!({"apiVersion": "mygroup.example.com/v1beta1", "kind": "WishIHadChosenNoxu", "metadata": {"name": "n"}, "spec": spec})
}

#[tokio::test]
async fn rules_pass_and_fail_objects() {
    let server = noxu(ruled("self.x + self.y > 0")).await;
    post(&server, NOXUS, &object(json!({"x": 1, "y": 0}))).await.expect(201);
    post(&server, NOXUS, &object(json!({"x": -1, "y": 0}))).await.hints(
        422,
        "Invalid",
        "failed rule: self.x + self.y > 0",
    );
}

#[tokio::test]
async fn rules_of_changes_look_at_the_old_object() {
    let server = noxu(json!({"type": "object", "properties": {"num": {"type": "integer",
        "x-kubernetes-validations": [{"rule": "self == oldSelf * 2"}]}}}))
    .await;
    post(&server, NOXUS, &object(json!({"num": 10}))).await.expect(201);
    let path = format!("{NOXUS}/n");
    patch(&server, "merge", &path, &json!({"spec": {"num": 20}})).await.expect(200);
    patch(&server, "merge", &path, &json!({"spec": {"num": 10}})).await.hints(
        422,
        "Invalid",
        "failed rule: self == oldSelf * 2",
    );
}

#[tokio::test]
async fn rules_that_cannot_work_are_refused_with_their_definition() {
    let server = server().await;
    for (schema, part) in [
        (ruled("self.z == 1"), "undefined field 'z'"),
        (ruled("self = 42"), "Syntax error"),
        (
            json!({"type": "object", "properties": {"x": {"type": "array", "items": {"type": "string",
                "x-kubernetes-validations": [{"rule": "self == '1'"}]}}, "y": {"type": "array",
                "x-kubernetes-validations": [{"rule": "self.all(a, self.all(b, self.all(c, a == b && b == c)))"}],
                "items": {"type": "string"}}}}),
            "exceeds budget",
        ),
    ] {
        let mut definition = widget_definition();
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = schema;
        definition["spec"]["versions"][0]["selectableFields"] = json!([]);
        definition["spec"]["versions"][0]["subresources"] = json!({});
        post(&server, DEFINITIONS, &definition).await.hints(422, "Invalid", part);
    }
}
