//! The toy kind, judged as the real server judged it.

use serde_json::{Value, json};

use super::*;

pub(crate) fn widget_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "required": ["color"],
                "description": "What is wanted.",
                "properties": {
                    "color": {"type": "string", "enum": ["red", "green", "blue", "locked"], "description": "the colour"},
                    "size": {"type": "integer", "minimum": 1, "default": 3},
                    "note": {"type": "string", "nullable": true, "maxLength": 20},
                    "replicas": {"type": "integer", "default": 1, "format": "int32"},
                    "port": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                    "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
                    "atoms": {"type": "array", "items": {"type": "string"}},
                    "ports": {
                        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                        "items": {"type": "object", "required": ["name"], "properties": {
                            "name": {"type": "string"}, "port": {"type": "integer"},
                            "proto": {"type": "string", "default": "TCP"}}}},
                    "params": {"type": "object", "additionalProperties": {"type": "string"}},
                    "when": {"type": "string", "format": "date-time"},
                    "choice": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                        "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
                }},
            "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
        }
    })
}

pub(crate) fn widget() -> Structural {
    Structural::compile(&widget_schema()).unwrap()
}

fn told(errors: Vec<FieldError>) -> Vec<String> {
    errors.iter().map(FieldError::to_string).collect()
}

fn compile_errors(schema: Value) -> Vec<String> {
    told(Structural::compile(&schema).err().unwrap_or_default())
}

#[test]
fn every_breach_is_told_at_once_in_the_words_of_kubernetes() {
    let object = json!({"spec": {
        "color": "pink", "size": 0, "note": "x".repeat(30),
        "ports": [{"port": 1}, {"name": "a"}, {"name": "a"}], "tags": ["a", "a"],
        "replicas": 3_000_000_000_u64, "port": true, "when": "today", "choice": {},
    }});
    assert_eq!(
        told(widget().validate(&object, None)),
        [
            r#"spec.choice: Invalid value: "": "spec.choice" must validate one and only one schema (oneOf). Found none valid"#,
            "spec.choice.a: Required value",
            r#"spec.color: Unsupported value: "pink": supported values: "red", "green", "blue", "locked""#,
            "spec.note: Too long: may not be more than 20 bytes",
            r#"spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean""#,
            "spec.ports[0].name: Required value",
            "spec.replicas: Invalid value: 3000000000: spec.replicas in body should be less than or equal to 2147483647",
            "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1",
            r#"spec.when: Invalid value: "today": spec.when in body must be of type date-time: "today""#,
            r#"spec.ports[2]: Duplicate value: {"name":"a"}"#,
            r#"spec.tags[1]: Duplicate value: "a""#,
        ]
    );
}

#[test]
fn a_wrong_type_names_both_types() {
    let errors = widget().validate(&json!({"spec": {"color": "red", "size": "x"}}), None);
    assert_eq!(errors[0].reason, crate::CauseReason::TypeInvalid);
    assert_eq!(
        told(errors),
        [r#"spec.size: Invalid value: "string": spec.size in body must be of type integer: "string""#]
    );
}

#[test]
fn defaults_fill_gaps_and_nulls_follow_nullable() {
    let mut object = json!({"spec": {
        "color": "red", "size": null, "note": null, "params": null, "ports": [{"name": "a"}],
        "free": {"kept": null},
    }});
    widget().default(&mut object);
    assert_eq!(
        object,
        json!({"spec": {
            "color": "red", "size": 3, "replicas": 1, "note": null,
            "ports": [{"name": "a", "proto": "TCP"}], "free": {"kept": null},
        }})
    );
}

#[test]
fn unknown_fields_go_and_are_told_with_the_name_that_was_meant() {
    let mut object = json!({
        "apiVersion": "a/v1", "kind": "Widget", "foo": 1,
        "metadata": {"name": "n", "lables": {}, "ownerReferences": [{"uid": "u", "controler": true}]},
        "spec": {"color": "red", "replcas": 2, "ports": [{"name": "a", "zip": 1}],
                 "free": {"any": {"thing": 1}}, "params": {"any": "text"}},
    });
    let unknown: Vec<String> = widget().prune(&mut object).iter().map(UnknownField::to_string).collect();
    assert_eq!(
        unknown,
        [
            r#"unknown field "foo""#,
            r#"unknown field "metadata.lables", did you mean "labels"?"#,
            r#"unknown field "metadata.ownerReferences[0].controler", did you mean "controller"?"#,
            r#"unknown field "spec.ports[0].zip""#,
            r#"unknown field "spec.replcas", did you mean "replicas"?"#,
        ]
    );
    assert_eq!(
        object["spec"],
        json!({"color": "red", "ports": [{"name": "a"}], "free": {"any": {"thing": 1}}, "params": {"any": "text"}})
    );
}

#[test]
fn unchanged_parts_are_not_blamed_on_update() {
    let old = json!({"spec": {"color": "pink", "size": 0, "ports": [{"name": "a", "port": "x"}]}});
    let mut new = old.clone();
    new["metadata"] = json!({"labels": {"a": "b"}});
    assert_eq!(told(widget().validate(&new, Some(&old))), [""; 0]);
    new["spec"]["size"] = json!(-1);
    new["spec"]["ports"] = json!([{"name": "b"}, {"name": "a", "port": "x"}]);
    assert_eq!(
        told(widget().validate(&new, Some(&old))),
        ["spec.size: Invalid value: -1: spec.size in body should be greater than or equal to 1"]
    );
}

#[test]
fn schemas_that_are_not_structural_are_refused_with_all_reasons() {
    assert_eq!(
        compile_errors(json!({
            "type": "object",
            "properties": {
                "metadata": {"type": "object", "properties": {"labels": {"type": "object"}}},
                "spec": {
                    "properties": {
                        "a": {"type": "strnig"},
                        "b": {"type": "array"},
                        "c": {"type": "object", "properties": {"x": {"type": "string"}}, "additionalProperties": {"type": "string"}},
                        "d": {"type": "string", "pattern": "("},
                        "e": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                              "items": {"type": "object", "properties": {"k": {"type": "string"}}}},
                    },
                    "anyOf": [{"properties": {"z": {"type": "string"}}}],
                },
            },
        })),
        [
            "properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified",
            "properties[spec].type: Required value: must not be empty for specified object fields",
            r#"properties[spec].properties[a].type: Unsupported value: "strnig": supported values: "array", "boolean", "integer", "number", "object", "string""#,
            "properties[spec].properties[b].items: Required value: must be specified",
            "properties[spec].properties[c].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
            r#"properties[spec].properties[d].pattern: Invalid value: "(": must be a valid regular expression, but isn't: regex parse error:     (     ^ error: unclosed group"#,
            "properties[spec].properties[e].items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
            "properties[spec].anyOf[0].properties[z].type: Forbidden: must be empty to be structural",
            "properties[spec].properties[z]: Required value: because it is defined in properties[spec].anyOf[0].properties[z]",
        ]
    );
    assert_eq!(
        compile_errors(json!({"type": "object", "properties": {"a": {"type": "integer", "default": "x"}}})),
        [r#"properties[a].default: Invalid value: "string": in body must be of type integer: "string""#]
    );
}

#[test]
fn schemas_nested_without_end_are_refused() {
    let mut schema = json!({"type": "object"});
    for _ in 0..120 {
        schema = json!({"type": "object", "properties": {"a": schema}});
    }
    assert!(compile_errors(schema)[0].ends_with("Forbidden: must not be nested more than 100 levels deep"));
}

#[test]
fn embedded_objects_have_metadata_and_are_pruned_like_objects() {
    let schema = Structural::compile(&json!({"type": "object", "properties": {
        "template": {"type": "object", "x-kubernetes-embedded-resource": true, "properties": {"data": {"type": "string"}}},
    }}))
    .unwrap();
    let mut object = json!({"template": {"metadata": {"name": "a", "nope": 1}, "data": "x", "kind": "K"}});
    assert_eq!(schema.prune(&mut object)[0].path, "template.metadata.nope");
    assert_eq!(told(schema.validate(&object, None)), ["template.apiVersion: Required value"]);
}

#[test]
fn explain_steps_through_lists_and_maps() {
    let schema = widget();
    let spec = schema.explain(&["spec"]).unwrap();
    assert_eq!((&*spec.type_name, &*spec.description), ("Object", "What is wanted."));
    assert!(spec.children.iter().any(|c| c.name == "color" && c.required && c.description == "the colour"));
    assert_eq!(schema.explain(&["spec", "ports"]).unwrap().type_name, "[]Object");
    assert_eq!(schema.explain(&["spec", "ports", "proto"]).unwrap().type_name, "string");
    assert_eq!(schema.explain(&["spec", "params"]).unwrap().type_name, "map[string]string");
    assert_eq!(schema.explain(&["metadata", "ownerReferences", "uid"]).unwrap().type_name, "string");
    assert!(schema.explain(&["spec", "nope"]).is_none());
}

#[test]
fn our_own_kinds_compile_and_know_their_examples() {
    for crd in berth_types::crds::all() {
        let crd = serde_json::to_value(crd).unwrap();
        for version in crd["spec"]["versions"].as_array().unwrap() {
            let errors = compile_errors(version["schema"]["openAPIV3Schema"].clone());
            assert_eq!(errors, [""; 0], "{}", crd["metadata"]["name"]);
        }
    }
}
