//! The examples of kubectl's documentation and the odd corners of its dialect.

use serde_json::{Value, json};

use super::*;

fn data() -> Value {
    json!({
        "kind": "List",
        "items": [
            {"kind": "None", "metadata": {"name": "127.0.0.1", "labels": {"kubernetes.io/hostname": "127.0.0.1"}},
             "status": {"capacity": {"cpu": "4"}, "n": 4, "addresses": [{"type": "LegacyHostIP", "address": "127.0.0.1"}]}},
            {"kind": "None", "metadata": {"name": "127.0.0.2"},
             "status": {"capacity": {"cpu": "8"}, "n": 8, "addresses": [
                {"type": "LegacyHostIP", "address": "127.0.0.2"}, {"type": "another", "address": "127.0.0.3"}]}}
        ],
        "users": [{"name": "myself", "user": {}}, {"name": "e2e", "user": {"username": "admin", "password": "secret"}}],
        "t": true, "z": null,
    })
}

fn shown(template: &str) -> String {
    Template::parse(template).unwrap().render(&data()).unwrap_or_else(|e| format!("error: {e}"))
}

#[test]
fn templates_print_what_kubectl_prints() {
    for (template, text) in [
        ("kind is {.kind}", "kind is List"),
        ("{.kind}", "List"),
        ("{['kind']}", "List"),
        ("{$.t}", "true"),
        ("{.items[*].metadata.name}", "127.0.0.1 127.0.0.2"),
        ("{.items[*]['metadata.name', 'status.capacity']}", ""),
        ("{..name}", "127.0.0.1 127.0.0.2 myself e2e"),
        ("{.items[*]['kind','missing']}", "None None"),
        ("{.users[?(@.name==\"e2e\")].user.password}", "secret"),
        ("{.users[?(@.user.password)].name}", "e2e"),
        ("{.items[?(@.status.n>4)].metadata.name}", "127.0.0.2"),
        ("{.items[?(@.status.n <= 4)].metadata.name}", "127.0.0.1"),
        ("{.items[0].metadata.labels.kubernetes\\.io/hostname}", "127.0.0.1"),
        ("{.items[0].metadata.labels['kubernetes.io/hostname']}", "127.0.0.1"),
        (
            "{range .items[*]}[{.metadata.name}, {.status.capacity}] {end}",
            "[127.0.0.1, {\"cpu\":\"4\"}] [127.0.0.2, {\"cpu\":\"8\"}] ",
        ),
        (
            "{range .items[*]}{.metadata.name}{\"\\t\"}{range .status.addresses[*]}{.address};{end}{\"\\n\"}{end}done",
            "127.0.0.1\t127.0.0.1;\n127.0.0.2\t127.0.0.2;127.0.0.3;\ndone",
        ),
        ("{.items[-1].metadata.name}", "127.0.0.2"),
        ("{.items[0:1].kind}", "None"),
        ("{.items[::2].metadata.name}", "127.0.0.1"),
        ("{.items[0,1].metadata.name}", "127.0.0.1 127.0.0.2"),
        ("{.users[0].user}", "{}"),
        ("{.missing.deeper}", ""),
        ("{.items[7]}", "error: array index out of bounds: index 7, length 2"),
        ("{.z}", "null"),
        ("{range .missing[*]}{.a}{end}x", "x"),
    ] {
        assert_eq!(shown(template), text, "{template}");
    }
}

#[test]
fn missing_fields_are_errors_when_asked_for() {
    let template = Template::parse("{.missing}").unwrap().allow_missing(false);
    assert_eq!(template.render(&data()).unwrap_err().0, "missing is not found");
}

#[test]
fn relaxed_forms_need_no_braces() {
    for text in ["kind", ".kind", "{kind}", "{.kind}"] {
        assert_eq!(Template::parse_relaxed(text).unwrap().render(&data()).unwrap(), "List");
    }
}

#[test]
fn broken_templates_are_refused() {
    for text in ["{.a", "{.a[}", "{.a[x]}", "{end}", "{range .a}", "{foo}", "{.a[?(@.b==]}", "{\"a}"] {
        assert!(Template::parse(text).is_err(), "{text}");
    }
}

#[test]
fn exploding_templates_end() {
    let mut deep = json!([1]);
    for _ in 0..100 {
        deep = json!([deep, 1]);
    }
    let template = Template::parse("{..*..*..*..*}").unwrap();
    assert!(template.render(&deep).is_err());
}
