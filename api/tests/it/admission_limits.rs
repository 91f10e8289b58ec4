//! Quotas, limit ranges and security levels.

use berth_api::ApiServer;
use serde_json::{Value, json};

use crate::support::*;

const QUOTAS: &str = "/api/v1/namespaces/default/resourcequotas";
const LIMITS: &str = "/api/v1/namespaces/default/limitranges";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";

/// A quota that was counted once, as its controller does.
async fn quota(server: &ApiServer, name: &str, hard: Value, used: Value) {
    let object =
        json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name}, "spec": {"hard": hard}});
    post(server, QUOTAS, &object).await.expect(201);
    let status = json!({"status": {"hard": hard, "used": used}});
    patch(server, "merge", &format!("{QUOTAS}/{name}/status"), &status).await.expect(200);
    get(server, QUOTAS).await.expect(200);
}

async fn used(server: &ApiServer, name: &str) -> Value {
    get(server, &format!("{QUOTAS}/{name}")).await.json()["status"]["used"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_creates_at_once_never_exceed_a_quota() {
    let server = server_with_widgets().await;
    quota(
        &server,
        "rq",
        json!({"count/widgets.demo.example.com": "12"}),
        json!({"count/widgets.demo.example.com": "0"}),
    )
    .await;
    let creates = (0..50).map(|i| {
        let server = server.clone();
        tokio::spawn(async move { post(&server, WIDGETS, &widget(&format!("w{i}"))).await })
    });
    let mut codes = std::collections::BTreeMap::new();
    for answer in futures::future::join_all(creates).await {
        let answer = answer.unwrap();
        *codes.entry(answer.code).or_insert(0) += 1;
        if answer.code == 403 {
            let message = answer.json()["message"].as_str().unwrap().to_owned();
            let told = " is forbidden: exceeded quota: rq, requested: count/widgets.demo.example.com=1, used: count/widgets.demo.example.com=12, limited: count/widgets.demo.example.com=12";
            assert!(message.starts_with("widgets.demo.example.com \"w") && message.ends_with(told), "{message}");
        }
    }
    assert_eq!(codes, [(201, 12), (403, 38)].into());
    assert_eq!(get(&server, WIDGETS).await.json()["items"].as_array().unwrap().len(), 12);
    assert_eq!(used(&server, "rq").await["count/widgets.demo.example.com"], "12");
}

#[tokio::test]
async fn all_quotas_are_charged_or_none_and_never_for_a_trial() {
    let server = server().await;
    quota(&server, "a", json!({"secrets": "5"}), json!({"secrets": "0"})).await;
    quota(&server, "b", json!({"count/secrets": "1"}), json!({"count/secrets": "0"})).await;
    let secret = |name: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}});
    post(&server, &format!("{SECRETS}?dryRun=All"), &secret("s")).await.expect(201);
    assert_eq!(used(&server, "a").await["secrets"], "0");
    post(&server, SECRETS, &secret("s")).await.expect(201);
    post(&server, SECRETS, &secret("t")).await.expect(403);
    assert_eq!(
        (&used(&server, "a").await["secrets"], &used(&server, "b").await["count/secrets"]),
        (&json!("1"), &json!("1"))
    );
    // Updates and other kinds are not charged.
    patch(&server, "merge", &format!("{SECRETS}/s"), &json!({"stringData": {"a": "b"}})).await.expect(200);
    post(&server, CONFIG_MAPS, &config_map("a")).await.expect(201);
}

#[tokio::test]
async fn a_quota_that_was_never_counted_lets_nothing_pass() {
    let server = server().await;
    let hard = json!({"configmaps": "5"});
    let object =
        json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": hard}});
    post(&server, QUOTAS, &object).await.expect(201);
    patch(&server, "merge", &format!("{QUOTAS}/q/status"), &json!({"status": {"hard": hard}})).await.expect(200);
    get(&server, QUOTAS).await.expect(200);
    let status = post(&server, CONFIG_MAPS, &config_map("a")).await.expect(403);
    assert_eq!(status["message"], "configmaps \"a\" is forbidden: status unknown for quota: q, resources: configmaps");
}

#[tokio::test]
async fn tasks_are_charged_for_what_they_ask_for() {
    let server = server().await;
    let hard = json!({"requests.cpu": "1", "limits.memory": "100Mi", "pods": "10"});
    quota(&server, "q", hard, json!({"requests.cpu": "0", "limits.memory": "0", "pods": "0"})).await;
    let status = post(&server, TASKS, &task("silent")).await.expect(403);
    assert_eq!(
        status["message"],
        "tasks.berth.dev \"silent\" is forbidden: failed quota: q: must specify limits.memory for: main; requests.cpu for: main"
    );
    let of = |name: &str, cpu: &str| {
        let mut task = task(name);
        task["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": cpu}, "limits": {"memory": "64Mi"}});
        task
    };
    post(&server, TASKS, &of("a", "600m")).await.expect(201);
    assert_eq!(used(&server, "q").await, json!({"requests.cpu": "600m", "limits.memory": "64Mi", "pods": "1"}));
    let status = post(&server, TASKS, &of("b", "600m")).await.expect(403);
    assert_eq!(
        status["message"],
        "tasks.berth.dev \"b\" is forbidden: exceeded quota: q, requested: limits.memory=64Mi,requests.cpu=600m, used: limits.memory=64Mi,requests.cpu=600m, limited: limits.memory=100Mi,requests.cpu=1"
    );
}

#[tokio::test]
async fn limit_ranges_fill_in_and_bound_what_tasks_ask_for() {
    let server = server().await;
    let range = json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"}, "spec": {"limits": [
        {"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}, "max": {"cpu": "1"}}]}});
    post(&server, LIMITS, &range).await.expect(201);
    get(&server, LIMITS).await.expect(200);
    let made = post(&server, TASKS, &task("a")).await.expect(201);
    assert_eq!(
        made["spec"]["containers"][0]["resources"],
        json!({"requests": {"cpu": "100m"}, "limits": {"cpu": "500m"}})
    );
    assert_eq!(
        made["metadata"]["annotations"]["kubernetes.io/limit-ranger"],
        "LimitRanger plugin set: cpu request for container main; cpu limit for container main"
    );
    let mut greedy = task("b");
    greedy["spec"]["containers"][0]["resources"] = json!({"limits": {"cpu": "2"}});
    let status = post(&server, TASKS, &greedy).await.expect(403);
    assert_eq!(
        status["message"],
        "tasks.berth.dev \"b\" is forbidden: maximum cpu usage per Container is 1, but limit is 2"
    );
}

#[tokio::test]
async fn the_level_of_a_namespace_binds_its_tasks_and_is_told_to_their_owners() {
    let server = server().await;
    let labels = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline",
        "pod-security.kubernetes.io/warn": "restricted"}}});
    post(
        &server,
        TASKS,
        &json!({"apiVersion": "berth.dev/v1", "kind": "Task", "metadata": {"name": "old"},
        "spec": {"hostPID": true, "containers": [{"name": "main", "shell": "true"}]}}),
    )
    .await
    .expect(201);
    get(&server, TASKS).await.expect(200);
    let answer = patch(&server, "merge", "/api/v1/namespaces/default", &labels).await;
    assert_eq!(
        answer.warnings(),
        [
            "299 - \"existing tasks in namespace \\\"default\\\" violate the new PodSecurity enforce level \\\"baseline:latest\\\"\"",
            "299 - \"old: host namespaces\"",
        ]
    );
    get(&server, "/api/v1/namespaces").await.expect(200);
    let mut bad = task("bad");
    bad["spec"]["hostPID"] = json!(true);
    let status = post(&server, TASKS, &bad).await.expect(403);
    assert_eq!(
        status["message"],
        "tasks.berth.dev \"bad\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces (hostPID=true)"
    );
    let answer = post(&server, TASKS, &task("fine")).await;
    assert!(
        answer.warnings()[0]
            .contains("would violate PodSecurity \\\"restricted:latest\\\": allowPrivilegeEscalation != false"),
        "{:?}",
        answer.warnings()
    );
    answer.expect(201);
    let mut owner = service("web");
    owner["spec"]["template"]["spec"]["hostPID"] = json!(true);
    let answer = post(&server, SERVICES, &owner).await;
    assert!(
        answer.warnings().iter().any(|warning| warning.contains("host namespaces (hostPID=true)")),
        "{:?}",
        answer.warnings()
    );
    answer.expect(201);
}

#[tokio::test]
async fn levels_that_nobody_knows_are_refused() {
    let server = server().await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x",
        "labels": {"pod-security.kubernetes.io/enforce": "strict"}}});
    let status = post(&server, "/api/v1/namespaces", &namespace).await.expect(422);
    assert_eq!(
        status["message"],
        "Namespace \"x\" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"strict\": must be one of privileged, baseline, restricted"
    );
}

#[tokio::test]
async fn a_name_that_is_taken_costs_nothing() {
    let server = server().await;
    quota(&server, "a", json!({"secrets": "5"}), json!({"secrets": "0"})).await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}});
    post(&server, SECRETS, &secret).await.expect(201);
    for _ in 0..9 {
        post(&server, SECRETS, &secret).await.expect(409);
    }
    assert_eq!(used(&server, "a").await["secrets"], "1");
}
