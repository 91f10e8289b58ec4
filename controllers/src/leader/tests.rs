//! Managers against a small in-memory server of one Lease, in virtual time.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;
use crate::driver::SystemClock;

#[derive(Default)]
struct Server {
    lease: Mutex<Option<Value>>,
    revision: Mutex<u64>,
    is_down: AtomicBool,
}

impl Server {
    fn client(self: &Arc<Self>) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                if server.is_down.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                let (code, body) = server.answer(&parts.method, &body);
                let code = StatusCode::from_u16(code).unwrap();
                Ok::<_, Infallible>(
                    Response::builder().status(code).body(Body::from(body.to_string().into_bytes())).unwrap(),
                )
            }
        });
        Client::new(service, "default")
    }

    fn answer(&self, method: &Method, body: &[u8]) -> (u16, Value) {
        let failure = |code: u16, reason: &str| {
            (code, json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason}))
        };
        let mut lease = self.lease.lock();
        match (method, lease.as_ref()) {
            (&Method::GET, Some(lease)) => (200, lease.clone()),
            (&Method::GET, None) => failure(404, "NotFound"),
            (&Method::POST, Some(_)) => failure(409, "AlreadyExists"),
            (_, old) => {
                let mut new: Value = serde_json::from_slice(body).unwrap();
                let version = |lease: &Value| lease["metadata"]["resourceVersion"].clone();
                if old.is_some_and(|old| version(old) != version(&new)) {
                    return failure(409, "Conflict");
                }
                let mut revision = self.revision.lock();
                *revision += 1;
                new["metadata"]["resourceVersion"] = revision.to_string().into();
                *lease = Some(new.clone());
                (200, new)
            }
        }
    }

    fn holder(&self) -> String {
        self.lease.lock().as_ref().unwrap()["spec"]["holderIdentity"].as_str().unwrap().to_owned()
    }

    fn transitions(&self) -> i64 {
        self.lease.lock().as_ref().unwrap()["spec"]["leaseTransitions"].as_i64().unwrap()
    }
}

async fn lead(server: &Arc<Server>, identity: &str, shutdown: &CancellationToken) -> Leadership {
    acquire(&server.client(), identity, Arc::new(SystemClock), shutdown.clone()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_kept_and_handed_over_at_once_when_given_back() {
    let server = Arc::new(Server::default());
    let (stop_a, stop_b) = (CancellationToken::new(), CancellationToken::new());
    let first = lead(&server, "a", &stop_a).await;
    tokio::time::sleep(LEASE * 3).await;
    assert!(!first.lost.is_cancelled());

    let waiting = tokio::spawn({
        let (server, stop_b) = (server.clone(), stop_b.clone());
        async move { lead(&server, "b", &stop_b).await }
    });
    tokio::time::sleep(LEASE * 3).await;
    assert_eq!(server.holder(), "a");

    stop_a.cancel();
    let released = Instant::now();
    first.release().await;
    let second = waiting.await.unwrap();
    assert!(released.elapsed() <= RETRY * 2, "{:?}", released.elapsed());
    assert_eq!((server.holder().as_str(), server.transitions()), ("b", 1));
    assert!(!second.lost.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn the_lease_of_one_that_died_is_taken_after_its_time_and_not_before() {
    let server = Arc::new(Server::default());
    let first = lead(&server, "a", &CancellationToken::new()).await;
    first.keeper.abort();
    let died = Instant::now();
    lead(&server, "b", &CancellationToken::new()).await;
    assert!(died.elapsed() > LEASE && died.elapsed() < LEASE + RETRY * 3, "{:?}", died.elapsed());
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_back_under_its_name_takes_its_own_lease_at_once() {
    let server = Arc::new(Server::default());
    let first = lead(&server, "a", &CancellationToken::new()).await;
    first.keeper.abort();
    let died = Instant::now();
    lead(&server, "a", &CancellationToken::new()).await;
    assert_eq!((died.elapsed(), server.transitions()), (Duration::ZERO, 0));
}

#[tokio::test(start_paused = true)]
async fn work_stops_before_another_can_take_the_lease_of_one_that_is_cut_off() {
    let server = Arc::new(Server::default());
    let first = lead(&server, "a", &CancellationToken::new()).await;
    tokio::time::sleep(RENEW * 2 + RETRY).await;
    server.is_down.store(true, Ordering::SeqCst);
    let cut_off = Instant::now();
    first.lost.cancelled().await;
    assert!(cut_off.elapsed() + STOP_WITHIN < LEASE, "{:?}", cut_off.elapsed());
}

#[tokio::test(start_paused = true)]
async fn one_whose_lease_was_taken_stops() {
    let server = Arc::new(Server::default());
    let first = lead(&server, "a", &CancellationToken::new()).await;
    let mut stolen = server.lease.lock().clone().unwrap();
    stolen["spec"]["holderIdentity"] = "thief".into();
    stolen["metadata"]["resourceVersion"] = "999".into();
    *server.lease.lock() = Some(stolen);
    tokio::time::timeout(RENEW * 2, first.lost.cancelled()).await.unwrap();
    first.release().await;
    assert_eq!(server.holder(), "thief");
}
