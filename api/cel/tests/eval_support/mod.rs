//! Evaluates expressions from their source, and prints what comes out.
#![allow(dead_code, reason = "each test file uses some of it")]

use berth_cel::env::{DeclType, Env};
use berth_cel::{Activation, Budget, Program, Value, compile};
use serde_json::Value as Json;

/// The value of an expression without variables, as text; `error: …` when it fails.
pub(crate) fn eval(source: &str) -> String {
    eval_with(source, &Json::Null)
}

/// The same, with the dynamic variable `self`.
pub(crate) fn eval_with(source: &str, data: &Json) -> String {
    let env = Env::new().with("self", DeclType::Dyn);
    let program = match link(source, &env) {
        Ok(program) => program,
        Err(error) => return error,
    };
    let mut activation = Activation::new();
    activation.bind_json("self", data);
    match program.eval(&activation, &mut Budget::default()) {
        Ok(value) => print(&value),
        Err(error) => format!("error: {error}"),
    }
}

/// Compiles and links.
pub(crate) fn link(source: &str, env: &Env) -> Result<Program, String> {
    let checked = compile(source, env).map_err(|issues| format!("compile: {issues}"))?;
    Program::new(&checked).map_err(|error| format!("link: {error}"))
}

/// The cost of evaluating an expression with the dynamic variable `self`.
pub(crate) fn cost(source: &str, data: &Json) -> u64 {
    let env = Env::new().with("self", DeclType::Dyn);
    let program = link(source, &env).expect(source);
    let mut activation = Activation::new();
    activation.bind_json("self", data);
    let (result, cost) = program.eval_with_cost(&activation, &mut Budget::default());
    result.expect(source);
    cost
}

/// A value as a literal of the language, more or less.
pub(crate) fn print(value: &Value<'_>) -> String {
    match value {
        Value::Uint(number) => format!("{number}u"),
        Value::String(text) => format!("{:?}", &**text),
        Value::Timestamp(_) | Value::Duration(_) | Value::Int(_) | Value::Bool(_) | Value::Double(_) => {
            value.to_string()
        }
        Value::Type(_) => value.to_string(),
        Value::Optional(None) => "none".to_owned(),
        Value::Optional(Some(inner)) => format!("optional({})", print(inner)),
        other => match other.to_json() {
            Ok(json) => json.to_string(),
            Err(_) => format!("<{}>", other.type_name()),
        },
    }
}

/// Checks a table of expressions and what they give.
#[track_caller]
pub(crate) fn check(table: &[(&str, &str)]) {
    check_with(&Json::Null, table);
}

/// The same, with the dynamic variable `self`. Reports every row that is wrong.
#[track_caller]
pub(crate) fn check_with(data: &Json, table: &[(&str, &str)]) {
    let mut wrong = String::new();
    for (source, expected) in table {
        let got = eval_with(source, data);
        if got != *expected {
            wrong.push_str(&format!("{source}\n  expected {expected}\n  got      {got}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
