//! Attacks: what somebody tries who has some rights and wants others. Each test is one of them, by what they have: an
//! editor of one namespace, the agent of one node. What authors of rules and kinds try is in `attacks_rules`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use berth_api::{ApiServer, UserInfo};
use serde_json::{Value, json};

use crate::support::*;

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const WHO_AM_I: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

pub(crate) async fn namespace(server: &ApiServer, name: &str) {
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    post(server, "/api/v1/namespaces", &object).await.expect(201);
}

/// Gives a ClusterRole to a user in a namespace; "" is everywhere.
pub(crate) async fn bind(server: &ApiServer, namespace: &str, role: &str, user: &str) {
    let (kind, path) = match namespace {
        "" => ("ClusterRoleBinding", format!("{RBAC}/clusterrolebindings")),
        namespace => ("RoleBinding", format!("{RBAC}/namespaces/{namespace}/rolebindings")),
    };
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": format!("{user}-{role}")},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}],
    });
    post(server, &path, &binding).await.expect(201);
}

pub(crate) async fn cluster_role(server: &ApiServer, name: &str, rules: Value) {
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name},
        "rules": rules});
    post(server, &format!("{RBAC}/clusterroles"), &role).await.expect(201);
}

/// A server with the namespace `shop`, which eve edits.
async fn shop() -> (ApiServer, UserInfo) {
    let server = server().await;
    namespace(&server, "shop").await;
    bind(&server, "shop", "edit", "eve").await;
    (server, UserInfo::new("eve", &[]))
}

/// One request, with a patch's content type where it is one.
pub(crate) async fn as_user(server: &ApiServer, user: &UserInfo, method: &str, path: &str, body: &Value) -> Answer {
    let content = match method {
        "PATCH" => "application/merge-patch+json",
        "APPLY" => "application/apply-patch+yaml",
        _ => "application/json",
    };
    let method = if method == "APPLY" { "PATCH" } else { method };
    let asked = ask_as(server, Some(user.clone()), method, path).header("content-type", content);
    if body.is_null() { asked.send().await } else { asked.body(body.to_string()).send().await }
}

#[tokio::test]
async fn an_editor_becomes_nobody_else() {
    let (server, eve) = shop().await;
    let account = "system:serviceaccount:shop:default";
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    for (name, headers) in [
        ("admin", vec![]),
        ("system:apiserver", vec![]),
        ("system:node:n1", vec![]),
        ("system:serviceaccount:kube-system:default", vec![]),
        (account, vec![("impersonate-group", "system:masters")]),
        (account, vec![("impersonate-group", "system:nodes")]),
        (account, vec![("impersonate-uid", "1")]),
        (account, vec![("impersonate-extra-authentication.kubernetes.io%2fnode-name", "n1")]),
    ] {
        let mut asked = ask_as(&server, Some(eve.clone()), "POST", WHO_AM_I).header("impersonate-user", name);
        for (header, value) in headers.iter().copied() {
            asked = asked.header(header, value);
        }
        let answer = asked.json(&review).send().await;
        assert_eq!(answer.code, 403, "{name} {headers:?}: {}", answer.text());
    }
    // Their own words about themselves are not heard.
    for header in ["x-remote-user", "x-remote-group", "x-remote-extra-a", "x-forwarded-user"] {
        let asked = ask_as(&server, Some(eve.clone()), "POST", WHO_AM_I).header(header, "system:masters");
        let answer = asked.json(&review).send().await.expect(201);
        assert_eq!(answer["status"]["userInfo"]["username"], "eve", "{header}");
    }
    let token = json!({"spec": {}});
    for account in [
        "/api/v1/namespaces/kube-system/serviceaccounts/default/token",
        "/api/v1/namespaces/default/serviceaccounts/default/token",
    ] {
        as_user(&server, &eve, "POST", account, &token).await.expect(403);
    }
    // A bootstrap token counts in kube-system only.
    let data = |key: &str, value: &str| (key.to_owned(), Value::from(STANDARD.encode(value)));
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bootstrap-token-abcdef"},
        "type": "bootstrap.kubernetes.io/token",
        "data": serde_json::Map::from_iter([data("token-id", "abcdef"), data("token-secret", "0123456789abcdef"),
            data("usage-bootstrap-authentication", "true")]),
    });
    as_user(&server, &eve, "POST", "/api/v1/namespaces/shop/secrets", &secret).await.expect(201);
    as_user(&server, &eve, "POST", "/api/v1/namespaces/kube-system/secrets", &secret).await.expect(403);
    let asked = ask_as(&server, None, "POST", WHO_AM_I).header("authorization", "Bearer abcdef.0123456789abcdef");
    assert_eq!(asked.json(&review).send().await.code, 401);
}

#[tokio::test]
async fn an_editor_gives_nobody_rights_by_any_verb() {
    let (server, eve) = shop().await;
    let binding = |kind: &str, version: &str| {
        json!({
            "apiVersion": version, "kind": kind, "metadata": {"name": "mine"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "eve"}],
        })
    };
    let version = "rbac.authorization.k8s.io/v1";
    for (plural, kind) in
        [("namespaces/shop/rolebindings", "RoleBinding"), ("clusterrolebindings", "ClusterRoleBinding")]
    {
        let body = binding(kind, version);
        let (all, one) = (format!("{RBAC}/{plural}"), format!("{RBAC}/{plural}/mine"));
        for (method, path) in [
            ("POST", all.clone()),
            ("POST", format!("{all}?dryRun=All")),
            ("PUT", one.clone()),
            ("PATCH", one.clone()),
            ("APPLY", format!("{one}?fieldManager=a")),
            ("APPLY", format!("{one}?fieldManager=a&force=true")),
            ("DELETE", all.clone()),
            ("PUT", format!("{one}/status")),
        ] {
            let answer = as_user(&server, &eve, method, &path, &body).await;
            assert_eq!(answer.code, 403, "{method} {path}: {}", answer.text());
        }
    }
    let role = json!({
        "apiVersion": "berth.dev/v1", "kind": "Role", "metadata": {"name": "mine"},
        "spec": {"namespaces": ["kube-system"], "members": [{"name": "eve", "access": "full"}]},
    });
    for (method, path) in [
        ("POST", "/apis/berth.dev/v1/roles"),
        ("PUT", "/apis/berth.dev/v1/roles/default"),
        ("PATCH", "/apis/berth.dev/v1/roles/default"),
        ("PUT", "/apis/berth.dev/v1/roles/default/status"),
    ] {
        as_user(&server, &eve, method, path, &role).await.expect(403);
    }
}

#[tokio::test]
async fn who_may_write_roles_of_ours_still_gives_no_more_than_they_have() {
    let (server, eve) = shop().await;
    cluster_role(
        &server,
        "roles-writer",
        json!([{"apiGroups": ["berth.dev"], "resources": ["roles", "roles/status"],
        "verbs": ["get", "create", "update", "patch"]}]),
    )
    .await;
    bind(&server, "", "roles-writer", "eve").await;
    let role =
        |spec: Value| json!({"apiVersion": "berth.dev/v1", "kind": "Role", "metadata": {"name": "eng"}, "spec": spec});
    let (all, one) = ("/apis/berth.dev/v1/roles", "/apis/berth.dev/v1/roles/eng");
    let member = |access: &str| json!([{"name": "eve", "access": access}]);
    as_user(&server, &eve, "POST", all, &role(json!({"namespaces": ["shop"], "members": member("full")})))
        .await
        .expect(403);
    as_user(&server, &eve, "POST", all, &role(json!({"namespaces": ["kube-system"], "members": member("read")})))
        .await
        .expect(403);
    as_user(
        &server,
        &eve,
        "APPLY",
        &format!("{one}?fieldManager=e"),
        &role(json!({"namespaces": ["kube-system"], "members": member("write")})),
    )
    .await
    .expect(403);
    as_user(&server, &eve, "POST", all, &role(json!({"namespaces": ["shop"], "members": member("write")})))
        .await
        .expect(201);
    // In steps: first one half, then the other.
    for step in [
        json!({"spec": {"namespaces": ["shop", "kube-system"]}}),
        json!({"spec": {"members": [{"name": "eve", "access": "full"}]}}),
        json!({"spec": {"permissions": [{"group": "*", "resources": ["*"], "actions": ["full"]}]}}),
        json!({"spec": {"permissions": [{"group": "", "resources": ["users"], "actions": ["full"]}]}}),
    ] {
        as_user(&server, &eve, "PATCH", one, &step).await.expect(403);
    }
    let answer =
        as_user(&server, &eve, "PATCH", &format!("{one}/status"), &json!({"spec": {"namespaces": ["kube-system"]}}))
            .await;
    assert_ne!(answer.code, 500);
    let stored = get(&server, one).await.expect(200);
    assert_eq!(stored["spec"]["namespaces"], json!(["shop"]), "a status writes no spec");
    as_user(&server, &eve, "GET", "/api/v1/namespaces/kube-system/secrets", &Value::Null).await.expect(403);
}

#[tokio::test]
async fn no_spelling_of_a_path_leads_out_of_a_namespace() {
    let (server, eve) = shop().await;
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "planted-value"}});
    post(&server, "/api/v1/namespaces/kube-system/secrets", &secret).await.expect(201);
    for path in [
        "/api/v1/namespaces/kube-system/secrets/s",
        "/api/v1/namespaces/kube-system/secrets/s/",
        "/api/v1/namespaces/shop/../kube-system/secrets/s",
        "/api/v1/namespaces/shop%2f..%2fkube-system/secrets/s",
        "/api/v1/namespaces/shop/secrets/..%2f..%2fkube-system%2fsecrets%2fs",
        "/api/v1/namespaces/shop/secrets/%2e%2e/kube-system/s",
        "/api/v1//namespaces/kube-system/secrets/s",
        "//api/v1/namespaces/kube-system/secrets/s",
        "/API/v1/namespaces/kube-system/secrets/s",
        "/api/v1/Namespaces/kube-system/secrets/s",
        "/api/v1/namespaces/KUBE-SYSTEM/secrets/s",
        "/api/v1/namespaces/kube-system%20/secrets/s",
        "/api/v1/namespaces/kube-system/%73ecrets/s",
        "/api/v1/watch/namespaces/kube-system/secrets/s",
        "/api/v1/watch/secrets",
        "/api/v1/secrets",
        "/api/v1/secrets?fieldSelector=metadata.namespace%3Dshop",
        "/api/v1/secrets?limit=1&watch=true",
        "/api/v1/namespaces/kube-system/secrets?labelSelector=a",
        "/api/v1/namespaces/kube-system/secrets?resourceVersion=0",
        "/api/v1/namespaces/shop/namespaces/kube-system",
        "/api/v1/namespaces/kube-system/secrets/s/status",
        "/api/v1/namespaces/kube-system;x/secrets/s",
        "/apis//v1/namespaces/kube-system/secrets/s",
        "/apis/%20/v1/namespaces/kube-system/secrets/s",
    ] {
        for method in ["GET", "HEAD", "OPTIONS", "TRACE", "POST", "PUT", "PATCH", "DELETE"] {
            let answer = as_user(&server, &eve, method, path, &Value::Null).await;
            assert!(matches!(answer.code, 400..=499), "{method} {path}: {} {}", answer.code, answer.text());
            assert!(!answer.text().contains("cGxhbnRlZC12YWx1ZQ"), "{method} {path}");
        }
    }
    get(&server, "/api/v1/namespaces/kube-system/secrets/s").await.expect(200);
}

#[tokio::test]
async fn a_right_for_one_name_is_a_right_for_one_name() {
    let (server, _) = shop().await;
    let all = "/api/v1/namespaces/shop/configmaps";
    for name in ["mine", "other"] {
        post(&server, all, &config_map(name)).await.expect(201);
    }
    cluster_role(
        &server,
        "one",
        json!([{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["mine"],
        "verbs": ["get", "list", "watch", "update", "patch", "delete", "deletecollection"]}]),
    )
    .await;
    bind(&server, "shop", "one", "nat").await;
    let nat = UserInfo::new("nat", &[]);
    let fine = as_user(&server, &nat, "GET", &format!("{all}?fieldSelector=metadata.name%3Dmine"), &Value::Null).await;
    assert_eq!(fine.expect(200)["items"].as_array().map(Vec::len), Some(1));
    for query in [
        "",
        "?fieldSelector=metadata.name!%3Dmine",
        "?fieldSelector=metadata.name%3Dother",
        "?fieldSelector=metadata.name%3Dmine&fieldSelector=",
        "?fieldSelector=&fieldSelector=metadata.name%3Dmine",
        "?fieldSelector=metadata.namespace!%3Dx%5C,metadata.name%3Dmine",
        "?fieldSelector=x%5C,metadata.name%3Dmine",
        "?fieldSelector=metadata.name%3Dmine,metadata.name%3Dother",
        "?fieldSelector=%20metadata.name%3Dmine",
        "?labelSelector=metadata.name%3Dmine",
        "?name=mine",
    ] {
        for method in ["GET", "DELETE"] {
            let answer = as_user(&server, &nat, method, &format!("{all}{query}"), &Value::Null).await;
            assert!(!answer.text().contains("\"other\",\"namespace\""), "{method} {query}: {}", answer.text());
        }
    }
    get(&server, &format!("{all}/other")).await.expect(200);
    let renamed = json!({"metadata": {"name": "other"}, "data": {"a": "2"}});
    as_user(&server, &nat, "PATCH", &format!("{all}/other"), &renamed).await.expect(403);
}

fn mine(node: &str, task_name: &str) -> Value {
    let mut object = task(task_name);
    object["spec"]["nodeName"] = node.into();
    object
}

#[tokio::test]
async fn a_taken_over_node_reaches_nothing_of_another() {
    let server = server().await;
    let n1 = UserInfo::node("n1");
    for node in ["n1", "n2"] {
        let object = json!({"apiVersion": "berth.dev/v1", "kind": "Node", "metadata": {"name": node}, "spec": {}});
        as_user(&server, &UserInfo::node(node), "POST", "/apis/berth.dev/v1/nodes", &object).await.expect(201);
    }
    post(&server, TASKS, &mine("n1", "here")).await.expect(201);
    let mut there = mine("n2", "there");
    there["spec"]["containers"][0]["env"] =
        json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "theirs", "key": "k"}}}]);
    post(&server, TASKS, &there).await.expect(201);
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "theirs"}, "stringData": {"k": "v"}});
    post(&server, "/api/v1/namespaces/default/secrets", &secret).await.expect(201);
    // What was just written is known to the authorizer once a consistent list has been answered.
    get(&server, TASKS).await.expect(200);

    let all = "/apis/berth.dev/v1/tasks";
    let own = as_user(&server, &n1, "GET", &format!("{all}?fieldSelector=spec.nodeName%3Dn1"), &Value::Null).await;
    assert_eq!(own.expect(200)["items"].as_array().map(Vec::len), Some(1));
    for path in [
        all.to_owned(),
        format!("{all}?fieldSelector=spec.nodeName!%3Dn1"),
        format!("{all}?fieldSelector=spec.nodeName%3Dn2"),
        format!("{all}?fieldSelector=metadata.namespace!%3Dx%5C,spec.nodeName%3Dn1"),
        format!("{all}?fieldSelector=a%5C,spec.nodeName%3Dn1"),
        format!("{all}?fieldSelector=&fieldSelector=spec.nodeName%3Dn1"),
        format!("{TASKS}/there"),
        "/api/v1/namespaces/default/secrets".to_owned(),
        "/api/v1/namespaces/default/secrets/theirs".to_owned(),
        "/api/v1/namespaces/default/secrets?fieldSelector=metadata.name%3Dtheirs".to_owned(),
        "/apis/berth.dev/v1/nodes".to_owned(),
        "/apis/berth.dev/v1/nodes/n2".to_owned(),
        format!("{TASKS}/there/log"),
        format!("{TASKS}/here/log"),
    ] {
        let answer = as_user(&server, &n1, "GET", &path, &Value::Null).await;
        assert!(matches!(answer.code, 400 | 403), "{path}: {} {}", answer.code, answer.text());
    }
    let token = |task: &str, uid: &Value| json!({"spec": {"boundObjectRef": {"apiVersion": "berth.dev/v1", "kind": "Task", "name": task, "uid": uid}}});
    let uid_of = |path: String| {
        let server = server.clone();
        async move { get(&server, &path).await.expect(200)["metadata"]["uid"].clone() }
    };
    post(&server, "/api/v1/namespaces/default/serviceaccounts", &json!({"metadata": {"name": "default"}}))
        .await
        .expect(201);
    let (here, there) = (uid_of(format!("{TASKS}/here")).await, uid_of(format!("{TASKS}/there")).await);
    let account = "/api/v1/namespaces/default/serviceaccounts/default/token";
    as_user(&server, &n1, "POST", account, &token("there", &there)).await.expect(403);
    as_user(&server, &n1, "POST", account, &json!({"spec": {}})).await.expect(403);
    let swapped = as_user(&server, &n1, "POST", account, &token("here", &there)).await;
    assert!(matches!(swapped.code, 403 | 409), "{} {}", swapped.code, swapped.text());
    as_user(&server, &n1, "POST", account, &token("here", &here)).await.expect(201);

    for (path, change) in [
        (
            "/apis/berth.dev/v1/nodes/n2/status",
            json!({"status": {"agentEndpoint": {"address": "127.0.0.1", "port": 1}}}),
        ),
        ("/apis/berth.dev/v1/nodes/n2", json!({"metadata": {"labels": {"a": "b"}}})),
        ("/apis/berth.dev/v1/nodes/n1", json!({"metadata": {"labels": {"node-restriction.berth.dev/trusted": "yes"}}})),
        ("/apis/berth.dev/v1/nodes/n1", json!({"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}})),
        (&*format!("{TASKS}/there/status"), json!({"status": {"phase": "Failed"}})),
        (&*format!("{TASKS}/here"), json!({"metadata": {"labels": {"berth.dev/service": "web"}}})),
        (
            &*format!("{TASKS}/here"),
            json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Secret", "name": "theirs", "uid": "x"}]}}),
        ),
    ] {
        let answer = as_user(&server, &n1, "PATCH", path, &change).await;
        assert_eq!(answer.code, 403, "{path} {change}: {}", answer.text());
    }
    as_user(&server, &n1, "DELETE", &format!("{TASKS}/here"), &Value::Null).await.expect(403);
    as_user(&server, &n1, "DELETE", "/apis/berth.dev/v1/nodes/n1", &Value::Null).await.expect(403);
    let lease =
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "n2"}, "spec": {}});
    as_user(&server, &n1, "POST", "/apis/coordination.k8s.io/v1/namespaces/berth-node-lease/leases", &lease)
        .await
        .expect(403);
}

#[tokio::test]
async fn who_may_only_look_runs_no_commands() {
    let (server, _) = shop().await;
    cluster_role(
        &server,
        "looker",
        json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]),
    )
    .await;
    bind(&server, "shop", "looker", "lou").await;
    let lou = UserInfo::new("lou", &[]);
    let path = "/apis/berth.dev/v1/namespaces/shop/tasks/t/exec?command=id";
    let refused = as_user(&server, &lou, "GET", path, &Value::Null).await.expect(403);
    let said = refused["message"].as_str().unwrap();
    assert!(
        said.contains("cannot create resource \"tasks/exec\" in API group \"berth.dev\" in the namespace \"shop\""),
        "{said}"
    );
    // Who may create passes on to what a stream needs.
    as_user(&server, &UserInfo::new("eve", &[]), "GET", path, &Value::Null).await.expect(400);
}
