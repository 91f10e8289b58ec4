//! No user's requests keep another's from being answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use berth_api::{ApiServer, Config, UserInfo};
use serde_json::{Value, json};

use crate::crowd::secure;
use crate::support::*;
use crate::tls::{Running, running};

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

/// Waits until the caches, by which requests are matched, have seen all that was written.
async fn settled(server: &ApiServer) {
    for path in [SCHEMAS, LEVELS] {
        get(server, path).await.expect(200);
    }
}

/// More writes than the server makes of its own accord while a test runs.
const TOMORROW: u64 = 100;

/// The path of a list that is answered once so much more has been written: until then it holds a seat.
async fn list_of_tomorrow(server: &ApiServer) -> String {
    let list = get(server, CONFIG_MAPS).await.expect(200);
    let now: u64 = list["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    format!("{CONFIG_MAPS}?resourceVersion={}&resourceVersionMatch=NotOlderThan", now + TOMORROW)
}

#[tokio::test]
async fn every_answer_tells_by_which_objects_it_was_let_in() {
    let server = server_of(600).await;
    let default = (
        uid(&server, &format!("{SCHEMAS}/global-default")).await,
        uid(&server, &format!("{LEVELS}/global-default")).await,
    );
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
    settled(&server).await;
    assert_eq!(header(&ask_ann().await, SCHEMA_UID), created["metadata"]["uid"].as_str().unwrap());
    delete(&server, &format!("{SCHEMAS}/for-ann")).await.expect(200);
    settled(&server).await;
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
    settled(&server).await;
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
    for n in 0..TOMORROW {
        post(&server, CONFIG_MAPS, &config_map(&format!("day-{n}"))).await.expect(201);
    }
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
    settled(&server).await;
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
    let enough = tokio_util::sync::CancellationToken::new();
    let rude: Vec<_> = (0..RUDE)
        .map(|n| {
            let (server, done, enough) = (server.clone(), Arc::clone(&done), enough.clone());
            // Who is sent away comes again at once: rude.
            tokio::spawn(enough.run_until_cancelled_owned(async move {
                for again in 0.. {
                    let asked = ask_as(&server, Some(user("rude")), "POST", CONFIG_MAPS);
                    let answer = asked.json(&config_map(&format!("rude-{n}-{again}"))).send().await;
                    assert!(matches!(answer.code, 201 | 429), "{}", answer.text());
                    done.fetch_add(usize::from(answer.code == 201), Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
            }))
        })
        .collect();
    let level = |name: &str, metrics: &str| -> usize {
        let start = format!("apiserver_flowcontrol_{name}{{priority_level=\"global-default\"");
        let lines = metrics.lines().filter_map(|line| line.strip_prefix(&start));
        lines.filter_map(|line| line.rsplit_once(' ')).filter_map(|(_, value)| value.parse::<usize>().ok()).sum()
    };
    // Six queues of fifty are full: the rude one has all that one user can have.
    while level("current_inqueue_requests", &get(&server, "/metrics").await.text()) < 290 {
        tokio::task::yield_now().await;
    }
    let mut went_by = Vec::new();
    for n in 0..11 {
        let before = done.load(Ordering::Relaxed);
        let answer = ask_as(&server, Some(user("polite")), "POST", CONFIG_MAPS);
        answer.json(&config_map(&format!("polite-{n}"))).send().await.expect(201);
        went_by.push(done.load(Ordering::Relaxed) - before);
    }
    enough.cancel();
    for task in rude {
        task.await.unwrap();
    }
    went_by.sort_unstable();
    // In one queue for all, the 300 that wait would go by each time.
    assert!(went_by[5] <= 100, "so many requests of the rude one went by: {went_by:?}");
    assert!(done.load(Ordering::Relaxed) > 0, "and yet it gets something");
    let metrics = get(&server, "/metrics").await.text();
    assert!(level("rejected_requests_total", &metrics) > 0);
    assert_eq!(level("current_inqueue_requests", &metrics), 0, "who went away left the queue");
    assert_eq!(level("current_executing_seats", &metrics), 0);
}

#[tokio::test]
async fn a_server_that_stops_sends_clients_to_another() {
    let running = running().await;
    running.server.stop();
    let answer = said(&running, CONFIG_MAPS).await;
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert!(answer.contains("\r\nretry-after: 5\r\n") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
    let health = said(&running, "/readyz").await;
    assert!(health.starts_with("HTTP/1.1 500 "), "who looks how it is is told: {health}");
    // What this process itself asks is still answered.
    get(&running.server, CONFIG_MAPS).await.expect(200);
    running.stop.cancel();
}

/// What the server says to an administrator before it closes the connection.
async fn said(running: &Running, path: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = secure(running.address, running).await;
    let token = &running.token;
    let asked = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
    stream.write_all(asked.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer
}
