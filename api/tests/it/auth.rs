//! Who may do what.

use berth_api::UserInfo;
use serde_json::json;

use crate::support::*;

async fn code(
    server: &berth_api::ApiServer,
    user: &UserInfo,
    method: &str,
    path: &str,
    body: &serde_json::Value,
) -> u16 {
    ask_as(server, Some(user.clone()), method, path)
        .header("content-type", if method == "PATCH" { "application/merge-patch+json" } else { "application/json" })
        .body(body.to_string())
        .send()
        .await
        .code
}

#[tokio::test]
async fn whoever_is_known_is_told_who_they_are() {
    let server = server().await;
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let body = serde_json::json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let user = berth_api::UserInfo::new("eve", &["readers"]);
    let review = ask_as(&server, Some(user), "POST", path).json(&body).send().await.expect(201);
    assert_eq!(review["status"]["userInfo"]["username"], "eve");
    assert_eq!(review["status"]["userInfo"]["groups"], serde_json::json!(["readers", "system:authenticated"]));
    let status = ask_as(&server, None, "POST", path).json(&body).send().await.expect(403);
    assert!(status["message"].as_str().unwrap().contains("User \"system:anonymous\" cannot create"), "{status}");
    get(&server, path).await.expect(405);
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    ask(&server, "POST", path).header("accept", table).json(&body).send().await.expect(406);
}

#[tokio::test]
async fn nobody_in_particular_sees_health_and_version_only() {
    let server = server().await;
    for path in ["/livez", "/readyz", "/healthz", "/version"] {
        assert_eq!(ask_as(&server, None, "GET", path).send().await.code, 200, "{path}");
    }
    for path in ["/", "/api", "/apis", "/openapi/v2", "/metrics", SERVICES, "/apis/berth.dev/v1"] {
        let status = ask_as(&server, None, "GET", path).send().await.expect(403);
        assert_eq!(status["reason"], "Forbidden");
        assert!(status["message"].as_str().unwrap().contains("User \"system:anonymous\" cannot"), "{status}");
    }
    let status = ask_as(&server, None, "GET", "/api").send().await.expect(403);
    assert_eq!(status["message"], "forbidden: User \"system:anonymous\" cannot get path \"/api\"");
    let bad = ask_as(&server, None, "GET", "/version").header("authorization", "Bearer wrong").send().await;
    assert_eq!(bad.code, 401, "a wrong token is refused even where none is needed");
}

#[tokio::test]
async fn a_header_does_not_make_a_user() {
    let server = server().await;
    for name in ["x-remote-user", "impersonate-user", "userinfo"] {
        assert_eq!(ask_as(&server, None, "GET", SERVICES).header(name, "admin").send().await.code, 403);
    }
}

#[tokio::test]
async fn a_stranger_discovers_and_no_more() {
    let server = server().await;
    let alice = UserInfo::new("alice", &["devs"]);
    for path in ["/api", "/apis", "/apis/berth.dev/v1", "/openapi/v3", "/version"] {
        assert_eq!(code(&server, &alice, "GET", path, &json!({})).await, 200, "{path}");
    }
    let status = ask_as(&server, Some(alice.clone()), "GET", &format!("{SERVICES}/x")).send().await.expect(403);
    assert_eq!(
        status["message"],
        "services.berth.dev \"x\" is forbidden: User \"alice\" cannot get resource \"services\" in API group \"berth.dev\" in the namespace \"default\""
    );
    assert_eq!(code(&server, &alice, "GET", "/metrics", &json!({})).await, 403);
    assert_eq!(code(&server, &alice, "POST", SERVICES, &service("x")).await, 403);
}

#[tokio::test]
async fn an_agent_writes_what_is_its_own() {
    let server = server().await;
    let agent = UserInfo::node("n1");
    let nodes = "/apis/berth.dev/v1/nodes";
    let node =
        |name: &str| json!({"apiVersion": "berth.dev/v1", "kind": "Node", "metadata": {"name": name}, "spec": {}});
    assert_eq!(code(&server, &agent, "POST", nodes, &node("n1")).await, 201);
    assert_eq!(code(&server, &agent, "POST", nodes, &node("n2")).await, 403);
    let status = json!({"status": {"addresses": []}});
    assert_eq!(code(&server, &agent, "PATCH", &format!("{nodes}/n1/status"), &status).await, 200);
    post(&server, nodes, &node("n2")).await.expect(201);
    assert_eq!(code(&server, &agent, "PATCH", &format!("{nodes}/n2/status"), &status).await, 403);
    assert_eq!(code(&server, &agent, "DELETE", &format!("{nodes}/n1"), &json!({})).await, 403);
    let leases = "/apis/coordination.k8s.io/v1/namespaces/berth-node-lease/leases";
    let lease = |name: &str| json!({"metadata": {"name": name}, "spec": {"holderIdentity": "x"}});
    assert_eq!(code(&server, &agent, "POST", leases, &lease("n1")).await, 201);
    assert_eq!(code(&server, &agent, "POST", leases, &lease("n2")).await, 403);
    assert_eq!(code(&server, &agent, "GET", "/api/v1/namespaces/default/secrets", &json!({})).await, 403);
    assert_eq!(code(&server, &agent, "POST", CONFIG_MAPS, &config_map("x")).await, 403);
}

#[tokio::test]
async fn an_agent_writes_the_status_and_finalizers_of_its_tasks() {
    let server = server().await;
    let agent = UserInfo::node("n1");
    for (name, node) in [("mine", "n1"), ("other", "n2")] {
        let mut object = task(name);
        object["spec"]["nodeName"] = json!(node);
        object["metadata"]["finalizers"] = json!(["berth.dev/agent"]);
        post(&server, TASKS, &object).await.expect(201);
    }
    let running = json!({"status": {"phase": "Running"}});
    let freed = json!({"metadata": {"finalizers": null}});
    assert_eq!(code(&server, &agent, "PATCH", &format!("{TASKS}/mine/status"), &running).await, 200);
    assert_eq!(code(&server, &agent, "PATCH", &format!("{TASKS}/other/status"), &running).await, 403);
    assert_eq!(code(&server, &agent, "PATCH", &format!("{TASKS}/other"), &freed).await, 403);
    let labelled = json!({"metadata": {"labels": {"a": "b"}}});
    assert_eq!(code(&server, &agent, "PATCH", &format!("{TASKS}/mine"), &labelled).await, 403);
    assert_eq!(code(&server, &agent, "PATCH", &format!("{TASKS}/mine"), &freed).await, 200);
    assert_eq!(code(&server, &agent, "POST", TASKS, &task("new")).await, 403);
    // Server-side apply, as the agent does it; it must not create through the back door.
    let apply = json!({"apiVersion": "berth.dev/v1", "kind": "Task", "status": {"phase": "Failed"}});
    let path = format!("{TASKS}/mine/status?fieldManager=berth-agent&force=true");
    let done = ask_as(&server, Some(agent.clone()), "PATCH", &path)
        .header("content-type", "application/apply-patch+yaml")
        .body(apply.to_string())
        .send()
        .await;
    assert_eq!(done.expect(200)["status"]["phase"], "Failed");
    let create = json!({"apiVersion": "berth.dev/v1", "kind": "Task", "spec": {"nodeName": "n1", "containers": [{"name": "a", "shell": "x"}]}});
    for name in ["sneaky", "n1"] {
        let path = format!("{TASKS}/{name}?fieldManager=berth-agent");
        let asked =
            ask_as(&server, Some(agent.clone()), "PATCH", &path).header("content-type", "application/apply-patch+yaml");
        assert_eq!(asked.body(create.to_string()).send().await.code, 403);
    }
}

#[tokio::test]
async fn tokens_are_users() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens.csv");
    std::fs::write(&path, "secret-a,alice,1,\"devs\"\nsecret-b,root,2,\"system:masters\"\n").unwrap();
    let (tokens, admin) = berth_api::authn::Tokens::open(&path).unwrap();
    assert_eq!(admin, "secret-b");
    let server =
        berth_api::ApiServer::open(berth_api::Config { tokens, ..berth_api::Config::default() }).await.unwrap();
    let with = |token: &'static str| {
        let server = server.clone();
        async move { ask_as(&server, None, "GET", SERVICES).header("authorization", token).send().await.code }
    };
    assert_eq!(with("Bearer secret-b").await, 200);
    assert_eq!(with("Bearer secret-a").await, 403);
    assert_eq!(with("Bearer secret-c").await, 401);
    assert_eq!(with("Basic secret-b").await, 403, "another scheme says nothing: it is nobody who asks");
}
