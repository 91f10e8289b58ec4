//! Upstream's conformance specs of admission: policies that are type-checked, variables, conditions of webhooks.

use serde_json::{Value, json};

use super::*;

const ADMISSION: &str = "/apis/admissionregistration.k8s.io/v1";

fn policy(name: &str, resource: &str, fields: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name},
        "spec": {"matchConstraints": {
            "namespaceSelector": {"matchLabels": {"policed": "true"}},
            "resourceRules": [{"operations": ["CREATE", "UPDATE"], "apiGroups": ["demo.example.com"],
                "apiVersions": ["v1"], "resources": [resource]}]}},
    });
    for (field, value) in fields.as_object().into_iter().flatten() {
        object["spec"][field] = value.clone();
    }
    object
}

/// Waits until the types of a policy were checked; gives the warnings.
async fn checked(server: &ApiServer, name: &str) -> Vec<Value> {
    let path = format!("{ADMISSION}/validatingadmissionpolicies?watch=1&fieldSelector=metadata.name%3D{name}");
    let mut lines = Lines::new(ask(server, "GET", &path).response().await);
    loop {
        let event = lines.next().await.expect("types are checked in time");
        let checking = &event["object"]["status"]["typeChecking"];
        if checking.is_object() {
            return checking["expressionWarnings"].as_array().cloned().unwrap_or_default();
        }
    }
}

#[tokio::test]
async fn the_expressions_of_a_policy_are_checked_against_the_types_of_a_definition() {
    let server = toy().await;
    let policies = format!("{ADMISSION}/validatingadmissionpolicies");
    let good = json!({"validations": [{"expression": "object.spec.replicas > 1"}]});
    post(&server, &policies, &policy("good", "widgets", &good)).await.expect(201);
    assert_eq!(checked(&server, "good").await, Vec::<Value>::new());
    let confused = json!({"validations": [{"expression": "object.spec.replicas > '1'"},
        {"expression": "object.spec.maxRetries < 10"}]});
    post(&server, &policies, &policy("confused", "widgets", &confused)).await.expect(201);
    let warnings = checked(&server, "confused").await;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    for (warning, field, part) in [
        (
            &warnings[0],
            "spec.validations[0].expression",
            "found no matching overload for '_>_' applied to '(int, string)'",
        ),
        (&warnings[1], "spec.validations[1].expression", "undefined field 'maxRetries'"),
    ] {
        assert_eq!(warning["fieldRef"], field);
        assert!(warning["warning"].as_str().unwrap().contains(part), "{warning}");
    }
}

#[tokio::test]
async fn expressions_refer_to_variables() {
    let server = toy().await;
    let label = json!({"metadata": {"labels": {"policed": "true"}}});
    patch(&server, "merge", "/api/v1/namespaces/default", &label).await.expect(200);
    let fields = json!({
        "variables": [{"name": "replicas", "expression": "object.spec.replicas"},
            {"name": "oddReplicas", "expression": "variables.replicas % 2 == 1"}],
        "validations": [{"expression": "variables.replicas > 1"}, {"expression": "variables.oddReplicas"}],
    });
    post(&server, &format!("{ADMISSION}/validatingadmissionpolicies"), &policy("odd", "widgets", &fields))
        .await
        .expect(201);
    let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "odd"}, "spec": {"policyName": "odd", "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"policed": "true"}}}}});
    post(&server, &format!("{ADMISSION}/validatingadmissionpolicybindings"), &binding).await.expect(201);
    // A consistent list: whoever has it sees the binding, and so does every write from here on.
    for plural in ["validatingadmissionpolicies", "validatingadmissionpolicybindings"] {
        get(&server, &format!("{ADMISSION}/{plural}")).await.expect(200);
    }
    get(&server, "/api/v1/namespaces").await.expect(200);
    for (name, replicas, code) in [("one", 1, 422), ("two", 2, 422), ("three", 3, 201)] {
        let object = toy_of(name, json!({"color": "red", "replicas": replicas}));
        let answer = post(&server, WIDGETS, &object).await;
        assert_eq!(answer.code, code, "{name}: {}", answer.text());
        if code == 422 {
            answer.hints(
                422,
                "Invalid",
                "ValidatingAdmissionPolicy 'odd' with binding 'odd' denied request: failed expression: variables.",
            );
        }
    }
}

#[tokio::test]
async fn conditions_of_webhooks_are_expressions_and_may_be_changed() {
    let server = server().await;
    for (plural, kind) in [
        ("validatingwebhookconfigurations", "ValidatingWebhookConfiguration"),
        ("mutatingwebhookconfigurations", "MutatingWebhookConfiguration"),
    ] {
        let path = format!("{ADMISSION}/{plural}");
        let object = |conditions: Value| {
            json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": "match"},
                "webhooks": [{"name": "match.example.com", "clientConfig": {"url": "https://127.0.0.1:9/x"},
                    "sideEffects": "None", "admissionReviewVersions": ["v1"], "matchConditions": conditions}]})
        };
        for expression in ["", "[", "object.", "1", "nobody.knows"] {
            let bad = object(json!([{"name": "invalid-expression-1", "expression": expression}]));
            let part = "webhooks[0].matchConditions[0].expression";
            post(&server, &path, &bad).await.hints(422, "Invalid", part);
        }
        let first = json!([{"name": "expression-1", "expression": "object.metadata.namespace == 'production'"}]);
        let mut made = post(&server, &path, &object(first.clone())).await.expect(201);
        assert_eq!(made["webhooks"][0]["matchConditions"], first);
        let second = json!([{"name": "expression-1", "expression": "object.metadata.namespace == 'staging'"},
            {"name": "expression-2", "expression": "true"}]);
        made["webhooks"][0]["matchConditions"] = second.clone();
        let updated = put(&server, &format!("{path}/match"), &made).await.expect(200);
        assert_eq!(updated["webhooks"][0]["matchConditions"], second);
    }
}

#[tokio::test]
async fn a_policy_and_its_binding_are_patched_and_updated() {
    let server = server().await;
    let path = format!("{ADMISSION}/validatingadmissionpolicies");
    let fields = json!({"validations": [{"expression": "object.spec.replicas <= 100"}]});
    let mut template = policy("x", "widgets", &fields);
    template["metadata"] = json!({"generateName": "e2e-example-vap-", "labels": {"e2e": "vap"}});
    let made = post(&server, &path, &template).await.expect(201);
    assert_eq!(made["spec"]["failurePolicy"], "Fail");
    let one = format!("{path}/{}", made["metadata"]["name"].as_str().unwrap());
    let body = json!({"metadata": {"annotations": {"patched": "true"}}, "spec": {"failurePolicy": "Ignore"}});
    let patched = patch(&server, "merge", &one, &body).await.expect(200);
    assert_eq!((&patched["spec"]["failurePolicy"], &patched["metadata"]["generation"]), (&json!("Ignore"), &json!(2)));
    let apply = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"labels": {"touched": "a1"}}});
    let touched = patch(&server, "apply", &format!("{one}?fieldManager=e2e"), &apply).await.expect(200);
    assert_eq!(touched["metadata"]["labels"], json!({"e2e": "vap", "touched": "a1"}));
    let path = format!("{ADMISSION}/validatingadmissionpolicybindings");
    let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"generateName": "e2e-vapb-"}, "spec": {"policyName": "replicalimit-policy.example.com", "validationActions": ["Deny"]}});
    let made = post(&server, &path, &binding).await.expect(201);
    let one = format!("{path}/{}", made["metadata"]["name"].as_str().unwrap());
    let body = json!({"metadata": {"annotations": {"patched": "true"}}, "spec": {"validationActions": ["Warn"]}});
    assert_eq!(patch(&server, "merge", &one, &body).await.expect(200)["spec"]["validationActions"], json!(["Warn"]));
}
