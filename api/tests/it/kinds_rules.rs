//! What the standard kinds refuse, with upstream's words and places; and what they fill in.

use serde_json::{Value, json};

use crate::kinds_samples::{Sample, samples};
use crate::support::*;

pub(crate) fn sample(kind: &str) -> Sample {
    samples().into_iter().find(|s| s.object["kind"] == kind).unwrap()
}

/// Sets what a pointer points to; `null` takes it away.
pub(crate) fn changed(object: &Value, pointer: &str, value: Value) -> Value {
    let mut object = object.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = object.pointer_mut(parent).unwrap();
    match (parent, value) {
        (Value::Object(members), Value::Null) => {
            members.remove(&name.replace("~1", "/"));
        }
        (parent, value) => match name.parse::<usize>() {
            Ok(index) if parent.is_array() => parent[index] = value,
            _ => parent[name.replace("~1", "/")] = value,
        },
    }
    object
}

/// Each case: what to change in the sample, and a cause that the answer must have (field and start of the message).
pub(crate) async fn refuses(kind: &str, cases: &[(&str, Value, &str, &str)]) {
    let server = server().await;
    let sample = sample(kind);
    for (pointer, value, field, message) in cases {
        let answer = post(&server, sample.path, &changed(&sample.object, pointer, value.clone())).await;
        let text = answer.text();
        assert_eq!(answer.code, 422, "{kind} {pointer}: {text}");
        let causes = answer.json()["details"]["causes"].as_array().cloned().unwrap_or_default();
        let told = causes
            .iter()
            .any(|c| c["field"] == *field && c["message"].as_str().is_some_and(|m| m.starts_with(message)));
        assert!(told, "{kind} {pointer}: {text}");
    }
}

#[tokio::test]
async fn quotas_and_limits() {
    refuses(
        "ResourceQuota",
        &[
            (
                "/spec/hard",
                json!({"nothing": "1"}),
                "spec.hard[nothing]",
                "Invalid value: \"nothing\": must be a standard resource",
            ),
            (
                "/spec/hard",
                json!({"secrets": "-1"}),
                "spec.hard[secrets]",
                "Invalid value: \"-1\": must be greater than or equal to 0",
            ),
            (
                "/spec/hard",
                json!({"secrets": "1500m"}),
                "spec.hard[secrets]",
                "Invalid value: \"1500m\": must be an integer",
            ),
            (
                "/spec/hard",
                json!({"secrets": "1x"}),
                "spec.hard[secrets]",
                "Invalid value: \"1x\": quantities must match",
            ),
            ("/spec/scopes", json!(["Odd"]), "spec.scopes", "Invalid value: [\"Odd\"]: unsupported scope"),
            (
                "/spec/scopes",
                json!(["Terminating", "NotTerminating"]),
                "spec.scopes",
                "Invalid value: [\"Terminating\",\"NotTerminating\"]: conflicting",
            ),
            (
                "/spec/scopeSelector/matchExpressions/0/values",
                json!([]),
                "spec.scopeSelector.matchExpressions[0].values",
                "Required value: must be at least one",
            ),
        ],
    )
    .await;
    refuses(
        "LimitRange",
        &[
            (
                "/spec/limits/0/type",
                json!("Odd"),
                "spec.limits[0].type",
                "Invalid value: \"Odd\": must be a standard limit type",
            ),
            (
                "/spec/limits/0/default",
                json!({"cpu": "1"}),
                "spec.limits[0].default",
                "Forbidden: may not be specified when `type` is 'Pod'",
            ),
            (
                "/spec/limits/0/min",
                json!({"cpu": "300"}),
                "spec.limits[0].min[cpu]",
                "Invalid value: \"300\": min value 300 is greater than max value 200",
            ),
            (
                "/spec/limits/0/maxLimitRequestRatio",
                json!({"cpu": "500m"}),
                "spec.limits[0].maxLimitRequestRatio[cpu]",
                "Invalid value: \"500m\": ratio 500m is less than 1",
            ),
        ],
    )
    .await;
    let server = server().await;
    let limits = sample("LimitRange");
    let container = json!([{"type": "Container", "max": {"cpu": 1}, "min": {"cpu": "0.1"}}]);
    let made = post(&server, limits.path, &changed(&limits.object, "/spec/limits", container)).await.expect(201);
    assert_eq!(
        made["spec"]["limits"][0],
        json!({"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "100m"}, "default": {"cpu": "1"},
               "defaultRequest": {"cpu": "1"}})
    );
    let quota = sample("ResourceQuota");
    let made =
        post(&server, quota.path, &changed(&quota.object, "/spec/hard", json!({"secrets": 5000}))).await.expect(201);
    assert_eq!(made["spec"]["hard"]["secrets"], "5k");
    let path = format!("{}/sample", quota.path);
    let scoped = patch(
        &server,
        "merge",
        &path,
        &json!({"spec": {"scopes": ["Terminating"], "hard": {"secrets": null, "pods": "1"}}}),
    )
    .await;
    assert!(
        scoped.expect(422)["message"]
            .as_str()
            .unwrap()
            .contains("spec.scopes: Invalid value: [\"Terminating\"]: field is immutable")
    );
}

#[tokio::test]
async fn leases_and_events() {
    refuses(
        "Lease",
        &[
            (
                "/spec/leaseDurationSeconds",
                json!(0),
                "spec.leaseDurationSeconds",
                "Invalid value: 0: must be greater than 0",
            ),
            (
                "/spec/leaseTransitions",
                json!(-1),
                "spec.leaseTransitions",
                "Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                "/spec/preferredHolder",
                json!("x"),
                "spec.preferredHolder",
                "Forbidden: may only be specified if `strategy` is defined",
            ),
            (
                "/spec/strategy",
                json!("Odd"),
                "spec.strategy",
                "Unsupported value: \"Odd\": supported values: \"OldestEmulationVersion\"",
            ),
        ],
    )
    .await;
    let server = server().await;
    let lease = sample("Lease");
    let whole = changed(&lease.object, "/spec/renewTime", json!("2026-01-01T00:00:00Z"));
    let refused = post(&server, lease.path, &whole).await.expect(400);
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .starts_with("Lease in version \"v1\" cannot be handled as a Lease: parsing time"),
        "{refused}"
    );

    refuses(
        "Event",
        &[(
            "/involvedObject/namespace",
            json!("other"),
            "involvedObject.namespace",
            "Invalid value: \"other\": does not match event.namespace",
        )],
    )
    .await;
    let events = samples().into_iter().find(|s| s.path.starts_with("/apis/events.k8s.io")).unwrap();
    for (pointer, value, field) in [
        ("/eventTime", Value::Null, "eventTime"),
        ("/type", json!("Odd"), "type"),
        ("/reason", json!(""), "reason"),
        ("/action", Value::Null, "action"),
        ("/reportingController", json!("a b"), "reportingController"),
        ("/reportingInstance", Value::Null, "reportingInstance"),
        ("/series/count", json!(1), "series.count"),
        ("/note", json!("x".repeat(1025)), "message"),
        ("/deprecatedCount", json!(1), "count"),
    ] {
        let answer = post(&server, events.path, &changed(&events.object, pointer, value)).await.expect(422);
        let causes = answer["details"]["causes"].as_array().unwrap();
        assert!(causes.iter().any(|c| c["field"] == field), "{pointer}: {answer}");
    }
}

#[tokio::test]
async fn secrets_and_config_maps() {
    let server = server().await;
    let secrets = "/api/v1/namespaces/default/secrets";
    let secret =
        |kind: &str, data: Value| json!({"metadata": {"name": "s", "annotations": {}}, "type": kind, "data": data});
    for (kind, data, field) in [
        ("kubernetes.io/tls", json!({}), "data[tls.crt]"),
        ("kubernetes.io/dockerconfigjson", json!({}), "data[.dockerconfigjson]"),
        ("kubernetes.io/dockerconfigjson", json!({".dockerconfigjson": "bm8="}), "data[.dockerconfigjson]"),
        ("kubernetes.io/dockercfg", json!({}), "data[.dockercfg]"),
        ("kubernetes.io/ssh-auth", json!({}), "data[ssh-privatekey]"),
        ("kubernetes.io/basic-auth", json!({}), "data[username]"),
        ("kubernetes.io/service-account-token", json!({}), "metadata.annotations[kubernetes.io/service-account.name]"),
        ("Opaque", json!({"a b": ""}), "data[a b]"),
    ] {
        let answer = post(&server, secrets, &secret(kind, data)).await.expect(422);
        let causes = answer["details"]["causes"].as_array().unwrap();
        assert!(causes.iter().any(|c| c["field"] == field), "{kind}: {answer}");
    }
    let refused = post(&server, secrets, &secret("Opaque", json!({"a": "hunter2!"}))).await.expect(400);
    assert!(refused["message"].as_str().unwrap().contains("illegal base64 data at input byte"), "{refused}");
    assert!(!refused.to_string().contains("hunter2"), "{refused}");

    let made = json!({"metadata": {"name": "m"}, "stringData": {"a": "x"}, "data": {"b": "eQ=="}, "immutable": true});
    let made = post(&server, secrets, &made).await.expect(201);
    assert_eq!((&made["data"], &made["type"]), (&json!({"a": "eA==", "b": "eQ=="}), &json!("Opaque")));
    let path = format!("{secrets}/m");
    for change in [json!({"data": {"a": "eQ=="}}), json!({"immutable": false}), json!({"type": "other"})] {
        patch(&server, "merge", &path, &change).await.expect(422);
    }
    for wrong in [json!({"data": {"a": 1}}), json!({"data": []}), json!({"binaryData": {"a": "?"}})] {
        let mut map = wrong;
        map["metadata"] = json!({"name": "c"});
        let refused = post(&server, CONFIG_MAPS, &map).await.expect(400);
        assert!(refused["message"].as_str().unwrap().starts_with("ConfigMap in version \"v1\" cannot be handled"));
    }
    let twice = json!({"metadata": {"name": "c"}, "data": {"a": ""}, "binaryData": {"a": ""}});
    post(&server, CONFIG_MAPS, &twice).await.expect(422);
}

#[tokio::test]
async fn roles_and_bindings() {
    refuses(
        "Role",
        &[
            ("/rules/0/verbs", json!([]), "rules[0].verbs", "Required value"),
            ("/rules/0/resources", json!([]), "rules[0].resources", "Required value"),
            ("/metadata/name", json!("a/b"), "metadata.name", "Invalid value: \"a/b\": may not contain '/'"),
        ],
    )
    .await;
    refuses(
        "RoleBinding",
        &[
            ("/roleRef/kind", json!("Odd"), "roleRef.kind", "Unsupported value: \"Odd\""),
            ("/roleRef/name", json!(""), "roleRef.name", "Required value"),
            ("/subjects/0/kind", json!("Odd"), "subjects[0].kind", "Unsupported value: \"Odd\""),
        ],
    )
    .await;
    let server = server().await;
    let binding = sample("RoleBinding");
    let plain =
        changed(&changed(&binding.object, "/roleRef/apiGroup", Value::Null), "/subjects/0/apiGroup", Value::Null);
    let made = post(&server, binding.path, &plain).await.expect(201);
    assert_eq!(made["roleRef"]["apiGroup"], "rbac.authorization.k8s.io");
    assert_eq!(made["subjects"][0]["apiGroup"], "rbac.authorization.k8s.io");
    let other = patch(&server, "merge", &format!("{}/sample", binding.path), &json!({"roleRef": {"name": "x"}})).await;
    assert!(other.expect(422)["message"].as_str().unwrap().contains("cannot change roleRef"));
}

#[tokio::test]
async fn definitions_and_namespaces() {
    refuses(
        "CustomResourceDefinition",
        &[
            (
                "/spec/scope",
                json!("Odd"),
                "spec.scope",
                "Unsupported value: \"Odd\": supported values: \"Cluster\", \"Namespaced\"",
            ),
            ("/spec/scope", Value::Null, "spec.scope", "Required value"),
            ("/spec/versions/0/name", Value::Null, "spec.versions[0].name", "Required value"),
        ],
    )
    .await;
    refuses(
        "Namespace",
        &[
            ("/metadata/name", json!("a.b"), "metadata.name", "Invalid value: \"a.b\": must not contain dots"),
            ("/spec", json!({"finalizers": ["odd"]}), "spec.finalizers[0]", "Invalid value: \"odd\": name is neither"),
        ],
    )
    .await;
    let server = server().await;
    let kept = json!({"metadata": {"name": "kept"}, "spec": {"finalizers": ["example.com/f"]}});
    let made = post(&server, "/api/v1/namespaces", &kept).await.expect(201);
    assert_eq!(made["spec"]["finalizers"], json!(["example.com/f", "kubernetes"]));
    assert_eq!(made["metadata"]["labels"]["kubernetes.io/metadata.name"], "kept");
}
