//! Webhooks that cannot be reached, are slow, or speak nonsense; and how they are reached at all.

use std::time::Duration;

use serde_json::{Value, json};

use crate::admission_support::*;
use crate::support::*;

#[tokio::test]
async fn failures_are_told_as_kubernetes_tells_them_or_passed_by() {
    let server = server().await;
    let hook = Hook::start(|path, _| match path.split(['?', '/']).nth(1).unwrap_or_default() {
        "late" => Reply::Late(Duration::from_secs(20)),
        "500" => Reply::Raw(500, "boom".to_owned()),
        "404" => Reply::Raw(404, String::new()),
        "text" => Reply::Raw(200, "hello".to_owned()),
        "empty" => Reply::Raw(200, r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}"#.to_owned()),
        "uid" => Reply::Response(json!({"uid": "other", "allowed": true})),
        "redirect" => Reply::Elsewhere("https://127.0.0.1:1/".to_owned()),
        "patch" => Reply::Response(changes(&json!([{"op": "replace", "path": "/zzz/y", "value": 1}]))),
        _ => Reply::Response(json!({"allowed": true})),
    })
    .await;
    let port = hook.port;
    let failed = |why: String| format!("Internal error occurred: failed calling webhook \"x.example.com\": {why}");
    let posted = |path: &str| format!("failed to call webhook: Post \"https://127.0.0.1:{port}/{path}?timeout=1s\": ");
    let cases = [
        ("late", failed(format!("{}context deadline exceeded", posted("late"))), false),
        ("500", failed("failed to call webhook: an error on the server (\"boom\") has prevented the request from succeeding".into()), false),
        ("404", failed("failed to call webhook: the server could not find the requested resource".into()), false),
        ("empty", failed("received invalid webhook response: webhook response was absent".into()), false),
        ("redirect", failed("failed to call webhook: the server responded with the status code 307 but did not return more information".into()), false),
        ("patch", "Internal error occurred: replace operation does not apply: doc is missing path: /zzz/y: missing value".into(), true),
    ];
    for (path, message, whatever) in cases {
        let name = format!("c-{path}");
        let webhook = webhook("x.example.com", &hook.client_config(&format!("/{path}")), "", &["configmaps"]);
        let selects = json!({"matchLabels": {"case": path}});
        let base = with(webhook, json!({"timeoutSeconds": 1, "objectSelector": selects}));
        register(&server, MUTATING, &name, &[with(base.clone(), json!({"failurePolicy": "Fail"}))]).await;
        let mut object = config_map(&name);
        object["metadata"]["labels"] = json!({"case": path});
        let status = post(&server, CONFIG_MAPS, &object).await.expect(500);
        assert_eq!((&status["message"], &status["reason"]), (&json!(message), &json!("InternalError")), "{path}");
        delete(&server, &format!("{MUTATING}/{name}")).await.expect(200);
        register(&server, MUTATING, &name, &[with(base, json!({"failurePolicy": "Ignore"}))]).await;
        post(&server, CONFIG_MAPS, &object).await.expect(if whatever { 500 } else { 201 });
        delete(&server, &format!("{MUTATING}/{name}")).await.expect(200);
    }
    for (path, part) in [("uid", "expected response.uid="), ("text", "json parse error")] {
        let webhook = webhook("x.example.com", &hook.client_config(&format!("/{path}")), "", &["configmaps"]);
        register(&server, VALIDATING, path, &[webhook]).await;
        let status = post(&server, CONFIG_MAPS, &config_map(path)).await.expect(500);
        assert!(status["message"].as_str().unwrap().contains(part), "{status}");
        delete(&server, &format!("{VALIDATING}/{path}")).await.expect(200);
    }
}

#[tokio::test]
async fn a_webhook_that_cannot_be_trusted_or_reached_is_told() {
    let server = server().await;
    let (hook, other) = (Hook::always(json!({"allowed": true})).await, Hook::always(json!({"allowed": true})).await);
    let stranger = json!({"url": format!("https://127.0.0.1:{}/", hook.port), "caBundle": other.ca_bundle});
    let nowhere = json!({"url": "https://127.0.0.1:1/", "caBundle": hook.ca_bundle});
    let cloud = json!({"url": "https://169.254.169.254/", "caBundle": hook.ca_bundle});
    let service =
        json!({"service": {"namespace": "default", "name": "hook", "path": "/x"}, "caBundle": hook.ca_bundle});
    for (name, client, part) in [
        ("stranger", stranger, "tls: failed to verify certificate: x509: certificate signed by unknown authority"),
        ("nowhere", nowhere, "dial tcp 127.0.0.1:1: connect: connection refused"),
        ("cloud", cloud, "addresses of this kind are not called"),
        ("service", service, "Post \"https://hook.default.svc:443/x?timeout=10s\": service \"hook\" not found"),
    ] {
        register(&server, VALIDATING, name, &[webhook("x.example.com", &client, "", &["configmaps"])]).await;
        let status = post(&server, CONFIG_MAPS, &config_map(name)).await.expect(500);
        assert!(status["message"].as_str().unwrap().ends_with(part), "{status}");
        delete(&server, &format!("{VALIDATING}/{name}")).await.expect(200);
    }
}

#[tokio::test]
async fn a_webhook_may_be_a_service_of_tasks() {
    let server = server().await;
    let hook = Hook::always(json!({"allowed": false})).await;
    post(&server, SERVICES, &service("hook")).await.expect(201);
    let mut object = task("hook-0");
    object["metadata"]["labels"] = json!({"berth.dev/service": "hook"});
    object["spec"]["containers"][0]["ports"] = json!([{"name": "https", "containerPort": 8443}]);
    post(&server, TASKS, &object).await.expect(201);
    let path = format!("{TASKS}/hook-0");
    let ports = json!([{"container": "main", "index": 0, "name": "https", "port": hook.port, "protocol": "TCP"}]);
    patch(&server, "merge", &path, &json!({"spec": {"nodeName": "n1", "allocatedPorts": ports}})).await.expect(200);
    let now = "2026-01-01T00:00:00Z";
    let ready = json!({"type": "Ready", "status": "True", "reason": "R", "message": "", "lastTransitionTime": now});
    let status = json!({"status": {"phase": "Running", "hostIP": "127.0.0.1", "conditions": [ready]}});
    patch(&server, "merge", &format!("{path}/status"), &status).await.expect(200);
    get(&server, TASKS).await.expect(200);
    let client = json!({"service": {"namespace": "default", "name": "hook", "port": 8443}, "caBundle": hook.ca_bundle});
    register(&server, VALIDATING, "v", &[webhook("v.example.com", &client, "", &["configmaps"])]).await;
    post(&server, CONFIG_MAPS, &config_map("a")).await.expect(400);
    assert_eq!(hook.asked().len(), 1);
}

#[tokio::test]
async fn old_webhooks_speak_v1beta1() {
    let server = server().await;
    let hook = Hook::start(|_, review| {
        assert_eq!(review["apiVersion"], "admission.k8s.io/v1beta1");
        Reply::Raw(
            200,
            json!({"response": {"uid": review["request"]["uid"], "allowed": true,
            "patch": "W3sib3AiOiJhZGQiLCJwYXRoIjoiL2RhdGEvYiIsInZhbHVlIjoiMiJ9XQ=="}})
            .to_string(),
        )
    })
    .await;
    let webhook = webhook("m.example.com", &hook.client_config("/"), "", &["configmaps"]);
    register(&server, MUTATING, "m", &[with(webhook, json!({"admissionReviewVersions": ["v1beta1"]}))]).await;
    assert_eq!(post(&server, CONFIG_MAPS, &config_map("a")).await.expect(201)["data"]["b"], "2");
}

#[tokio::test]
async fn validating_webhooks_run_at_once_and_connections_are_kept() {
    let server = server().await;
    let hook = Hook::start(|_, _| Reply::Late(Duration::from_millis(300))).await;
    let webhooks: Vec<Value> =
        (0..8).map(|i| webhook(&format!("v{i}.example.com"), &hook.client_config("/"), "", &["configmaps"])).collect();
    register(&server, VALIDATING, "v", &webhooks).await;
    let started = std::time::Instant::now();
    post(&server, CONFIG_MAPS, &config_map("a")).await.expect(201);
    assert!(started.elapsed() < Duration::from_millis(300 * 8), "{:?}", started.elapsed());
    assert_eq!(hook.asked().len(), 8);
    let quick = Hook::always(json!({"allowed": true})).await;
    register(&server, MUTATING, "m", &[webhook("m.example.com", &quick.client_config("/"), "", &["secrets"])]).await;
    for name in ["a", "b", "c", "d"] {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}});
        post(&server, "/api/v1/namespaces/default/secrets", &secret).await.expect(201);
    }
    assert_eq!((quick.asked().len(), quick.connections()), (4, 1));
}

#[tokio::test]
async fn an_answer_is_bounded_and_one_in_time_counts() {
    let server = server().await;
    let hook = Hook::start(|path, _| match path.starts_with("/huge") {
        true => Reply::Raw(200, " ".repeat(4 << 20)),
        false => Reply::Late(Duration::from_millis(200)),
    })
    .await;
    let of = |path: &str| {
        with(webhook("v.example.com", &hook.client_config(path), "", &["configmaps"]), json!({"timeoutSeconds": 5}))
    };
    register(&server, VALIDATING, "huge", &[of("/huge")]).await;
    let status = post(&server, CONFIG_MAPS, &config_map("a")).await.expect(500);
    assert!(status["message"].as_str().unwrap().contains("larger than 3145728 bytes"), "{status}");
    delete(&server, &format!("{VALIDATING}/huge")).await.expect(200);
    register(&server, VALIDATING, "late", &[of("/late")]).await;
    post(&server, CONFIG_MAPS, &config_map("a")).await.expect(201);
}
