//! Whatever the expression and the data: an evaluation gives a value or an error, and stays within its budget.

mod eval_support;

use berth_cel::env::{DeclType, Env};
use berth_cel::{Activation, Budget, PER_CALL_LIMIT, Program, compile};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// Any JSON, small.
fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        "[a-z0-9./:%é -]{0,12}".prop_map(Json::from),
        Just(json!("2024-01-01T00:00:00Z")),
        Just(json!("10.0.0.0/8")),
        Just(json!("1.2.3")),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// Dynamic expressions: everything is wrapped in `dyn`, so most of them pass the checker and meet all types.
fn any_expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("self".to_owned()),
        Just("self.a".to_owned()),
        Just("self.b.?c".to_owned()),
        Just("dyn(null)".to_owned()),
        any::<i64>().prop_map(|number| format!("dyn({number})")),
        any::<u64>().prop_map(|number| format!("dyn({number}u)")),
        any::<f64>()
            .prop_filter("literals are finite", |double| double.is_finite())
            .prop_map(|d| format!("dyn({d:e})")),
        "[a-z0-9./:%é*()\\[ -]{0,8}".prop_map(|text| format!("dyn('{text}')")),
        Just("dyn([])".to_owned()),
        Just("dyn({})".to_owned()),
        Just("dyn(timestamp('2024-02-29T23:59:59.5Z'))".to_owned()),
        Just("dyn(duration('-1h'))".to_owned()),
        Just("dyn(quantity('1500m'))".to_owned()),
        Just("dyn(ip('::1'))".to_owned()),
        Just("dyn(b'\\xff')".to_owned()),
    ];
    let binary =
        prop::sample::select(vec!["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "&&", "||"]);
    let unary = prop::sample::select(vec![
        "size",
        "int",
        "uint",
        "double",
        "string",
        "bytes",
        "bool",
        "timestamp",
        "duration",
        "type",
        "dyn",
        "url",
        "ip",
        "cidr",
        "quantity",
        "semver",
        "isURL",
        "isIP",
        "isCIDR",
        "isQuantity",
        "isSemver",
        "optional.of",
        "optional.ofNonZeroValue",
        "jsonpatch.escapeKey",
        "strings.quote",
        "lists.range",
        "!",
        "-",
    ]);
    let method = prop::sample::select(vec![
        "getFullYear",
        "getHours",
        "getMilliseconds",
        "lowerAscii",
        "upperAscii",
        "trim",
        "reverse",
        "flatten",
        "sort",
        "distinct",
        "isSorted",
        "sum",
        "min",
        "max",
        "first",
        "last",
        "join",
        "value",
        "hasValue",
        "getHost",
        "getQuery",
        "asInteger",
        "sign",
        "family",
        "masked",
        "major",
        "unwrapOpt",
    ]);
    let method_1 = prop::sample::select(vec![
        "contains",
        "startsWith",
        "matches",
        "find",
        "findAll",
        "indexOf",
        "lastIndexOf",
        "split",
        "charAt",
        "substring",
        "getHours",
        "join",
        "format",
        "compareTo",
        "add",
        "sub",
        "isLessThan",
        "containsIP",
        "containsCIDR",
        "flatten",
        "or",
        "orValue",
    ]);
    let fold = prop::sample::select(vec!["all", "exists", "exists_one", "map", "filter", "sortBy"]);
    leaf.prop_recursive(4, 24, 3, move |inner| {
        let pair = (inner.clone(), inner.clone());
        prop_oneof![
            (pair.clone(), binary.clone()).prop_map(|((a, b), op)| format!("dyn({a} {op} {b})")),
            (inner.clone(), unary.clone()).prop_map(|(a, f)| format!("dyn({f}({a}))")),
            (inner.clone(), method.clone()).prop_map(|(a, f)| format!("dyn({a}.{f}())")),
            (pair.clone(), method_1.clone()).prop_map(|((a, b), f)| format!("dyn({a}.{f}({b}))")),
            (pair.clone(), inner.clone()).prop_map(|((a, b), c)| format!("dyn({a}.replace({b}, {c}))")),
            (pair.clone(), inner.clone()).prop_map(|((a, b), c)| format!("dyn({a}.slice({b}, {c}))")),
            (pair.clone(), inner.clone()).prop_map(|((a, b), c)| format!("dyn({a}.substring({b}, {c}))")),
            (pair.clone(), fold.clone()).prop_map(|((a, b), f)| format!("dyn({a}.{f}(x, dyn(x == {b} ? x : {b})))")),
            (pair.clone(), inner.clone()).prop_map(|((a, b), c)| format!("dyn({a} ? {b} : {c})")),
            pair.clone().prop_map(|(a, b)| format!("dyn({a}[{b}])")),
            pair.clone().prop_map(|(a, b)| format!("dyn({a}[?{b}])")),
            pair.clone().prop_map(|(a, b)| format!("dyn([{a}, {b}])")),
            pair.clone().prop_map(|(a, b)| format!("dyn({{{a}: {b}}})")),
            pair.prop_map(|(a, b)| format!("dyn({a}.transformMap(k, v, v == {b}))")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_evaluation_ends_with_a_value_or_an_error(source in any_expression(), data in any_json()) {
        let env = Env::new().with("self", DeclType::Dyn);
        let Ok(checked) = compile(&source, &env) else { return Ok(()) };
        let Ok(program) = Program::new(&checked) else { return Ok(()) };
        let mut activation = Activation::new();
        activation.bind_json("self", &data);
        let (result, cost) = program.eval_with_cost(&activation, &mut Budget::default());
        prop_assert!(cost <= PER_CALL_LIMIT || result.is_err());
        if let Ok(value) = result {
            // neither do printing and conversion fail
            let _ = value.to_json();
            let _ = value.to_string();
        }
    }

    #[test]
    fn a_program_gives_the_same_answer_again(source in any_expression(), data in any_json()) {
        let env = Env::new().with("self", DeclType::Dyn);
        let Ok(checked) = compile(&source, &env) else { return Ok(()) };
        let Ok(program) = Program::new(&checked) else { return Ok(()) };
        let mut activation = Activation::new();
        activation.bind_json("self", &data);
        let run = || {
            let (result, cost) = program.eval_with_cost(&activation, &mut Budget::default());
            (result.map(|value| eval_support::print(&value)), cost)
        };
        prop_assert_eq!(run(), run());
    }
}

#[test]
fn deep_expressions_end() {
    let env = Env::new().with("self", DeclType::Dyn);
    let data = json!([1]);
    for (open, close) in [("(1 + ", ")"), ("[", "]"), ("-(", ")"), ("self.map(x, ", ")")] {
        let source = format!("{}1{}", open.repeat(240), close.repeat(240));
        let Ok(checked) = compile(&source, &env) else { continue };
        let Ok(program) = Program::new(&checked) else { continue };
        let mut activation = Activation::new();
        activation.bind_json("self", &data);
        let _ = program.eval(&activation, &mut Budget::default()).map(|value| value.to_json());
    }
}

#[test]
fn long_chains_end() {
    let env = Env::new().with("self", DeclType::Dyn);
    let source = vec!["true"; 3_000].join(" && ");
    let Ok(checked) = compile(&source, &env) else { return };
    let program = Program::new(&checked).expect("links");
    let result = program.eval(&Activation::new(), &mut Budget::default());
    assert_eq!(result.map(|value| value.as_bool()), Ok(Some(true)));
}
