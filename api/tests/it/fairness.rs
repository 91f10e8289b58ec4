//! No user's requests keep another's from being answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use berth_api::{ApiServer, Config, UserInfo};
use serde_json::{Value, json};

use crate::support::*;
use crate::tls::running;

const SCHEMAS: &str = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas";
const LEVELS: &str = "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations";
const SCHEMA_UID: &str = "x-kubernetes-pf-flowschema-uid";
const LEVEL_UID: &str = "x-kubernetes-pf-prioritylevel-uid";

/// A user who may do everything and yet is not exempt.
fn user(name: &str) -> UserInfo {
    UserInfo::new(name, &["testers"])
}

async fn server_of(seats: u32) -> ApiServer {
    let server = ApiServer::open(Config { requests_in_flight_max: Some(seats), ..Config::default() }).await.unwrap();
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "testers"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "testers"}],
    });
    post(&server, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).await.expect(201);
    server
}

async fn uid(server: &ApiServer, path: &str) -> String {
    get(server, path).await.expect(200)["metadata"]["uid"].as_str().unwrap().to_owned()
}

fn header(answer: &Answer, name: &str) -> String {
    answer.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

/// A schema that takes all requests of one user.
fn schema(name: &str, user: &str, level: &str) -> Value {
    json!({
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema", "metadata": {"name": name},
        "spec": {
            "matchingPrecedence": 700, "priorityLevelConfiguration": {"name": level},
            "distinguisherMethod": {"type": "ByUser"},
            "rules": [{
                "subjects": [{"kind": "User", "user": {"name": user}}],
                "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"],
                    "clusterScope": true}],
            }],
        },
    })
}

/// A level that sends away what finds no seat.
fn narrow(name: &str) -> Value {
    json!({
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "PriorityLevelConfiguration",
        "metadata": {"name": name},
        "spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 1, "lendablePercent": 0,
            "borrowingLimitPercent": 0, "limitResponse": {"type": "Reject"}}},
    })
}

/// The path of a list that is answered once the server has got further by one revision: until then it holds a seat.
async fn list_of_tomorrow(server: &ApiServer) -> String {
    let list = get(server, CONFIG_MAPS).await.expect(200);
    let now: u64 = list["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    format!("{CONFIG_MAPS}?resourceVersion={}&resourceVersionMatch=NotOlderThan", now + 1)
}

#[tokio::test]
async fn every_answer_tells_by_which_objects_it_was_let_in() {
    let server = server_of(600).await;
    let default = (uid(&server, &format!("{SCHEMAS}/global-default")).await, uid(&server, &format!("{LEVELS}/global-default")).await);
    let uids = |answer: &Answer| (header(answer, SCHEMA_UID), header(answer, LEVEL_UID));
    let ann = || Some(user("ann"));
    for path in [CONFIG_MAPS, "/api/v1/namespaces/default/configmaps/missing", "/apis", "/apis/berth.dev/v1"] {
        assert_eq!(uids(&ask_as(&server, ann(), "GET", path).send().await), default, "{path}");
    }
    // A refusal tells it, too.
    let stranger = Some(UserInfo::new("eve", &[]));
    let refused = ask_as(&server, stranger, "GET", "/api/v1/namespaces/default/secrets").send().await;
    assert_eq!((refused.code, uids(&refused)), (403, default));
    let exempt = uid(&server, &format!("{LEVELS}/exempt")).await;
    assert_eq!(header(&get(&server, CONFIG_MAPS).await, LEVEL_UID), exempt);
    assert_eq!(header(&ask_as(&server, ann(), "GET", "/readyz").send().await, LEVEL_UID), exempt);
}

#[tokio::test]
async fn stored_objects_are_followed_at_once_and_say_when_they_name_no_level() {
    let server = server_of(600).await;
    let created = post(&server, SCHEMAS, &schema("for-ann", "ann", "narrow")).await.expect(201);
    let ask_ann = || ask_as(&server, Some(user("ann")), "GET", CONFIG_MAPS).send();
    let before = header(&ask_ann().await, SCHEMA_UID);
    assert_eq!(before, uid(&server, &format!("{SCHEMAS}/global-default")).await, "its level is missing");
    dangling(&server, "for-ann", "True").await;
    post(&server, LEVELS, &narrow("narrow")).await.expect(201);
    dangling(&server, "for-ann", "False").await;
    assert_eq!(header(&ask_ann().await, SCHEMA_UID), created["metadata"]["uid"].as_str().unwrap());
    delete(&server, &format!("{SCHEMAS}/for-ann")).await.expect(200);
    assert_eq!(header(&ask_ann().await, SCHEMA_UID), before);
}

/// Waits (by watching) for the condition of a schema.
async fn dangling(server: &ApiServer, name: &str, status: &str) {
    let path = format!("{SCHEMAS}?watch=1&timeoutSeconds=20&fieldSelector=metadata.name%3D{name}");
    let mut lines = Lines::new(ask(server, "GET", &path).response().await);
    loop {
        let event = lines.next().await.expect("the condition comes in time");
        let conditions = event["object"]["status"]["conditions"].as_array().cloned().unwrap_or_default();
        if conditions.iter().any(|one| one["type"] == "Dangling" && one["status"] == status) {
            return;
        }
    }
}

#[tokio::test]
async fn mandatory_objects_come_back_and_suggested_ones_may_be_taken_over() {
    let server = server_of(600).await;
    let path = format!("{SCHEMAS}?watch=1&timeoutSeconds=20&fieldSelector=metadata.name%3Dcatch-all");
    let mut lines = Lines::new(ask(&server, "GET", &path).response().await);
    delete(&server, &format!("{SCHEMAS}/catch-all")).await.expect(200);
    loop {
        let event = lines.next().await.expect("it is made again in time");
        if event["type"] == "DELETED" {
            break;
        }
    }
    assert_eq!(lines.next().await.unwrap()["type"], "ADDED");

    let mut level = get(&server, &format!("{LEVELS}/workload-low")).await.expect(200);
    level["metadata"]["annotations"]["apf.kubernetes.io/autoupdate-spec"] = json!("false");
    level["spec"]["limited"]["nominalConcurrencyShares"] = json!(7);
    put(&server, &format!("{LEVELS}/workload-low"), &level).await.expect(200);
    let mut level = get(&server, &format!("{LEVELS}/system")).await.expect(200);
    level["spec"]["limited"]["nominalConcurrencyShares"] = json!(7);
    put(&server, &format!("{LEVELS}/system"), &level).await.expect(200);
    let path = format!("{LEVELS}?watch=1&timeoutSeconds=20&fieldSelector=metadata.name%3Dsystem");
    let mut lines = Lines::new(ask(&server, "GET", &path).response().await);
    loop {
        let event = lines.next().await.expect("it is put right in time");
        if event["object"]["spec"]["limited"]["nominalConcurrencyShares"] == 30 {
            break;
        }
    }
    let kept = get(&server, &format!("{LEVELS}/workload-low")).await.expect(200);
    assert_eq!(kept["spec"]["limited"]["nominalConcurrencyShares"], 7);
}

#[tokio::test]
async fn who_finds_no_seat_is_told_when_to_come_again_and_then_is_served() {
    let server = server_of(60).await;
    post(&server, LEVELS, &narrow("narrow")).await.expect(201);
    post(&server, SCHEMAS, &schema("for-ann", "ann", "narrow")).await.expect(201);
    let path = list_of_tomorrow(&server).await;
    // The one seat of the level.
    let holder = {
        let (server, path) = (server.clone(), path.clone());
        tokio::spawn(async move { ask_as(&server, Some(user("ann")), "GET", &path).send().await.code })
    };
    tokio::task::yield_now().await;
    let refused = ask_as(&server, Some(user("ann")), "GET", CONFIG_MAPS).send().await;
    assert_eq!((refused.code, header(&refused, "retry-after").as_str()), (429, "1"));
    let status = refused.json();
    assert_eq!(status["reason"], "TooManyRequests");
    assert_eq!(status["message"], "Too many requests, please try again later.");
    assert_eq!(status["details"]["retryAfterSeconds"], 1);
    ask_as(&server, Some(user("bob")), "GET", CONFIG_MAPS).send().await.expect(200);
    post(&server, CONFIG_MAPS, &config_map("tomorrow")).await.expect(201);
    assert_eq!(holder.await.unwrap(), 200);
    ask_as(&server, Some(user("ann")), "GET", CONFIG_MAPS).send().await.expect(200);
    let metrics = get(&server, "/metrics").await.text();
    let line = r#"apiserver_flowcontrol_rejected_requests_total{priority_level="narrow",reason="concurrency-limit"} 1"#;
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn watches_hold_a_seat_only_while_they_begin() {
    let server = server_of(60).await;
    post(&server, LEVELS, &narrow("narrow")).await.expect(201);
    post(&server, SCHEMAS, &schema("for-ann", "ann", "narrow")).await.expect(201);
    let mut watches = Vec::new();
    for _ in 0..20 {
        let response = ask_as(&server, Some(user("ann")), "GET", &format!("{CONFIG_MAPS}?watch=1")).response().await;
        watches.push(Lines::new(response));
    }
    post(&server, CONFIG_MAPS, &config_map("seen")).await.expect(201);
    for watch in &mut watches {
        assert_eq!(watch.brief(1).await.last().unwrap(), "ADDED seen");
    }
}

#[tokio::test]
async fn a_thousand_requests_of_one_user_do_not_starve_another() {
    const RUDE: usize = 1_000;
    let server = server_of(60).await;
    let done = Arc::new(AtomicUsize::new(0));
    let rude: Vec<_> = (0..RUDE)
        .map(|n| {
            let (server, done) = (server.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let answer = ask_as(&server, Some(user("rude")), "POST", CONFIG_MAPS);
                let answer = answer.json(&config_map(&format!("rude-{n}"))).send().await;
                done.fetch_add(usize::from(answer.code == 201), Ordering::Relaxed);
                answer.code
            })
        })
        .collect();
    // All of them have asked once this task is run again.
    tokio::task::yield_now().await;
    let mut most = 0;
    for n in 0..5 {
        let before = done.load(Ordering::Relaxed);
        let answer = ask_as(&server, Some(user("polite")), "POST", CONFIG_MAPS);
        answer.json(&config_map(&format!("polite-{n}"))).send().await.expect(201);
        most = most.max(done.load(Ordering::Relaxed) - before);
    }
    let mut codes = Vec::new();
    for task in rude {
        codes.push(task.await.unwrap());
    }
    let served = codes.iter().filter(|code| **code == 201).count();
    assert!(codes.iter().all(|code| matches!(code, 201 | 429)), "{codes:?}");
    assert!(served >= 100, "the rude one gets what is left: {served}");
    // Whoever had to wait behind the rude one would see all of his requests go by.
    assert!(most <= served / 4, "{most} of {served} requests of the rude one went by");
}

#[tokio::test]
async fn a_server_that_stops_sends_clients_to_another() {
    let running = running().await;
    let client = running.client(berth_api::kubeconfig::Credentials::Token(&running.token)).await;
    let ask = |path: &str| client.send(http::Request::get(path).body(kube::client::Body::empty()).unwrap());
    assert_eq!(ask("/version").await.unwrap().status(), 200);
    running.server.stop();
    let answer = ask(CONFIG_MAPS).await.unwrap();
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()["retry-after"], "5");
    let health = ask("/readyz").await.unwrap();
    assert_eq!(health.status(), 500, "who looks how it is is told");
    // What this process itself asks is still answered.
    get(&running.server, CONFIG_MAPS).await.expect(200);
    running.stop.cancel();
}
