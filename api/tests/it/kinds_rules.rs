//! What the standard kinds refuse, with upstream's words and places; and what they fill in.

use serde_json::{Value, json};

use crate::kinds_samples::{Sample, samples};
use crate::support::*;

fn sample(kind: &str) -> Sample {
    samples().into_iter().find(|s| s.object["kind"] == kind).unwrap()
}

/// Sets what a pointer points to; `null` takes it away.
fn changed(object: &Value, pointer: &str, value: Value) -> Value {
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
async fn refuses(kind: &str, cases: &[(&str, Value, &str, &str)]) {
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
            ("/spec/hard", json!({"nothing": "1"}), "spec.hard[nothing]", "Invalid value: \"nothing\": must be a standard resource"),
            ("/spec/hard", json!({"secrets": "-1"}), "spec.hard[secrets]", "Invalid value: \"-1\": must be greater than or equal to 0"),
            ("/spec/hard", json!({"secrets": "1500m"}), "spec.hard[secrets]", "Invalid value: \"1500m\": must be an integer"),
            ("/spec/hard", json!({"secrets": "1x"}), "spec.hard[secrets]", "Invalid value: \"1x\": quantities must match"),
            ("/spec/scopes", json!(["Odd"]), "spec.scopes", "Invalid value: [\"Odd\"]: unsupported scope"),
            ("/spec/scopes", json!(["Terminating", "NotTerminating"]), "spec.scopes", "Invalid value: [\"Terminating\",\"NotTerminating\"]: conflicting"),
            ("/spec/scopeSelector/matchExpressions/0/values", json!([]), "spec.scopeSelector.matchExpressions[0].values", "Required value: must be at least one"),
        ],
    )
    .await;
    refuses(
        "LimitRange",
        &[
            ("/spec/limits/0/type", json!("Odd"), "spec.limits[0].type", "Invalid value: \"Odd\": must be a standard limit type"),
            ("/spec/limits/0/default", json!({"cpu": "1"}), "spec.limits[0].default", "Forbidden: may not be specified when `type` is 'Pod'"),
            ("/spec/limits/0/min", json!({"cpu": "300"}), "spec.limits[0].min[cpu]", "Invalid value: \"300\": min value 300 is greater than max value 200"),
            ("/spec/limits/0/maxLimitRequestRatio", json!({"cpu": "500m"}), "spec.limits[0].maxLimitRequestRatio[cpu]", "Invalid value: \"500m\": ratio 500m is less than 1"),
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
    let made = post(&server, quota.path, &changed(&quota.object, "/spec/hard", json!({"secrets": 5000}))).await.expect(201);
    assert_eq!(made["spec"]["hard"]["secrets"], "5k");
    let path = format!("{}/sample", quota.path);
    let scoped = patch(&server, "merge", &path, &json!({"spec": {"scopes": ["Terminating"], "hard": {"secrets": null, "pods": "1"}}})).await;
    assert!(scoped.expect(422)["message"].as_str().unwrap().contains("spec.scopes: Invalid value: [\"Terminating\"]: field is immutable"));
}

#[tokio::test]
async fn leases_and_events() {
    refuses(
        "Lease",
        &[
            ("/spec/leaseDurationSeconds", json!(0), "spec.leaseDurationSeconds", "Invalid value: 0: must be greater than 0"),
            ("/spec/leaseTransitions", json!(-1), "spec.leaseTransitions", "Invalid value: -1: must be greater than or equal to 0"),
            ("/spec/preferredHolder", json!("x"), "spec.preferredHolder", "Forbidden: may only be specified if `strategy` is defined"),
            ("/spec/strategy", json!("Odd"), "spec.strategy", "Unsupported value: \"Odd\": supported values: \"OldestEmulationVersion\""),
        ],
    )
    .await;
    let server = server().await;
    let lease = sample("Lease");
    let whole = changed(&lease.object, "/spec/renewTime", json!("2026-01-01T00:00:00Z"));
    let refused = post(&server, lease.path, &whole).await.expect(400);
    assert!(refused["message"].as_str().unwrap().starts_with("Lease in version \"v1\" cannot be handled as a Lease: parsing time"), "{refused}");

    refuses("Event", &[("/involvedObject/namespace", json!("other"), "involvedObject.namespace", "Invalid value: \"other\": does not match event.namespace")]).await;
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
    let secret = |kind: &str, data: Value| {
        json!({"metadata": {"name": "s", "annotations": {}}, "type": kind, "data": data})
    };
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
    let plain = changed(&changed(&binding.object, "/roleRef/apiGroup", Value::Null), "/subjects/0/apiGroup", Value::Null);
    let made = post(&server, binding.path, &plain).await.expect(201);
    assert_eq!(made["roleRef"]["apiGroup"], "rbac.authorization.k8s.io");
    assert_eq!(made["subjects"][0]["apiGroup"], "rbac.authorization.k8s.io");
    let other = patch(&server, "merge", &format!("{}/sample", binding.path), &json!({"roleRef": {"name": "x"}})).await;
    assert!(other.expect(422)["message"].as_str().unwrap().contains("cannot change roleRef"));
}

#[tokio::test]
async fn webhooks() {
    refuses(
        "ValidatingWebhookConfiguration",
        &[
            ("/webhooks/0/name", json!("short.name"), "webhooks[0].name", "Invalid value: \"short.name\": should be a domain with at least three segments"),
            ("/webhooks/0/sideEffects", Value::Null, "webhooks[0].sideEffects", "Required value: must specify one of None, NoneOnDryRun"),
            ("/webhooks/0/sideEffects", json!("Some"), "webhooks[0].sideEffects", "Unsupported value: \"Some\""),
            ("/webhooks/0/admissionReviewVersions", json!(["v9"]), "webhooks[0].admissionReviewVersions", "Invalid value: [\"v9\"]: must include at least one of v1, v1beta1"),
            ("/webhooks/0/admissionReviewVersions", Value::Null, "webhooks[0].admissionReviewVersions", "Required value: must specify one of v1, v1beta1"),
            ("/webhooks/0/timeoutSeconds", json!(31), "webhooks[0].timeoutSeconds", "Invalid value: 31: the timeout value must be between 1 and 30 seconds"),
            ("/webhooks/0/clientConfig", json!({}), "webhooks[0].clientConfig", "Required value: exactly one of url or service is required"),
            ("/webhooks/0/clientConfig/url", json!("http://a"), "webhooks[0].clientConfig.url", "Invalid value: \"http\": 'https' is the only allowed URL scheme"),
            ("/webhooks/0/failurePolicy", json!("Odd"), "webhooks[0].failurePolicy", "Unsupported value: \"Odd\": supported values: \"Fail\", \"Ignore\""),
            ("/webhooks/0/rules/0/operations", json!(["*", "CREATE"]), "webhooks[0].rules[0].operations", "Invalid value: [\"*\",\"CREATE\"]: if '*' is present"),
            ("/webhooks/0/rules/0/resources", json!(["*/*", "a"]), "webhooks[0].rules[0].resources", "Invalid value: [\"*/*\",\"a\"]: if '*/*' is present"),
            ("/webhooks/0/matchConditions/0/name", json!(""), "webhooks[0].matchConditions[0].name", "Required value"),
            ("/webhooks/0/objectSelector/matchExpressions/0/operator", json!("Odd"), "webhooks[0].objectSelector.matchExpressions[0].operator", "Invalid value: \"Odd\": not a valid selector operator"),
        ],
    )
    .await;
    let server = server().await;
    let config = sample("MutatingWebhookConfiguration");
    let hook = json!([{"name": "a.b.c", "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "clientConfig": {"service": {"namespace": "n", "name": "s"}},
        "rules": [{"operations": ["CREATE"], "apiGroups": ["never.example.com"], "apiVersions": ["v1"], "resources": ["x"]}]}]);
    let made = post(&server, config.path, &changed(&config.object, "/webhooks", hook)).await.expect(201);
    let hook = &made["webhooks"][0];
    assert_eq!(
        (&hook["failurePolicy"], &hook["matchPolicy"], &hook["timeoutSeconds"], &hook["reinvocationPolicy"]),
        (&json!("Fail"), &json!("Equivalent"), &json!(10), &json!("Never"))
    );
    assert_eq!((&hook["namespaceSelector"], &hook["objectSelector"]), (&json!({}), &json!({})));
    assert_eq!((&hook["rules"][0]["scope"], &hook["clientConfig"]["service"]["port"]), (&json!("*"), &json!(443)));
    // Strategic patches find a webhook by its name.
    let patched = json!({"webhooks": [{"name": "a.b.c", "timeoutSeconds": 7}]});
    let patched = patch(&server, "strategic", &format!("{}/sample", config.path), &patched).await.expect(200);
    assert_eq!((&patched["webhooks"][0]["timeoutSeconds"], &patched["webhooks"][0]["sideEffects"]), (&json!(7), &json!("None")));
    assert_eq!(patched["metadata"]["generation"], 2);
}

#[tokio::test]
async fn policies() {
    refuses(
        "ValidatingAdmissionPolicy",
        &[
            ("/spec/matchConstraints", Value::Null, "spec.matchConstraints", "Required value"),
            ("/spec/matchConstraints/resourceRules", json!([]), "spec.matchConstraints.resourceRules", "Required value"),
            ("/spec/paramKind", json!({"apiVersion": "a/b/c", "kind": "K"}), "spec.paramKind.apiVersion", "Invalid value: \"a/b/c\": unexpected GroupVersion string: a/b/c"),
            ("/spec/variables/0/name", json!("no-name"), "spec.variables[0].name", "Invalid value: \"no-name\": name is not a valid CEL identifier"),
            ("/spec/validations/0/expression", json!(" "), "spec.validations[0].expression", "Required value: expression is not specified"),
            ("/spec/validations/0/message", json!("a\nb"), "spec.validations[0].message", "Invalid value: \"a\\nb\": message must not contain line breaks"),
            ("/spec/validations/0/reason", json!("Odd"), "spec.validations[0].reason", "Unsupported value: \"Odd\""),
            ("/spec/auditAnnotations/0/valueExpression", json!(""), "spec.auditAnnotations[0].valueExpression", "Required value: valueExpression is not specified"),
        ],
    )
    .await;
    refuses(
        "ValidatingAdmissionPolicyBinding",
        &[
            ("/spec/policyName", json!(""), "spec.policyName", "Required value"),
            ("/spec/validationActions", json!([]), "spec.validationActions", "Required value: at least one validation action is required"),
            ("/spec/validationActions", json!(["Deny", "Warn"]), "spec.validationActions", "Invalid value: [\"Deny\",\"Warn\"]: must not contain both Deny and Warn"),
            ("/spec/paramRef", json!({"parameterNotFoundAction": "Deny"}), "spec.paramRef", "Required value: one of name or selector must be specified"),
        ],
    )
    .await;
    refuses(
        "MutatingAdmissionPolicy",
        &[
            ("/spec/mutations", json!([]), "spec.mutations", "Required value"),
            ("/spec/mutations/0/patchType", json!("Odd"), "spec.mutations[0].patchType", "Unsupported value: \"Odd\""),
            ("/spec/mutations/0/jsonPatch", Value::Null, "spec.mutations[0].jsonPatch", "Required value"),
            ("/spec/reinvocationPolicy", json!("Odd"), "spec.reinvocationPolicy", "Unsupported value: \"Odd\""),
        ],
    )
    .await;
}

#[tokio::test]
async fn services_of_other_servers_and_requests_for_certificates() {
    refuses(
        "APIService",
        &[
            ("/metadata/name", json!("v1.x"), "metadata.name", "Invalid value: \"v1.x\": must be `spec.version+\".\"+spec.group`: \"v1.other.example.com\""),
            ("/spec/versionPriority", json!(0), "spec.versionPriority", "Invalid value: 0: must be positive and less than 1000"),
            ("/spec/groupPriorityMinimum", json!(20_001), "spec.groupPriorityMinimum", "Invalid value: 20001: must be positive and less than 20000"),
            ("/spec/service/name", json!(""), "spec.service.name", "Required value"),
            ("/spec/caBundle", json!("AAAA"), "spec.insecureSkipTLSVerify", "Invalid value: true: may not be true if caBundle is present"),
        ],
    )
    .await;
    refuses(
        "CertificateSigningRequest",
        &[
            ("/spec/request", json!("AAAA"), "spec.request", "Invalid value: \"<not shown>\": PEM block type must be CERTIFICATE REQUEST"),
            ("/spec/usages", json!([]), "spec.usages", "Required value: usages must be provided"),
            ("/spec/usages", json!(["odd"]), "spec.usages[0]", "Unsupported value: \"odd\""),
            ("/spec/signerName", json!("odd"), "spec.signerName", "Invalid value: \"odd\": must be a fully qualified domain"),
            ("/spec/expirationSeconds", json!(60), "spec.expirationSeconds", "Invalid value: 60: may not specify a duration less than 600 seconds"),
        ],
    )
    .await;
    let server = server().await;
    let request = sample("CertificateSigningRequest");
    let forged = changed(&request.object, "/spec/username", json!("system:admin"));
    let made = post(&server, request.path, &forged).await.expect(201);
    assert_ne!(made["spec"]["username"], "system:admin");
    assert!(made["spec"]["groups"].as_array().is_some_and(|groups| !groups.is_empty()), "{made}");
    let local = json!({"metadata": {"name": "v2.here.example.com"},
        "spec": {"group": "here.example.com", "version": "v2", "groupPriorityMinimum": 1, "versionPriority": 1}});
    let made = post(&server, sample("APIService").path, &local).await.expect(201);
    assert_eq!(made["status"]["conditions"][0]["reason"], "Local");
}

#[tokio::test]
async fn definitions_and_namespaces() {
    refuses(
        "CustomResourceDefinition",
        &[
            ("/spec/scope", json!("Odd"), "spec.scope", "Unsupported value: \"Odd\": supported values: \"Cluster\", \"Namespaced\""),
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

#[tokio::test]
async fn flow_control() {
    refuses(
        "FlowSchema",
        &[
            ("/spec/matchingPrecedence", json!(10_001), "spec.matchingPrecedence", "Invalid value: 10001: must not be greater than 10000"),
            ("/spec/priorityLevelConfiguration/name", json!(""), "spec.priorityLevelConfiguration.name", "Required value: must reference a priority level"),
            ("/spec/rules/0/subjects", json!([]), "spec.rules[0].subjects", "Required value: subjects must contain at least one value"),
        ],
    )
    .await;
    refuses(
        "PriorityLevelConfiguration",
        &[
            ("/spec/limited", Value::Null, "spec.limited", "Required value: must not be empty when type is Limited"),
            ("/spec/limited/limitResponse/queuing/handSize", json!(100), "spec.limited.limitResponse.queuing.handSize", "Invalid value: 100: should not be greater than queues"),
        ],
    )
    .await;
    let server = server().await;
    let level = sample("PriorityLevelConfiguration");
    let plain = json!({"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": {}}}});
    let made = post(&server, level.path, &changed(&level.object, "/spec", plain)).await.expect(201);
    assert_eq!(
        made["spec"]["limited"],
        json!({"nominalConcurrencyShares": 30, "lendablePercent": 0, "limitResponse": {"type": "Queue",
            "queuing": {"queues": 64, "handSize": 8, "queueLengthLimit": 50}}})
    );
}
