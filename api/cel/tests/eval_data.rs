//! Declared data, list types, constructed objects, lazy variables, the authorizer.

// In tests a failed unwrap is a failed test.
#![allow(clippy::unwrap_used)]

mod eval_support;

use std::sync::Mutex;

use berth_cel::env::{DeclType, Env};
use berth_cel::types::opaque;
use berth_cel::value::{Attributes, Authorizer, Check, Decision, Shape};
use berth_cel::{Activation, Budget, Value};
use eval_support::{link, print};
use serde_json::{Value as Json, json};

/// Evaluates rules over `self` of a schema.
#[track_caller]
fn check_rules(schema: &Json, data: &Json, table: &[(&str, &str)]) {
    let shape = Shape::from_schema(schema, false);
    let env = Env::new().with("self", DeclType::Dyn);
    for (source, expected) in table {
        let program = link(source, &env).expect(source);
        let mut activation = Activation::new();
        activation.bind_shaped("self", data, &shape);
        let got = match program.eval(&activation, &mut Budget::default()) {
            Ok(value) => print(&value),
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(got, *expected, "{source}");
    }
}

#[test]
fn declared_data_converts_as_it_is_read() {
    let schema = json!({"type": "object", "properties": {
        "whole": {"type": "number"}, "at": {"type": "string", "format": "date-time"},
        "day": {"type": "string", "format": "date"}, "span": {"type": "string", "format": "duration"},
        "raw": {"type": "string", "format": "byte"}, "port": {"x-kubernetes-int-or-string": true},
        "a-b": {"type": "string"}, "namespace": {"type": "string"}, "x__y": {"type": "integer"},
        "map": {"type": "object", "additionalProperties": {"type": "integer"}},
        "empty": {"type": "string", "nullable": true}, "open": {"x-kubernetes-preserve-unknown-fields": true},
    }});
    let data = json!({
        "whole": 1, "at": "2024-01-01T00:00:00Z", "day": "2024-01-02", "span": "90s", "raw": "aGk=", "port": "http",
        "a-b": "dash", "namespace": "ns", "x__y": 7, "map": {"a-b": 1, "c__dash__d": 2}, "empty": null,
        "hidden": 1, "open": {"x": [1]},
    });
    check_rules(
        &schema,
        &data,
        &[
            ("type(self.whole) == double && self.whole == 1.0", "true"),
            ("self.at.getFullYear() + self.day.getDate()", "2026"),
            ("self.day - self.at == duration('24h')", "true"),
            ("self.span == duration('90s')", "true"),
            ("self.raw == b'hi'", "true"),
            ("self.port == 'http'", "true"),
            ("self.a__dash__b + self.__namespace__", "\"dashns\""),
            ("self.x__underscores__y", "7"),
            ("self.map['a-b'] + self.map['c__dash__d']", "3"),
            ("has(self.empty)", "false"),
            ("has(self.hidden)", "false"),
            ("self.hidden", "error: no such key: hidden"),
            ("self.open == self.open", "true"),
            ("self.open.x", "error: no such key: x"),
            ("self.map.all(k, k.size() > 2)", "true"),
        ],
    );
}

#[test]
fn data_that_does_not_fit_its_schema_is_an_error() {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}, "s": {"type": "string"}, "list":
        {"type": "array", "items": {"type": "string"}}}});
    let data = json!({"n": "x", "s": 1, "list": [null]});
    check_rules(
        &schema,
        &data,
        &[
            ("self.n", "error: invalid data, expected int, got string"),
            ("self.s", "error: invalid data, expected string, got int64"),
            ("self.list[0]", "error: invalid data, got null for schema with nullable=false"),
            ("self.list.all(x, x == 'a')", "error: invalid data, got null for schema with nullable=false"),
        ],
    );
}

#[test]
fn list_types_decide_equality_and_addition() {
    let scalar = json!({"type": "integer"});
    let object = json!({"type": "object", "properties": {
        "name": {"type": "string"}, "v": {"type": "integer"}, "a-b": {"type": "string"}}});
    let schema = json!({"type": "object", "properties": {
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": scalar},
        "set2": {"type": "array", "x-kubernetes-list-type": "set", "items": scalar},
        "map": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "a-b"],
            "items": object},
        "map2": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "a-b"],
            "items": object},
        "plain": {"type": "array", "items": scalar},
    }});
    let data = json!({
        "set": [1, 2, 3], "set2": [3, 1, 2], "plain": [1, 2],
        "map": [{"name": "a", "a-b": "x", "v": 1}, {"name": "b", "a-b": "x", "v": 2}],
        "map2": [{"name": "b", "a-b": "x", "v": 2}, {"name": "a", "a-b": "x", "v": 1}],
    });
    check_rules(
        &schema,
        &data,
        &[
            ("self.set == self.set2", "true"),
            ("self.set == [3, 2, 1] && self.set != [1, 2]", "true"),
            ("self.set + [3, 4, 5]", "[1,2,3,4,5]"),
            ("self.set + [3, 4] == [4, 3, 2, 1]", "true"),
            ("(self.set + [4]) + [4]", "[1,2,3,4]"),
            ("self.plain + [2]", "[1,2,2]"),
            ("self.plain == [2, 1]", "false"),
            ("self.map == self.map2", "true"),
            ("(self.map + self.map2).size()", "2"),
            ("(self.map + [{'name': 'b', 'a__dash__b': 'x', 'v': dyn(9)}])[1].v", "9"),
            ("(self.map + [{'name': 'b', 'a__dash__b': 'other'}]).size()", "3"),
        ],
    );
}

fn mutation_env() -> Env {
    let mut env = Env::new().with("object", DeclType::Dyn);
    env.open_object("Object");
    let text = || DeclType::string();
    let fields = [("op", text()), ("path", text()), ("from", text()), ("value", DeclType::Dyn)];
    if let DeclType::Object(patch) = DeclType::object("JSONPatch", fields) {
        env.declare_object(patch);
    }
    env
}

#[test]
fn objects_are_constructed_and_become_json() {
    let env = mutation_env();
    let data = json!({"metadata": {"labels": {"a": "b"}}});
    let rows = [
        ("Object{spec: Object.spec{replicas: 1 + 2, a__dash__b: 'x'}}", r#"{"spec":{"a-b":"x","replicas":3}}"#),
        ("Object{spec: Object.spec{list: [Object.spec.list{name: 'a'}]}}", r#"{"spec":{"list":[{"name":"a"}]}}"#),
        ("Object{metadata: object.metadata}", r#"{"metadata":{"labels":{"a":"b"}}}"#),
        ("Object{?spec: optional.none()}", "{}"),
        (
            "[JSONPatch{op: 'add', path: '/a/' + jsonpatch.escapeKey('b/c'), value: {'x': 1}}]",
            r#"[{"op":"add","path":"/a/b~1c","value":{"x":1}}]"#,
        ),
        ("JSONPatch{op: 'test', path: '/a'}.from == '' && !has(JSONPatch{op: 'x'}.path)", "true"),
        ("has(Object{spec: 1}.spec)", "true"),
        ("Object{spec: 1} == Object{spec: 1}", "true"),
        ("Object{spec: 1}.other", "error: no such key: other"),
    ];
    for (source, expected) in rows {
        let program = link(source, &env).expect(source);
        let mut activation = Activation::new();
        activation.bind_json("object", &data);
        let got = match program.eval(&activation, &mut Budget::default()) {
            Ok(value) => value.to_json().expect(source).to_string(),
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(got, expected, "{source}");
    }
}

#[test]
fn misplaced_object_types_are_found() {
    let program = link("Object{spec: Object.status{a: 1}}", &mutation_env()).expect("compiles");
    let activation = Activation::new();
    let value = program.eval(&activation, &mut Budget::default()).expect("evaluates");
    let Value::Object(object) = value else { panic!("no object") };
    let error = object.check_type_names().expect_err("Object.status in spec");
    assert_eq!(
        error,
        "unexpected type name \"Object.status\", expected \"Object.spec\", which matches field name path from root \
         Object type"
    );
}

#[test]
fn lazy_variables_are_computed_once_and_when_needed() {
    let env = Env::new()
        .with("object", DeclType::Dyn)
        .with("variables.a", DeclType::Dyn)
        .with("variables.b", DeclType::Dyn)
        .with("variables.broken", DeclType::Dyn);
    let data = json!({"n": 20});
    let a = link("object.n + 1", &env).expect("a");
    let b = link("variables.a * 2", &env).expect("b");
    let broken = link("object.missing", &env).expect("broken");
    let rule = link("variables.b == 42 && variables.a == 21 && (true || variables.broken)", &env).expect("rule");
    let mut activation = Activation::new();
    activation.bind_json("object", &data);
    activation.bind_lazy("variables.a", &a).bind_lazy("variables.b", &b).bind_lazy("variables.broken", &broken);
    let mut budget = Budget::default();
    let first = budget.remaining();
    assert_eq!(rule.eval(&activation, &mut budget).map(|value| value.as_bool()), Ok(Some(true)));
    let second = budget.remaining();
    assert_eq!(rule.eval(&activation, &mut budget).map(|value| value.as_bool()), Ok(Some(true)));
    assert!(second - budget.remaining() < first - second, "the second time costs less");
    let failing = link("variables.broken == 1", &env).expect("failing");
    let error = failing.eval(&activation, &mut budget).expect_err("fails");
    assert_eq!(error.to_string(), "no such key: missing");
}

#[test]
fn a_variable_object_finds_variables_bound_by_dotted_name() {
    let variables = DeclType::object("variables", [("a", DeclType::Int)]);
    let env = Env::new().with("variables", variables);
    let a = link("40 + 2", &env).expect("a");
    let rule = link("has(variables.a) && variables.a == 42", &env).expect("rule");
    let mut activation = Activation::new();
    activation.bind_lazy("variables.a", &a);
    assert_eq!(rule.eval(&activation, &mut Budget::default()).map(|value| value.as_bool()), Ok(Some(true)));
    let unbound = Activation::new();
    assert_eq!(rule.eval(&unbound, &mut Budget::default()).map(|value| value.as_bool()), Ok(Some(false)));
    let rule = link("variables.a == 42", &env).expect("rule");
    let error = rule.eval(&unbound, &mut Budget::default()).expect_err("unbound");
    assert_eq!(error.to_string(), "no such attribute(s): variables");
}

#[test]
fn variables_that_need_themselves_end() {
    let env = Env::new().with("variables.a", DeclType::Dyn);
    let a = link("variables.a + 1", &env).expect("a");
    let mut activation = Activation::new();
    activation.bind_lazy("variables.a", &a);
    let error = a.eval(&activation, &mut Budget::default()).expect_err("a circle");
    assert!(error.to_string().starts_with("variable variables.a needs more than"), "{error}");
}

/// Allows what it is told, and notes what it is asked.
struct Allow(&'static str, Mutex<Vec<Attributes>>);

impl Authorizer for Allow {
    fn check(&self, attributes: &Attributes) -> Decision {
        self.1.lock().unwrap().push(attributes.clone());
        Decision { allowed: attributes.verb == self.0, reason: "because".to_owned(), error: None }
    }
}

#[test]
fn the_authorizer_is_asked_what_the_expression_says() {
    let env = Env::new()
        .with("authorizer", DeclType::Opaque(opaque::AUTHORIZER))
        .with("authorizer.requestResource", DeclType::Opaque(opaque::RESOURCE_CHECK));
    let rows = [
        (
            "authorizer.group('apps').resource('deployments').subresource('status').namespace('ns').name('x')\
          .check('get').allowed()",
            "true",
        ),
        ("authorizer.path('/healthz').check('get').reason()", "\"because\""),
        ("authorizer.serviceAccount('ns', 'bot').group('').resource('pods').check('list').allowed()", "false"),
        ("authorizer.requestResource.check('get').allowed()", "true"),
        ("authorizer.group('').resource('pods').labelSelector('a=b').check('get').errored()", "false"),
        ("authorizer.path(' ').check('get').allowed()", "error: path must not be empty"),
        (
            "authorizer.serviceAccount('n s', 'bot').path('/').check('get').allowed()",
            "error: Invalid service account namespace",
        ),
    ];
    let allow = Allow("get", Mutex::default());
    for (source, expected) in rows {
        let program = link(source, &env).expect(source);
        assert!(program.mentions("authorizer"));
        let mut activation = Activation::new();
        let own = Attributes { resource: "own".to_owned(), ..Attributes::default() };
        activation.bind("authorizer", Check::authorizer(&allow));
        activation.bind("authorizer.requestResource", Check::resource(&allow, own));
        let got = match program.eval(&activation, &mut Budget::default()) {
            Ok(value) => print(&value),
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(got, expected, "{source}");
    }
    let asked = allow.1.lock().unwrap();
    assert_eq!(asked[0].group, "apps");
    assert_eq!((&*asked[0].subresource, &*asked[0].namespace, &*asked[0].name), ("status", "ns", "x"));
    assert_eq!((asked[1].resource_request, &*asked[1].path), (false, "/healthz"));
    assert_eq!(asked[2].service_account, Some(("ns".to_owned(), "bot".to_owned())));
    assert_eq!(asked[3].resource, "own");
    assert_eq!(asked[4].label_selector, "a=b");
}
