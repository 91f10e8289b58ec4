//! Everything that is declared can be run: each overload is called once with arguments of its types.

use berth_cel::cost::estimate;
use berth_cel::declarations::{Function, Overload, functions};
use berth_cel::env::{DeclType, Env};
use berth_cel::types::{Type, opaque};
use berth_cel::value::{Attributes, Authorizer, Check, Decision, Opaque};
use berth_cel::{Activation, Budget, Program, Value, compile};

/// Cannot be written: made by macros, which tests of their own run.
const INTERNAL: [&str; 4] = ["@not_strictly_false", "cel.@mapInsert", "@sortByAssociatedKeys", "_?._"];

struct Nobody;

impl Authorizer for Nobody {
    fn check(&self, _: &Attributes) -> Decision {
        Decision { allowed: false, reason: "nobody may".to_owned(), error: None }
    }
}

/// An expression of a type.
fn sample(of: &Type) -> String {
    match of {
        Type::Bool => "true".to_owned(),
        Type::Int | Type::Param(_) => "1".to_owned(),
        Type::Uint => "1u".to_owned(),
        Type::Double => "1.5".to_owned(),
        Type::String => "'1'".to_owned(),
        Type::Bytes => "b'1'".to_owned(),
        Type::Dyn => "dyn(1)".to_owned(),
        Type::Timestamp => "timestamp('2026-11-22T10:00:00Z')".to_owned(),
        Type::Duration => "duration('1h')".to_owned(),
        Type::List(elem) => format!("[{}]", sample(elem)),
        Type::Map(key, value) => format!("{{{}: {}}}", sample(key), sample(value)),
        Type::Optional(value) => format!("optional.of({})", sample(value)),
        Type::Opaque(opaque::QUANTITY) => "quantity('1Gi')".to_owned(),
        Type::Opaque(opaque::IP) => "ip('10.0.0.1')".to_owned(),
        Type::Opaque(opaque::CIDR) => "cidr('10.0.0.0/8')".to_owned(),
        Type::Opaque(opaque::URL) => "url('https://a.b/c?d=e')".to_owned(),
        Type::Opaque(opaque::SEMVER) => "semver('1.2.3')".to_owned(),
        Type::Opaque(opaque::FORMAT) => "format.dns1123Label()".to_owned(),
        Type::Opaque(opaque::AUTHORIZER) => "authorizer".to_owned(),
        Type::Opaque(opaque::PATH_CHECK) => "authorizer.path('/a')".to_owned(),
        Type::Opaque(opaque::GROUP_CHECK) => "authorizer.group('apps')".to_owned(),
        Type::Opaque(opaque::RESOURCE_CHECK) => "authorizer.group('apps').resource('deployments')".to_owned(),
        Type::Opaque(opaque::DECISION) => "authorizer.path('/a').check('get')".to_owned(),
        other => panic!("no sample of {other}"),
    }
}

/// A call of the overload.
fn call(function: &Function, overload: &Overload) -> String {
    let args: Vec<String> = match overload.id {
        "string_to_timestamp" => vec!["'2026-11-22T10:00:00Z'".to_owned()],
        "string_to_duration" => vec!["'1h'".to_owned()],
        _ => overload.args.iter().map(sample).collect(),
    };
    match (function.name, args.as_slice()) {
        ("_?_:_", [a, b, c]) => format!("{a} ? {b} : {c}"),
        ("!_", [a]) => format!("!{a}"),
        ("-_", [a]) => format!("-({a})"),
        ("@in", [a, b]) => format!("{a} in {b}"),
        ("_[_]", [a, b]) => format!("{a}[{b}]"),
        ("_[?_]", [a, b]) => format!("{a}[?{b}]"),
        (name, [a, b]) if name.starts_with('_') => format!("{a} {} {b}", name.trim_matches('_')),
        (name, [receiver, args @ ..]) if overload.member => format!("{receiver}.{name}({})", args.join(", ")),
        (name, args) => format!("{name}({})", args.join(", ")),
    }
}

fn run(source: &str) -> Result<(), String> {
    let env = Env::new().with("authorizer", DeclType::Opaque(opaque::AUTHORIZER));
    let checked = compile(source, &env).map_err(|issues| issues.to_string())?;
    let program = Program::new(&checked).map_err(|error| error.to_string())?;
    let mut activation = Activation::new();
    activation.bind("authorizer", Value::Opaque(Opaque::Check(Check::authorizer(&Nobody).into())));
    let (result, cost) = program.eval_with_cost(&activation, &mut Budget::default());
    let estimated = estimate(&checked, &env);
    if result.is_ok() && cost > estimated.max {
        return Err(format!("costs {cost}, estimated {estimated:?}"));
    }
    match result {
        Ok(value) if checked.output == Type::Dyn || same_kind(&checked.output, &value.type_of()) => Ok(()),
        Ok(value) => Err(format!("declared as {}, is {}", checked.output, value.type_of())),
        // Some samples make no sense to their function; they only must be known to it.
        Err(error) if error.to_string().contains("overload") => Err(error.to_string()),
        Err(_) => Ok(()),
    }
}

fn same_kind(declared: &Type, found: &Type) -> bool {
    declared.runtime_name() == found.runtime_name() || matches!(declared, Type::Dyn)
}

#[test]
fn every_declared_overload_runs_returns_what_it_declares_and_costs_no_more_than_estimated() {
    let mut failures = Vec::new();
    let mut count = 0;
    for function in functions().filter(|function| !INTERNAL.contains(&function.name)) {
        for overload in &function.overloads {
            let source = call(function, overload);
            count += 1;
            if let Err(error) = run(&source) {
                failures.push(format!("{}: {source}: {error}", overload.id));
            }
        }
    }
    failures.sort();
    assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn macros_run_what_cannot_be_written() {
    for source in [
        "[1, 2].all(x, x > 0)",
        "{'a': 1}.transformMap(k, v, v + 1) == {'a': 2}",
        "{'a': 1}.transformMapEntry(k, v, {string(v): k}) == {'1': 'a'}",
        "[3, 1, 2].sortBy(x, -x) == [3, 2, 1]",
        "{'a': 1}.?a.orValue(2) == 1",
        "optional.of(1).optMap(x, x + 1).value() == 2",
        "cel.bind(x, 2, x * x) == 4",
    ] {
        run(source).unwrap_or_else(|error| panic!("{source}: {error}"));
        let checked = compile(source, &Env::new()).expect("checked by now");
        let program = Program::new(&checked).expect("linked by now");
        let value = program.eval(&Activation::new(), &mut Budget::default());
        assert_eq!(value.expect("has a value").as_bool(), Some(true), "{source}");
    }
}
