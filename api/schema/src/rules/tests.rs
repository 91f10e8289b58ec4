//! Rules on objects and in definitions, as tables of what kube-apiserver says.

use serde_json::{Value, json};

use super::field_path;
use crate::Structural;

fn with_rules(spec: Value, rules: Value) -> Value {
    let mut spec = spec;
    spec["x-kubernetes-validations"] = rules;
    json!({"type": "object", "properties": {"spec": spec}})
}

fn asked(schema: &Value, object: &Value, old: Option<&Value>) -> (Vec<String>, Vec<String>) {
    let structural = Structural::compile(schema).unwrap();
    let mut errors = structural.validate(object, old);
    let mut warnings = Vec::new();
    structural.check_rules(object, old, &mut errors, &mut warnings);
    (errors.iter().map(|error| format!("{} {error}", error.reason.as_str())).collect(), warnings)
}

/// What is said of a spec.
fn told(schema: &Value, spec: Value) -> Vec<String> {
    asked(schema, &json!({"spec": spec}), None).0
}

fn changed(schema: &Value, old: Value, new: Value) -> (Vec<String>, Vec<String>) {
    asked(schema, &json!({"spec": new}), Some(&json!({"spec": old})))
}

fn defined(schema: &Value) -> Vec<String> {
    let errors = Structural::check_definition(schema, "s", false);
    errors.iter().map(ToString::to_string).collect()
}

fn sized() -> Value {
    json!({"type": "object", "properties": {
        "size": {"type": "integer"}, "name": {"type": "string", "maxLength": 10},
        "params": {"type": "object", "maxProperties": 5, "additionalProperties": {"type": "string", "maxLength": 10}}}})
}

#[test]
fn messages_reasons_and_paths_are_those_of_the_rule() {
    let table = [
        (json!({"rule": "self.size <= 100"}), "FieldValueInvalid spec: Invalid value: failed rule: self.size <= 100"),
        (
            json!({"rule": "self.size <= 100", "message": " too large "}),
            "FieldValueInvalid spec: Invalid value: too large",
        ),
        (
            json!({"rule": "self.size <= 100", "message": "size must be <= 100", "reason": "FieldValueForbidden", "fieldPath": ".size"}),
            "FieldValueForbidden spec.size: Forbidden: size must be <= 100",
        ),
        (
            json!({"rule": "self.size <= 100", "messageExpression": "self.size > 100 ? 'got more' : ''", "reason": "FieldValueRequired"}),
            "FieldValueRequired spec: Required value: got more",
        ),
        (
            json!({"rule": "self.size <= 100", "reason": "FieldValueDuplicate", "fieldPath": ".params['a.b']"}),
            "FieldValueDuplicate spec.params[a.b]: Duplicate value",
        ),
        (
            json!({"rule": "self.size <= 100", "message": "m", "messageExpression": "self.name"}),
            "FieldValueInvalid spec: Invalid value: m",
        ),
        (
            json!({"rule": "self.size <= 100", "message": "m", "messageExpression": "'a\\nb'"}),
            "FieldValueInvalid spec: Invalid value: m",
        ),
        (
            json!({"rule": "self.name == 'x'"}),
            r#"FieldValueInvalid spec: Invalid value: "object": no such key: name evaluating rule: self.name == 'x'"#,
        ),
        (
            json!({"rule": "self.size / 0 == 1", "message": "m"}),
            r#"FieldValueInvalid spec: Invalid value: "object": division by zero evaluating rule: m"#,
        ),
    ];
    for (rule, expected) in table {
        let schema = with_rules(sized(), json!([rule]));
        assert_eq!(defined(&schema), [""; 0], "{rule}");
        assert_eq!(told(&schema, json!({"size": 101})), [expected], "{rule}");
    }
}

#[test]
fn a_value_that_is_no_object_is_shown() {
    let schema = json!({"type": "object", "properties": {"spec": {
        "type": "string", "x-kubernetes-validations": [{"rule": "self != 'bad'", "message": "m"}]}}});
    assert_eq!(told(&schema, json!("bad")), [r#"FieldValueInvalid spec: Invalid value: "bad": m"#]);
}

#[test]
fn rules_wait_until_the_object_has_its_form() {
    let schema = with_rules(sized(), json!([{"rule": "self.size <= 100"}]));
    let skipped = "FieldValueInvalid <nil>: Invalid value: null: some validation rules were not checked because the \
                   object was invalid; correct the existing errors to complete validation";
    let errors = told(&schema, json!({"size": 101, "name": "x".repeat(11)}));
    assert_eq!(errors, ["FieldValueTooLong spec.name: Too long: may not be more than 10 bytes", skipped]);
    let without = json!({"type": "object", "properties": {"spec": sized()}});
    assert_eq!(told(&without, json!({"name": "x".repeat(11)})).len(), 1, "no word of rules where there are none");
}

#[test]
fn transition_rules_need_an_old_value() {
    let schema = with_rules(
        sized(),
        json!([
            {"rule": "self.size >= oldSelf.size", "message": "may not shrink"},
            {"rule": "oldSelf.hasValue() || self.size < 10", "message": "starts small", "optionalOldSelf": true},
        ]),
    );
    assert_eq!(defined(&schema), [""; 0]);
    assert_eq!(told(&schema, json!({"size": 5})), [""; 0]);
    assert_eq!(told(&schema, json!({"size": 50})), ["FieldValueInvalid spec: Invalid value: starts small"]);
    assert_eq!(changed(&schema, json!({"size": 5}), json!({"size": 50})).0, [""; 0]);
    assert_eq!(
        changed(&schema, json!({"size": 5}), json!({"size": 4})).0,
        ["FieldValueInvalid spec: Invalid value: may not shrink"]
    );
}

#[test]
fn items_meet_their_old_selves_by_key_only() {
    let list = |kind: &str| {
        json!({"type": "array", "maxItems": 50, "x-kubernetes-list-type": kind, "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "required": ["name"], "properties": {
                "name": {"type": "string", "maxLength": 9}, "port": {"type": "integer"}},
                "x-kubernetes-validations": [{"rule": "self.port >= oldSelf.port", "message": "m"}]}})
    };
    let schema = json!({"type": "object", "properties": {"spec": list("map")}});
    let item = |name: &str, port: u32| json!({"name": name, "port": port});
    let (old, new) = (json!([item("a", 1), item("b", 5)]), json!([item("b", 4), item("c", 0), item("a", 2)]));
    assert_eq!(changed(&schema, old, new).0, ["FieldValueInvalid spec[0]: Invalid value: m"]);
    let many: Vec<Value> = (0..40).map(|i| item(&format!("n{i}"), 7)).collect();
    let mut fewer = many.clone();
    fewer.reverse();
    fewer[3]["port"] = json!(6);
    assert_eq!(changed(&schema, json!(many), json!(fewer)).0, ["FieldValueInvalid spec[3]: Invalid value: m"]);
    let mut atomic = list("atomic");
    atomic.as_object_mut().unwrap().remove("x-kubernetes-list-map-keys");
    let schema = json!({"type": "object", "properties": {"spec": atomic}});
    assert_eq!(
        defined(&schema),
        [
            r#"s.properties[spec].items.x-kubernetes-validations[0].rule: Invalid value: "self.port >= oldSelf.port": oldSelf cannot be used on the uncorrelatable portion of the schema within s.properties[spec]"#
        ]
    );
}

#[test]
fn what_did_not_change_is_a_warning() {
    let spec = json!({"type": "object", "properties": {
        "a": {"type": "object", "properties": {"x": {"type": "integer"}},
            "x-kubernetes-validations": [{"rule": "self.x < 5", "message": "a"}, {"rule": "self.x != oldSelf.x", "message": "t"}]},
        "l": {"type": "array", "maxItems": 9, "items": {"type": "integer",
            "x-kubernetes-validations": [{"rule": "self < 5", "message": "l"}]}},
    }});
    let schema = json!({"type": "object", "properties": {"spec": spec}});
    let old = json!({"a": {"x": 7}, "l": [7, 1]});
    let mut new = old.clone();
    new["other"] = json!(1);
    let (errors, warnings) = changed(&schema, old.clone(), new);
    assert_eq!(errors, ["FieldValueInvalid spec.a: Invalid value: t"], "rules on the change itself are always asked");
    assert_eq!(warnings, ["spec.a: Invalid value: a", "spec.l[0]: Invalid value: 7: l"]);
    let new = json!({"a": {"x": 8}, "l": [7, 2]});
    let (errors, warnings) = changed(&schema, old, new);
    assert_eq!(
        errors,
        ["FieldValueInvalid spec.a: Invalid value: a", "FieldValueInvalid spec.l[0]: Invalid value: 7: l"]
    );
    assert_eq!(warnings, [""; 0], "items of an atomic list cannot be told apart: all of it must stay");
}

#[test]
fn names_formats_and_kinds_of_lists_are_seen_as_declared() {
    let spec = json!({"type": "object", "properties": {
        "a-b": {"type": "integer"}, "namespace": {"type": "string"}, "x.y/z": {"type": "boolean"},
        "port": {"x-kubernetes-int-or-string": true},
        "when": {"type": "string", "format": "date-time"}, "wait": {"type": "string", "format": "duration"},
        "bytes": {"type": "string", "format": "byte"}, "note": {"type": "string", "nullable": true},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "integer"}},
        "old": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "integer"}},
        "pod": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
    }});
    let rules = [
        "self.a__dash__b == 1",
        "self.__namespace__ == 'n'",
        "self.x__dot__y__slash__z",
        "type(self.port) == string && self.port == '80%'",
        "self.when < timestamp('2030-01-01T00:00:00Z')",
        "self.wait == duration('1h')",
        "size(self.bytes) == 3",
        "!has(self.note)",
        "self.set == self.old",
        "self.pod.kind == 'Pod' && self.pod.metadata.name.startsWith('p')",
    ];
    let list: Vec<Value> = rules.iter().map(|rule| json!({"rule": rule})).collect();
    let schema = with_rules(spec, json!(list));
    assert_eq!(defined(&schema).iter().filter(|e| !e.contains("estimated")).count(), 0, "{:?}", defined(&schema));
    let good = json!({
        "a-b": 1, "namespace": "n", "x.y/z": true, "port": "80%", "when": "2026-01-01T00:00:00Z", "wait": "60m",
        "bytes": "YWJj", "note": null, "set": [1, 2], "old": [2, 1],
        "pod": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p1", "labels": {"a": "b"}}, "spec": {}},
    });
    assert_eq!(told(&schema, good), [""; 0]);
}

#[test]
fn the_root_sees_names_of_its_metadata_and_nothing_else() {
    let rule = |rule: &str| json!({"type": "object", "x-kubernetes-validations": [{"rule": rule, "message": "m"}]});
    let schema = rule("self.metadata.name.startsWith('a')");
    assert_eq!(defined(&schema), [""; 0]);
    let named = |name: &str| json!({"apiVersion": "v1", "kind": "K", "metadata": {"name": name}});
    assert_eq!(asked(&schema, &named("abc"), None).0, [""; 0]);
    assert_eq!(asked(&schema, &named("b"), None).0, ["FieldValueInvalid <nil>: Invalid value: m"]);
    assert!(defined(&rule("has(self.metadata.labels)"))[0].contains("undefined field 'labels'"));
}

#[test]
fn costs_are_bounded_for_a_rule_and_for_an_object() {
    let list = json!({"type": "array", "items": {"type": "integer"}});
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"a": list}}}});
    let mut one = schema.clone();
    one["properties"]["spec"]["x-kubernetes-validations"] =
        json!([{"rule": "self.a.all(x, self.a.all(y, x + y != 1))", "message": "m"}]);
    let spec = json!({"a": vec![1; 1000]});
    assert_eq!(
        told(&one, spec.clone()),
        [
            r#"FieldValueInvalid spec: Invalid value: "object": 'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds limit for rule: m"#
        ]
    );
    let mut many = schema;
    let rules = vec![json!({"rule": "self.a.all(x, self.a.all(y, x + y != 1))"}); 40];
    many["properties"]["spec"]["x-kubernetes-validations"] = json!(rules);
    assert_eq!(
        told(&many, json!({"a": vec![1; 280]})),
        [
            r#"FieldValueInvalid spec: Invalid value: "object": validation failed due to running out of cost budget, no further validation rules will be run"#
        ]
    );
    assert_eq!(told(&many, json!({"a": vec![1; 10]})), [""; 0]);
}

#[test]
fn rules_that_make_no_sense_are_refused_in_the_words_of_kubernetes() {
    let at = "s.properties[spec].x-kubernetes-validations[0]";
    let go = |rule: &str| {
        format!(
            r#"{{"Rule":"{rule}","Message":"","MessageExpression":"","Reason":null,"FieldPath":"","OptionalOldSelf":null}}"#
        )
    };
    let table = [
        (json!({"rule": " "}), format!("{at}.rule: Required value: rule is not specified")),
        (
            json!({"rule": "true", "message": " "}),
            format!(r#"{at}.message: Invalid value: " ": must be non-empty if specified"#),
        ),
        (
            json!({"rule": "true", "message": "a\nb"}),
            format!(r#"{at}.message: Invalid value: "a\nb": must not contain line breaks"#),
        ),
        (
            json!({"rule": "true\n&& true"}),
            format!("{at}.message: Required value: message must be specified if rule contains line breaks"),
        ),
        (
            json!({"rule": "true", "messageExpression": " "}),
            format!("{at}.messageExpression: Required value: messageExpression must be non-empty if specified"),
        ),
        (
            json!({"rule": "true", "reason": "Nope"}),
            format!(
                r#"{at}.reason: Unsupported value: "Nope": supported values: "FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired""#
            ),
        ),
        (
            json!({"rule": "true", "fieldPath": ".nope"}),
            format!(r#"{at}.fieldPath: Invalid value: ".nope": must be a valid path"#),
        ),
        (
            json!({"rule": "self.zise < 1"}),
            format!(
                "{at}.rule: Invalid value: {}: compilation failed: ERROR: <input>:1:5: undefined field 'zise'\n | self.zise < 1\n | ....^",
                go("self.zise \\u003c 1")
            ),
        ),
        (
            json!({"rule": "self.size"}),
            format!("{at}.rule: Invalid value: {}: cel expression must evaluate to a bool", go("self.size")),
        ),
        (
            json!({"rule": "true", "optionalOldSelf": true}),
            format!("{at}.optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule"),
        ),
    ];
    for (rule, expected) in table {
        assert_eq!(defined(&with_rules(sized(), json!([rule]))), [expected], "{rule}");
    }
    let message = json!([{"rule": "true", "messageExpression": "self.size"}]);
    let errors = defined(&with_rules(sized(), message));
    assert!(errors[0].starts_with(&format!("{at}.messageExpression: Invalid value: {{")), "{errors:?}");
    assert!(errors[0].ends_with("messageExpression must evaluate to a string"), "{errors:?}");
}

#[test]
fn rules_that_cost_too_much_are_refused_unless_they_were_there() {
    let spec = json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}});
    let schema = with_rules(spec, json!([{"rule": "self.a.all(x, self.a.all(y, x == y))"}]));
    let errors = defined(&schema);
    let hint = "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)";
    let at = "s.properties[spec].x-kubernetes-validations[0].rule";
    assert_eq!(
        errors,
        [
            format!("{at}: Forbidden: estimated rule cost exceeds budget by factor of more than 100x {hint}"),
            format!(
                "{at}: Forbidden: contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
            ),
            format!(
                "s: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by factor of more than 100x {hint}"
            ),
        ]
    );
    let known = Structural::check_definition(&schema, "s", true);
    assert_eq!(known.len(), 2, "the sum is bounded in any case");
}

#[test]
fn defaults_keep_the_rules() {
    let mut spec = sized();
    spec["default"] = json!({"size": 101});
    let schema = with_rules(spec, json!([{"rule": "self.size <= 100", "message": "m", "fieldPath": ".size"}]));
    assert_eq!(defined(&schema), ["s.properties[spec].default.size: Invalid value: m"]);
}

#[test]
fn paths_lead_through_objects_and_maps() {
    let schema = json!({"properties": {
        "a": {"properties": {"b.c": {"type": "string"}, "d'e": {"type": "integer"}}},
        "m": {"additionalProperties": {"properties": {"x": {"type": "boolean"}}}}, "l": {"items": {"type": "string"}}}});
    let table = [
        (".a['b.c']", Ok("a.b.c")),
        (".a['d\\'e']", Ok("a.d'e")),
        (".m['k.1'].x", Ok("m[k.1].x")),
        (".m.k", Ok("m[k]")),
        ("['a']", Ok("a")),
        (".a.b", Err("does not refer to a valid field")),
        (".l[0]", Err("expected single quoted string but got 0")),
        (".l.x", Err("does not refer to a valid field")),
        ("a", Err("expected [ or . but got: a")),
        (".a[", Err("unexpected end of JSON path")),
        (".a['b.c'", Err("unexpected end of JSON path")),
        (".a['\\q']", Err("invalid string literal: invalid escape char \\q")),
    ];
    for (path, expected) in table {
        let found = field_path(path, &schema, true).map(|found| found.text).map_err(|error| error.to_string());
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{path}");
    }
    assert!(field_path(".a['b.c']", &schema, false).is_err());
}
