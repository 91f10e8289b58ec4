//! The language itself: operators, conversions, selections, folds, optional values.

mod eval_support;

use eval_support::{check, check_with};
use serde_json::json;

#[test]
fn arithmetic_is_checked() {
    check(&[
        ("1 + 2 * 3 - 4", "3"),
        ("7 / 2", "3"),
        ("-7 / 2", "-3"),
        ("-7 % 2", "-1"),
        ("7u / 2u", "3u"),
        ("1.5 + 2.5", "4"),
        ("1.0 / 0.0", "+Inf"),
        ("1 / 0", "error: division by zero"),
        ("1u / 0u", "error: division by zero"),
        ("1 % 0", "error: modulus by zero"),
        ("9223372036854775807 + 1", "error: integer overflow"),
        ("-9223372036854775808 - 1", "error: integer overflow"),
        ("-(-9223372036854775807 - 1)", "error: integer overflow"),
        ("9223372036854775807 * 2", "error: integer overflow"),
        ("18446744073709551615u + 1u", "error: unsigned integer overflow"),
        ("0u - 1u", "error: unsigned integer overflow"),
        ("'a' + 'b'", "\"ab\""),
        ("[1] + [2, 3]", "[1,2,3]"),
        ("b'a' + b'b' == b'ab'", "true"),
        ("dyn(1) + 'a'", "error: no such overload"),
        ("-(1.5)", "-1.5"),
    ]);
}

#[test]
fn equality_and_order_cross_the_numeric_types() {
    check(&[
        ("1 == dyn(1u) && 1 == dyn(1.0) && 1u == dyn(1.0)", "true"),
        ("1 < 1.5 && 2u > 1 && 1.5 < 2u", "true"),
        ("dyn(1) == 'a'", "false"),
        ("dyn(null) == 1", "false"),
        ("null == null", "true"),
        ("double('NaN') == double('NaN')", "false"),
        ("double('NaN') != double('NaN')", "true"),
        ("double('NaN') < 1.0", "error: NaN values cannot be ordered"),
        ("9223372036854775807 < 9223372036854775808.0", "true"),
        ("-1 < 18446744073709551615u", "true"),
        ("[1, 2] == [1, 2] && [1, 2] != [2, 1]", "true"),
        ("[dyn(1), 2.0] == [dyn(1.0), 2]", "true"),
        ("{'a': [1], 'b': [2]} == {'b': [2], 'a': [1]}", "true"),
        ("{'a': 1} == {'a': 2}", "false"),
        ("{1: 'a'} == {dyn(1u): 'a'}", "true"),
        ("'a' < 'b' && b'a' < b'b' && false < true", "true"),
        ("duration('1s') < duration('1m')", "true"),
    ]);
}

#[test]
fn logic_absorbs_errors_on_either_side() {
    check(&[
        ("false && 1 / 0 == 1", "false"),
        ("1 / 0 == 1 && false", "false"),
        ("true && 1 / 0 == 1", "error: division by zero"),
        ("1 / 0 == 1 || true", "true"),
        ("1 / 0 == 1 || false", "error: division by zero"),
        ("1 / 0 == 1 || false || true", "true"),
        ("dyn('a') && true", "error: no such overload"),
        ("true ? 1 : 1 / 0", "1"),
        ("1 / 0 == 0 ? 1 : 2", "error: division by zero"),
        ("!true", "false"),
    ]);
}

#[test]
fn selections_find_what_is_there() {
    let data = json!({
        "name": "x", "count": 3, "ratio": 1.5, "big": 9_223_372_036_854_775_807_i64, "nothing": null,
        "list": [1, 2, {"a": true}], "labels": {"a.b/c": "v", "in": 1},
    });
    check_with(
        &data,
        &[
            ("self.name", "\"x\""),
            ("self.count + 1", "4"),
            ("self.ratio * 2.0", "3"),
            ("self.big", "9223372036854775807"),
            ("self.nothing == null", "true"),
            ("self.list[2].a", "true"),
            ("self.list[3]", "error: index out of bounds: 3"),
            ("self.list[-1]", "error: index out of bounds: -1"),
            ("self.list['a']", "error: unsupported index type 'string' in list"),
            ("self.list[dyn(1.0)]", "2"),
            ("self.missing", "error: no such key: missing"),
            ("self.name.more", "error: no such key: more"),
            ("self.labels['a.b/c']", "\"v\""),
            ("self['labels']['in']", "1"),
            ("has(self.name) && !has(self.missing) && has(self.nothing)", "true"),
            ("has(self.missing.deeper)", "error: no such key: missing"),
            ("has({'a': 1}.a)", "true"),
            ("{'a': 1}['b']", "error: no such key: b"),
            ("{1: 'a'}[dyn(1u)]", "\"a\""),
            ("[1, 2, 3][1]", "2"),
            ("(self.count == 3 ? self.labels : self).in_ == 1", "error: no such key: in_"),
            ("size(self.list) == 3 && self.labels.size() == 2 && size('é') == 1 && size(b'é') == 2", "true"),
            ("1 in self.list && !(5 in self.list) && 'in' in self.labels && !('x' in self.labels)", "true"),
            ("2 in [1, 2] && !(3 in [1, 2]) && dyn(2u) in [1, 2] && dyn(2.0) in [1, 2]", "true"),
            ("dyn(2.5) in [1.5, 2.5]", "true"),
            ("1 in []", "false"),
            ("self == self", "true"),
        ],
    );
}

#[test]
fn folds_collect_and_decide() {
    let data = json!({"list": [3, 1, 2], "map": {"a": 1, "b": 2}, "mixed": [1, "a"]});
    check_with(
        &data,
        &[
            ("self.list.all(x, x > 0)", "true"),
            ("self.list.all(x, x > 1)", "false"),
            ("self.list.exists(x, x == 2)", "true"),
            ("self.list.exists(x, x == 7)", "false"),
            ("self.mixed.all(x, x == 1)", "false"),
            ("self.mixed.exists(x, x + 1 == 2)", "true"),
            ("self.mixed.exists(x, x + 1 == 3)", "error: no such overload"),
            ("self.mixed.all(x, x + 1 == 2)", "error: no such overload"),
            ("self.list.exists_one(x, x > 2)", "true"),
            ("self.list.exists_one(x, x > 1)", "false"),
            ("self.list.map(x, x * 2)", "[6,2,4]"),
            ("self.list.map(x, x > 1, x * 2)", "[6,4]"),
            ("self.list.filter(x, x > 1)", "[3,2]"),
            ("self.map.map(k, k)", "[\"a\",\"b\"]"),
            ("self.map.all(k, self.map[k] > 0)", "true"),
            ("self.map.all(k, v, v > 0 && k != 'c')", "true"),
            ("self.list.exists(i, v, i == 1 && v == 1)", "true"),
            ("self.list.existsOne(i, v, i == v)", "false"),
            ("self.list.transformList(i, v, i + v)", "[3,2,4]"),
            ("self.list.transformList(i, v, i > 0, i + v)", "[2,4]"),
            ("self.map.transformMap(k, v, v * 10)", "{\"a\":10,\"b\":20}"),
            ("self.map.transformMap(k, v, v > 1, v * 10)", "{\"b\":20}"),
            ("self.map.transformMapEntry(k, v, {string(v): k})", "{\"1\":\"a\",\"2\":\"b\"}"),
            ("self.map.transformMapEntry(k, v, {'same': k})", "error: insert failed: key same already exists"),
            ("self.list.map(x, self.list.filter(y, y < x))", "[[1,2],[],[1]]"),
            ("[1, 2].map(x, [x].map(y, x + y))", "[[2],[4]]"),
            ("[].all(x, false)", "true"),
            ("dyn(1).all(x, true)", "error: got 'int', expected iterable type"),
            ("[[1, 2], [3]].all(l, l.all(x, x > 0))", "true"),
        ],
    );
}

#[test]
fn conversions_say_what_they_cannot() {
    check(&[
        ("int('12') + int(3.9) + int(4u)", "19"),
        ("int(['a'][0])", "error: type conversion error from 'string' to 'int'"),
        ("int([1e30][0])", "error: integer overflow"),
        ("int('a')", "link: type conversion error from 'string' to 'int'"),
        ("uint([-1][0])", "error: unsigned integer overflow"),
        ("uint('7')", "7u"),
        ("double('1e3')", "1000"),
        ("string(1.0) + string(true) + string(1) + string(2u)", "\"1true12\""),
        ("string(b'abc')", "\"abc\""),
        ("string([b'\\xff'][0])", "error: invalid UTF-8 in bytes, cannot convert to string"),
        ("bool('true') && !bool('0')", "true"),
        ("bool(['yes'][0])", "error: type conversion error from 'string' to 'bool'"),
        ("type(1) == int && type('') == string && type([]) == list && type(type(1)) == type", "true"),
        ("type(1)", "int"),
        ("type(timestamp(0))", "google.protobuf.Timestamp"),
        ("string(timestamp('2024-01-02T03:04:05.678Z'))", "\"2024-01-02T03:04:05.678Z\""),
        ("string(duration('1h30m'))", "\"5400s\""),
        ("int(timestamp('1970-01-01T00:01:00Z'))", "60"),
        ("timestamp(['nonsense'][0])", "error: type conversion error from 'string' to 'google.protobuf.Timestamp'"),
        ("duration(['1x'][0])", "error: type conversion error from 'string' to 'google.protobuf.Duration'"),
        ("bytes('é') == b'\\xc3\\xa9'", "true"),
        ("string(1e21)", "\"1e+21\""),
        ("string(0.1)", "\"0.1\""),
    ]);
}

#[test]
fn times_have_parts_in_time_zones() {
    let at = "timestamp('2023-12-25T23:30:45.123Z')";
    let rows = [
        ("getFullYear()", "2023"),
        ("getMonth()", "11"),
        ("getDate()", "25"),
        ("getDayOfMonth()", "24"),
        ("getDayOfWeek()", "1"),
        ("getDayOfYear()", "358"),
        ("getHours()", "23"),
        ("getMinutes()", "30"),
        ("getSeconds()", "45"),
        ("getMilliseconds()", "123"),
        ("getHours('Europe/Berlin')", "0"),
        ("getDate('Europe/Berlin')", "26"),
        ("getHours('-02:30')", "21"),
        ("getMinutes('+02:45')", "15"),
        ("getHours('Nowhere/AtAll')", "error: unknown time zone Nowhere/AtAll"),
        ("getHours('+02:60')", "error: timezone offset minutes out of range [0, 59]: +02:60"),
    ];
    for (call, expected) in rows {
        check(&[(&format!("{at}.{call}"), expected)]);
    }
    check(&[
        ("duration('90m').getHours()", "1"),
        ("duration('90m').getMinutes()", "90"),
        ("duration('1.5s').getMilliseconds()", "1500"),
        ("timestamp('2024-02-29T00:00:00Z') - timestamp('2023-02-28T00:00:00Z') == duration('8784h')", "true"),
        ("timestamp('2024-02-28T23:00:00Z') + duration('2h') == timestamp('2024-02-29T01:00:00Z')", "true"),
        ("timestamp('9999-12-31T23:59:59Z') + duration('1s')", "error: timestamp overflow"),
        ("timestamp('0001-01-01T00:00:00Z') - duration('1s')", "error: timestamp overflow"),
        ("timestamp('2024-01-01T00:00:00+01:00') == timestamp('2023-12-31T23:00:00Z')", "true"),
        ("duration('9223372036s') + duration('1s')", "error: duration overflow"),
    ]);
}

#[test]
fn optional_values_carry_absence_along() {
    let data = json!({"a": {"b": 1}, "list": [1, 2]});
    check_with(
        &data,
        &[
            ("self.?a.b", "optional(1)"),
            ("self.?a.?c", "none"),
            ("self.?x.y.z", "none"),
            ("self.?a.b.orValue(5)", "1"),
            ("self.?x.b.orValue(5)", "5"),
            ("self.list[?0].orValue(9) + self.list[?7].orValue(9)", "10"),
            ("self[?'a'].hasValue()", "true"),
            ("optional.of(1).or(optional.none())", "optional(1)"),
            ("optional.none().or(optional.of(2)).value()", "2"),
            ("optional.none().value()", "error: optional.none() dereference"),
            ("optional.of(1).orValue(1 / 0)", "1"),
            ("optional.ofNonZeroValue('').hasValue()", "false"),
            ("optional.ofNonZeroValue('a')", "optional(\"a\")"),
            ("self.?a.optMap(v, v.b + 1)", "optional(2)"),
            ("self.?x.optMap(v, v.b + 1)", "none"),
            ("self.?a.optFlatMap(v, v.?b)", "optional(1)"),
            ("[?self.?x, ?optional.of(1)]", "[1]"),
            ("{?'a': self.?x, ?'b': optional.of(1)}", "{\"b\":1}"),
            ("has(self.?a.b) && !has(self.?x.b)", "true"),
            ("self.list.first().value() + self.list.last().value()", "3"),
            ("[].first()", "none"),
            ("optional.unwrap([optional.of(1), optional.none()])", "[1]"),
            ("[optional.of(1), optional.none()].unwrapOpt()", "[1]"),
            ("optional.of(1) == optional.of(1) && optional.none() != optional.of(1)", "true"),
        ],
    );
}
