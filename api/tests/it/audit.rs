//! Who did what: events in the log and at the webhook.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use berth_api::{ApiServer, AuditConfig, AuditLog, AuditWebhook, Config, UserInfo};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::support::*;

/// A server that records, and the folder of its record.
pub(crate) struct Recorded {
    pub(crate) server: ApiServer,
    pub(crate) folder: tempfile::TempDir,
}

impl Recorded {
    pub(crate) async fn open(policy: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let policy_file = policy.map(|text| {
            let path = folder.path().join("policy.yaml");
            std::fs::write(&path, format!("apiVersion: audit.k8s.io/v1\nkind: Policy\n{text}")).unwrap();
            path
        });
        let audit = AuditConfig { policy_file, log: Some(AuditLog::new(log_path(folder.path()))), webhook: None };
        let server = ApiServer::open(Config { audit: Some(audit), ..Config::default() }).await.unwrap();
        Self { server, folder }
    }

    /// All events so far that are not the server's own. The server stops.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.server.stop();
        let text = std::fs::read_to_string(log_path(self.folder.path())).unwrap();
        let events = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
        events.filter(|event| event["user"]["username"] != "system:apiserver").collect()
    }
}

fn log_path(folder: &Path) -> PathBuf {
    folder.join("audit.log")
}

/// `stage verb resource name code` of an event.
fn brief(event: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let object = &event["objectRef"];
    let what = if object.is_null() { text(&event["requestURI"]) } else { text(&object["resource"]) };
    let code = &event["responseStatus"]["code"];
    format!("{} {} {what} {} {code}", text(&event["stage"]), text(&event["verb"]), text(&object["name"]))
}

#[tokio::test]
async fn every_request_leaves_a_line_with_who_what_and_the_result() {
    let recorded = Recorded::open(None).await;
    let server = &recorded.server;
    let created = ask(server, "POST", CONFIG_MAPS)
        .header("audit-id", "my-own-id")
        .header("user-agent", "kubectl/v1.35")
        .header("x-forwarded-for", "203.0.113.7, 10.0.0.1")
        .json(&config_map("a"))
        .send()
        .await;
    assert_eq!((created.code, created.headers["audit-id"].to_str().unwrap()), (201, "my-own-id"));
    let found = get(server, &format!("{CONFIG_MAPS}/a")).await;
    get(server, &format!("{CONFIG_MAPS}/missing")).await.expect(404);
    let stranger = Some(UserInfo::new("eve", &["out"]));
    ask_as(server, stranger, "DELETE", &format!("{CONFIG_MAPS}/a")).send().await.expect(403);
    get(server, CONFIG_MAPS).await.expect(200);
    for path in ["/apis", "/readyz", "/api/v1", "/openapi/v3", "/metrics"] {
        assert_eq!(get(server, path).await.code, 200);
    }
    let events = recorded.events();
    let briefs: Vec<String> = events.iter().map(brief).collect();
    assert_eq!(
        briefs,
        [
            "ResponseComplete create configmaps a 201",
            "ResponseComplete get configmaps a 200",
            "ResponseComplete get configmaps missing 404",
            "ResponseComplete delete configmaps a 403",
            "ResponseComplete list configmaps - 200",
        ]
    );
    let first = &events[0];
    assert_eq!(first["kind"], "Event");
    assert_eq!(first["apiVersion"], "audit.k8s.io/v1");
    assert_eq!(first["level"], "Metadata");
    assert_eq!(first["auditID"], "my-own-id");
    assert_eq!(first["user"]["username"], "admin");
    assert_eq!(first["user"]["groups"][0], "system:masters");
    assert_eq!(first["userAgent"], "kubectl/v1.35");
    assert_eq!(first["sourceIPs"], json!(["203.0.113.7", "10.0.0.1"]));
    assert_eq!(first["requestURI"], CONFIG_MAPS);
    assert_eq!(
        first["objectRef"],
        json!({"resource": "configmaps", "namespace": "default", "name": "a", "apiVersion": "v1"})
    );
    assert_eq!(first["responseStatus"], json!({"metadata": {}, "code": 201}));
    assert_eq!(first["annotations"]["authorization.k8s.io/decision"], "allow");
    assert!(first["stageTimestamp"].as_str().unwrap() >= first["requestReceivedTimestamp"].as_str().unwrap());
    assert_eq!(first["stageTimestamp"].as_str().unwrap().len(), "2026-11-22T18:13:50.448906Z".len());
    assert!(first.get("requestObject").is_none() && first.get("responseObject").is_none());
    assert_eq!(events[1]["auditID"], found.headers["audit-id"].to_str().unwrap());
    assert_eq!(events[2]["responseStatus"]["reason"], "NotFound");
    let refused = &events[3];
    assert_eq!(refused["annotations"]["authorization.k8s.io/decision"], "forbid");
    assert_eq!(refused["responseStatus"]["reason"], "Forbidden");
    assert_eq!(refused["user"]["username"], "eve");
}

#[tokio::test]
async fn the_policy_says_how_much_is_recorded() {
    let policy = r#"
omitStages: [RequestReceived]
rules:
- {level: None, users: [admin], verbs: [list]}
- {level: RequestResponse, resources: [{group: "", resources: [configmaps]}], omitManagedFields: true}
- {level: Request, resources: [{group: berth.dev}]}
- {level: Metadata, nonResourceURLs: ["/version"]}
"#;
    let recorded = Recorded::open(Some(policy)).await;
    let server = &recorded.server;
    let pretty = serde_json::to_string_pretty(&config_map("a")).unwrap();
    ask(server, "POST", CONFIG_MAPS).header("content-type", "application/json").body(pretty).send().await.expect(201);
    patch(server, "merge", &format!("{CONFIG_MAPS}/a"), &json!({"data": {"b": "2"}})).await.expect(200);
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: written}\ndata: {x: \"1\"}\n";
    ask(server, "POST", CONFIG_MAPS).header("content-type", "application/yaml").body(yaml).send().await.expect(201);
    get(server, CONFIG_MAPS).await.expect(200);
    post(server, SERVICES, &service("s")).await.expect(201);
    get(server, "/version").await.expect(200);
    get(server, "/apis").await.expect(200);
    let events = recorded.events();
    let briefs: Vec<String> = events.iter().map(brief).collect();
    assert_eq!(
        briefs,
        [
            "ResponseComplete create configmaps a 201",
            "ResponseComplete patch configmaps a 200",
            "ResponseComplete create configmaps written 201",
            "ResponseComplete create services s 201",
            "ResponseComplete get /version - 200",
        ]
    );
    assert_eq!(events[0]["requestObject"], config_map("a"));
    assert_eq!(events[0]["responseObject"]["data"]["a"], "1");
    assert!(events[0]["responseObject"]["metadata"].get("managedFields").is_none());
    assert_eq!(events[1]["requestObject"], json!({"data": {"b": "2"}}));
    assert_eq!(events[1]["responseObject"]["data"], json!({"a": "1", "b": "2"}));
    assert_eq!(events[2]["requestObject"]["data"]["x"], "1");
    assert_eq!(events[3]["requestObject"]["spec"], service("s")["spec"]);
    assert!(events[3].get("responseObject").is_none());
}

#[tokio::test]
async fn a_watch_is_recorded_when_it_begins_and_when_it_ends() {
    let recorded = Recorded::open(Some("rules: [{level: Metadata}]")).await;
    let response = ask(&recorded.server, "GET", &format!("{CONFIG_MAPS}?watch=1")).response().await;
    drop(response);
    let events = recorded.events();
    let briefs: Vec<String> = events.iter().map(brief).collect();
    assert_eq!(
        briefs,
        [
            "RequestReceived watch configmaps - null",
            "ResponseStarted watch configmaps - 200",
            "ResponseComplete watch configmaps - 200",
        ]
    );
    assert!(events.iter().all(|event| event["auditID"] == events[0]["auditID"]));
}

#[tokio::test]
async fn a_secret_is_in_no_event_of_the_default_policy() {
    let recorded = Recorded::open(None).await;
    let server = &recorded.server;
    let secrets = "/api/v1/namespaces/default/secrets";
    let secret = |data: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": data});
    post(server, secrets, &secret(json!({"k": "aHVudGVyMg=="}))).await.expect(201);
    assert!(post(server, secrets, &secret(json!({"k": {"hunter2": 1}}))).await.code >= 400);
    patch(server, "merge", &format!("{secrets}/s"), &json!({"stringData": {"k": "hunter2"}})).await.expect(200);
    recorded.events();
    let text = std::fs::read_to_string(log_path(recorded.folder.path())).unwrap();
    assert!(!text.contains("hunter2") && !text.contains("aHVudGVyMg=="));
}

#[tokio::test]
async fn a_bad_policy_or_path_keeps_a_server_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.yaml");
    std::fs::write(&policy, "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Everything}]").unwrap();
    let log = Some(AuditLog::new(folder.path().join("audit.log")));
    let open = |audit| ApiServer::open(Config { audit: Some(audit), ..Config::default() });
    let error = open(AuditConfig { policy_file: Some(policy), log, webhook: None }).await.unwrap_err().to_string();
    assert!(error.contains("policy.yaml") && error.contains("rules[0].level: Unsupported value"), "{error}");
    let log = Some(AuditLog::new("/proc/no-such-folder/audit.log"));
    let error = open(AuditConfig { log, ..AuditConfig::default() }).await.unwrap_err().to_string();
    assert!(error.contains("could not open the log /proc/no-such-folder/audit.log"), "{error}");
}

/// A server that takes events, and refuses the first request.
async fn receiver() -> (std::net::SocketAddr, Arc<Mutex<Vec<Value>>>, Arc<tokio::sync::Notify>) {
    use http_body_util::BodyExt as _;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (lists, came) = (Arc::new(Mutex::new(Vec::new())), Arc::new(tokio::sync::Notify::new()));
    let (kept, told) = (Arc::clone(&lists), Arc::clone(&came));
    let refused = Arc::new(std::sync::atomic::AtomicBool::new(false));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (kept, told, refused) = (Arc::clone(&kept), Arc::clone(&told), Arc::clone(&refused));
            let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let (kept, told, refused) = (Arc::clone(&kept), Arc::clone(&told), Arc::clone(&refused));
                async move {
                    let mut response = http::Response::new(http_body_util::Empty::<bytes::Bytes>::new());
                    if !refused.swap(true, std::sync::atomic::Ordering::Relaxed) {
                        *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
                        return Ok::<_, std::convert::Infallible>(response);
                    }
                    assert_eq!(request.uri().path(), "/events");
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    kept.lock().push(serde_json::from_slice(&body).unwrap());
                    told.notify_one();
                    Ok(response)
                }
            });
            let io = hyper_util::rt::TokioIo::new(stream);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
        }
    });
    (address, lists, came)
}

#[tokio::test]
async fn a_webhook_gets_lists_of_events_even_if_it_refuses_at_first() {
    let (address, lists, came) = receiver().await;
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("webhook.kubeconfig");
    let text = format!(
        "apiVersion: v1\nkind: Config\nclusters: [{{name: a, cluster: {{server: \"http://{address}/events\"}}}}]\n\
         contexts: [{{name: a, context: {{cluster: a, user: a}}}}]\nusers: [{{name: a, user: {{}}}}]\ncurrent-context: a\n"
    );
    std::fs::write(&kubeconfig, text).unwrap();
    let webhook = AuditWebhook {
        batch_wait_max: Duration::from_millis(20),
        backoff: Duration::from_millis(5),
        ..AuditWebhook::new(kubeconfig)
    };
    let audit = AuditConfig { webhook: Some(webhook), ..AuditConfig::default() };
    let server = ApiServer::open(Config { audit: Some(audit), ..Config::default() }).await.unwrap();
    post(&server, CONFIG_MAPS, &config_map("told")).await.expect(201);
    let is_told = || {
        let lists = lists.lock();
        let events = lists.iter().flat_map(|list| list["items"].as_array().unwrap().iter());
        let briefs: Vec<String> = events.map(brief).collect();
        assert!(lists.iter().all(|list| list["kind"] == "EventList" && list["apiVersion"] == "audit.k8s.io/v1"));
        briefs.iter().any(|brief| brief == "ResponseComplete create configmaps told 201")
    };
    let told = async {
        while !is_told() {
            came.notified().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), told).await.expect("the event arrives");
}

/// Prints what audit costs a create: `cargo test -p berth-api --release --test it -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "a measurement, not a check"]
async fn what_audit_costs_a_create() {
    const ROUNDS: usize = 8;
    const CREATES: usize = 2_000;
    let recorded = Recorded::open(None).await;
    let plain = server().await;
    let mut best = [Duration::MAX; 2];
    for round in 0..ROUNDS {
        for (index, server) in [&plain, &recorded.server].into_iter().enumerate() {
            let started = std::time::Instant::now();
            for n in 0..CREATES {
                post(server, CONFIG_MAPS, &config_map(&format!("c-{round}-{n}"))).await.expect(201);
            }
            best[index] = best[index].min(started.elapsed() / u32::try_from(CREATES).unwrap());
        }
    }
    let lost = 1.0 - best[0].as_secs_f64() / best[1].as_secs_f64();
    eprintln!("without {:?}, with {:?}: {:.1} % lost", best[0], best[1], lost * 100.0);
}
