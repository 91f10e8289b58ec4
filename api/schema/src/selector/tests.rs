//! Selectors against the real server's answers.

use std::borrow::Cow;

use serde_json::json;

use super::*;

fn matches(selector: &str, labels: &[(&str, &'static str)]) -> bool {
    let selector = LabelSelector::parse(selector).unwrap();
    selector.matches(|key| labels.iter().find(|(k, _)| *k == key).map(|(_, v)| *v))
}

#[test]
fn every_operator_matches_as_documented() {
    let web = [("app", "web"), ("n", "7")];
    for good in [
        "",
        "app=web",
        "app==web",
        "app != db",
        "app in (db, web)",
        "app notin (db)",
        "x notin (y)",
        "x!=1",
        "app",
        "!x",
        "n>5",
        "n<8",
        " app = web , !x ",
        "example.com/x!=1",
        "app in (,web)",
    ] {
        assert!(matches(good, &web), "{good}");
    }
    for bad in ["app=db", "app=", "app!=web", "x", "!app", "n>7", "n<x1", "app in ()", "app>1", "x>1"] {
        let selector = LabelSelector::parse(bad);
        assert!(selector.is_err() || !matches(bad, &web), "{bad}");
    }
    assert!(matches("app in ()", &[("app", "")]));
}

#[test]
fn errors_are_worded_as_kube_apiserver_words_them() {
    let told = |text| LabelSelector::parse(text).unwrap_err().to_string();
    assert_eq!(told("a b"), "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt");
    assert_eq!(told("a=b,"), "found '', expected: identifier after ','");
    assert_eq!(told("=b"), "found '=', expected: !, identifier, or 'end of string'");
    assert_eq!(told("!a=b"), "found '=', expected: ',' or 'end of string'");
    assert_eq!(told("a in b"), "unable to parse requirement: found 'b' expected: '('");
    assert_eq!(told("a in (b"), "unable to parse requirement: found '', expected: ',' or ')'");
    assert!(told("a>x").ends_with("for 'Gt', 'Lt' operators, the value must be an integer"));
    assert!(told("-a=b").contains("name part must consist of alphanumeric characters"));
    assert!(told("a=b$").contains("a valid label must be an empty string or consist of"));
}

#[test]
fn selector_objects_match_like_their_text() {
    let value = json!({"matchLabels": {"app": "web"}, "matchExpressions": [
        {"key": "tier", "operator": "In", "values": ["b", "a"]}, {"key": "x", "operator": "DoesNotExist"}]});
    assert_eq!(LabelSelector::from_json(&value).unwrap(), LabelSelector::parse("app=web,tier in (a,b),!x").unwrap());
    assert!(LabelSelector::from_json(&json!(null)).unwrap().is_empty());
    let bad = json!({"matchExpressions": [{"key": "a", "operator": "Near"}]});
    assert_eq!(LabelSelector::from_json(&bad).unwrap_err().0, "\"Near\" is not a valid label selector operator");
    let object = json!({"metadata": {"labels": {"app": "web", "tier": "a"}}});
    assert!(LabelSelector::from_json(&value).unwrap().matches_object(&object));
}

#[test]
fn field_selectors_compare_escape_and_refuse() {
    let selector = FieldSelector::parse(r"spec.nodeName=n1,,status.phase!=Failed,a==x\,y\=z").unwrap();
    assert_eq!(selector.exact("spec.nodeName"), Some("n1"));
    assert_eq!(selector.exact("status.phase"), None);
    let lookup = |phase: &'static str| {
        move |path: &str| match path {
            "spec.nodeName" => Some(Cow::from("n1")),
            "status.phase" => Some(Cow::from(phase)),
            "a" => Some(Cow::from("x,y=z")),
            _ => None,
        }
    };
    assert!(selector.matches(lookup("Running")));
    assert!(!selector.matches(lookup("Failed")));
    assert!(FieldSelector::parse("a=").unwrap().matches(|_| None));
    assert_eq!(FieldSelector::parse("abc").unwrap_err().0, "invalid selector: 'abc'; can't understand 'abc'");
    assert!(FieldSelector::parse(r"a=\x").is_err());
}
