//! Attacks of those who write rules, kinds and requests for certificates: what they write speaks for them, and for
//! nobody else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use berth_api::{ApiServer, UserInfo};
use serde_json::{Value, json};

use crate::admission_support::*;
use crate::attacks::{as_user, bind, cluster_role};
use crate::audit::Recorded;
use crate::support::*;

const ADMISSION: &str = "/apis/admissionregistration.k8s.io/v1";
const SIGNING: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

fn signing_request(name: &str, cn: &str) -> Value {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::OrganizationName, "system:nodes");
    params.distinguished_name.push(rcgen::DnType::CommonName, cn);
    let pem = params.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().pem().unwrap();
    json!({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name},
        "spec": {"request": STANDARD.encode(pem), "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
            "usages": ["digital signature", "client auth"]},
    })
}

#[tokio::test]
async fn nobody_asks_for_a_certificate_in_anothers_name() {
    let server = server().await;
    cluster_role(
        &server,
        "asker",
        json!([{"apiGroups": ["certificates.k8s.io"], 
        "resources": ["certificatesigningrequests", "certificatesigningrequests/status",
            "certificatesigningrequests/approval"], "verbs": ["*"]}]),
    )
    .await;
    bind(&server, "", "asker", "mal").await;
    let mal = UserInfo::new("mal", &[]);
    let mut wanted = signing_request("a", "system:node:n1");
    wanted["spec"]["username"] = "system:node:n1".into();
    wanted["spec"]["groups"] = json!(["system:nodes"]);
    wanted["status"] = json!({"conditions": [{"type": "Approved", "status": "True"}]});
    let made = as_user(&server, &mal, "POST", SIGNING, &wanted).await.expect(201);
    assert_eq!(made["spec"]["username"], "mal");
    let stays = |made: &Value| {
        assert_eq!((&made["spec"]["username"], &made["status"]["conditions"]), (&json!("mal"), &Value::Null), "{made}");
    };
    stays(&made);
    let one = format!("{SIGNING}/a");
    let change = json!({"spec": {"username": "system:node:n1"}, "status": {"conditions": [{"type": "Approved", "status": "True"}]}});
    stays(&as_user(&server, &mal, "PATCH", &one, &change).await.expect(200));
    for subresource in ["status", "approval"] {
        let answer = as_user(&server, &mal, "PATCH", &format!("{one}/{subresource}"), &change).await;
        assert!(matches!(answer.code, 403 | 422), "{subresource}: {} {}", answer.code, answer.text());
    }
    let applied = json!({"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "status": change["status"]});
    let answer = as_user(&server, &mal, "APPLY", &format!("{one}/approval?fieldManager=m&force=true"), &applied).await;
    assert_eq!(answer.code, 403, "{}", answer.text());
    stays(&get(&server, &one).await.expect(200));
}

#[tokio::test]
async fn a_rule_does_not_say_who_made_an_object_nor_its_status() {
    let server = server().await;
    let hook = Hook::always(changes(&json!([
        {"op": "add", "path": "/spec/username", "value": "system:node:n1"},
        {"op": "add", "path": "/spec/groups", "value": ["system:nodes"]},
        {"op": "add", "path": "/status", "value": {"conditions": [{"type": "Approved", "status": "True"}]}},
        {"op": "add", "path": "/metadata/uid", "value": "forged"},
        {"op": "add", "path": "/metadata/deletionTimestamp", "value": "2020-01-01T00:00:00Z"},
        {"op": "add", "path": "/metadata/creationTimestamp", "value": "2020-01-01T00:00:00Z"},
        {"op": "add", "path": "/metadata/annotations", "value": {"seen": "yes"}},
    ])))
    .await;
    let mut rule =
        webhook("h.example.com", &hook.client_config("/"), "certificates.k8s.io", &["certificatesigningrequests"]);
    rule["rules"][0]["operations"] = json!(["CREATE"]);
    register(&server, MUTATING, "h", &[rule]).await;
    let made = post(&server, SIGNING, &signing_request("a", "system:node:n1")).await.expect(201);
    assert_eq!(made["metadata"]["annotations"]["seen"], "yes", "the rule was asked");
    assert_eq!(made["spec"]["username"], "admin");
    assert!(made["status"]["conditions"].is_null(), "{made}");
    let meta = &made["metadata"];
    assert!(meta["uid"] != "forged" && meta["deletionTimestamp"].is_null(), "{meta}");
    assert_ne!(meta["creationTimestamp"], "2020-01-01T00:00:00Z");
}

fn policy(name: &str, resources: &[&str], fields: Value) -> Value {
    let mut spec = json!({"matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"], "resources": resources}]}});
    for (field, value) in fields.as_object().unwrap() {
        spec[field] = value.clone();
    }
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name}, "spec": spec})
}

fn policy_binding(name: &str, fields: Value) -> Value {
    let mut spec = json!({"policyName": name, "validationActions": ["Deny"]});
    for (field, value) in fields.as_object().unwrap() {
        spec[field] = value.clone();
    }
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name}, "spec": spec})
}

/// Puts a policy in force.
async fn enforce(server: &ApiServer, policy: &Value) {
    let name = policy["metadata"]["name"].as_str().unwrap();
    post(server, &format!("{ADMISSION}/validatingadmissionpolicies"), policy).await.expect(201);
    post(server, &format!("{ADMISSION}/validatingadmissionpolicybindings"), &policy_binding(name, json!({})))
        .await
        .expect(201);
    for plural in ["validatingadmissionpolicies", "validatingadmissionpolicybindings"] {
        get(server, &format!("{ADMISSION}/{plural}")).await.expect(200);
    }
}

#[tokio::test]
async fn an_apply_that_is_remembered_passes_no_policy_by() {
    let server = server().await;
    let path = format!("{CONFIG_MAPS}/a?fieldManager=flux");
    patch(&server, "apply", &path, &config_map("a")).await.expect(201);
    for _ in 0..2 {
        patch(&server, "apply", &path, &config_map("a")).await.expect(200);
    }
    enforce(&server, &policy("freeze", &["configmaps"], json!({"validations": [{"expression": "false"}]}))).await;
    let refused = patch(&server, "apply", &path, &config_map("a")).await;
    assert_eq!(refused.code, 422, "{}", refused.text());
}

#[tokio::test]
async fn tokens_are_judged_by_policies_too() {
    let server = server().await;
    post(&server, "/api/v1/namespaces/default/serviceaccounts", &json!({"metadata": {"name": "bot"}}))
        .await
        .expect(201);
    let token = "/api/v1/namespaces/default/serviceaccounts/bot/token";
    post(&server, token, &json!({"spec": {"expirationSeconds": 7200}})).await.expect(201);
    let short =
        json!({"validations": [{"expression": "object.spec.expirationSeconds <= 3600", "message": "too long"}]});
    enforce(&server, &policy("short", &["serviceaccounts/token"], short)).await;
    let refused = post(&server, token, &json!({"spec": {"expirationSeconds": 7200}})).await;
    assert_eq!(refused.code, 422, "{}", refused.text());
    assert!(!refused.text().contains("eyJ"));
    post(&server, token, &json!({"spec": {"expirationSeconds": 3600}})).await.expect(201);
}

#[tokio::test]
async fn an_author_of_policies_reads_nothing_through_them() {
    let server = server().await;
    cluster_role(
        &server,
        "author",
        json!([
            {"apiGroups": ["admissionregistration.k8s.io"], "resources": ["*"], "verbs": ["*"]},
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "create"]},
        ]),
    )
    .await;
    bind(&server, "", "author", "pat").await;
    let pat = UserInfo::new("pat", &[]);
    let (policies, bindings) =
        (format!("{ADMISSION}/validatingadmissionpolicies"), format!("{ADMISSION}/validatingadmissionpolicybindings"));
    let reads = |name: &str, kind: &str| {
        let tells = json!({"paramKind": {"apiVersion": "v1", "kind": kind},
            "validations": [{"expression": "false", "messageExpression": "string(params.metadata.name)"}]});
        policy(name, &["configmaps"], tells)
    };
    let refused = as_user(&server, &pat, "POST", &policies, &reads("spy", "Secret")).await.expect(422);
    let cause = &refused["details"]["causes"][0];
    assert_eq!((&cause["field"], &cause["reason"]), (&json!("spec.paramKind"), &json!("FieldValueForbidden")));
    as_user(&server, &pat, "POST", &policies, &reads("fine", "ConfigMap")).await.expect(201);
    // Not in two steps either.
    let change = json!({"spec": {"paramKind": {"kind": "Secret"}}});
    as_user(&server, &pat, "PATCH", &format!("{policies}/fine"), &change).await.expect(422);
    // Nor by a policy that somebody else wrote, nor by one that is yet to come.
    post(&server, &policies, &reads("admins", "Secret")).await.expect(201);
    get(&server, &policies).await.expect(200);
    let reference = json!({"paramRef": {"name": "s", "namespace": "kube-system", "parameterNotFoundAction": "Deny"}});
    for policy in ["admins", "later"] {
        let answer = as_user(&server, &pat, "POST", &bindings, &policy_binding(policy, reference.clone())).await;
        assert_eq!(answer.code, 422, "{policy}: {}", answer.text());
        assert_eq!(answer.json()["details"]["causes"][0]["field"], "spec.paramRef");
    }
    as_user(&server, &pat, "POST", &bindings, &policy_binding("fine", reference)).await.expect(201);
}

#[tokio::test]
async fn a_definition_takes_no_name_of_the_servers_own() {
    let server = server().await;
    for (group, plural, kind) in [
        ("rbac.authorization.k8s.io", "clusterroles", "ClusterRole"),
        ("certificates.k8s.io", "certificatesigningrequests", "CertificateSigningRequest"),
        ("authentication.berth.dev", "loginrequests", "LoginRequest"),
        ("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview"),
    ] {
        let name = format!("{plural}.{group}");
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": name, "annotations": {"api-approved.kubernetes.io": "unapproved, an attack"}},
            "spec": {
                "group": group, "scope": "Cluster", "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List")},
                "versions": [{"name": "v9", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
            },
        });
        let answer = post(&server, DEFINITIONS, &definition).await;
        if answer.code != 201 {
            assert_eq!(answer.code, 422, "{}", answer.text());
            continue;
        }
        // Whatever becomes of the definition: nobody in particular makes objects by it.
        get(&server, DEFINITIONS).await.expect(200);
        let object = json!({"apiVersion": format!("{group}/v9"), "kind": kind, "metadata": {"name": "a"}});
        let path = format!("/apis/{group}/v9/{plural}");
        let answer = ask_as(&server, None, "POST", &path).json(&object).send().await;
        assert!(matches!(answer.code, 403 | 404), "{path}: {} {}", answer.code, answer.text());
        let crd = get(&server, &format!("{DEFINITIONS}/{name}")).await.expect(200);
        let established = crd["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|c| c["type"] == "Established" && c["status"] == "True");
        assert!(!established, "{name}");
    }
}

#[tokio::test]
async fn what_a_rule_adds_is_not_told_to_a_log_that_wants_no_objects() {
    for (level, is_told) in [("Metadata", false), ("Request", true)] {
        let recorded = Recorded::open(Some(&format!("rules: [{{level: {level}}}]"))).await;
        let server = &recorded.server;
        let hook = Hook::always(changes(&json!([{"op": "add", "path": "/data/b", "value": "planted-by-rule"}]))).await;
        let rule = webhook("h.example.com", &hook.client_config("/"), "", &["configmaps"]);
        register(server, MUTATING, "h", &[rule]).await;
        let made = post(server, CONFIG_MAPS, &config_map("a")).await.expect(201);
        assert_eq!(made["data"]["b"], "planted-by-rule");
        let events = Value::from(recorded.events()).to_string();
        assert!(events.contains("mutation.webhook.admission.k8s.io"), "{events}");
        assert_eq!(events.contains("planted-by-rule"), is_told, "{level}");
    }
}
