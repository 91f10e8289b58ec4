//! What the kinds that extend the server refuse and fill in: webhooks, policies, other servers, certificates, flows.

use serde_json::{Value, json};

use crate::kinds_rules::{changed, refuses, sample};
use crate::support::*;

#[tokio::test]
async fn webhooks() {
    refuses(
        "ValidatingWebhookConfiguration",
        &[
            (
                "/webhooks/0/name",
                json!("short.name"),
                "webhooks[0].name",
                "Invalid value: \"short.name\": should be a domain with at least three segments",
            ),
            (
                "/webhooks/0/sideEffects",
                Value::Null,
                "webhooks[0].sideEffects",
                "Required value: must specify one of None, NoneOnDryRun",
            ),
            ("/webhooks/0/sideEffects", json!("Some"), "webhooks[0].sideEffects", "Unsupported value: \"Some\""),
            (
                "/webhooks/0/admissionReviewVersions",
                json!(["v9"]),
                "webhooks[0].admissionReviewVersions",
                "Invalid value: [\"v9\"]: must include at least one of v1, v1beta1",
            ),
            (
                "/webhooks/0/admissionReviewVersions",
                Value::Null,
                "webhooks[0].admissionReviewVersions",
                "Required value: must specify one of v1, v1beta1",
            ),
            (
                "/webhooks/0/timeoutSeconds",
                json!(31),
                "webhooks[0].timeoutSeconds",
                "Invalid value: 31: the timeout value must be between 1 and 30 seconds",
            ),
            (
                "/webhooks/0/clientConfig",
                json!({}),
                "webhooks[0].clientConfig",
                "Required value: exactly one of url or service is required",
            ),
            (
                "/webhooks/0/clientConfig/url",
                json!("http://a"),
                "webhooks[0].clientConfig.url",
                "Invalid value: \"http\": 'https' is the only allowed URL scheme",
            ),
            (
                "/webhooks/0/failurePolicy",
                json!("Odd"),
                "webhooks[0].failurePolicy",
                "Unsupported value: \"Odd\": supported values: \"Fail\", \"Ignore\"",
            ),
            (
                "/webhooks/0/rules/0/operations",
                json!(["*", "CREATE"]),
                "webhooks[0].rules[0].operations",
                "Invalid value: [\"*\",\"CREATE\"]: if '*' is present",
            ),
            (
                "/webhooks/0/rules/0/resources",
                json!(["*/*", "a"]),
                "webhooks[0].rules[0].resources",
                "Invalid value: [\"*/*\",\"a\"]: if '*/*' is present",
            ),
            ("/webhooks/0/matchConditions/0/name", json!(""), "webhooks[0].matchConditions[0].name", "Required value"),
            (
                "/webhooks/0/objectSelector/matchExpressions/0/operator",
                json!("Odd"),
                "webhooks[0].objectSelector.matchExpressions[0].operator",
                "Invalid value: \"Odd\": not a valid selector operator",
            ),
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
    assert_eq!(
        (&patched["webhooks"][0]["timeoutSeconds"], &patched["webhooks"][0]["sideEffects"]),
        (&json!(7), &json!("None"))
    );
    assert_eq!(patched["metadata"]["generation"], 2);
}

#[tokio::test]
async fn policies() {
    refuses(
        "ValidatingAdmissionPolicy",
        &[
            ("/spec/matchConstraints", Value::Null, "spec.matchConstraints", "Required value"),
            (
                "/spec/matchConstraints/resourceRules",
                json!([]),
                "spec.matchConstraints.resourceRules",
                "Required value",
            ),
            (
                "/spec/paramKind",
                json!({"apiVersion": "a/b/c", "kind": "K"}),
                "spec.paramKind.apiVersion",
                "Invalid value: \"a/b/c\": unexpected GroupVersion string: a/b/c",
            ),
            (
                "/spec/variables/0/name",
                json!("no-name"),
                "spec.variables[0].name",
                "Invalid value: \"no-name\": name is not a valid CEL identifier",
            ),
            (
                "/spec/validations/0/expression",
                json!(" "),
                "spec.validations[0].expression",
                "Required value: expression is not specified",
            ),
            (
                "/spec/validations/0/message",
                json!("a\nb"),
                "spec.validations[0].message",
                "Invalid value: \"a\\nb\": message must not contain line breaks",
            ),
            ("/spec/validations/0/reason", json!("Odd"), "spec.validations[0].reason", "Unsupported value: \"Odd\""),
            (
                "/spec/auditAnnotations/0/valueExpression",
                json!(""),
                "spec.auditAnnotations[0].valueExpression",
                "Required value: valueExpression is not specified",
            ),
        ],
    )
    .await;
    refuses(
        "ValidatingAdmissionPolicyBinding",
        &[
            ("/spec/policyName", json!(""), "spec.policyName", "Required value"),
            (
                "/spec/validationActions",
                json!([]),
                "spec.validationActions",
                "Required value: at least one validation action is required",
            ),
            (
                "/spec/validationActions",
                json!(["Deny", "Warn"]),
                "spec.validationActions",
                "Invalid value: [\"Deny\",\"Warn\"]: must not contain both Deny and Warn",
            ),
            (
                "/spec/paramRef",
                json!({"parameterNotFoundAction": "Deny"}),
                "spec.paramRef",
                "Required value: one of name or selector must be specified",
            ),
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
            (
                "/metadata/name",
                json!("v1.x"),
                "metadata.name",
                "Invalid value: \"v1.x\": must be `spec.version+\".\"+spec.group`: \"v1.other.example.com\"",
            ),
            (
                "/spec/versionPriority",
                json!(0),
                "spec.versionPriority",
                "Invalid value: 0: must be positive and less than 1000",
            ),
            (
                "/spec/groupPriorityMinimum",
                json!(20_001),
                "spec.groupPriorityMinimum",
                "Invalid value: 20001: must be positive and less than 20000",
            ),
            ("/spec/service/name", json!(""), "spec.service.name", "Required value"),
            (
                "/spec/caBundle",
                json!("AAAA"),
                "spec.insecureSkipTLSVerify",
                "Invalid value: true: may not be true if caBundle is present",
            ),
        ],
    )
    .await;
    refuses(
        "CertificateSigningRequest",
        &[
            (
                "/spec/request",
                json!("AAAA"),
                "spec.request",
                "Invalid value: \"<not shown>\": PEM block type must be CERTIFICATE REQUEST",
            ),
            ("/spec/usages", json!([]), "spec.usages", "Required value: usages must be provided"),
            ("/spec/usages", json!(["odd"]), "spec.usages[0]", "Unsupported value: \"odd\""),
            (
                "/spec/signerName",
                json!("odd"),
                "spec.signerName",
                "Invalid value: \"odd\": must be a fully qualified domain",
            ),
            (
                "/spec/expirationSeconds",
                json!(60),
                "spec.expirationSeconds",
                "Invalid value: 60: may not specify a duration less than 600 seconds",
            ),
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
async fn flow_control() {
    refuses(
        "FlowSchema",
        &[
            (
                "/spec/matchingPrecedence",
                json!(10_001),
                "spec.matchingPrecedence",
                "Invalid value: 10001: must not be greater than 10000",
            ),
            (
                "/spec/priorityLevelConfiguration/name",
                json!(""),
                "spec.priorityLevelConfiguration.name",
                "Required value: must reference a priority level",
            ),
            (
                "/spec/rules/0/subjects",
                json!([]),
                "spec.rules[0].subjects",
                "Required value: subjects must contain at least one value",
            ),
        ],
    )
    .await;
    refuses(
        "PriorityLevelConfiguration",
        &[
            ("/spec/limited", Value::Null, "spec.limited", "Required value: must not be empty when type is Limited"),
            (
                "/spec/limited/limitResponse/queuing/handSize",
                json!(100),
                "spec.limited.limitResponse.queuing.handSize",
                "Invalid value: 100: should not be greater than queues",
            ),
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
