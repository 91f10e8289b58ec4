//! Rights as people give them, take them and ask about them.

use berth_api::{ApiServer, Config, StoreConfig, UserInfo};
use serde_json::{Value, json};

use crate::support::*;

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const AUTHORIZATION: &str = "/apis/authorization.k8s.io/v1";

fn alice() -> UserInfo {
    UserInfo::new("alice", &["devs"])
}

async fn as_user(server: &ApiServer, user: &UserInfo, method: &str, path: &str, body: &Value) -> Answer {
    let content = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let asked = ask_as(server, Some(user.clone()), method, path).header("content-type", content);
    if body.is_null() { asked.send().await } else { asked.body(body.to_string()).send().await }
}

fn role(name: &str, rules: Value) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name}, "rules": rules})
}

fn cluster_role(name: &str, rules: Value) -> Value {
    let mut object = role(name, rules);
    object["kind"] = "ClusterRole".into();
    object
}

fn binding(name: &str, kind: &str, role: &str, user: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"kind": "User", "name": user}],
    })
}

fn cluster_binding(name: &str, role: &str, user: &str) -> Value {
    let mut object = binding(name, "ClusterRole", role, user);
    object["kind"] = "ClusterRoleBinding".into();
    object
}

fn rule(group: &str, resource: &str, verbs: &[&str]) -> Value {
    json!([{"apiGroups": [group], "resources": [resource], "verbs": verbs}])
}

fn bindings(namespace: &str) -> String {
    format!("{RBAC}/namespaces/{namespace}/rolebindings")
}

fn roles(namespace: &str) -> String {
    format!("{RBAC}/namespaces/{namespace}/roles")
}

#[tokio::test]
async fn refusals_say_who_cannot_do_what_where() {
    let server = server().await;
    let message = |method: &'static str, path: &'static str| {
        let server = server.clone();
        async move {
            let status = as_user(&server, &alice(), method, path, &Value::Null).await.expect(403);
            assert_eq!(status["reason"], "Forbidden");
            (status["message"].as_str().unwrap().to_owned(), status["details"].clone())
        }
    };
    let (text, details) = message("GET", "/apis/berth.dev/v1/namespaces/default/services").await;
    assert_eq!(
        text,
        r#"services.berth.dev is forbidden: User "alice" cannot list resource "services" in API group "berth.dev" in the namespace "default""#
    );
    assert_eq!(details, json!({"group": "berth.dev", "kind": "services"}));
    let (text, details) = message("GET", "/apis/berth.dev/v1/namespaces/default/services/w1").await;
    assert_eq!(
        text,
        r#"services.berth.dev "w1" is forbidden: User "alice" cannot get resource "services" in API group "berth.dev" in the namespace "default""#
    );
    assert_eq!(details, json!({"name": "w1", "group": "berth.dev", "kind": "services"}));
    let (text, _) = message("GET", "/apis/berth.dev/v1/namespaces/default/services/w1/status").await;
    assert!(text.contains(r#"cannot get resource "services/status" in API group"#), "{text}");
    let (text, _) = message("GET", "/api/v1/namespaces").await;
    assert_eq!(
        text,
        r#"namespaces is forbidden: User "alice" cannot list resource "namespaces" in API group "" at the cluster scope"#
    );
    let (text, _) = message("DELETE", "/api/v1/namespaces/x").await;
    assert!(
        text.starts_with(r#"namespaces "x" is forbidden: "#) && text.ends_with(r#"in the namespace "x""#),
        "{text}"
    );
    let (text, details) = message("GET", "/metrics").await;
    assert_eq!((text.as_str(), details), (r#"forbidden: User "alice" cannot get path "/metrics""#, json!({})));
}

#[tokio::test]
async fn a_binding_gives_and_its_end_takes_away() {
    let server = server().await;
    let path = "/api/v1/namespaces/default/configmaps";
    as_user(&server, &alice(), "GET", path, &Value::Null).await.expect(403);
    post(&server, &bindings("default"), &binding("b", "ClusterRole", "view", "alice")).await.expect(201);
    as_user(&server, &alice(), "GET", path, &Value::Null).await.expect(200);
    as_user(&server, &alice(), "GET", "/api/v1/namespaces/kube-system/configmaps", &Value::Null).await.expect(403);
    as_user(&server, &alice(), "GET", "/api/v1/namespaces/default/secrets", &Value::Null).await.expect(403);
    delete(&server, &format!("{}/b", bindings("default"))).await.expect(200);
    as_user(&server, &alice(), "GET", path, &Value::Null).await.expect(403);
}

#[tokio::test]
async fn a_role_that_is_not_there_is_named_in_the_refusal() {
    let server = server().await;
    post(&server, &bindings("default"), &binding("b", "ClusterRole", "nope", "alice")).await.expect(201);
    let status = as_user(&server, &alice(), "GET", CONFIG_MAPS, &Value::Null).await.expect(403);
    let message = status["message"].as_str().unwrap();
    assert!(
        message
            .ends_with(r#"in the namespace "default": RBAC: clusterrole.rbac.authorization.k8s.io "nope" not found"#),
        "{message}"
    );
}

#[tokio::test]
async fn names_restrict_also_lists_of_one_name() {
    let server = server().await;
    let mut named = role("one", rule("", "configmaps", &["get", "list", "watch"]));
    named["rules"][0]["resourceNames"] = json!(["a"]);
    post(&server, &roles("default"), &named).await.expect(201);
    post(&server, &bindings("default"), &binding("one", "Role", "one", "alice")).await.expect(201);
    let get = |path: String| {
        let server = server.clone();
        async move { as_user(&server, &alice(), "GET", &path, &Value::Null).await.code }
    };
    assert_eq!(get(format!("{CONFIG_MAPS}/a")).await, 404);
    assert_eq!(get(format!("{CONFIG_MAPS}/b")).await, 403, "whether it is there or not");
    assert_eq!(get(CONFIG_MAPS.to_owned()).await, 403);
    assert_eq!(get(format!("{CONFIG_MAPS}?fieldSelector=metadata.name%3Da")).await, 200);
    assert_eq!(get(format!("{CONFIG_MAPS}?fieldSelector=metadata.name%3Db")).await, 403);
}

#[tokio::test]
async fn nobody_grants_what_they_do_not_hold() {
    let server = server().await;
    let own = json!([
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["get", "create", "update", "patch"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]},
    ]);
    post(&server, &roles("default"), &role("own", own)).await.expect(201);
    post(&server, &bindings("default"), &binding("own", "Role", "own", "alice")).await.expect(201);
    post(&server, &format!("{RBAC}/clusterroles"), &cluster_role("everything", rule("*", "*", &["*"])))
        .await
        .expect(201);

    let all = role("esc", rule("*", "*", &["*"]));
    let status = as_user(&server, &alice(), "POST", &roles("default"), &all).await.expect(403);
    assert_eq!(
        status["message"],
        "roles.rbac.authorization.k8s.io \"esc\" is forbidden: user \"alice\" (groups=[\"devs\" \"system:authenticated\"]) is attempting to grant \
         RBAC permissions not currently held:\n{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}"
    );
    let bind = binding("esc", "ClusterRole", "everything", "alice");
    let status = as_user(&server, &alice(), "POST", &bindings("default"), &bind).await.expect(403);
    let message = status["message"].as_str().unwrap();
    assert!(
        message.starts_with("rolebindings.rbac.authorization.k8s.io \"esc\" is forbidden: user \"alice\""),
        "{message}"
    );
    let missing = binding("esc", "Role", "missing", "alice");
    let status = as_user(&server, &alice(), "POST", &bindings("default"), &missing).await.expect(404);
    assert_eq!(status["message"], "role.rbac.authorization.k8s.io \"missing\" not found");

    // What is held may be given, as a role and by a binding.
    let subset = role("sub", rule("", "configmaps", &["get"]));
    as_user(&server, &alice(), "POST", &roles("default"), &subset).await.expect(201);
    let give = binding("sub", "Role", "sub", "bob");
    as_user(&server, &alice(), "POST", &bindings("default"), &give).await.expect(201);
    // A change is judged like a create, by whichever verb it comes.
    let more = json!({"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]});
    let path = format!("{}/sub", roles("default"));
    as_user(&server, &alice(), "PATCH", &path, &more).await.expect(403);
    as_user(&server, &alice(), "PATCH", &path, &json!({"metadata": {"finalizers": ["a.b/c"]}})).await.expect(200);
    let subjects = json!({"subjects": [{"kind": "User", "name": "carol"}]});
    let path = format!("{}/sub", bindings("default"));
    as_user(&server, &alice(), "PATCH", &path, &subjects).await.expect(200);
    // Elsewhere alice holds nothing.
    as_user(&server, &alice(), "POST", &roles("kube-system"), &subset).await.expect(403);
}

#[tokio::test]
async fn the_verbs_bind_and_escalate_lift_the_check() {
    let server = server().await;
    let own = json!([
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["create", "update"]},
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "resourceNames": ["edit"], "verbs": ["bind"]},
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "resourceNames": ["free"], "verbs": ["escalate"]},
    ]);
    post(&server, &format!("{RBAC}/clusterroles"), &cluster_role("own", own)).await.expect(201);
    post(&server, &bindings("default"), &binding("own", "ClusterRole", "own", "alice")).await.expect(201);
    let to = |role| binding(&format!("to-{role}"), "ClusterRole", role, "bob");
    as_user(&server, &alice(), "POST", &bindings("default"), &to("edit")).await.expect(201);
    as_user(&server, &alice(), "POST", &bindings("default"), &to("admin")).await.expect(403);
    let free = |name| role(name, rule("", "secrets", &["get"]));
    as_user(&server, &alice(), "POST", &roles("default"), &free("free")).await.expect(201);
    as_user(&server, &alice(), "POST", &roles("default"), &free("other")).await.expect(403);
}

#[tokio::test]
async fn an_aggregation_rule_takes_full_power() {
    let server = server().await;
    let own = rule("rbac.authorization.k8s.io", "clusterroles", &["create", "update", "get"]);
    post(&server, &format!("{RBAC}/clusterroles"), &cluster_role("own", own)).await.expect(201);
    post(&server, &format!("{RBAC}/clusterrolebindings"), &cluster_binding("own", "own", "alice")).await.expect(201);
    let mut all = cluster_role("gather", json!([]));
    all["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]});
    let status = as_user(&server, &alice(), "POST", &format!("{RBAC}/clusterroles"), &all).await.expect(403);
    assert!(
        status["message"].as_str().unwrap().ends_with("must have cluster-admin privileges to use the aggregationRule"),
        "{status}"
    );
    let root = UserInfo::new("root", &["superusers"]);
    as_user(&server, &root, "POST", &format!("{RBAC}/clusterroles"), &all).await.expect(201);
}

#[tokio::test]
async fn what_a_role_refers_to_cannot_change_and_rules_must_say_what_they_are_about() {
    let server = server().await;
    post(&server, &bindings("default"), &binding("b", "ClusterRole", "view", "alice")).await.expect(201);
    let status = put(&server, &format!("{}/b", bindings("default")), &binding("b", "ClusterRole", "edit", "alice"))
        .await
        .expect(422);
    assert!(status["message"].as_str().unwrap().contains("cannot change roleRef"), "{status}");
    let found = get(&server, &format!("{}/b", bindings("default"))).await.expect(200);
    assert_eq!(found["subjects"][0]["apiGroup"], "rbac.authorization.k8s.io");
    let empty = post(&server, &roles("default"), &role("r", json!([{"verbs": []}]))).await.expect(422);
    let fields: Vec<&str> =
        empty["details"]["causes"].as_array().unwrap().iter().filter_map(|c| c["field"].as_str()).collect();
    assert_eq!(fields, ["rules[0].verbs", "rules[0].apiGroups", "rules[0].resources"]);
    let paths = role("r", json!([{"verbs": ["get"], "nonResourceURLs": ["/x"]}]));
    post(&server, &roles("default"), &paths).await.expect(422);
    // Names are parts of a path, and no more than that.
    let named = role("system:Some:Role", json!([]));
    post(&server, &roles("default"), &named).await.expect(201);
    get(&server, &format!("{}/system:Some:Role", roles("default"))).await.expect(200);
}

#[tokio::test]
async fn an_apply_that_creates_needs_both_verbs() {
    let server = server().await;
    post(&server, &roles("default"), &role("patch", rule("", "configmaps", &["patch"]))).await.expect(201);
    post(&server, &bindings("default"), &binding("patch", "Role", "patch", "alice")).await.expect(201);
    let apply = || async {
        let path = format!("{CONFIG_MAPS}/made?fieldManager=t");
        let asked =
            ask_as(&server, Some(alice()), "PATCH", &path).header("content-type", "application/apply-patch+yaml");
        asked.body(config_map("made").to_string()).send().await
    };
    let status = apply().await.expect(403);
    assert_eq!(
        status["message"],
        r#"configmaps "made" is forbidden: User "alice" cannot create resource "configmaps" in API group "" in the namespace "default""#
    );
    post(&server, CONFIG_MAPS, &config_map("made")).await.expect(201);
    apply().await.expect(200);
}

fn review(kind: &str, spec: Value) -> Value {
    json!({"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec})
}

#[tokio::test]
async fn everybody_may_ask_what_they_may_do() {
    let server = server().await;
    let own = format!("{AUTHORIZATION}/selfsubjectaccessreviews");
    let wanted = json!({"resourceAttributes": {"verb": "get", "resource": "services", "group": "berth.dev", "namespace": "default"}});
    let ask = review("SelfSubjectAccessReview", wanted);
    let answer = as_user(&server, &alice(), "POST", &own, &ask).await.expect(201);
    assert_eq!(answer["status"], json!({"allowed": false}));
    assert_eq!(answer["spec"]["resourceAttributes"]["resource"], "services");
    post(&server, &bindings("default"), &binding("v", "ClusterRole", "view", "alice")).await.expect(201);
    let answer = as_user(&server, &alice(), "POST", &own, &ask).await.expect(201);
    let reason = r#"RBAC: allowed by RoleBinding "v/default" of ClusterRole "view" to User "alice""#;
    assert_eq!(answer["status"], json!({"allowed": true, "reason": reason}));
    let path = review("SelfSubjectAccessReview", json!({"nonResourceAttributes": {"verb": "get", "path": "/apis"}}));
    assert_eq!(as_user(&server, &alice(), "POST", &own, &path).await.expect(201)["status"]["allowed"], true);
    let both = json!({"resourceAttributes": {"verb": "get"}, "nonResourceAttributes": {"path": "/"}});
    for spec in [both, json!({})] {
        as_user(&server, &alice(), "POST", &own, &review("SelfSubjectAccessReview", spec)).await.expect(422);
    }
    let admin = post(&server, &own, &ask).await.expect(201);
    assert_eq!(admin["status"]["allowed"], true);
}

#[tokio::test]
async fn servers_may_ask_what_others_may_do() {
    let server = server().await;
    post(&server, &bindings("default"), &binding("v", "ClusterRole", "view", "alice")).await.expect(201);
    let all = format!("{AUTHORIZATION}/subjectaccessreviews");
    let attributes = json!({"verb": "list", "resource": "configmaps", "namespace": "default"});
    let ask = review("SubjectAccessReview", json!({"user": "alice", "resourceAttributes": attributes}));
    assert_eq!(post(&server, &all, &ask).await.expect(201)["status"]["allowed"], true);
    as_user(&server, &alice(), "POST", &all, &ask).await.expect(403);
    let nobody = review("SubjectAccessReview", json!({"resourceAttributes": attributes}));
    let status = post(&server, &all, &nobody).await.expect(422);
    assert!(
        status["message"].as_str().unwrap().contains("at least one of user or group must be specified"),
        "{status}"
    );
    let group = review("SubjectAccessReview", json!({"groups": ["system:masters"], "resourceAttributes": attributes}));
    assert_eq!(post(&server, &all, &group).await.expect(201)["status"]["allowed"], true);
    // An agent's list is judged by its selector.
    let by_node = |node: &str| {
        let selector = json!({"requirements": [{"key": "spec.nodeName", "operator": "In", "values": [node]}]});
        let attributes = json!({"verb": "list", "group": "berth.dev", "resource": "tasks", "fieldSelector": selector});
        review(
            "SubjectAccessReview",
            json!({"user": "system:node:n1", "groups": ["system:nodes"], "resourceAttributes": attributes}),
        )
    };
    assert_eq!(post(&server, &all, &by_node("n1")).await.expect(201)["status"]["allowed"], true);
    assert_eq!(post(&server, &all, &by_node("n2")).await.expect(201)["status"]["allowed"], false);

    let local = format!("{AUTHORIZATION}/namespaces/default/localsubjectaccessreviews");
    let here = review("LocalSubjectAccessReview", json!({"user": "alice", "resourceAttributes": attributes}));
    assert_eq!(post(&server, &local, &here).await.expect(201)["status"]["allowed"], true);
    let elsewhere = json!({"verb": "list", "resource": "configmaps", "namespace": "other"});
    let wrong = review("LocalSubjectAccessReview", json!({"user": "alice", "resourceAttributes": elsewhere}));
    let status = post(&server, &local, &wrong).await.expect(422);
    assert!(status["message"].as_str().unwrap().contains("must match metadata.namespace"), "{status}");
}

#[tokio::test]
async fn the_rules_of_a_namespace_are_listed() {
    let server = server().await;
    let path = format!("{AUTHORIZATION}/selfsubjectrulesreviews");
    let status =
        as_user(&server, &alice(), "POST", &path, &review("SelfSubjectRulesReview", json!({}))).await.expect(400);
    assert_eq!(status["message"], "no namespace on request");
    let ask = review("SelfSubjectRulesReview", json!({"namespace": "default"}));
    let status = as_user(&server, &alice(), "POST", &path, &ask).await.expect(201)["status"].clone();
    let resources = json!([
        {"verbs": ["create"], "apiGroups": ["authorization.k8s.io"], "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]},
        {"verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"]},
    ]);
    assert_eq!(status["resourceRules"], resources);
    let urls = |index: usize| status["nonResourceRules"][index]["nonResourceURLs"].clone();
    assert_eq!(urls(1), json!(["/healthz", "/livez", "/readyz", "/version", "/version/"]));
    assert_eq!(status["incomplete"], false);
    let agent = as_user(&server, &UserInfo::node("n1"), "POST", &path, &ask).await.expect(201);
    assert_eq!(agent["status"]["incomplete"], true);
}

#[tokio::test]
async fn an_agent_reads_the_secrets_of_its_own_tasks_only() {
    let server = server().await;
    for name in ["a", "b", "c"] {
        let secret =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"k": "v"}});
        post(&server, "/api/v1/namespaces/default/secrets", &secret).await.expect(201);
        post(&server, CONFIG_MAPS, &config_map(name)).await.expect(201);
    }
    for (name, node) in [("a", "n1"), ("b", "n2")] {
        let mut object = task(name);
        object["spec"]["nodeName"] = json!(node);
        object["spec"]["containers"][0]["envFrom"] =
            json!([{"secretRef": {"name": name}}, {"configMapRef": {"name": name}}]);
        post(&server, TASKS, &object).await.expect(201);
    }
    // The caches are what the agents' rights are computed from.
    get(&server, TASKS).await.expect(200);
    for (node, own, others) in [("n1", "a", "b"), ("n2", "b", "a")] {
        let agent = UserInfo::node(node);
        for kind in ["secrets", "configmaps"] {
            let path = |name: &str| format!("/api/v1/namespaces/default/{kind}/{name}");
            as_user(&server, &agent, "GET", &path(own), &Value::Null).await.expect(200);
            let status = as_user(&server, &agent, "GET", &path(others), &Value::Null).await.expect(403);
            let reason = format!(": no relationship found between node '{node}' and this object");
            assert!(status["message"].as_str().unwrap().ends_with(&reason), "{status}");
            as_user(&server, &agent, "GET", &path("c"), &Value::Null).await.expect(403);
            as_user(&server, &agent, "GET", &path("absent"), &Value::Null).await.expect(403);
            let list = format!("/api/v1/namespaces/default/{kind}");
            as_user(&server, &agent, "GET", &list, &Value::Null).await.expect(403);
            let named = format!("{list}?watch=1&timeoutSeconds=1&fieldSelector=metadata.name%3D{others}");
            as_user(&server, &agent, "GET", &named, &Value::Null).await.expect(403);
        }
        as_user(&server, &agent, "GET", &format!("{TASKS}/{own}"), &Value::Null).await.expect(200);
        as_user(&server, &agent, "GET", &format!("{TASKS}/{others}"), &Value::Null).await.expect(403);
        as_user(&server, &agent, "GET", TASKS, &Value::Null).await.expect(403);
        let all = "/apis/berth.dev/v1/tasks";
        as_user(&server, &agent, "GET", &format!("{all}?fieldSelector=spec.nodeName%3D{node}"), &Value::Null)
            .await
            .expect(200);
        as_user(&server, &agent, "GET", &format!("{all}?fieldSelector=spec.nodeName%3Dother"), &Value::Null)
            .await
            .expect(403);
    }
}

#[tokio::test]
async fn members_of_a_role_of_ours_work_in_its_namespaces() {
    let server = server().await;
    let object = json!({
        "apiVersion": "berth.dev/v1", "kind": "Role", "metadata": {"name": "eng"},
        "spec": {
            "namespaces": ["default"],
            "members": [{"name": "alice", "access": "write"}, {"kind": "Group", "name": "readers"}],
            "permissions": [{"resources": ["revisions"], "actions": ["delete"]}],
        },
    });
    post(&server, "/apis/berth.dev/v1/roles", &object).await.expect(201);
    as_user(&server, &alice(), "POST", SERVICES, &service("web")).await.expect(201);
    let bob = UserInfo::new("bob", &["readers"]);
    as_user(&server, &bob, "GET", SERVICES, &Value::Null).await.expect(200);
    as_user(&server, &bob, "POST", SERVICES, &service("other")).await.expect(403);
    as_user(&server, &bob, "DELETE", "/apis/berth.dev/v1/namespaces/default/revisions/x", &Value::Null)
        .await
        .expect(404);
    as_user(&server, &bob, "GET", "/apis/berth.dev/v1/roles/eng", &Value::Null).await.expect(200);
    as_user(&server, &bob, "GET", "/apis/berth.dev/v1/roles/default", &Value::Null).await.expect(403);

    // Whoever may write Roles of ours gives no more by it than they have.
    post(&server, &format!("{RBAC}/clusterroles"), &cluster_role("tenants", rule("berth.dev", "roles", &["*"])))
        .await
        .expect(201);
    post(&server, &format!("{RBAC}/clusterrolebindings"), &cluster_binding("tenants", "tenants", "carol"))
        .await
        .expect(201);
    let carol = UserInfo::new("carol", &[]);
    let path = "/apis/berth.dev/v1/roles/eng";
    as_user(&server, &carol, "PATCH", path, &json!({"spec": {"weight": 3}})).await.expect(200);
    let members = json!({"spec": {"members": [{"name": "carol", "access": "full"}]}});
    let status = as_user(&server, &carol, "PATCH", path, &members).await.expect(403);
    assert!(
        status["message"].as_str().unwrap().contains("attempting to grant RBAC permissions not currently held"),
        "{status}"
    );
    let bot = json!({"spec": {"members": [{"kind": "ServiceAccount", "name": "bot"}]}});
    let status = patch(&server, "merge", path, &bot).await.expect(422);
    assert_eq!(status["details"]["causes"][0]["field"], "spec.members[0].namespace");
}

#[tokio::test]
async fn default_roles_are_mended_at_start_unless_told_not_to() {
    let store: std::sync::Arc<dyn berth_store::Store> = std::sync::Arc::new(berth_store::MemoryStore::new().unwrap());
    let open = || ApiServer::open(Config { store: StoreConfig::Open(store.clone()), ..Config::default() });
    let first = open().await.unwrap();
    let roles = format!("{RBAC}/clusterroles");
    let role = |name: &str| format!("{roles}/{name}");
    let discovery = get(&first, &role("system:discovery")).await.expect(200);
    assert_eq!(discovery["metadata"]["labels"]["kubernetes.io/bootstrapping"], "rbac-defaults");
    let extra = json!({"rules": [{"nonResourceURLs": ["/extra"], "verbs": ["get"]}]});
    patch(&first, "merge", &role("system:discovery"), &extra).await.expect(200);
    let off =
        json!({"metadata": {"annotations": {"rbac.authorization.kubernetes.io/autoupdate": "false"}}, "rules": []});
    patch(&first, "merge", &role("system:basic-user"), &off).await.expect(200);
    delete(&first, &role("view")).await.expect(200);
    delete(&first, &format!("{RBAC}/clusterrolebindings/system:discovery")).await.expect(200);
    first.stop();

    let second = open().await.unwrap();
    let discovery = get(&second, &role("system:discovery")).await.expect(200);
    let text = discovery["rules"].to_string();
    assert!(
        text.contains("/extra") && text.contains("/openapi/*"),
        "what is missing comes back, what was added stays: {text}"
    );
    assert_eq!(get(&second, &role("system:basic-user")).await.expect(200)["rules"], json!([]));
    get(&second, &role("view")).await.expect(200);
    as_user(&second, &alice(), "GET", "/apis", &Value::Null).await.expect(200);
    second.stop();
}
