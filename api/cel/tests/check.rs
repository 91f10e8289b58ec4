//! What the checker finds out about expressions, and what it says about those that make no sense.

use berth_cel::ast::{ExprKind, Slot};
use berth_cel::env::{DeclType, Env};
use berth_cel::types::opaque;
use berth_cel::{Checked, compile};

/// Variables of many types; `self` is an object.
fn env() -> Env {
    let container = DeclType::object(
        "Container",
        [("name", DeclType::string()), ("image", DeclType::string()), ("ports", DeclType::list(DeclType::Int))],
    );
    let object = DeclType::object(
        "Widget",
        [
            ("replicas", DeclType::Int),
            ("ratio", DeclType::Double),
            ("name", DeclType::string()),
            ("a__dash__b", DeclType::Bool),
            ("containers", DeclType::list(container)),
            ("labels", DeclType::map(DeclType::string())),
            ("any", DeclType::Dyn),
            ("when", DeclType::Timestamp),
            ("took", DeclType::Duration),
        ],
    );
    let mut env = Env::new()
        .with("self", object.clone())
        .with("oldSelf", DeclType::Optional(object.into()))
        .with("authorizer", DeclType::Opaque(opaque::AUTHORIZER))
        .with("dotted.name", DeclType::Int)
        .with("i", DeclType::Int)
        .with("u", DeclType::Uint)
        .with("d", DeclType::Double)
        .with("s", DeclType::string())
        .with("x", DeclType::Dyn);
    env.open_object("Object");
    let DeclType::Object(patch) = DeclType::object(
        "JSONPatch",
        [("op", DeclType::string()), ("path", DeclType::string()), ("value", DeclType::Dyn)],
    ) else {
        unreachable!()
    };
    env.declare_object(patch);
    env
}

#[track_caller]
fn checked(source: &str) -> Checked {
    compile(source, &env()).unwrap_or_else(|issues| panic!("{source}\n{issues}"))
}

#[track_caller]
fn types(table: &[(&str, &str)]) {
    for (source, expected) in table {
        assert_eq!(checked(source).output.to_string(), *expected, "{source}");
    }
}

#[track_caller]
fn fails(table: &[(&str, &str)]) {
    for (source, expected) in table {
        match compile(source, &env()) {
            Ok(checked) => panic!("{source} is a {}", checked.output),
            Err(issues) => assert_eq!(issues.to_string(), *expected, "{source}"),
        }
    }
}

#[test]
fn literals_and_operators_have_types() {
    types(&[
        ("null", "null"),
        ("1 + 2", "int"),
        ("1u * 2u", "uint"),
        ("-1.5", "double"),
        ("'a' + 'b'", "string"),
        ("b'a' + b'b'", "bytes"),
        ("[1] + [2]", "list(int)"),
        ("[]", "list(dyn)"),
        ("{}", "map(dyn, dyn)"),
        ("{'a': [1u]}", "map(string, list(uint))"),
        ("[] + [1]", "list(int)"),
        ("1 < 2.0 && 1u >= 2 || 1.5 < 2u", "bool"),
        ("1 in [1, 2] && 'a' in {'a': 1}", "bool"),
        ("true ? 1 : 2", "int"),
        ("true ? [] : [1]", "list(int)"),
        ("[1, 2][0]", "int"),
        ("{'a': 1.5}['a']", "double"),
        ("type(1)", "type(int)"),
        ("type(1) == int", "bool"),
        ("type(self.when) == google.protobuf.Timestamp", "bool"),
        ("dyn(1)", "dyn"),
        ("[dyn(1), 'a']", "list(dyn)"),
        ("x + 1", "int"),
        ("x.y.z[0].w", "dyn"),
        ("x + x", "dyn"),
        ("timestamp('2026-11-22T10:00:00Z') - duration('1h')", "timestamp"),
        ("self.when - self.when", "duration"),
        ("null == self.when", "bool"),
        ("dotted.name + 1", "int"),
        (".i", "int"),
        ("[0].exists(s, .s == '' && s == 0)", "bool"),
        ("[{'z': 0}].exists(self, .self.name == '' && self.z == 0)", "bool"),
        ("list == type([1]) && map == type({1: 2u})", "bool"),
        ("type(type) == type && type(null) == null_type", "bool"),
        ("[dyn('a')] + [1]", "list(dyn)"),
        ("[1] + [dyn('a')]", "list(dyn)"),
        ("[{}.map(c, c, c)] + [{}.map(c, c, c)]", "list(list(bool))"),
        ("[1].map(x, [x, x]).map(x, [x, x])", "list(list(list(int)))"),
    ]);
}

#[test]
fn fields_and_optionals_have_types() {
    types(&[
        ("self", "Widget"),
        ("self.replicas", "int"),
        ("self.containers[0].ports", "list(int)"),
        ("self.labels.app", "string"),
        ("self.labels['app']", "string"),
        ("self.a__dash__b", "bool"),
        ("has(self.name)", "bool"),
        ("has(self.labels.app)", "bool"),
        ("self.?name", "optional_type(string)"),
        ("self.?labels.app", "optional_type(string)"),
        ("self.?labels[?'app'].orValue('none')", "string"),
        ("oldSelf.replicas", "optional_type(int)"),
        ("oldSelf.hasValue() ? oldSelf.value().replicas : 0", "int"),
        ("oldSelf.optMap(o, o.replicas + 1).orValue(0)", "int"),
        ("oldSelf.optFlatMap(o, o.?name)", "optional_type(string)"),
        ("optional.none()", "optional_type(dyn)"),
        ("optional.of(1).or(optional.none())", "optional_type(int)"),
        ("[?optional.of(1), 2]", "list(int)"),
        ("{?'a': optional.of(1)}", "map(string, int)"),
        ("[1, 2].first()", "optional_type(int)"),
        ("[optional.of(1)].unwrapOpt()", "list(int)"),
    ]);
}

#[test]
fn macros_have_types() {
    types(&[
        ("self.containers.all(c, c.name != '')", "bool"),
        ("self.containers.exists(i, c, i > 0 && c.name == '')", "bool"),
        ("self.labels.all(k, v, k != v)", "bool"),
        ("[1, 2].exists_one(x, x > 1)", "bool"),
        ("self.containers.map(c, c.ports)", "list(list(int))"),
        ("self.containers.map(c, c.ports).flatten()", "list(int)"),
        ("self.containers.map(c, c.name != '', c.name)", "list(string)"),
        ("self.labels.map(k, size(k))", "list(int)"),
        ("[1, 2].filter(x, x > 1)", "list(int)"),
        ("[1, 2].transformList(i, v, string(v))", "list(string)"),
        ("[1, 2].transformMap(i, v, string(v))", "map(int, string)"),
        ("self.labels.transformMapEntry(k, v, {v: k})", "map(string, string)"),
        ("cel.bind(n, self.replicas, n * n)", "int"),
        ("self.containers.sortBy(c, c.name)", "list(Container)"),
        ("x.map(y, y.z)", "list(dyn)"),
        ("[[1]].map(x, x.map(x, string(x)))", "list(list(string))"),
    ]);
}

#[test]
fn libraries_have_types() {
    types(&[
        ("'a,b'.split(',').join('-').upperAscii().substring(1, 2)", "string"),
        ("'%s %d'.format(['a', dyn(1)])", "string"),
        ("'abc'.indexOf('b') + [1, 2].indexOf(2)", "int"),
        ("[3, 1].sort().isSorted() && [1.5].sum() > 1.0", "bool"),
        ("['b'].max()", "string"),
        ("lists.range(3).reverse()", "list(int)"),
        ("'abc'.findAll('[a-c]')", "list(string)"),
        ("url('https://a').getQuery()", "map(string, list(string))"),
        ("quantity('1Gi').add(quantity('1')).sub(1).isGreaterThan(quantity('1k'))", "bool"),
        ("ip('::1')", "net.IP"),
        ("ip.isCanonical('::1') && isIP('::1')", "bool"),
        ("cidr('10.0.0.0/8').containsIP(ip('10.1.1.1')) && cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')", "bool"),
        ("cidr('10.0.0.0/8').ip().family()", "int"),
        ("string(cidr('10.0.0.0/8').masked())", "string"),
        ("format.dns1123Label().validate('a')", "optional_type(list(string))"),
        ("format.named('uri')", "optional_type(kubernetes.NamedFormat)"),
        ("semver('v1.2', true).major() + semver('1.2.3').minor()", "int"),
        ("sets.contains([1], [2]) || sets.equivalent([1], []) || sets.intersects(['a'], ['b'])", "bool"),
        ("authorizer.group('apps').resource('deployments').namespace('a').check('get').allowed()", "bool"),
        ("authorizer.serviceAccount('a', 'b').path('/healthz').check('get').reason()", "string"),
        ("jsonpatch.escapeKey('a/b')", "string"),
        ("self.when.getDayOfWeek('UTC') + self.took.getSeconds()", "int"),
        ("Object{spec: Object.spec{replicas: 3, names: ['a']}}", "Object"),
        ("[JSONPatch{op: 'add', path: '/a', value: 1}]", "list(JSONPatch)"),
    ]);
}

#[test]
fn names_resolve_to_slots_and_calls_to_overloads() {
    let made = checked("self.replicas + i + [1].map(y, y + i)[0]");
    assert_eq!(made.variables.iter().map(AsRef::as_ref).collect::<Vec<_>>(), ["self", "i"]);
    let ExprKind::Call(sum) = &made.expr.kind else { panic!() };
    assert_eq!(sum.overloads, ["add_int64"]);

    let made = checked("cel.bind(a, 1, cel.bind(b, 2, [a, b].all(c, a + b == c)))");
    let text = format!("{:?}", made.expr);
    for (name, slot) in [("a", 0), ("b", 1), ("c", 3), ("@result", 2)] {
        assert!(text.contains(&format!("Ident {{ name: {name:?}, slot: Local({slot}) }}")), "{name}: {text}");
    }

    let made = checked("sets.contains([1], [1])");
    let ExprKind::Call(call) = &made.expr.kind else { panic!() };
    assert_eq!((call.target.is_none(), call.function.as_ref()), (true, "sets.contains"));

    let made = checked("x == int");
    let ExprKind::Call(call) = &made.expr.kind else { panic!() };
    assert!(matches!(&call.args[1].kind, ExprKind::Ident(ident) if matches!(ident.slot, Slot::Type(_))));
}

#[test]
fn mistakes_are_told_in_the_words_of_the_original() {
    fails(&[
        ("y + 1", "ERROR: <input>:1:1: undeclared reference to 'y' (in container '')\n | y + 1\n | ^"),
        ("f(1)", "ERROR: <input>:1:2: undeclared reference to 'f' (in container '')\n | f(1)\n | .^"),
        ("s.f(1)", "ERROR: <input>:1:4: undeclared reference to 'f' (in container '')\n | s.f(1)\n | ...^"),
        ("self.y", "ERROR: <input>:1:5: undefined field 'y'\n | self.y\n | ....^"),
        ("has(self.y)", "ERROR: <input>:1:4: undefined field 'y'\n | has(self.y)\n | ...^"),
        ("self.?y", "ERROR: <input>:1:5: undefined field 'y'\n | self.?y\n | ....^"),
        (
            "1 + 's'",
            "ERROR: <input>:1:3: found no matching overload for '_+_' applied to '(int, string)'\n | 1 + 's'\n | ..^",
        ),
        (
            "s.contains(1)",
            "ERROR: <input>:1:11: found no matching overload for 'contains' applied to 'string.(int)'\n | s.contains(1)\n | ..........^",
        ),
        (
            "1 == 1.0",
            "ERROR: <input>:1:3: found no matching overload for '_==_' applied to '(int, double)'\n | 1 == 1.0\n | ..^",
        ),
        (
            "self == 1",
            "ERROR: <input>:1:6: found no matching overload for '_==_' applied to '(Widget, int)'\n | self == 1\n | .....^",
        ),
        (
            "size(1)",
            "ERROR: <input>:1:5: found no matching overload for 'size' applied to '(int)'\n | size(1)\n | ....^",
        ),
        (
            "1 ? 2 : 3",
            "ERROR: <input>:1:3: found no matching overload for '_?_:_' applied to '(int, int, int)'\n | 1 ? 2 : 3\n | ..^",
        ),
        (
            "{}['a'].b + 1 + 'a'",
            "ERROR: <input>:1:15: found no matching overload for '_+_' applied to '(int, string)'\n \
             | {}['a'].b + 1 + 'a'\n | ..............^",
        ),
        ("1 && true", "ERROR: <input>:1:1: expected type 'bool' but found 'int'\n | 1 && true\n | ^"),
        ("[[], 1]", "ERROR: <input>:1:6: expected type 'list(_var0)' but found 'int'\n | [[], 1]\n | .....^"),
        ("[1, 'a']", "ERROR: <input>:1:5: expected type 'int' but found 'string'\n | [1, 'a']\n | ....^"),
        (
            "{'a': 1, 'b': 2u}",
            "ERROR: <input>:1:15: expected type 'int' but found 'uint'\n | {'a': 1, 'b': 2u}\n | ..............^",
        ),
        ("[?1]", "ERROR: <input>:1:3: expected type 'optional_type(int)' but found 'int'\n | [?1]\n | ..^"),
        (
            "1.map(x, x)",
            "ERROR: <input>:1:1: expression of type 'int' cannot be range of a comprehension (must be list, map, or \
             dynamic)\n | 1.map(x, x)\n | ^",
        ),
        (
            "i.map(x, x)",
            "ERROR: <input>:1:1: expression of type 'int' cannot be range of a comprehension (must be list, map, or \
             dynamic)\n | i.map(x, x)\n | ^",
        ),
        ("i.y", "ERROR: <input>:1:2: type 'int' does not support field selection\n | i.y\n | .^"),
        ("Y{}", "ERROR: <input>:1:2: undeclared reference to 'Y' (in container '')\n | Y{}\n | .^"),
        (
            "JSONPatch{op: 1, what: 2}",
            "ERROR: <input>:1:13: expected type of field 'op' is 'string' but provided type is 'int'\n \
             | JSONPatch{op: 1, what: 2}\n | ............^\n\
             ERROR: <input>:1:22: undefined field 'what'\n | JSONPatch{op: 1, what: 2}\n | .....................^",
        ),
        (
            "[].map(x, [].map(y, x in y && y in x))",
            "ERROR: <input>:1:33: found no matching overload for '@in' applied to '(list(dyn), dyn)'\n \
             | [].map(x, [].map(y, x in y && y in x))\n | ................................^",
        ),
        ("[].length", "ERROR: <input>:1:3: type 'list(_var0)' does not support field selection\n | [].length\n | ..^"),
        (
            "self.all(e, 0)",
            "ERROR: <input>:1:1: expression of type 'Widget' cannot be range of a comprehension (must be list, map, or \
             dynamic)\n | self.all(e, 0)\n | ^\n\
             ERROR: <input>:1:13: expected type 'bool' but found 'int'\n | self.all(e, 0)\n | ............^",
        ),
        (
            "self.replicas != null",
            "ERROR: <input>:1:15: found no matching overload for '_!=_' applied to '(int, null)'\n \
             | self.replicas != null\n | ..............^",
        ),
        (
            "self.containers[1u]",
            "ERROR: <input>:1:16: found no matching overload for '_[_]' applied to '(list(Container), uint)'\n \
             | self.containers[1u]\n | ...............^",
        ),
        (
            "{?'key': 'hi'}",
            "ERROR: <input>:1:10: expected type 'optional_type(string)' but found 'string'\n | {?'key': 'hi'}\n | .........^",
        ),
        (
            "JSONPatch{?op: 'add'}",
            "ERROR: <input>:1:16: expected type 'optional_type(string)' but found 'string'\n \
             | JSONPatch{?op: 'add'}\n | ...............^",
        ),
        (
            "'string'.fun()",
            "ERROR: <input>:1:13: undeclared reference to 'fun' (in container '')\n | 'string'.fun()\n | ............^",
        ),
        ("int{}", "ERROR: <input>:1:4: 'int' is not a message type\n | int{}\n | ...^"),
        ("duration('1x')", "ERROR: <input>:1:10: invalid duration argument\n | duration('1x')\n | .........^"),
        ("timestamp('now')", "ERROR: <input>:1:11: invalid timestamp argument\n | timestamp('now')\n | ..........^"),
        ("s.matches('[')", "ERROR: <input>:1:11: invalid matches argument\n | s.matches('[')\n | ..........^"),
        (
            "y ||\n  z",
            "ERROR: <input>:1:1: undeclared reference to 'y' (in container '')\n | y ||\n | ^\n\
             ERROR: <input>:2:3: undeclared reference to 'z' (in container '')\n |   z\n | ..^",
        ),
    ]);
}

#[test]
fn a_macro_variable_ends_with_its_macro() {
    fails(&[
        (
            "[1].all(y, y > 0) && y",
            "ERROR: <input>:1:22: undeclared reference to 'y' (in container '')\n | [1].all(y, y > 0) && y\n | .....................^",
        ),
        (
            "cel.bind(y, y, 1)",
            "ERROR: <input>:1:13: undeclared reference to 'y' (in container '')\n | cel.bind(y, y, 1)\n | ............^",
        ),
    ]);
}

#[test]
fn nested_macros_cannot_make_a_type_grow_without_bound() {
    let mut source = "1".to_owned();
    for depth in (0..50).rev() {
        source = format!("cel.bind(x{}, {{x{depth}: x{depth}}}, {source})", depth + 1);
    }
    checked(&format!("cel.bind(x0, 1, {source})"));
}

#[test]
fn an_object_without_fields_refers_to_the_known_one() {
    let env = env().with("again", DeclType::object("Widget", [])).with("made", DeclType::object("Object.spec", []));
    for (source, expected) in [("again.replicas", "int"), ("self.replicas", "int"), ("made.anything", "dyn")] {
        let checked = compile(source, &env).unwrap_or_else(|issues| panic!("{source}\n{issues}"));
        assert_eq!(checked.output.to_string(), expected, "{source}");
    }
    let env = Env::new().with("empty", DeclType::object("Empty", []));
    assert!(compile("empty.x", &env).is_err());
}

mod random {
    use berth_cel::cost::estimate;
    use berth_cel::{Activation, Budget, Program, compile};
    use proptest::prelude::*;

    const PIECES: [&str; 36] = [
        "self",
        "i",
        "s",
        "x",
        "1",
        "1.5",
        "'s'",
        "true",
        "null",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ".replicas",
        ".?name",
        ":",
        ",",
        "+",
        "-",
        "!",
        "<",
        "==",
        "&&",
        "?",
        ".all(y,",
        ".map(y,",
        ".filter(y,",
        "has(self.name)",
        "cel.bind(y,",
        "y",
        ".size()",
        "optional.of(",
        ".orValue(",
        "type(",
    ];

    proptest! {
        #[test]
        fn any_tokens_are_refused_or_estimated_and_run(picks in proptest::collection::vec(0..PIECES.len(), 0..60)) {
            let text: String = picks.into_iter().flat_map(|pick| [PIECES[pick], " "]).collect();
            let env = super::env();
            match compile(&text, &env) {
                Err(issues) => prop_assert!(issues.to_string().starts_with("ERROR: <input>:")),
                // Whatever checks can be estimated and run, if only to an error.
                Ok(checked) => {
                    let _ = estimate(&checked, &env);
                    if let Ok(program) = Program::new(&checked) {
                        let _ = program.eval(&Activation::new(), &mut Budget::default());
                    }
                }
            }
        }
    }
}
