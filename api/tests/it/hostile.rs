//! Requests that want more than their share, or to hear what they should not: refused in few words.

use berth_api::UserInfo;
use serde_json::{Value, json};

use crate::support::*;

/// A whole answer to bad input stays below this, whatever came.
const ERROR_BYTES_MAX: usize = 300 * 1024;

#[tokio::test]
async fn an_error_does_not_grow_with_the_input() {
    let server = server_with_widgets().await;
    let mut keys = config_map("x");
    keys["data"] = (0..20_000).map(|n| (format!("bad key {n}"), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    let mut labels = config_map("x");
    labels["metadata"]["labels"] =
        (0..20_000).map(|n| (format!("bad key {n}"), json!("-"))).collect::<serde_json::Map<_, _>>().into();
    let mut unknown = config_map("x");
    for n in 0..20_000 {
        unknown[format!("k{n}")] = json!(1);
    }
    let mut long = service("x");
    long["spec"]["replicas"] = json!("y".repeat(1_000_000));
    let named = service(&"X".repeat(1_000_000));
    for (what, path, object) in [
        ("keys", CONFIG_MAPS, keys),
        ("labels", CONFIG_MAPS, labels),
        ("unknown", "/api/v1/namespaces/default/configmaps?fieldValidation=Strict", unknown.clone()),
        ("value", SERVICES, long),
        ("name", SERVICES, named),
    ] {
        let answer = post(&server, path, &object).await;
        assert!(matches!(answer.code, 400 | 422), "{what}: {}", answer.code);
        assert!(answer.bytes.len() < ERROR_BYTES_MAX, "{what}: {} bytes", answer.bytes.len());
    }
    // Many clients refuse an answer of more than 100 headers.
    let warned = post(&server, CONFIG_MAPS, &unknown).await;
    assert!((1..=60).contains(&warned.headers.len()), "{}", warned.headers.len());
    warned.expect(201);
}

#[tokio::test]
async fn an_option_is_never_lost_among_too_many() {
    let server = server().await;
    let noise: String = (0..300).map(|n| format!("x{n}=1&")).collect();
    post(&server, &format!("{CONFIG_MAPS}?{noise}dryRun=All"), &config_map("hidden")).await.expect(400);
    get(&server, &format!("{CONFIG_MAPS}/hidden")).await.expect(404);
}

#[tokio::test]
async fn numbers_at_the_edge_are_no_panic() {
    let server = server().await;
    let largest = i64::MAX;
    for path in [
        format!("{CONFIG_MAPS}?watch=1&resourceVersion=0&timeoutSeconds={largest}"),
        format!("{CONFIG_MAPS}?watch=1&timeoutSeconds={largest}&allowWatchBookmarks=true"),
        format!("{CONFIG_MAPS}?limit={largest}"),
        format!("{CONFIG_MAPS}?limit={}", i64::MIN),
    ] {
        assert_eq!(ask(&server, "GET", &path).response().await.status(), 200, "{path}");
    }
    let grace = json!({"gracePeriodSeconds": i64::MAX});
    post(&server, TASKS, &task("a")).await.expect(201);
    assert_eq!(ask(&server, "DELETE", &format!("{TASKS}/a")).json(&grace).send().await.code, 200);
}

#[tokio::test]
async fn defaults_cannot_blow_up_an_object() {
    let server = server().await;
    let mut definition = widget_definition();
    let fields: serde_json::Map<String, Value> =
        (0..50).map(|n| (format!("d{n}"), json!({"type": "string", "default": "x".repeat(5_000)}))).collect();
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = json!({
        "type": "object", "properties": {"color": {"type": "string"}, "replicas": {"type": "integer"},
            "list": {"type": "array", "items": {"type": "object", "properties": fields}}}});
    post(&server, DEFINITIONS, &definition).await.expect(201);
    established(&server, "widgets.demo.example.com").await;
    let mut bomb = widget("a");
    bomb["spec"]["list"] = vec![json!({}); 20_000].into();
    let status = post(&server, WIDGETS, &bomb).await.expect(413);
    assert_eq!(status["reason"], "RequestEntityTooLarge");
    let path = format!("{WIDGETS}/a?fieldManager=m");
    patch(&server, "apply", &path, &bomb).await.expect(413);
    bomb["spec"]["list"] = vec![json!({}); 2].into();
    let small = post(&server, WIDGETS, &bomb).await.expect(201);
    assert_eq!(small["spec"]["list"][1]["d49"].as_str().map(str::len), Some(5_000));
    small["metadata"]["name"].as_str().expect("a whole object");
    bomb["spec"]["list"] = vec![json!({}); 20_000].into();
    patch(&server, "merge", &format!("{WIDGETS}/a"), &bomb).await.expect(413);
}

#[tokio::test]
async fn patterns_of_a_definition_are_few_and_small() {
    let server = server().await;
    let with = |name: &str, patterns: Vec<String>| {
        let fields: serde_json::Map<String, Value> = patterns
            .into_iter()
            .enumerate()
            .map(|(n, pattern)| (format!("f{n}"), json!({"type": "string", "pattern": pattern})))
            .collect();
        let mut definition = widget_definition();
        definition["metadata"]["name"] = json!(format!("{name}s.demo.example.com"));
        definition["spec"]["names"] = json!({"plural": format!("{name}s"), "kind": name.to_uppercase()});
        definition["spec"]["versions"][0] = json!({"name": "v1", "served": true, "storage": true, "schema": {
            "openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}}}});
        definition
    };
    post(&server, DEFINITIONS, &with("a", vec!["(?:x{1000}){1000}".to_owned()])).await.expect(422);
    post(&server, DEFINITIONS, &with("b", (0..600).map(|n| format!("^a{n}$")).collect())).await.expect(422);
    post(&server, DEFINITIONS, &with("c", (0..20).map(|n| format!("^[a-z0-9]{{900,1000}}{n}$")).collect())).await;
    post(&server, DEFINITIONS, &with("d", vec!["^[a-z]([-a-z0-9]*[a-z0-9])?$".to_owned(); 600])).await.expect(201);
}

#[tokio::test]
async fn no_error_tells_a_secret() {
    const PLAIN: &str = "PLANTED-HUNTER2";
    const ENCODED: &str = "UExBTlRFRC1IVU5URVIy";
    const SECRETS: &str = "/api/v1/namespaces/default/secrets";
    let server = server().await;
    let secret = |name: &str, more: Value| {
        let mut object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}});
        for (field, value) in more.as_object().unwrap() {
            object[field] = value.clone();
        }
        object
    };
    let mut answers = Vec::new();
    for more in [
        json!({"data": PLAIN}),
        json!({"data": [PLAIN]}),
        json!({"data": {"a": [PLAIN]}}),
        json!({"data": {"a": {"b": PLAIN}}}),
        json!({"data": {"a": PLAIN}}),
        json!({"stringData": PLAIN}),
        json!({"stringData": {"a": [PLAIN]}}),
        json!({"stringData": {"a b": PLAIN}}),
        json!({"immutable": PLAIN}),
        json!({"type": {"x": PLAIN}}),
    ] {
        answers.push((format!("create {more}"), post(&server, SECRETS, &secret("s", more.clone())).await));
        let path = format!("{SECRETS}/s?fieldManager=m");
        answers.push((format!("apply {more}"), patch(&server, "apply", &path, &secret("s", more)).await));
    }
    for text in
        [format!("a: !!int {PLAIN}"), format!("a: \"{PLAIN}\\q\""), format!("- {PLAIN}"), format!("{{a: {PLAIN}")]
    {
        let asked = ask(&server, "POST", SECRETS).header("content-type", "application/yaml").body(text.clone());
        answers.push((text, asked.send().await));
    }
    post(&server, SECRETS, &secret("live", json!({"stringData": {"a": PLAIN}}))).await.expect(201);
    let live = format!("{SECRETS}/live");
    let op = |op: &str, from: &str, path: &str| json!([{"op": op, "from": from, "path": path, "value": "x"}]);
    for body in [
        op("test", "", "/data/a"),
        op("add", "", "/data/a/b"),
        op("copy", "/data/a", "/kind"),
        op("copy", "/data/a", "/apiVersion"),
        op("copy", "data/a", "/metadata/name"),
        op("move", "/data/a", "/metadata/uid"),
        op("copy", "/data/a", "/metadata/resourceVersion"),
        op("copy", "/data/a", "/type"),
        op("copy", "/data", "/metadata/labels"),
        op("copy", "", "/metadata/labels"),
        op("copy", "", "/type"),
    ] {
        answers.push((format!("patch {body}"), patch(&server, "json", &live, &body).await));
    }
    for body in [json!({"data": {"a": [PLAIN]}}), json!({"data": {"q": PLAIN}}), json!({"stringData": [PLAIN]})] {
        answers.push((format!("merge {body}"), patch(&server, "merge", &live, &body).await));
        answers.push((format!("strategic {body}"), patch(&server, "strategic", &live, &body).await));
    }
    for (what, answer) in answers {
        assert!((400..500).contains(&answer.code), "{what}: {} {}", answer.code, answer.text());
        let text = format!("{} {:?}", answer.text(), answer.headers);
        assert!(!text.contains(PLAIN) && !text.contains(ENCODED), "{what}: {text}");
    }
}

#[tokio::test]
async fn an_agent_reads_the_secrets_of_its_own_tasks() {
    const SECRETS: &str = "/api/v1/namespaces/default/secrets";
    let server = server().await;
    for name in ["env", "all", "volume", "other"] {
        let secret =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"k": "v"}});
        post(&server, SECRETS, &secret).await.expect(201);
    }
    let mut object = task("mine");
    object["spec"]["nodeName"] = json!("n1");
    object["spec"]["containers"][0]["env"] =
        json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "env", "key": "k"}}}]);
    object["spec"]["containers"][0]["envFrom"] = json!([{"secretRef": {"name": "all"}}]);
    object["spec"]["volumes"] = json!([{"name": "v", "secret": {"secretName": "volume"}}]);
    post(&server, TASKS, &object).await.expect(201);
    let mut object = task("theirs");
    object["spec"]["nodeName"] = json!("n2");
    object["spec"]["volumes"] = json!([{"name": "v", "secret": {"secretName": "other"}}]);
    post(&server, TASKS, &object).await.expect(201);
    // The task must be in the cache that decides.
    get(&server, TASKS).await.expect(200);
    let code = |node: &'static str, path: String| {
        let server = server.clone();
        async move { ask_as(&server, Some(UserInfo::node(node)), "GET", &path).send().await.code }
    };
    for (node, name, expected) in [
        ("n1", "env", 200),
        ("n1", "all", 200),
        ("n1", "volume", 200),
        ("n1", "other", 403),
        ("n1", "absent", 403),
        ("n2", "other", 200),
        ("n2", "env", 403),
    ] {
        assert_eq!(code(node, format!("{SECRETS}/{name}")).await, expected, "{node} {name}");
    }
    assert_eq!(code("n1", SECRETS.to_owned()).await, 403);
    assert_eq!(code("n1", "/api/v1/secrets?watch=1".to_owned()).await, 403);
    assert_eq!(code("n1", "/api/v1/namespaces/kube-system/secrets/env".to_owned()).await, 403);
}
