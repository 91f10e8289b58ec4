//! What the parser makes of expressions, and what it says about broken ones.

use berth_cel::ast::{Expr, ExprKind, Literal, Slot};
use berth_cel::parser::parse;

/// Prints a tree: calls with their function in front, `?` for optional, `~` for a presence test.
fn print(expr: &Expr) -> String {
    let list = |items: Vec<String>| items.join(", ");
    match &expr.kind {
        ExprKind::Literal(literal) => match literal {
            Literal::Null => "null".to_owned(),
            Literal::Bool(value) => value.to_string(),
            Literal::Int(value) => value.to_string(),
            Literal::Uint(value) => format!("{value}u"),
            Literal::Double(value) => format!("{value:?}"),
            Literal::String(value) => format!("{value:?}"),
            Literal::Bytes(value) => format!("b{value:?}"),
        },
        ExprKind::Ident(ident) => {
            assert_eq!(ident.slot, Slot::Unresolved);
            ident.name.to_string()
        }
        ExprKind::Select(select) => {
            let optional = if select.optional { "?" } else { "" };
            let text = format!("{}.{optional}{}", print(&select.operand), select.field);
            if select.test_only { format!("{text}~") } else { text }
        }
        ExprKind::Call(call) => {
            let args = list(call.args.iter().map(print).collect());
            match &call.target {
                Some(target) => format!("{}.{}({args})", print(target), call.function),
                None => format!("{}({args})", call.function),
            }
        }
        ExprKind::List(elements) => {
            let one = |optional: bool, value: &Expr| format!("{}{}", if optional { "?" } else { "" }, print(value));
            format!("[{}]", list(elements.iter().map(|element| one(element.optional, &element.value)).collect()))
        }
        ExprKind::Map(entries) => {
            let entry = |optional: bool, key: &Expr, value: &Expr| {
                format!("{}{}: {}", if optional { "?" } else { "" }, print(key), print(value))
            };
            format!("{{{}}}", list(entries.iter().map(|e| entry(e.optional, &e.key, &e.value)).collect()))
        }
        ExprKind::Struct(object) => {
            let fields = object.fields.iter().map(|field| {
                format!("{}{}: {}", if field.optional { "?" } else { "" }, field.name, print(&field.value))
            });
            format!("{}{{{}}}", object.type_name, list(fields.collect()))
        }
        ExprKind::Comprehension(fold) => {
            let vars = fold.iter_var2.as_ref().map_or(String::new(), |second| format!(", {second}"));
            format!(
                "fold({:?}, {}{vars} in {}, {} = {}, while {}, {}, {})",
                fold.fold,
                fold.iter_var,
                print(&fold.range),
                fold.accu_var,
                print(&fold.init),
                print(&fold.condition),
                print(&fold.step),
                print(&fold.result)
            )
        }
        ExprKind::Bind(bind) => format!("bind({} = {}, {})", bind.var, print(&bind.init), print(&bind.body)),
    }
}

#[track_caller]
fn parses(table: &[(&str, &str)]) {
    for (source, expected) in table {
        match parse(source) {
            Ok(parsed) => assert_eq!(print(&parsed.expr), *expected, "{source}"),
            Err(issues) => panic!("{source}\n{issues}"),
        }
    }
}

#[track_caller]
fn fails(table: &[(&str, &str)]) {
    for (source, expected) in table {
        match parse(source) {
            Ok(parsed) => panic!("{source} reads as {}", print(&parsed.expr)),
            Err(issues) => assert_eq!(issues.to_string(), *expected, "{source}"),
        }
    }
}

#[test]
fn numbers_and_words_are_literals() {
    parses(&[
        ("1", "1"),
        ("-1", "-1"),
        ("0x1F", "31"),
        ("-0x1f", "-31"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("12u", "12u"),
        ("0xFFu", "255u"),
        ("1.5", "1.5"),
        (".5e3", "500.0"),
        ("1e-3", "0.001"),
        ("-2.0", "-2.0"),
        ("true", "true"),
        ("false", "false"),
        ("null", "null"),
    ]);
}

#[test]
fn strings_and_bytes_know_their_quotes_and_escapes() {
    parses(&[
        (r#""a'b""#, r#""a'b""#),
        (r#"'a"b'"#, r#""a\"b""#),
        (r"'\a\n\x41\101\u0042\U0001F431\?\`'", "\"\\u{7}\\nAAB🐱?`\""),
        (r"r'\n'", r#""\\n""#),
        ("R\"\"\"a\"b\\\"\"\"", r#""a\"b\\""#),
        ("'''a\nb'''", r#""a\nb""#),
        ("'''a\r\nb'''", r#""a\nb""#),
        ("''", r#""""#),
        ("b'a\\xff\\377é'", "b[97, 255, 255, 195, 169]"),
        (r"br'\x'", "b[92, 120]"),
    ]);
}

#[test]
fn operators_bind_as_the_grammar_says() {
    parses(&[
        ("1 + 2 * 3 - 4", "_-_(_+_(1, _*_(2, 3)), 4)"),
        ("a % b / c", "_/_(_%_(a, b), c)"),
        ("a < b == c", "_==_(_<_(a, b), c)"),
        ("a in [1]", "@in(a, [1])"),
        ("!a && !!b", "_&&_(!_(a), b)"),
        ("-a - -1", "_-_(-_(a), -1)"),
        ("- -a", "a"),
        ("a || b && c", "_||_(a, _&&_(b, c))"),
        ("a && b && c && d", "_&&_(_&&_(a, b), _&&_(c, d))"),
        ("a ? b : c ? d : e", "_?_:_(a, b, _?_:_(c, d, e))"),
        ("(a + b) * c", "_*_(_+_(a, b), c)"),
        ("a // words\n + b", "_+_(a, b)"),
    ]);
}

#[test]
fn members_hang_on_their_operands() {
    parses(&[
        ("a.b.c", "a.b.c"),
        (".a", ".a"),
        ("a.?b.c", "a.?b.c"),
        ("a[1][?2]", "_[?_](_[_](a, 1), 2)"),
        ("a.b(c).d()", "a.b(c).d()"),
        ("f(a, b)", "f(a, b)"),
        (".f(a)", ".f(a)"),
        ("a.`b-c/d.e f`", "a.b-c/d.e f"),
        ("a.namespace", "a.namespace"),
        ("size(x) == x.size()", "_==_(size(x), x.size())"),
        ("optional.of(1)", "optional.of(1)"),
    ]);
}

#[test]
fn collections_and_objects_may_have_optional_parts_and_a_last_comma() {
    parses(&[
        ("[]", "[]"),
        ("[,]", "[]"),
        ("[1, ?b, 3,]", "[1, ?b, 3]"),
        ("{}", "{}"),
        ("{'a': 1, ?b: c,}", r#"{"a": 1, ?b: c}"#),
        ("Object{}", "Object{}"),
        (".Object.spec{a: 1, ?`b.c`: x}", "Object.spec{a: 1, ?b.c: x}"),
        ("JSONPatch{op: 'add', path: '/a'}", r#"JSONPatch{op: "add", path: "/a"}"#),
    ]);
}

#[test]
fn macros_become_folds() {
    let accu = "@result";
    let fold = |head: &str, init: &str, condition: &str, step: &str, result: &str| {
        format!("fold({head}, {accu} = {init}, while {condition}, {step}, {result})")
    };
    let rows = [
        ("has(a.b)", "a.b~".to_owned()),
        ("a.all(x, x)", fold("All, x in a", "true", "@not_strictly_false(@result)", "_&&_(@result, x)", accu)),
        (
            "a.exists(x, x)",
            fold("Exists, x in a", "false", "@not_strictly_false(!_(@result))", "_||_(@result, x)", accu),
        ),
        (
            "a.exists_one(x, x)",
            fold("ExistsOne, x in a", "0", "true", "_?_:_(x, _+_(@result, 1), @result)", "_==_(@result, 1)"),
        ),
        (
            "a.existsOne(i, x, x)",
            fold("ExistsOne, i, x in a", "0", "true", "_?_:_(x, _+_(@result, 1), @result)", "_==_(@result, 1)"),
        ),
        ("a.map(x, y)", fold("Map, x in a", "[]", "true", "_+_(@result, [y])", accu)),
        ("a.map(x, p, y)", fold("Map, x in a", "[]", "true", "_?_:_(p, _+_(@result, [y]), @result)", accu)),
        ("a.filter(x, p)", fold("Filter, x in a", "[]", "true", "_?_:_(p, _+_(@result, [x]), @result)", accu)),
        ("a.all(i, x, x)", fold("All, i, x in a", "true", "@not_strictly_false(@result)", "_&&_(@result, x)", accu)),
        (
            "a.transformList(i, x, p, y)",
            fold("TransformList, i, x in a", "[]", "true", "_?_:_(p, _+_(@result, [y]), @result)", accu),
        ),
        (
            "a.transformMap(k, v, y)",
            fold("TransformMap, k, v in a", "{}", "true", "cel.@mapInsert(@result, k, y)", accu),
        ),
        (
            "a.transformMapEntry(k, v, p, {v: k})",
            fold(
                "TransformMapEntry, k, v in a",
                "{}",
                "true",
                "_?_:_(p, cel.@mapInsert(@result, {v: k}), @result)",
                accu,
            ),
        ),
        ("cel.bind(x, a, x + x)", "bind(x = a, _+_(x, x))".to_owned()),
        (
            "a.optMap(x, y)",
            "bind(@optional = a, _?_:_(@optional.hasValue(), \
             optional.of(bind(x = @optional.value(), y)), optional.none()))"
                .to_owned(),
        ),
        (
            "a.optFlatMap(x, y)",
            "bind(@optional = a, _?_:_(@optional.hasValue(), bind(x = @optional.value(), y), optional.none()))"
                .to_owned(),
        ),
        (
            "a.sortBy(x, x.n)",
            "bind(@__sortBy_input__ = a, @__sortBy_input__.@sortByAssociatedKeys(fold(Map, x in @__sortBy_input__, \
             @result = [], while true, _+_(@result, [x.n]), @result)))"
                .to_owned(),
        ),
        // Other numbers of arguments, other receivers: ordinary calls.
        ("a.all(x)", "a.all(x)".to_owned()),
        ("has(a.b, c)", "has(a.b, c)".to_owned()),
        ("x.bind(a, b, c)", "x.bind(a, b, c)".to_owned()),
    ];
    for (source, expected) in &rows {
        parses(&[(source, expected.as_str())]);
    }
}

#[test]
fn macros_say_what_their_arguments_should_be() {
    fails(&[
        ("has(a)", "ERROR: <input>:1:5: invalid argument to has() macro\n | has(a)\n | ....^"),
        ("a.all(1, x)", "ERROR: <input>:1:7: argument must be a simple name\n | a.all(1, x)\n | ......^"),
        ("a.map(x.y, x)", "ERROR: <input>:1:8: argument is not an identifier\n | a.map(x.y, x)\n | .......^"),
        (
            "a.map(__result__, x)",
            "ERROR: <input>:1:7: iteration variable overwrites accumulator variable\n | a.map(__result__, x)\n | ......^",
        ),
        ("a.all(x, x, x)", "ERROR: <input>:1:10: duplicate variable name: x\n | a.all(x, x, x)\n | .........^"),
        (
            "cel.bind(1, a, b)",
            "ERROR: <input>:1:10: cel.bind() variable names must be simple identifiers\n | cel.bind(1, a, b)\n | .........^",
        ),
        (
            "a.optMap(1, b)",
            "ERROR: <input>:1:10: optMap() variable name must be a simple identifier\n | a.optMap(1, b)\n | .........^",
        ),
        (
            "{}.sortBy(x, x)",
            "ERROR: <input>:1:1: sortBy can only be applied to a list, identifier, comprehension, call or select \
             expression\n | {}.sortBy(x, x)\n | ^",
        ),
    ]);
}

const OPERAND: &str = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, \
                       BYTES, IDENTIFIER}";

#[test]
fn broken_syntax_is_told_in_the_words_of_the_original() {
    let rows = [
        ("1 +", format!("ERROR: <input>:1:4: Syntax error: mismatched input '<EOF>' expecting {OPERAND}\n | 1 +\n | ...^")),
        (
            "1 + +",
            format!(
                "ERROR: <input>:1:5: Syntax error: mismatched input '+' expecting {OPERAND}\n | 1 + +\n | ....^\n\
                 ERROR: <input>:1:6: Syntax error: mismatched input '<EOF>' expecting {OPERAND}\n | 1 + +\n | .....^"
            ),
        ),
        (
            "1 + $",
            format!(
                "ERROR: <input>:1:5: Syntax error: token recognition error at: '$'\n | 1 + $\n | ....^\n\
                 ERROR: <input>:1:6: Syntax error: mismatched input '<EOF>' expecting {OPERAND}\n | 1 + $\n | .....^"
            ),
        ),
        (
            "*@a | b",
            format!(
                "ERROR: <input>:1:1: Syntax error: extraneous input '*' expecting {OPERAND}\n | *@a | b\n | ^\n\
                 ERROR: <input>:1:2: Syntax error: token recognition error at: '@'\n | *@a | b\n | .^\n\
                 ERROR: <input>:1:5: Syntax error: token recognition error at: '| '\n | *@a | b\n | ....^\n\
                 ERROR: <input>:1:7: Syntax error: extraneous input 'b' expecting <EOF>\n | *@a | b\n | ......^"
            ),
        ),
        (
            "in",
            format!(
                "ERROR: <input>:1:1: Syntax error: mismatched input 'in' expecting {OPERAND}\n | in\n | ^\n\
                 ERROR: <input>:1:3: Syntax error: mismatched input '<EOF>' expecting {OPERAND}\n | in\n | ..^"
            ),
        ),
        (
            "?",
            format!(
                "ERROR: <input>:1:1: Syntax error: mismatched input '?' expecting {OPERAND}\n | ?\n | ^\n\
                 ERROR: <input>:1:2: Syntax error: mismatched input '<EOF>' expecting {OPERAND}\n | ?\n | .^"
            ),
        ),
        (
            "1 + 2\n3 +",
            "ERROR: <input>:2:1: Syntax error: mismatched input '3' expecting <EOF>\n | 3 +\n | ^".to_owned(),
        ),
        ("{a}", "ERROR: <input>:1:3: Syntax error: mismatched input '}' expecting ':'\n | {a}\n | ..^".to_owned()),
        (
            "ind[a{b}]",
            "ERROR: <input>:1:8: Syntax error: mismatched input '}' expecting ':'\n | ind[a{b}]\n | .......^".to_owned(),
        ),
        (
            "self.true == 1",
            "ERROR: <input>:1:6: Syntax error: mismatched input 'true' expecting IDENTIFIER\n | self.true == 1\n | .....^"
                .to_owned(),
        ),
        (
            "{\"a\": 1}.\"a\"",
            "ERROR: <input>:1:10: Syntax error: no viable alternative at input '.\"a\"'\n | {\"a\": 1}.\"a\"\n | .........^"
                .to_owned(),
        ),
        (
            "T(){}",
            "ERROR: <input>:1:4: Syntax error: mismatched input '{' expecting <EOF>\n | T(){}\n | ...^".to_owned(),
        ),
        ("(a", "ERROR: <input>:1:3: Syntax error: missing ')' at '<EOF>'\n | (a\n | ..^".to_owned()),
        ("f(a b)", "ERROR: <input>:1:5: Syntax error: extraneous input 'b' expecting ')'\n | f(a b)\n | ....^".to_owned()),
        (
            "[1",
            "ERROR: <input>:1:3: Syntax error: mismatched input '<EOF>' expecting {']', ','}\n | [1\n | ..^".to_owned(),
        ),
        (
            "{",
            "ERROR: <input>:1:2: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '}', '(', '.', ',', '-', \
             '!', '?', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}\n | {\n | .^"
                .to_owned(),
        ),
        (
            "func{{a}}",
            "ERROR: <input>:1:6: Syntax error: extraneous input '{' expecting {'}', ',', '?', IDENTIFIER, \
             ESC_IDENTIFIER}\n | func{{a}}\n | .....^\n\
             ERROR: <input>:1:8: Syntax error: mismatched input '}' expecting ':'\n | func{{a}}\n | .......^\n\
             ERROR: <input>:1:9: Syntax error: extraneous input '}' expecting <EOF>\n | func{{a}}\n | ........^"
                .to_owned(),
        ),
        (
            "msg{:a}",
            "ERROR: <input>:1:5: Syntax error: extraneous input ':' expecting {'}', ',', '?', IDENTIFIER, \
             ESC_IDENTIFIER}\n | msg{:a}\n | ....^\n\
             ERROR: <input>:1:7: Syntax error: mismatched input '}' expecting ':'\n | msg{:a}\n | ......^"
                .to_owned(),
        ),
        (
            "--",
            format!(
                "ERROR: <input>:1:3: Syntax error: no viable alternative at input '-'\n | --\n | ..^\n\
                 ERROR: <input>:1:3: Syntax error: mismatched input '<EOF>' expecting {OPERAND}\n | --\n | ..^"
            ),
        ),
        (
            "`b-c`()",
            format!(
                "ERROR: <input>:1:1: Syntax error: extraneous input '`b-c`' expecting {OPERAND}\n | `b-c`()\n | ^\n\
                 ERROR: <input>:1:7: Syntax error: mismatched input ')' expecting {OPERAND}\n | `b-c`()\n | ......^"
            ),
        ),
        (
            "a.`$b`",
            "ERROR: <input>:1:3: Syntax error: token recognition error at: '`$'\n | a.`$b`\n | ..^\n\
             ERROR: <input>:1:6: Syntax error: token recognition error at: '`'\n | a.`$b`\n | .....^"
                .to_owned(),
        ),
        ("has(", format!("ERROR: <input>:1:5: Syntax error: mismatched input '<EOF>' expecting {OPERAND}\n | has(\n | ....^")),
        ("\"\\xFh\"", format!(
            "ERROR: <input>:1:1: Syntax error: token recognition error at: '\"\\xFh'\n | \"\\xFh\"\n | ^\n\
             ERROR: <input>:1:6: Syntax error: token recognition error at: '\"'\n | \"\\xFh\"\n | .....^\n\
             ERROR: <input>:1:7: Syntax error: mismatched input '<EOF>' expecting {OPERAND}\n | \"\\xFh\"\n | ......^"
        )),
        ("a.`b.c`()", "ERROR: <input>:1:8: Syntax error: mismatched input '(' expecting <EOF>\n | a.`b.c`()\n | .......^".to_owned()),
        ("as", "ERROR: <input>:1:1: reserved identifier: as\n | as\n | ^".to_owned()),
        ("9223372036854775808", "ERROR: <input>:1:1: invalid int literal\n | 9223372036854775808\n | ^".to_owned()),
        ("1e400", "ERROR: <input>:1:1: invalid double literal\n | 1e400\n | ^".to_owned()),
        ("'\\ud800'", "ERROR: <input>:1:1: invalid unicode code point\n | '\\ud800'\n | ^".to_owned()),
        ("b'\\u0041'", "ERROR: <input>:1:1: unable to unescape string\n | b'\\u0041'\n | ^".to_owned()),
    ];
    for (source, expected) in &rows {
        fails(&[(source, expected.as_str())]);
    }
}

#[test]
fn the_caret_stands_under_wide_characters_and_tabs_become_blanks() {
    fails(&[(
        "'é' +\t$",
        &format!(
            "ERROR: <input>:1:7: Syntax error: token recognition error at: '$'\n | 'é' + $\n | .．....^\n\
             ERROR: <input>:1:8: Syntax error: mismatched input '<EOF>' expecting {OPERAND}\n | 'é' + $\n | .．.....^"
        ),
    )]);
}

#[test]
fn size_and_depth_are_bounded() {
    let long = "1".repeat(100_001);
    fails(&[(&long, "ERROR: <input>:-1:0: expression code point size exceeds limit: size: 100001, limit 100000")]);
    let nested = format!("{}1{}", "(".repeat(249), ")".repeat(249));
    parses(&[(&nested, "1")]);
    let nested = format!("{}1{}", "(".repeat(50_000), ")".repeat(49_999));
    fails(&[(&nested, "ERROR: <input>:-1:0: expression recursion limit exceeded: 250")]);
    for chain in
        ["a".to_owned() + &".b".repeat(300), "1".to_owned() + &"+1".repeat(40_000), "a".to_owned() + &"[0]".repeat(300)]
    {
        fails(&[(&chain, "ERROR: <input>:-1:0: max recursion depth exceeded")]);
    }
    let terms = "a".to_owned() + &"&&a".repeat(10_000);
    assert!(parse(&terms).is_ok());
}

mod random {
    use berth_cel::parser::parse;
    use proptest::prelude::*;

    /// Pieces of expressions, so that random input gets behind the lexer.
    const PIECES: [&str; 40] = [
        "a",
        "x",
        "1",
        "1.5",
        "2u",
        "'s'",
        "b'x'",
        "true",
        "null",
        "in",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ".",
        "?",
        ":",
        ",",
        "+",
        "-",
        "!",
        "*",
        "/",
        "%",
        "<",
        "==",
        "&&",
        "||",
        ".all(",
        ".map(",
        "has(",
        "cel.bind(",
        "T{",
        "`b`",
        ".optMap(",
        "\"",
        "$",
        "\n",
    ];

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
            let _ = parse(&text).map_err(|issues| issues.to_string());
        }

        #[test]
        fn any_tokens_are_read_or_refused(picks in proptest::collection::vec(0..PIECES.len(), 0..120)) {
            let text: String = picks.into_iter().flat_map(|pick| [PIECES[pick], " "]).collect();
            if let Err(issues) = parse(&text) {
                prop_assert!(!issues.is_empty());
                prop_assert!(issues.to_string().starts_with("ERROR: <input>:"));
            }
        }
    }
}
