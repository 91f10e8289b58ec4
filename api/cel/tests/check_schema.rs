//! Types and bounds from schemas. The costs are those of the API server's own tests.

use berth_cel::compile;
use berth_cel::cost::estimate;
use berth_cel::env::{DeclType, Env};
use berth_cel::schema::declare;
use serde_json::{Value, json};

fn env(schema: &Value, is_resource: bool) -> Env {
    Env::new().with("self", declare(schema, "selfType", is_resource).expect("visible"))
}

#[track_caller]
fn max_cost(schema: &Value, rule: &str) -> u64 {
    let env = env(schema, false);
    let checked = compile(rule, &env).unwrap_or_else(|issues| panic!("{rule}\n{issues}"));
    estimate(&checked, &env).max
}

#[track_caller]
fn type_of(schema: &Value, is_resource: bool, expression: &str) -> String {
    match compile(expression, &env(schema, is_resource)) {
        Ok(checked) => checked.output.to_string(),
        Err(issues) => issues.as_slice()[0].message.clone(),
    }
}

fn kind(name: &str) -> Value {
    match name {
        "int-or-string" => json!({"x-kubernetes-int-or-string": true}),
        "duration" | "date" | "date-time" | "byte" => json!({"type": "string", "format": name}),
        name => json!({"type": name}),
    }
}

fn array(items: &Value) -> Value {
    json!({"type": "array", "items": items})
}

fn map(values: &Value) -> Value {
    json!({"type": "object", "additionalProperties": values})
}

fn item() -> Value {
    json!({
        "type": "object",
        "required": ["required"],
        "properties": {"required": {"type": "string"}, "optional": {"type": "string"}},
    })
}

#[test]
fn unbounded_values_are_bounded_by_the_request() {
    let table: Vec<(Value, &str, u64)> = vec![
        (array(&kind("number")), "self.all(x, true)", 4_718_591),
        (array(&kind("string")), "self.all(x, true)", 3_145_727),
        (array(&kind("boolean")), "self.all(x, true)", 1_887_437),
        (array(&array(&kind("number"))), "self.all(x, true)", 3_145_727),
        (array(&item()), "self.all(x, true)", 555_128),
        (map(&kind("number")), "self.all(x, true)", 1_348_169),
        (map(&kind("string")), "self.all(x, true)", 1_179_647),
        (map(&kind("boolean")), "self.all(x, true)", 943_718),
        (kind("string"), "self.contains('test')", 314_574),
        (kind("string"), "self.startsWith('test')", 2),
        (kind("string"), "size(self + 'hello') > size('hello')", 314_578),
        (array(&kind("number")), "self[1] == 0.0", 2),
        (array(&kind("string")), "self[1] == self[1]", 314_577),
        (kind("string"), "self.matches('x')", 314_574),
        (kind("string"), "\"\".matches(\"(((((((((())))))))))[0-9]\")", 7),
        (kind("string"), "self.matches('')", 1),
        (map(&kind("string")), "self.all(x, x.contains(self[x]))", 2_752_507),
        (kind("string"), "self == 'x'", 2),
        (kind("byte"), "self == b'x'", 2),
        (array(&kind("number")), "self.all(x, x == 0.0)", 6_291_454),
        (array(&map(&item())), "self.all(x, x['y'].required == 'z')", 7_340_027),
        (array(&kind("int-or-string")), "self.all(x, true)", 4_718_591),
        (array(&kind("int-or-string")), "self[0] == 5", 3),
        (array(&kind("boolean")), "self[0] == false", 2),
        (array(&item()), "self[0] == null", 2),
        (array(&array(&kind("number"))), "self[0][0] == -1.0", 3),
        (array(&map(&kind("number"))), "self.all(x, x.y == 25.2)", 6_291_452),
        (array(&map(&kind("number"))), "self[0].x > 2.0", 4),
        (array(&kind("duration")), "self.all(x, true)", 2_359_295),
        (array(&kind("duration")), "self[0].getHours() == 2", 4),
        (array(&kind("date")), "self.all(x, true)", 725_936),
        (array(&kind("date-time")), "self.all(x, true)", 428_963),
        (array(&kind("date-time")), "self[2].getMinutes() == 45", 4),
        (map(&kind("int-or-string")), "self.all(x, true)", 1_348_169),
        (map(&item()), "self.all(x, true)", 428_963),
        (map(&map(&kind("number"))), "self.all(x, true)", 1_179_647),
        (map(&array(&kind("number"))), "self.all(x, true)", 1_179_647),
        (map(&kind("duration")), "self.all(x, true)", 1_048_577),
    ];
    let mut wrong = Vec::new();
    for (schema, rule, expected) in table {
        let found = max_cost(&schema, rule);
        if found != expected {
            wrong.push(format!("{rule} over {schema}: {found}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn bounds_in_the_schema_lower_the_cost() {
    let bounded = |mut schema: Value, key: &str, bound: u64| {
        schema[key] = bound.into();
        schema
    };
    assert_eq!(max_cost(&bounded(array(&kind("number")), "maxItems", 10), "self.all(x, true)"), 32);
    assert_eq!(max_cost(&bounded(map(&kind("number")), "maxProperties", 10), "self.all(x, true)"), 32);
    assert_eq!(max_cost(&bounded(kind("string"), "maxLength", 10), "self.contains('test')"), 5);
    assert_eq!(max_cost(&bounded(kind("string"), "maxLength", 10), "self.matches('x')"), 6);
    assert_eq!(max_cost(&json!({"type": "string", "enum": ["a", "abcdefghijk"]}), "self.contains('test')"), 3);
    let squared = bounded(array(&kind("number")), "maxItems", 10);
    assert_eq!(max_cost(&squared, "self.all(x, self.all(y, true))"), 352);
    assert_eq!(max_cost(&squared, "self.all(x, self.all(y, self.all(z, true)))"), 3552);
}

#[test]
fn properties_become_fields_of_their_types() {
    let schema = json!({
        "type": "object",
        "properties": {
            "count": {"type": "integer"}, "ratio": {"type": "number"}, "on": {"type": "boolean", "nullable": true},
            "raw": {"type": "string", "format": "byte"}, "when": {"type": "string", "format": "date-time"},
            "took": {"type": "string", "format": "duration"}, "port": {"x-kubernetes-int-or-string": true},
            "a-b.c/d": {"type": "string"}, "namespace": {"type": "string"}, "1st": {"type": "string"},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "unseen": {"x-kubernetes-preserve-unknown-fields": true},
            "tags": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
            "template": {"type": "object", "x-kubernetes-embedded-resource": true},
            "parts": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}},
        },
    });
    let table = [
        ("self.count", "int"),
        ("self.ratio", "double"),
        ("self.on", "bool"),
        ("self.raw", "bytes"),
        ("self.when", "timestamp"),
        ("self.took", "duration"),
        ("self.port", "dyn"),
        ("self.a__dash__b__dot__c__slash__d", "string"),
        ("self.__namespace__", "string"),
        ("self.namespace", "undefined field 'namespace'"),
        ("self.free", "selfType.free"),
        ("self.free.x", "undefined field 'x'"),
        ("self.unseen", "undefined field 'unseen'"),
        ("self.tags.a", "list(string)"),
        ("self.template.metadata.name", "string"),
        ("self.template.kind", "string"),
        ("self.template.spec", "undefined field 'spec'"),
        ("self.parts[0]", "selfType.parts.@idx"),
        ("self.parts[0].n", "int"),
        ("self.kind", "undefined field 'kind'"),
    ];
    for (expression, expected) in table {
        assert_eq!(type_of(&schema, false, expression), expected, "{expression}");
    }
    for (expression, expected) in [
        ("self.kind", "string"),
        ("self.metadata.generateName", "string"),
        ("self.metadata.labels", "undefined field 'labels'"),
    ] {
        assert_eq!(type_of(&schema, true, expression), expected, "{expression}");
    }
}

#[test]
fn what_has_no_type_is_not_visible() {
    assert_eq!(declare(&json!({}), "x", false), None);
    assert_eq!(declare(&json!({"type": "array"}), "x", false), None);
    assert_eq!(declare(&map(&json!({})), "x", false), None);
    assert!(matches!(declare(&json!({"type": "object"}), "x", false), Some(DeclType::Object(_))));
}
