//! What evaluations cost, and where they end. The numbers are those of upstream's cost trackers.

mod eval_support;

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use berth_cel::env::{DeclType, Env};
use berth_cel::{Activation, Budget, ErrorKind, PER_OBJECT_LIMIT};
use eval_support::{cost, link};
use serde_json::{Value as Json, json};

#[test]
fn costs_are_those_of_the_upstream_trackers() {
    let data = json!({"n": 1, "s": "0123456789abcdef", "list": [1, 2, 3], "m": {"a": {"b": 1}}, "key": "a"});
    let table: &[(&str, u64)] = &[
        ("1", 0),
        ("self", 1),
        ("self.n", 2),
        ("self.m.a.b", 4),
        ("self.list[0]", 3),
        ("self.m[self.key]", 4),
        ("self.list[self.n + 0]", 6),
        ("self.n + 1", 3),
        ("self.n == 1", 3),
        ("self.s == ''", 2),
        ("self.s == self.s", 6),
        ("has(self.n)", 1),
        ("has(self.m.a)", 2),
        ("has(self.n) && self.n > 0", 4),
        ("true ? 1 : 2", 0),
        ("self.n == 1 ? self.n : 0", 4),
        ("[1, 2, 3]", 0),
        ("[self.n]", 12),
        ("{'a': self.n}", 32),
        ("self.n in [1, 2, 3]", 2),
        ("self.n in self.list", 5),
        ("int('1')", 0),
        ("size(self.list)", 3),
        ("'abc'.startsWith('a')", 1),
        ("'0123456789abc'.startsWith('a')", 2),
        ("'abc'.contains('b')", 1),
        ("'abc'.matches('^a')", 1),
        ("'0123456789'.matches('abcdefgh')", 4),
        ("'abc' + 'def'", 1),
        ("[1, 2].all(x, true)", 7),
        ("self.list.all(x, x > 0)", 18),
        ("self.list.exists(x, x == 1)", 12),
        ("self.list.map(x, x)", 42),
        ("self.list.filter(x, x > 1)", 35),
        ("self.list.exists_one(x, x == 1)", 12),
        ("[1, 2, 3].sum()", 3),
        ("quantity('1Gi').isInteger()", 2),
        ("ip('127.0.0.1').family()", 2),
        ("cidr('10.0.0.0/8').containsIP('10.0.0.1')", 3),
        ("url('https://a/').getHost()", 2),
        ("sets.contains([1, 2], [1])", 3),
        ("lists.range(3)", 14),
        ("optional.of(1).orValue(2)", 1),
        ("self.?n.orValue(0)", 2),
        ("self.?absent.orValue(0)", 1),
        ("format.dns1123Label().validate('abc')", 9),
    ];
    let mut wrong = String::new();
    for (source, expected) in table {
        let got = cost(source, &data);
        if got != *expected {
            wrong.push_str(&format!("{source}: expected {expected}, got {got}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[track_caller]
fn error_kind(source: &str, data: &Json, budget: &mut Budget<'_>) -> (ErrorKind, String) {
    let program = link(source, &Env::new().with("self", DeclType::Dyn)).expect(source);
    let mut activation = Activation::new();
    activation.bind_json("self", data);
    let error = program.eval(&activation, budget).expect_err(source);
    (error.kind(), error.to_string())
}

fn numbers(count: i64) -> Json {
    Json::from((0..count).collect::<Vec<_>>())
}

#[test]
fn an_expression_that_costs_too_much_is_cancelled() {
    let (kind, message) = error_kind("self.all(x, self.all(y, x + y >= 0))", &numbers(1_000), &mut Budget::default());
    assert_eq!(kind, ErrorKind::CostLimit);
    assert_eq!(message, "operation cancelled: actual cost limit exceeded");
    // no operator absorbs it
    let absorbing = "true || self.all(x, true)";
    assert!(link(absorbing, &Env::new().with("self", DeclType::Dyn)).is_ok());
    let (kind, _) = error_kind("self.all(x, self.all(y, x + y >= 0)) || true", &numbers(1_000), &mut Budget::default());
    assert_eq!(kind, ErrorKind::CostLimit);
}

#[test]
fn evaluations_share_a_budget() {
    let data = numbers(10);
    let program = link("self.all(x, x >= 0)", &Env::new().with("self", DeclType::Dyn)).expect("compiles");
    let mut activation = Activation::new();
    activation.bind_json("self", &data);
    let mut budget = Budget::new(1_000, 100);
    assert!(program.eval(&activation, &mut budget).is_ok());
    let error = program.eval(&activation, &mut budget).expect_err("the budget is used up");
    assert_eq!(error.kind(), ErrorKind::BudgetExhausted);
    assert_eq!(budget.remaining(), 0);
    assert_eq!(Budget::default().remaining(), PER_OBJECT_LIMIT);
}

#[test]
fn what_an_expression_makes_is_bounded() {
    let text = Json::from("x".repeat(900_000));
    let bombs = [
        "self.replace('', self)",
        "self.split('').map(c, self + self)",
        "[1, 2, 3, 4, 5, 6, 7, 8].map(a, [1, 2, 3, 4, 5, 6, 7, 8].map(b, self + self))",
    ];
    for bomb in bombs {
        let (kind, _) = error_kind(bomb, &text, &mut Budget::default());
        assert_eq!(kind, ErrorKind::CostLimit, "{bomb}");
    }
    let (kind, _) = error_kind("lists.range(9223372036854775807)", &text, &mut Budget::default());
    assert_eq!(kind, ErrorKind::CostLimit);
    let (kind, _) = error_kind("self.map(x, self + self)", &numbers(20_000), &mut Budget::default());
    assert_eq!(kind, ErrorKind::CostLimit);
}

#[test]
fn a_deadline_and_an_interrupt_end_an_evaluation() {
    let data = numbers(1_000);
    let (kind, message) =
        error_kind("self.all(x, x >= 0)", &data, &mut Budget::default().with_deadline(Instant::now()));
    assert_eq!((kind, &*message), (ErrorKind::Interrupted, "operation interrupted"));
    let stop = AtomicBool::new(true);
    let (kind, _) = error_kind("self.all(x, x >= 0)", &data, &mut Budget::default().with_interrupt(&stop));
    assert_eq!(kind, ErrorKind::Interrupted);
}

#[test]
fn authorization_checks_are_dear() {
    use berth_cel::types::opaque;
    use berth_cel::value::{Attributes, Authorizer, Check, Decision};
    struct Yes;
    impl Authorizer for Yes {
        fn check(&self, _: &Attributes) -> Decision {
            Decision { allowed: true, ..Decision::default() }
        }
    }
    let env = Env::new().with("authorizer", DeclType::Opaque(opaque::AUTHORIZER));
    let check = "authorizer.path('/a').check('get').allowed()";
    let mut activation = Activation::new();
    activation.bind("authorizer", Check::authorizer(&Yes));
    let twice = link(&format!("{check} && {check}"), &env).expect("twice");
    let (result, cost) = twice.eval_with_cost(&activation, &mut Budget::default());
    assert_eq!(result.map(|value| value.as_bool()), Ok(Some(true)));
    assert_eq!(cost, 2 * (350_000 + 3));
    let thrice = link(&format!("{check} && {check} && {check}"), &env).expect("thrice");
    let error = thrice.eval(&activation, &mut Budget::default()).expect_err("too dear");
    assert_eq!(error.kind(), ErrorKind::CostLimit);
}
