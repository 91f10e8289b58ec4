//! Secrets that are planted where secrets go, and looked for where they must not be.

use std::io::Write;
use std::sync::Arc;

use berth_api::UserInfo;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::audit::Recorded;
use crate::support::*;

const SECRETS: &str = "/api/v1/namespaces/default/secrets";

/// Everything that is logged, at every level.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What was planted: each value, plain and as a Secret's data has it.
#[derive(Default)]
struct Planted(Vec<String>);

impl Planted {
    /// A value that occurs nowhere else.
    fn plant(&mut self) -> String {
        use base64::Engine as _;
        let value = format!("PLANTED-{}-{}", self.0.len(), uuid::Uuid::new_v4().simple());
        self.0.push(base64::engine::general_purpose::STANDARD.encode(&value).trim_end_matches('=').to_owned());
        self.0.push(value.clone());
        value
    }

    #[track_caller]
    fn is_not_in(&self, place: &str, text: &str) {
        for value in &self.0 {
            assert!(!text.contains(value), "{value} is in {place}: {text}");
        }
    }
}

#[tokio::test]
async fn what_is_planted_in_objects_tokens_and_patches_is_found_nowhere_else() {
    let logged = Logged::default();
    let writer = logged.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    let _guard = tracing::subscriber::set_default(subscriber.with_writer(move || writer.clone()).finish());
    tracing::info!("the capture works");
    let recorded = Recorded::open(None).await;
    let server = &recorded.server;
    let mut planted = Planted::default();
    let mut errors = Vec::new();

    // In objects: good ones, and ones that are refused for every reason.
    let secret = |name: &str, more: Value| {
        let mut object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}});
        object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        object
    };
    post(server, SECRETS, &secret("good", json!({"stringData": {"k": planted.plant()}}))).await.expect(201);
    for (n, more) in [
        json!({"stringData": {"k": [planted.plant()]}}),
        json!({"data": {"k": planted.plant()}}),
        json!({"data": planted.plant()}),
        json!({"data": {"k": {"deep": planted.plant()}}}),
        json!({"immutable": planted.plant()}),
        json!({"stringData": {"bad key": planted.plant()}}),
        json!({"unknown": planted.plant()}),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("{SECRETS}?fieldValidation=Strict");
        errors.push(post(server, &path, &secret(&format!("bad-{n}"), more)).await);
    }
    let twice = format!(
        "{{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"data\":{{\"a\":\"{0}\",\"a\":\"{0}\"}}",
        planted.plant()
    );
    errors.push(ask(server, "POST", SECRETS).header("content-type", "application/json").body(twice).send().await);
    let yaml = format!("kind: Secret\ndata:\n\t{}: x\n", planted.plant());
    errors.push(ask(server, "POST", SECRETS).header("content-type", "application/yaml").body(yaml).send().await);

    // In patches.
    let good = format!("{SECRETS}/good");
    patch(server, "merge", &good, &json!({"stringData": {"k": planted.plant()}})).await.expect(200);
    for (kind, body) in [
        ("merge", json!({"data": {"k": [planted.plant()]}})),
        ("strategic", json!({"data": planted.plant()})),
        ("json", json!([{"op": "test", "path": "/data/k", "value": planted.plant()}])),
        ("json", json!([{"op": "replace", "path": "/data/none", "value": planted.plant()}])),
        ("json", json!([{"op": "invent", "path": "/data/k", "value": planted.plant()}])),
    ] {
        errors.push(patch(server, kind, &good, &body).await);
    }
    let apply = format!("{good}?fieldManager=m");
    errors.push(patch(server, "apply", &apply, &secret("good", json!({"data": {"k": planted.plant()}}))).await);

    // In credentials.
    let token = planted.plant();
    errors.push(ask_as(server, None, "GET", SECRETS).header("authorization", &format!("Bearer {token}")).send().await);
    let basic = planted.plant();
    errors.push(ask_as(server, None, "GET", SECRETS).header("authorization", &format!("Basic {basic}")).send().await);
    let cookie = planted.plant();
    ask(server, "GET", SECRETS).header("cookie", &format!("session={cookie}")).send().await.expect(200);
    let review =
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": planted.plant()}});
    // The answer to the review has its spec, for whoever asked; nobody else may see it.
    post(server, "/apis/authentication.k8s.io/v1/tokenreviews", &review).await;

    // Refused before the body counts.
    let stranger = Some(UserInfo::new("eve", &[]));
    let body = secret("eve", json!({"stringData": {"k": planted.plant()}}));
    errors.push(ask_as(server, stranger, "POST", SECRETS).json(&body).send().await);

    for answer in &errors {
        planted.is_not_in("an answer's headers", &format!("{:?}", answer.headers));
        if answer.code >= 400 {
            planted.is_not_in("an error", &answer.text());
        }
    }
    assert!(errors.iter().filter(|answer| answer.code >= 400).count() >= errors.len() - 1);
    for path in ["/api/v1/events", "/apis/events.k8s.io/v1/events", "/api/v1/configmaps", "/metrics", "/openapi/v2"] {
        planted.is_not_in(path, &get(server, path).await.text());
    }
    recorded.events();
    let audit = std::fs::read_to_string(recorded.folder.path().join("audit.log")).unwrap();
    assert!(audit.lines().count() >= errors.len(), "the requests are recorded");
    planted.is_not_in("the audit log", &audit);
    let log = String::from_utf8_lossy(&logged.0.lock()).into_owned();
    assert!(log.contains("the capture works"));
    planted.is_not_in("the log", &log);
}
