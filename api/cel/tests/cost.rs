//! Estimates of cost: the same expressions and numbers as cel-go's own tests, and bounds from declarations.

use std::sync::Arc;

use berth_cel::cost::{Range, estimate};
use berth_cel::env::{DeclType, Env};
use berth_cel::schema::declare;
use berth_cel::value::Shape;
use berth_cel::{Activation, Budget, Program, compile};
use serde_json::json;

fn text(max_length: u64) -> DeclType {
    DeclType::String { max_length }
}

fn bytes(max_length: u64) -> DeclType {
    DeclType::Bytes { max_length }
}

fn list(elem: DeclType, max_items: u64) -> DeclType {
    DeclType::List { elem: Arc::new(elem), max_items }
}

fn map(key: DeclType, value: DeclType, max_properties: u64) -> DeclType {
    DeclType::Map { key: Arc::new(key), value: Arc::new(value), max_properties }
}

fn object() -> DeclType {
    DeclType::object("Item", [("n", DeclType::Int), ("s", text(10))])
}

#[track_caller]
fn cost(source: &str, variables: &[(&str, DeclType)]) -> Range {
    let env = variables.iter().fold(Env::new(), |env, (name, decl)| env.with(name, decl.clone()));
    let checked = compile(source, &env).unwrap_or_else(|issues| panic!("{source}\n{issues}"));
    estimate(&checked, &env)
}

#[track_caller]
fn costs(source: &str, variables: &[(&str, DeclType)], min: u64, max: u64) {
    assert_eq!(cost(source, variables), Range { min, max }, "{source}");
}

#[test]
fn access_is_counted_and_constants_are_free() {
    costs("\"Hello World!\"", &[], 0, 0);
    costs("input", &[("input", list(DeclType::Int, 5))], 1, 1);
    costs("input['key']", &[("input", map(text(1), text(1), 1))], 2, 2);
    costs("input.n", &[("input", object())], 2, 2);
    costs("has(input.n)", &[("input", object())], 1, 1);
    costs("[1, 2, 3]", &[], 10, 10);
    costs("{'a': 1, 'b': 2}", &[], 30, 30);
    costs("true || false", &[], 0, 0);
    costs("1 < 2", &[], 1, 1);
    costs("1 == 2", &[], 1, 1);
    costs("2 in [1, 2, 3]", &[], 13, 13);
    costs("true ? 1 : 2", &[], 0, 0);
    costs("size('123')", &[], 1, 1);
    costs("string(1)", &[], 1, 1);
}

#[test]
fn logic_may_stop_early() {
    let vars: Vec<(&str, DeclType)> = ["a", "b", "c", "d"].into_iter().map(|name| (name, DeclType::Bool)).collect();
    costs("a || b || c || d", &vars, 1, 4);
    costs("a && b && c && d", &vars, 1, 4);
}

#[test]
fn folds_multiply_by_the_size_of_what_they_run_over() {
    costs("input.all(x, true)", &[("input", list(object(), 100))], 2, 302);
    costs("input.all(x, x.all(y, true))", &[("input", list(list(object(), 10), 50))], 2, 1752);
    costs("[1, 2, 3].all(x, true)", &[], 20, 20);
    costs("input.all(k, input[k].n > 3)", &[("input", map(text(0), object(), 10))], 2, 82);
    costs("input.all(k, input[k].all(x, true))", &[("input", map(text(0), map(text(0), object(), 10), 5))], 2, 187);
    costs("input.all(k, k.contains(k))", &[("input", map(text(10), object(), 5))], 2, 32);
    costs(
        "input.all(k, input[k].all(k, true) && k.contains(k))",
        &[("input", map(text(5), map(text(5), object(), 2), 2))],
        2,
        34,
    );
    let lists = [("list1", list(DeclType::Int, 10)), ("list2", list(DeclType::Int, 10))];
    costs("(list1 + list2).all(x, true)", &lists, 4, 64);
    let inputs = [("x", DeclType::Int), ("input1", list(object(), 1)), ("input2", list(object(), 1))];
    costs("(x > 2 ? input1 : input2).all(y, true)", &inputs, 4, 7);
}

#[test]
fn text_is_paid_for_by_its_length() {
    let vars = [("input", text(500)), ("arg1", text(500)), ("raw", bytes(500))];
    costs("input.matches('[0-9]')", &vars, 3, 103);
    costs("'123'.matches('[0-9]')", &vars, 2, 2);
    costs("string(raw)", &vars, 1, 51);
    costs("string(raw) == string(raw)", &vars, 3, 152);
    costs("bytes(input)", &vars, 1, 51);
    costs("bytes(input) == bytes(input)", &vars, 3, 302);
    costs("input.contains(arg1)", &vars, 2, 2502);
    costs("input.startsWith(arg1)", &vars, 2, 52);
    costs("input.size()", &vars, 2, 2);
}

#[test]
fn libraries_have_costs_of_their_own() {
    let vars = [("s", text(100)), ("l", list(text(10), 10)), ("n", list(DeclType::Int, 10))];
    costs("s.trim()", &vars, 1, 11);
    costs("s.split(',')", &vars, 1, 21);
    costs("l.join(',')", &vars, 1, 12);
    costs("n.isSorted()", &vars, 1, 11);
    costs("l.isSorted()", &vars, 1, 21);
    costs("n.sort()", &vars, 12, 212);
    costs("sets.contains(n, [1, 2])", &vars, 12, 32);
    costs("lists.range(5)", &vars, 16, 16);
    costs("quantity('10Gi').isGreaterThan(quantity('1'))", &vars, 3, 3);
    costs("ip('127.0.0.1') == ip('127.0.0.1')", &vars, 3, 3);
    let authorizer = [("authorizer", DeclType::Opaque(berth_cel::types::opaque::AUTHORIZER))];
    costs("authorizer.path('/a').check('get').allowed()", &authorizer, 350_003, 350_003);
}

#[test]
fn bound_variables_know_the_sizes_of_what_they_stand_for() {
    let vars = [("l", list(text(10), 10))];
    // 10 for the list upstream binds by, 1 for `l`, then the fold.
    costs("cel.bind(x, l, x.all(y, true))", &vars, 13, 43);
    costs("l.map(x, x + x).all(y, y.contains('a'))", &vars, 13, 233);
}

#[test]
fn what_has_no_bound_is_bounded_by_the_size_of_a_request() {
    let unbounded = DeclType::list(DeclType::list(DeclType::string()));
    let range = cost("self.all(x, x.all(y, y.matches('a+')))", &[("self", unbounded)]);
    assert!(range.max > berth_cel::cost::limits::RULE_COST_MAX);
    // One list of numbers has at most a million and a half of them.
    let range = cost("self.all(x, x > 0)", &[("self", DeclType::list(DeclType::Int))]);
    assert_eq!(range.max, (3 * 1024 * 1024 - 2) / 2 * 5 + 2);
}

#[test]
fn nesting_ends_at_the_largest_number() {
    let mut source = "true".to_owned();
    for depth in 0..12 {
        source = format!("self.all(x{depth}, {source})");
    }
    assert_eq!(cost(&source, &[("self", DeclType::list(DeclType::Int))]).max, u64::MAX);
}

#[test]
fn no_run_costs_more_than_the_estimate() {
    let schema = json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 20},
            "replicas": {"type": "integer"},
            "labels": {"type": "object", "maxProperties": 10, "additionalProperties": {"type": "string", "maxLength": 10}},
            "parts": {"type": "array", "maxItems": 10, "items": {
                "type": "object",
                "properties": {"n": {"type": "integer"}, "image": {"type": "string", "maxLength": 30}},
            }},
        },
    });
    let data = json!({
        "name": "web-frontend",
        "replicas": 3,
        "labels": {"app": "web", "tier": "front"},
        "parts": [{"n": 1, "image": "nginx"}, {"n": 2, "image": "redis:7"}, {"n": 2}],
    });
    let env = Env::new().with("self", declare(&schema, "selfType", false).expect("visible"));
    let shape = Shape::from_schema(&schema, false);
    let rules = [
        "self.replicas > 0 && self.replicas <= 10",
        "self.name.matches('^[a-z-]+$')",
        "self.name.startsWith('web') || self.name.endsWith('x')",
        "has(self.labels.app) ? self.labels.app == 'web' : true",
        "self.parts.all(p, !has(p.image) || p.image.contains(':') || p.n == 1)",
        "self.parts.exists(p, p.n == 2)",
        "self.parts.exists_one(p, p.n == 1)",
        "self.parts.filter(p, has(p.image)).map(p, p.image + '!').all(s, s.size() > 1)",
        "self.parts.map(p, p.n).sum() == 5",
        "self.parts.map(p, p.n).sort() == [1, 2, 2]",
        "self.labels.all(k, v, k != v)",
        "self.labels.transformMap(k, v, v.upperAscii()).size() == 2",
        "self.parts.all(p, self.parts.exists(q, p.n == q.n))",
        "cel.bind(n, self.replicas, n * n == 9)",
        "self.?name.orValue('') != ''",
        "[1, 2, 3].map(x, {'a': x}).all(m, m.a > 0)",
        "quantity('1Gi').add(quantity('1')).compareTo(quantity('1Gi')) == 1",
        "sets.contains(self.parts.map(p, p.n), [1])",
        "self.name.split('-').join('.').replace('.', '') == 'webfrontend'",
    ];
    for rule in rules {
        let checked = compile(rule, &env).unwrap_or_else(|issues| panic!("{rule}\n{issues}"));
        let range = estimate(&checked, &env);
        let program = Program::new(&checked).expect("links");
        let mut activation = Activation::new();
        activation.bind_shaped("self", &data, &shape);
        let (result, cost) = program.eval_with_cost(&activation, &mut Budget::default());
        assert!(result.is_ok(), "{rule}: {result:?}");
        // Constant parts are made when a program is linked, so a run may cost less than the least.
        assert!(cost <= range.max, "{rule}: {cost} is above {range:?}");
    }
}
