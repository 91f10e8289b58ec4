//! Roles for what every user may do, for agents that join, and for the controllers.

use super::role;
use crate::objects::Role;
use crate::policy::PolicyRule;

const BERTH: &str = "berth.dev";
const CERTIFICATES: &str = "certificates.k8s.io";
const COORDINATION: &str = "coordination.k8s.io";
const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";

/// Signers whose requests the controllers may approve and sign: certificates for agents and for clients.
const SIGNERS: &[&str] = &[
    "kubernetes.io/kube-apiserver-client",
    "kubernetes.io/kube-apiserver-client-kubelet",
    "kubernetes.io/kubelet-serving",
    "kubernetes.io/legacy-unknown",
    "berth.dev/agent",
    "berth.dev/*",
];

pub(super) fn roles() -> Vec<Role> {
    vec![
        role(
            "system:discovery",
            vec![get(&[
                "/api",
                "/api/*",
                "/apis",
                "/apis/*",
                "/healthz",
                "/livez",
                "/openapi",
                "/openapi/*",
                "/readyz",
                "/version",
                "/version/",
            ])],
        ),
        role("system:public-info-viewer", vec![get(&["/healthz", "/livez", "/readyz", "/version", "/version/"])]),
        role(
            "system:basic-user",
            vec![
                create(AUTHORIZATION, &["selfsubjectaccessreviews", "selfsubjectrulesreviews"]),
                create(AUTHENTICATION, &["selfsubjectreviews"]),
            ],
        ),
        role(
            "system:service-account-issuer-discovery",
            vec![get(&[
                "/.well-known/openid-configuration",
                "/.well-known/openid-configuration/",
                "/openid/v1/jwks",
                "/openid/v1/jwks/",
            ])],
        ),
        role(
            "system:monitoring",
            vec![get(&[
                "/healthz",
                "/healthz/*",
                "/livez",
                "/livez/*",
                "/metrics",
                "/metrics/slis",
                "/readyz",
                "/readyz/*",
            ])],
        ),
        // For servers that ask us who somebody is and what they may do.
        role(
            "system:auth-delegator",
            vec![create(AUTHENTICATION, &["tokenreviews"]), create(AUTHORIZATION, &["subjectaccessreviews"])],
        ),
        role("system:node", node()),
        role(
            "system:node-bootstrapper",
            vec![PolicyRule::on(CERTIFICATES, &["certificatesigningrequests"], &["create", "get", "list", "watch"])],
        ),
        // Asked about before a request for an agent's certificate is approved without a person.
        role(
            "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
            vec![create(CERTIFICATES, &["certificatesigningrequests/nodeclient"])],
        ),
        role(
            "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
            vec![create(CERTIFICATES, &["certificatesigningrequests/selfnodeclient"])],
        ),
        role("system:berth-controllers", controllers()),
    ]
}

fn get(paths: &[&str]) -> PolicyRule {
    PolicyRule::on_paths(paths, &["get"])
}

fn create(group: &str, resources: &[&str]) -> PolicyRule {
    PolicyRule::on(group, resources, &["create"])
}

/// What agents do, without regard to whose objects they are: the node authorizer is stricter, and is what agents go by.
fn node() -> Vec<PolicyRule> {
    vec![
        create(AUTHENTICATION, &["tokenreviews"]),
        create(AUTHORIZATION, &["subjectaccessreviews", "localsubjectaccessreviews"]),
        PolicyRule::on(BERTH, &["nodes"], &["create", "get", "list", "watch", "update", "patch"]),
        PolicyRule::on(BERTH, &["nodes/status", "tasks/status"], &["update", "patch"]),
        PolicyRule::on(BERTH, &["tasks"], &["get", "list", "watch", "update", "patch"]),
        PolicyRule::on(BERTH, &["volumes"], &["get"]),
        PolicyRule::on("", &["secrets", "configmaps", "serviceaccounts"], &["get"]),
        create("", &["serviceaccounts/token"]),
        PolicyRule::on(COORDINATION, &["leases"], &["get", "create", "update", "patch", "delete"]),
        PolicyRule::on("", &["events"], &["create", "update", "patch"]),
        PolicyRule::on("events.k8s.io", &["events"], &["create", "update", "patch"]),
        PolicyRule::on(CERTIFICATES, &["certificatesigningrequests"], &["create", "get", "list", "watch"]),
    ]
}

/// All controllers of the manager: it is one process with one identity.
fn controllers() -> Vec<PolicyRule> {
    vec![
        // Garbage and ended namespaces are cleared of every kind, known or not.
        PolicyRule::on("*", &["*"], &["get", "list", "watch", "update", "patch", "delete", "deletecollection"]),
        create(BERTH, &["services", "jobruns", "tasks", "revisions", "roles", "volumes"]),
        create("", &["events", "configmaps", "serviceaccounts", "namespaces"]),
        create("events.k8s.io", &["events"]),
        create(COORDINATION, &["leases"]),
        create(AUTHENTICATION, &["tokenreviews"]),
        create(AUTHORIZATION, &["subjectaccessreviews"]),
        // An aggregated ClusterRole gets rules that the controller itself does not hold.
        PolicyRule::on(crate::GROUP, &["clusterroles"], &["escalate"]),
        PolicyRule::on(CERTIFICATES, &["signers"], &["approve", "sign"]).named(SIGNERS),
    ]
}
