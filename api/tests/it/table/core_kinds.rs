//! Rows C146, C149, C152 and C156: what core kinds do beside what every kind does.

use serde_json::{Value, json};

use super::*;
use crate::protobuf_encode::Encoder;

#[tokio::test]
async fn an_event_is_seen_in_both_groups_and_counted_by_patches() {
    let server = server().await;
    let (core, group) = ("/api/v1/namespaces/default/events", "/apis/events.k8s.io/v1/namespaces/default/events");
    let event = json!({"metadata": {"name": "e.1"}, "reason": "Tested", "message": "hello", "type": "Normal", "count": 1,
        "source": {"component": "tests"},
        "involvedObject": {"kind": "Widget", "namespace": "default", "name": "w", "uid": "u"}});
    post(&server, core, &event).await.expect(201);
    let shown = get(&server, &format!("{group}/e.1")).await.expect(200);
    assert_eq!(
        (&shown["note"], &shown["regarding"]["name"], &shown["deprecatedCount"]),
        (&json!("hello"), &json!("w"), &json!(1))
    );
    let again = json!({"count": 2, "lastTimestamp": "2026-01-01T00:00:00Z", "message": "hello again"});
    assert_eq!(patch(&server, "strategic", &format!("{core}/e.1"), &again).await.expect(200)["count"], 2);
    let mut stray = event.clone();
    stray["metadata"]["name"] = "e.2".into();
    stray["involvedObject"]["namespace"] = "other".into();
    post(&server, core, &stray).await.hints(422, "Invalid", "does not match event.namespace");
    for (selector, count) in [
        ("involvedObject.name%3Dw,involvedObject.kind%3DWidget", 1),
        ("involvedObject.uid%3Dx", 0),
        ("reason%3DTested,type%3DNormal", 1),
    ] {
        assert_eq!(
            names(&get(&server, &format!("{core}?fieldSelector={selector}")).await.expect(200)).len(),
            count,
            "{selector}"
        );
    }
}

#[tokio::test]
async fn some_namespaces_stay_and_names_have_no_dots() {
    let server = server().await;
    for name in ["default", "kube-system", "kube-public"] {
        let words = format!("namespaces \"{name}\" is forbidden: this namespace may not be deleted");
        delete(&server, &format!("/api/v1/namespaces/{name}")).await.says(403, "Forbidden", &words);
    }
    post(&server, "/api/v1/namespaces", &json!({"metadata": {"name": "a.b"}})).await.hints(
        422,
        "Invalid",
        "must not contain dots",
    );
    let made = post(&server, "/api/v1/namespaces", &json!({"metadata": {"name": "tmp"}})).await.expect(201);
    assert_eq!((&made["spec"]["finalizers"], &made["status"]["phase"]), (&json!(["kubernetes"]), &json!("Active")));
    assert_eq!(made["metadata"]["labels"], json!({"kubernetes.io/metadata.name": "tmp"}));
    let going = delete(&server, "/api/v1/namespaces/tmp").await.expect(200);
    assert_eq!(going["status"]["phase"], "Terminating");
    let refused = post(&server, "/api/v1/namespaces/tmp/configmaps", &config_map("late")).await;
    let details = refused.says(
        403,
        "Forbidden",
        "configmaps \"late\" is forbidden: unable to create new content in namespace tmp because it is being terminated",
    );
    assert_eq!(
        details,
        json!({"name": "late", "kind": "configmaps", "causes": [{"reason": "NamespaceTerminating",
            "message": "namespace tmp is being terminated", "field": "metadata.namespace"}]})
    );
    let mut last = going;
    last["spec"]["finalizers"] = json!([]);
    put(&server, "/api/v1/namespaces/tmp/finalize", &last).await.expect(200);
    get(&server, "/api/v1/namespaces/tmp").await.expect(404);
}

#[tokio::test]
async fn secrets_are_merged_checked_and_frozen() {
    let server = server().await;
    let secrets = "/api/v1/namespaces/default/secrets";
    let made =
        post(&server, secrets, &json!({"metadata": {"name": "s"}, "data": {"a": "MQ=="}, "stringData": {"b": "2"}}))
            .await
            .expect(201);
    assert_eq!((&made["data"], &made["type"]), (&json!({"a": "MQ==", "b": "Mg=="}), &json!("Opaque")));
    assert!(made.get("stringData").is_none());
    let bad = post(&server, secrets, &json!({"metadata": {"name": "t"}, "data": {"a": "%"}})).await;
    bad.hints(400, "BadRequest", "illegal base64 data at input byte 0");
    let path = format!("{secrets}/s");
    patch(&server, "merge", &path, &json!({"type": "other"})).await.hints(422, "Invalid", "field is immutable");
    patch(&server, "merge", &path, &json!({"immutable": true})).await.expect(200);
    patch(&server, "merge", &path, &json!({"data": {"a": "Mg=="}})).await.hints(
        422,
        "Invalid",
        "field is immutable when `immutable` is set",
    );
    post(&server, secrets, &json!({"metadata": {"name": "tls"}, "type": "kubernetes.io/tls", "data": {}})).await.hints(
        422,
        "Invalid",
        "data[tls.crt]",
    );
}

#[tokio::test]
async fn what_clients_in_go_send_is_taken() {
    let server = server().await;
    post(&server, "/api/v1/namespaces/default/serviceaccounts", &json!({"metadata": {"name": "bot"}}))
        .await
        .expect(201);
    let meta = json!({"name": "p"});
    for (path, version, kind, fields) in [
        ("/api/v1/namespaces/default/secrets", "v1", "Secret", json!({"data": {"a": "AP8="}, "type": "Opaque"})),
        (
            "/api/v1/namespaces/default/configmaps",
            "v1",
            "ConfigMap",
            json!({"data": {"a": "1"}, "binaryData": {"b": "AAE="}}),
        ),
        ("/api/v1/namespaces", "v1", "Namespace", json!({})),
        (
            "/apis/coordination.k8s.io/v1/namespaces/default/leases",
            "coordination.k8s.io/v1",
            "Lease",
            json!({"spec": {"holderIdentity": "h", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.123456Z"}}),
        ),
        (
            "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles",
            "rbac.authorization.k8s.io/v1",
            "Role",
            json!({"rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}]}),
        ),
        (
            "/api/v1/namespaces/default/serviceaccounts/bot/token",
            "authentication.k8s.io/v1",
            "TokenRequest",
            json!({"spec": {"audiences": ["x"], "expirationSeconds": 601}}),
        ),
        (
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            "authorization.k8s.io/v1",
            "SelfSubjectAccessReview",
            json!({"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}),
        ),
    ] {
        let mut object = fields.clone();
        object["apiVersion"] = version.into();
        object["kind"] = kind.into();
        object["metadata"] = match kind {
            "TokenRequest" | "SelfSubjectAccessReview" => json!({}),
            _ => meta.clone(),
        };
        let body = Encoder::new().body(&object);
        let sent = ask(&server, "POST", path).header("content-type", "application/vnd.kubernetes.protobuf").body(body);
        let made = sent.send().await.expect(201);
        assert_eq!(made["kind"], kind);
        for (field, value) in fields.as_object().unwrap() {
            contains(&made[field], value);
        }
    }
}

/// Every member that is wanted is there.
#[track_caller]
fn contains(found: &Value, wanted: &Value) {
    match wanted.as_object() {
        Some(members) => members.iter().for_each(|(name, value)| contains(&found[name], value)),
        None => assert_eq!(found, wanted),
    }
}
