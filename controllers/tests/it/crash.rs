//! The manager dies at any write, before or after it took effect: the next one brings everything to its end, and
//! nothing is doubled.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};

use berth_controllers::driver::Part;
use berth_controllers::service;
use berth_types::{Revision, Service};
use http::{Method, Request, Response};
use kube::Client;
use kube::api::ListParams;
use kube::client::Body;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tower::BoxError;

use crate::agent::{Agent, Fate};
use crate::cluster::{self, Cluster, Manager, is_settled};

/// Whether the write at which the manager dies still reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dies {
    Before,
    After,
}

/// A client that dies with the n-th write: everything after fails.
#[derive(Clone)]
struct Mortal {
    inner: Client,
    left: Arc<AtomicI64>,
    dead: CancellationToken,
    dies: Dies,
}

impl tower::Service<Request<Body>> for Mortal {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            if this.dead.is_cancelled() {
                return Err("dead".into());
            }
            if request.method() != Method::GET && this.left.fetch_sub(1, Ordering::SeqCst) == 1 {
                if this.dies == Dies::After {
                    this.inner.send(request).await?;
                }
                this.dead.cancel();
                return Err("died at this write".into());
            }
            Ok(this.inner.send(request).await?)
        })
    }
}

/// A life of a service: made, changed, grown. Gives whether the first manager died on the way.
async fn live(dies: Dies, write: i64) -> bool {
    let parts: fn() -> Vec<Part> = service::parts;
    let cluster = Cluster::start().await;
    let agent = Agent::start(&cluster, |_| Fate::Runs);
    let dead = CancellationToken::new();
    let mortal =
        Mortal { inner: cluster.controllers(), left: Arc::new(AtomicI64::new(write)), dead: dead.clone(), dies };
    let mut manager = Manager::start(Client::new(mortal, cluster::NAMESPACE), parts).await;
    let mut died = false;
    let change =
        json!({ "spec": { "template": { "spec": { "containers": [{ "name": "main", "shell": "sleep 2" }] } } } });
    for (step, replicas) in [(0, 2), (1, 2), (2, 3)] {
        match step {
            0 => drop(cluster.create::<Service>(cluster::service("hello", 2, "sleep 1")).await),
            1 => drop(cluster.patch::<Service>("hello", change.clone()).await),
            _ => drop(cluster.patch::<Service>("hello", json!({ "spec": { "replicas": replicas } })).await),
        }
        let settled = cluster.wait::<Service>("hello", "the end", is_settled(replicas));
        let mut settled = std::pin::pin!(settled);
        loop {
            tokio::select! {
                _ = &mut settled => break,
                () = dead.cancelled(), if !died => {
                    died = true;
                    manager.stop().await;
                    manager = Manager::start(cluster.controllers(), parts).await;
                }
            }
        }
        let mut tasks: Vec<_> = cluster.live().await;
        tasks.sort_by(|a, b| a.metadata.labels.cmp(&b.metadata.labels));
        tasks.dedup_by_key(|task| task.metadata.labels.clone().and_then(|mut all| all.remove("berth.dev/instance")));
        assert_eq!(tasks.len(), replicas as usize, "an instance is doubled or missing ({dies:?} write {write})");
        assert_eq!(cluster.live().await.len(), replicas as usize, "a task too many ({dies:?} write {write})");
    }
    let revisions = cluster.of::<Revision>().list(&ListParams::default()).await.expect("they can be listed");
    assert_eq!(revisions.items.len(), 2, "{dies:?} write {write}");
    assert!(agent.most() <= 4, "{} tasks ran at a time ({dies:?} write {write})", agent.most());
    manager.stop().await;
    died
}

async fn die_at_every_write(dies: Dies) {
    let mut write = 1;
    while Box::pin(live(dies, write)).await {
        write += 1;
    }
    assert!(write > 8, "a service's life takes more than {write} writes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_that_dies_before_any_write_leaves_work_that_the_next_one_finishes() {
    Box::pin(die_at_every_write(Dies::Before)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_that_dies_after_any_write_leaves_nothing_to_be_doubled() {
    Box::pin(die_at_every_write(Dies::After)).await;
}
