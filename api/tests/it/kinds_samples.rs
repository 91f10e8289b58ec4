//! One valid object of every standard kind, with as many fields as make sense together.

use serde_json::{Value, json};

/// A kind's place in the API, and an object of it.
pub(crate) struct Sample {
    pub(crate) path: &'static str,
    pub(crate) object: Value,
}

/// A request for a certificate, as a client makes it: PEM in base64.
pub(crate) fn certificate_request() -> String {
    use base64::Engine;
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["a.example.com".to_owned()]).unwrap();
    let pem = params.serialize_request(&key).unwrap().pem().unwrap();
    base64::engine::general_purpose::STANDARD.encode(pem)
}

/// A sample of each kind, in an order in which they can be created.
pub(crate) fn samples() -> Vec<Sample> {
    let sample = |path, object: Value| Sample { path, object };
    let webhook = |mutating: bool| {
        let mut hook = json!({
            "name": "h.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None", "timeoutSeconds": 3,
            "clientConfig": {"url": "https://hooks.example.com/x", "caBundle": "AAE="}, "failurePolicy": "Ignore",
            "matchPolicy": "Exact", "namespaceSelector": {"matchLabels": {"hooked": "never"}},
            "objectSelector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]},
            "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["nothings"],
                "scope": "*"}],
            "matchConditions": [{"name": "c", "expression": "true"}],
        });
        if mutating {
            hook["reinvocationPolicy"] = "IfNeeded".into();
        }
        hook
    };
    let constraints = json!({
        "matchPolicy": "Equivalent", "namespaceSelector": {"matchLabels": {"x": "never"}}, "objectSelector": {},
        "resourceRules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"],
            "resources": ["nothings"], "scope": "*", "resourceNames": ["n"]}],
    });
    vec![
        sample(
            "/api/v1/namespaces",
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "sample", "labels": {"a": "b"}}}),
        ),
        sample(
            "/api/v1/namespaces/default/secrets",
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "sample", "annotations": {"n": "1"}},
                "type": "Opaque", "data": {"k": "AP8=", "empty": ""}, "immutable": false}),
        ),
        sample(
            "/api/v1/namespaces/default/configmaps",
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "sample"},
                "data": {"a": "1", "e": ""}, "binaryData": {"b": "AAEC"}}),
        ),
        sample(
            "/api/v1/namespaces/default/serviceaccounts",
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "sample"},
                "secrets": [{"name": "s"}], "imagePullSecrets": [{"name": "p"}],
                "automountServiceAccountToken": false}),
        ),
        sample(
            "/api/v1/namespaces/default/resourcequotas",
            json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "sample"},
                "spec": {"hard": {"count/widgets.demo.example.com": "1k", "requests.cpu": "500m"},
                    "scopeSelector": {"matchExpressions": [
                        {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}}}),
        ),
        sample(
            "/api/v1/namespaces/default/limitranges",
            json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "sample"},
                "spec": {"limits": [{"type": "Pod", "max": {"cpu": "200"}, "min": {"cpu": "1m"}}]}}),
        ),
        sample(
            "/api/v1/namespaces/default/events",
            json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "sample"},
                "involvedObject": {"kind": "ConfigMap", "namespace": "default", "name": "sample", "uid": "u",
                    "apiVersion": "v1", "fieldPath": "data"},
                "reason": "Tested", "message": "it was", "type": "Normal", "count": 1,
                "source": {"component": "tests"}, "firstTimestamp": "2026-01-01T00:00:00Z",
                "lastTimestamp": "2026-01-01T00:00:01Z"}),
        ),
        sample(
            "/apis/events.k8s.io/v1/namespaces/default/events",
            json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "sample-2"},
                "eventTime": "2026-01-01T00:00:00.123456Z", "reportingController": "example.com/tests",
                "reportingInstance": "i", "action": "Testing", "reason": "Tested", "note": "it was",
                "type": "Warning", "regarding": {"kind": "ConfigMap", "namespace": "default", "name": "sample"},
                "related": {"kind": "Secret", "name": "s"},
                "series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:02.000001Z"}}),
        ),
        sample(
            "/apis/coordination.k8s.io/v1/namespaces/default/leases",
            json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "sample"},
                "spec": {"holderIdentity": "", "leaseDurationSeconds": 15, "leaseTransitions": 0,
                    "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-01T00:00:00.500000Z"}}),
        ),
        sample(
            "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles",
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                "metadata": {"name": "sample:with:colons"},
                "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"],
                    "resourceNames": ["a"]}]}),
        ),
        sample(
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                "metadata": {"name": "sample"},
                "rules": [{"verbs": ["get"], "nonResourceURLs": ["/x/*"]}]}),
        ),
        sample(
            "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings",
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "metadata": {"name": "sample"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "sample:with:colons"},
                "subjects": [
                    {"kind": "User", "name": "ann", "apiGroup": "rbac.authorization.k8s.io"},
                    {"kind": "ServiceAccount", "name": "sample", "namespace": "default"}]}),
        ),
        sample(
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                "metadata": {"name": "sample"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "sample"},
                "subjects": [{"kind": "Group", "name": "devs", "apiGroup": "rbac.authorization.k8s.io"}]}),
        ),
        sample(
            "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
            json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
                "metadata": {"name": "sample"}, "webhooks": [webhook(false)]}),
        ),
        sample(
            "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
            json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
                "metadata": {"name": "sample"}, "webhooks": [webhook(true)]}),
        ),
        sample(
            "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
            json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
                "metadata": {"name": "sample"},
                "spec": {"failurePolicy": "Fail", "matchConstraints": constraints,
                    "variables": [{"name": "v", "expression": "1"}],
                    "matchConditions": [{"name": "c", "expression": "true"}],
                    "validations": [{"expression": "true", "message": "no", "reason": "Forbidden"}],
                    "auditAnnotations": [{"key": "k", "valueExpression": "'v'"}]}}),
        ),
        sample(
            "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
            json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
                "metadata": {"name": "sample"},
                "spec": {"policyName": "sample", "validationActions": ["Deny"], "matchResources": constraints}}),
        ),
        sample(
            "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies",
            json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy",
                "metadata": {"name": "sample"},
                "spec": {"failurePolicy": "Ignore", "reinvocationPolicy": "Never", "matchConstraints": constraints,
                    "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'add', path: '/x', value: 'y'}]"}}]}}),
        ),
        sample(
            "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings",
            json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding",
                "metadata": {"name": "sample"},
                "spec": {"policyName": "sample",
                    "paramRef": {"name": "p", "namespace": "default", "parameterNotFoundAction": "Deny"}}}),
        ),
        sample(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": "samples.demo.example.com"},
                "spec": {"group": "demo.example.com", "scope": "Namespaced",
                    "names": {"plural": "samples", "kind": "Sample", "singular": "sample", "listKind": "SampleList"},
                    "conversion": {"strategy": "None"},
                    "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                        "additionalPrinterColumns": [{"name": "X", "type": "string", "jsonPath": ".spec.x"}],
                        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object",
                            "properties": {
                                "x": {"type": "string", "default": "d", "enum": ["d", "e"], "maxLength": 4},
                                "n": {"type": "number", "minimum": 0.5, "maximum": 3},
                                "port": {"x-kubernetes-int-or-string": true},
                                "map": {"type": "object", "additionalProperties": {"type": "integer"}},
                                "list": {"type": "array", "items": {"type": "string"},
                                    "x-kubernetes-list-type": "set"}}}}}}}]}}),
        ),
        sample(
            "/apis/apiregistration.k8s.io/v1/apiservices",
            json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
                "metadata": {"name": "v1.other.example.com"},
                "spec": {"group": "other.example.com", "version": "v1", "groupPriorityMinimum": 100,
                    "versionPriority": 10, "insecureSkipTLSVerify": true,
                    "service": {"namespace": "default", "name": "other", "port": 8443}}}),
        ),
        sample(
            "/apis/certificates.k8s.io/v1/certificatesigningrequests",
            json!({"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
                "metadata": {"name": "sample"},
                "spec": {"request": certificate_request(), "signerName": "example.com/tests",
                    "expirationSeconds": 3600, "usages": ["digital signature", "client auth"]}}),
        ),
        sample(
            "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations",
            json!({"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "PriorityLevelConfiguration",
                "metadata": {"name": "sample"},
                "spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 5, "lendablePercent": 0,
                    "limitResponse": {"type": "Queue", "queuing": {"queues": 64, "handSize": 6,
                        "queueLengthLimit": 50}}}}}),
        ),
        sample(
            "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas",
            json!({"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema",
                "metadata": {"name": "sample"},
                "spec": {"matchingPrecedence": 500, "priorityLevelConfiguration": {"name": "sample"},
                    "distinguisherMethod": {"type": "ByUser"},
                    "rules": [{"subjects": [{"kind": "Group", "group": {"name": "g"}}],
                        "resourceRules": [{"verbs": ["get"], "apiGroups": ["x.example.com"], "resources": ["y"],
                            "clusterScope": true}]}]}}),
        ),
    ]
}
