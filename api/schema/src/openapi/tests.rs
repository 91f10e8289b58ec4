//! The documents, as clients read them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::structural::Structural;
use crate::structural::tests::widget_schema;

fn widget_doc() -> KindDoc {
    let verbs = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];
    KindDoc {
        group: "demo.example.com".to_owned(),
        version: "v1".to_owned(),
        kind: "Widget".to_owned(),
        list_kind: "WidgetList".to_owned(),
        plural: "widgets".to_owned(),
        singular: "widget".to_owned(),
        namespaced: true,
        schema: Arc::new(widget_schema()),
        status: true,
        scale: true,
        strategic: false,
        verbs: verbs.map(str::to_owned).to_vec(),
    }
}

#[test]
fn kubectl_finds_validation_and_explanation_in_v3() {
    let document = v3("Berth", "v1", &[widget_doc()]);
    let item = "/apis/demo.example.com/v1/namespaces/{namespace}/widgets/{name}";
    let patch = &document["paths"][item]["patch"];
    assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Widget");
    assert!(
        patch["parameters"].as_array().unwrap().iter().any(|p| p["name"] == "fieldValidation" && p["in"] == "query")
    );
    assert!(patch["requestBody"]["content"].get("application/strategic-merge-patch+json").is_none());
    for path in [format!("{item}/status"), format!("{item}/scale"), "/apis/demo.example.com/v1/widgets".to_owned()] {
        assert!(document["paths"].get(&path).is_some(), "{path}");
    }
    let schema = &document["components"]["schemas"]["com.example.demo.v1.Widget"];
    assert_eq!(schema["x-kubernetes-group-version-kind"][0]["group"], "demo.example.com");
    assert_eq!(
        schema["properties"]["metadata"]["allOf"][0]["$ref"],
        "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    );
    let explained = |path: &[&str]| explain_v3(&document, "demo.example.com", "v1", "Widget", path);
    assert_eq!(explained(&["metadata"]).unwrap().type_name, "ObjectMeta");
    assert_eq!(explained(&["metadata", "labels"]).unwrap().type_name, "map[string]string");
    assert_eq!(explained(&["spec", "color"]).unwrap().description, "the colour");
    assert!(explained(&["spec"]).unwrap().children.iter().any(|c| c.name == "color" && c.required));
    assert_eq!(explained(&["spec", "port"]).unwrap().type_name, "IntOrString");
    assert!(explained(&["spec", "nope"]).is_none());
}

#[test]
fn v2_says_only_what_v2_can_say() {
    let document = v2_json("Berth", "v1", &[widget_doc()]);
    let spec = &document["definitions"]["com.example.demo.v1.Widget"]["properties"]["spec"]["properties"];
    assert_eq!(spec["port"], json!({"x-kubernetes-int-or-string": true}));
    assert_eq!(spec["free"], json!({"x-kubernetes-preserve-unknown-fields": true}));
    assert_eq!(spec["note"], json!({"maxLength": 20}));
    assert_eq!(spec["size"], json!({"type": "integer", "minimum": 1}));
    assert_eq!(
        document["definitions"]["com.example.demo.v1.Widget"]["properties"]["metadata"]["$ref"],
        "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    );
    let text = document.to_string();
    for word in ["anyOf", "oneOf", "components/schemas", "nullable"] {
        assert!(!text.contains(word), "{word}");
    }
}

/// Reads one message into (field, payload) pairs; varints and doubles have no payload.
fn read(bytes: &[u8]) -> Vec<(u64, &[u8])> {
    fn varint(bytes: &[u8], at: &mut usize) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = bytes[*at];
            *at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    let mut at = 0;
    let mut found = Vec::new();
    while at < bytes.len() {
        let tag = varint(bytes, &mut at);
        let payload: &[u8] = match tag & 7 {
            0 => {
                varint(bytes, &mut at);
                &[]
            }
            1 => {
                at += 8;
                &[]
            }
            2 => {
                let length = varint(bytes, &mut at) as usize;
                at += length;
                &bytes[at - length..at]
            }
            other => panic!("wire type {other}"),
        };
        found.push((tag >> 3, payload));
    }
    found
}

fn field(bytes: &[u8], number: u64) -> Vec<&[u8]> {
    read(bytes).into_iter().filter(|(n, _)| *n == number).map(|(_, payload)| payload).collect()
}

/// The value of a named entry in a repeated field of pairs.
fn entry<'b>(bytes: &'b [u8], number: u64, name: &str) -> &'b [u8] {
    let pair = field(bytes, number).into_iter().find(|pair| field(pair, 1) == [name.as_bytes()]);
    field(pair.unwrap_or_else(|| panic!("{name}")), 2)[0]
}

#[test]
fn the_protobuf_form_carries_kinds_and_parameters_where_gnostic_reads_them() {
    let bytes = v2_protobuf(&v2_json("Berth", "v1", &[widget_doc()]));
    assert_eq!(field(&bytes, 1), [b"2.0"]);
    let definitions = field(&bytes, 9)[0];
    let widget = entry(definitions, 1, "com.example.demo.v1.Widget");
    let gvk = entry(widget, 31, "x-kubernetes-group-version-kind");
    let yaml: Value = serde_json::from_slice(field(gvk, 2)[0]).unwrap();
    assert_eq!(yaml, json!([{"group": "demo.example.com", "kind": "Widget", "version": "v1"}]));
    let spec = entry(field(widget, 25)[0], 1, "spec");
    assert_eq!(field(field(spec, 22)[0], 1), [b"object"]);
    assert_eq!(field(spec, 19), [b"color"]);
    let tags = entry(field(spec, 25)[0], 1, "tags");
    assert_eq!(field(field(field(tags, 23)[0], 1)[0], 22).len(), 1);
    let path = entry(field(&bytes, 8)[0], 2, "/apis/demo.example.com/v1/namespaces/{namespace}/widgets/{name}");
    let patch = field(path, 8)[0];
    let gvk = entry(patch, 13, "x-kubernetes-group-version-kind");
    let yaml: Value = serde_json::from_slice(field(gvk, 2)[0]).unwrap();
    assert_eq!(yaml["kind"], "Widget");
    let names: Vec<&[u8]> = field(patch, 8)
        .into_iter()
        .flat_map(|item| field(field(item, 1)[0], 2))
        .flat_map(|non_body| field(non_body, 3))
        .flat_map(|query| field(query, 4))
        .collect();
    assert!(names.contains(&&b"dryRun"[..]) && names.contains(&&b"fieldValidation"[..]));
}

#[test]
fn references_are_inlined_and_circles_cut() {
    let schema = inline_refs(json!({
        "$schema": "x", "title": "T", "type": "object",
        "properties": {
            "a": {"$ref": "#/$defs/A", "description": "mine"},
            "opt": {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]},
            "n": {"type": ["integer", "null"], "format": "uint32", "minimum": 0},
            "any": true,
            "$ref": {"type": "string"},
        },
        "$defs": {"A": {"type": "object", "properties": {"again": {"$ref": "#/$defs/A"}, "s": {"type": "string"}}}},
    }));
    assert_eq!(schema["properties"]["a"]["description"], "mine");
    assert_eq!(schema["properties"]["opt"]["properties"]["s"], json!({"type": "string"}));
    assert_eq!(schema["properties"]["n"], json!({"type": "integer", "minimum": 0}));
    assert_eq!(
        schema["properties"]["a"]["properties"]["again"],
        json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
    );
    assert_eq!(schema["properties"]["any"], json!({"x-kubernetes-preserve-unknown-fields": true}));
    assert_eq!(schema["properties"]["$ref"], json!({"type": "string"}));
    assert!(Structural::compile(&schema).is_ok());
}

/// The schema of a library type, as the API server gets it.
fn derived<T: schemars::JsonSchema>() -> Value {
    let draft = schemars::generate::SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    inline_refs(draft.to_value())
}

#[test]
fn built_in_kinds_become_structural() {
    use k8s_openapi::api::{coordination, core, rbac};
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
    let kinds = [
        ("Namespace", derived::<core::v1::Namespace>()),
        ("Secret", derived::<core::v1::Secret>()),
        ("ConfigMap", derived::<core::v1::ConfigMap>()),
        ("ServiceAccount", derived::<core::v1::ServiceAccount>()),
        ("Event", derived::<core::v1::Event>()),
        ("Lease", derived::<coordination::v1::Lease>()),
        ("RoleBinding", derived::<rbac::v1::RoleBinding>()),
        ("ClusterRole", derived::<rbac::v1::ClusterRole>()),
        ("CRD", derived::<CustomResourceDefinition>()),
    ];
    for (name, schema) in &kinds {
        assert!(!schema.to_string().contains("\"$ref\":\""), "{name}");
        let _ = Structural::compile_builtin(schema);
    }
    let secret = Structural::compile_builtin(&kinds[1].1);
    let mut object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "creationTimestamp": null},
        "type": "Opaque", "data": {"k": "aGk="}, "stringData": {"x": "y"}});
    secret.default(&mut object);
    assert_eq!(secret.prune(&mut object), []);
    assert_eq!(secret.validate(&object, None), []);
    let bad = json!({"data": {"k": "%"}});
    let told: Vec<String> = secret.validate(&bad, None).iter().map(|e| e.to_string()).collect();
    assert_eq!(told, [r#"data.k: Invalid value: "%": data.k in body must be of type byte: "%""#]);
}

#[test]
fn definitions_of_kinds_are_judged_by_their_own_schema() {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
    let schema = derived::<CustomResourceDefinition>();
    let structural = Structural::compile_builtin(&schema);
    for crd in berth_types::crds::all() {
        let before = serde_json::to_value(crd).unwrap();
        let mut after = before.clone();
        assert_eq!(structural.prune(&mut after), []);
        assert_eq!(after, before);
        assert_eq!(structural.validate(&after, None), []);
    }
}
