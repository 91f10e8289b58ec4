//! Library functions with arguments of their own types and any content: texts of every script, extreme numbers.

// In tests a failed unwrap is a failed test.
#![allow(clippy::unwrap_used)]

mod eval_support;

use berth_cel::env::{DeclType, Env};
use berth_cel::value::Duration;
use berth_cel::{Activation, Budget, Program, Value};
use proptest::prelude::*;
use std::sync::LazyLock;

/// Calls over the strings `s`, `t`, `u`, the ints `i`, `j`, the durations `p`, `q` and the double `d`.
const CALLS: &[&str] = &[
    "s.charAt(i)",
    "s.substring(i)",
    "s.substring(i, j)",
    "s.indexOf(t)",
    "s.indexOf(t, i)",
    "s.lastIndexOf(t)",
    "s.lastIndexOf(t, i)",
    "s.replace(t, u)",
    "s.replace(t, u, i)",
    "s.split(t)",
    "s.split(t, i)",
    "s.trim()",
    "s.lowerAscii()",
    "s.upperAscii()",
    "s.reverse()",
    "s.contains(t)",
    "s.startsWith(t)",
    "s.endsWith(t)",
    "s + t + u",
    "s.matches(t)",
    "s.find(t)",
    "s.findAll(t)",
    "s.findAll(t, i)",
    "strings.quote(s)",
    "jsonpatch.escapeKey(s)",
    "[s, t, u].join(s)",
    "[s, t, u].sort()",
    "[s, t].max()",
    "s.format([t, u])",
    "s.format([i, j])",
    "s.format([d, d])",
    "s.format([timestamp(i)])",
    "s.format([p])",
    "s.format([[d, d]])",
    "s.format([{t: d}])",
    "s < t",
    "size(s) + size(bytes(s))",
    "string(bytes(s)) == s",
    "int(s)",
    "uint(s)",
    "double(s)",
    "bool(s)",
    "string(d)",
    "string(i)",
    "timestamp(s)",
    "duration(s)",
    "string(timestamp(i))",
    "string(p)",
    "int(d)",
    "uint(d)",
    "double(i)",
    "i + j",
    "i - j",
    "i * j",
    "i / j",
    "i % j",
    "-i",
    "d + d * d / d - d",
    "double(i) < d",
    "i < int(d)",
    "timestamp(i) + q",
    "timestamp(i) - q",
    "timestamp(i) - timestamp(j)",
    "p + q",
    "timestamp(i).getFullYear()",
    "timestamp(i).getDayOfYear(s)",
    "timestamp(i).getHours('Europe/Berlin')",
    "timestamp(i).getMinutes('-03:30')",
    "timestamp(i).getDayOfWeek()",
    "timestamp(i).getMonth()",
    "p.getHours()",
    "lists.range(i)",
    "[i, j].slice(i, j)",
    "[i, j].sum()",
    "[i, j][i]",
    "[i, j][?j]",
    "[[i], [j]].flatten()",
    "[[i], [j]].flatten(i)",
    "[d, d].sort()",
    "[i, j, i].distinct()",
    "sets.equivalent([i, j], [j, i])",
    "url(s)",
    "isURL(s)",
    "url(s).getHost() + url(s).getHostname() + url(s).getPort() + url(s).getEscapedPath()",
    "url(s).getQuery()",
    "url(s) == url(t)",
    "quantity(s)",
    "quantity(s).add(quantity(t)).sub(quantity(u))",
    "quantity(s).compareTo(quantity(t))",
    "quantity(s).add(i).sub(j)",
    "quantity(s).asInteger()",
    "quantity(s).asApproximateFloat()",
    "quantity(s) == quantity(t)",
    "ip(s)",
    "string(ip(s))",
    "ip.isCanonical(s)",
    "ip(s).isGlobalUnicast()",
    "cidr(s)",
    "string(cidr(s).masked())",
    "cidr(s).containsIP(t)",
    "cidr(s).containsCIDR(t)",
    "cidr(s).prefixLength()",
    "semver(s)",
    "semver(s, true)",
    "semver(s).compareTo(semver(t))",
    "isSemver(s, true)",
    "format.dns1123Label().validate(s)",
    "format.dns1123SubdomainPrefix().validate(s)",
    "format.qualifiedName().validate(s)",
    "format.labelValue().validate(s)",
    "format.uri().validate(s)",
    "format.uuid().validate(s)",
    "format.byte().validate(s)",
    "format.date().validate(s)",
    "format.datetime().validate(s)",
    "format.named(s)",
    "optional.ofNonZeroValue(s).orValue(t)",
];

static PROGRAMS: LazyLock<Vec<Program>> = LazyLock::new(|| {
    let mut env = Env::new().with("i", DeclType::Int).with("j", DeclType::Int).with("d", DeclType::Double);
    env = env.with("p", DeclType::Duration).with("q", DeclType::Duration);
    for name in ["s", "t", "u"] {
        env.declare(name, DeclType::string());
    }
    CALLS.iter().map(|call| eval_support::link(call, &env).unwrap()).collect()
});

/// Texts that look like something, and texts that do not.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "\\PC{0,10}",
        1 => "[+-]?[0-9]{0,25}[.]?[0-9]{0,25}(Ki|Mi|Gi|Ei|m|n|k|E|e[+-]?[0-9]{1,11})?",
        1 => "[0-9]{1,4}(\\.[0-9]{1,4}){1,4}(/[0-9]{1,3})?",
        1 => "[0-9a-f:]{1,12}(%[a-z0-9]{0,3})?(/[0-9]{1,3})?",
        1 => "v?[0-9]{1,21}(\\.[0-9]{1,3}){0,3}(-[a-z0-9.]{0,4})?(\\+[a-z.]{0,3})?",
        1 => "(https?:)?/{0,3}([a-z:]{0,4}@)?[\\[a-z0-9:\\].é]{0,8}(/[a-z%0-9é ]{0,6}){0,2}(\\?[a-z=&%+;]{0,8})?(#[a-z%é]{0,4})?",
        1 => "[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{0,12})?(Z|[+-][0-9]{2}:[0-9]{2}))?",
        1 => "-?([0-9]{0,20}(\\.[0-9]{0,22})?(h|m|s|ms|us|µs|ns)){1,3}",
        1 => "(%(\\.[0-9]{0,4})?[sdfebxXoz%é]?){0,3}",
        1 => "[\\[\\](){}|*+?^$.\\\\a-c&~0-9,:é-]{0,10}",
        1 => Just("é".repeat(300)),
    ]
}

fn any_number() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -3..12_i64, Just(i64::MIN), Just(i64::MAX), -70_000_000_000..260_000_000_000_i64,]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_call_gives_a_value_or_an_error(
        texts in prop::array::uniform3(any_text()),
        numbers in prop::array::uniform2(any_number()),
        double in any::<f64>(),
    ) {
        for program in PROGRAMS.iter() {
            let mut activation = Activation::new();
            for (name, text) in ["s", "t", "u"].into_iter().zip(&texts) {
                activation.bind(name, text.as_str());
            }
            activation.bind("i", numbers[0]).bind("j", numbers[1]).bind("d", Value::Double(double));
            let [p, q] = numbers.map(|nanos| Value::Duration(Duration(nanos)));
            activation.bind("p", p).bind("q", q);
            if let Ok(value) = program.eval(&activation, &mut Budget::default()) {
                let _ = (value.to_json(), value.to_string());
            }
        }
    }
}
