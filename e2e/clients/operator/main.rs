//! An operator as anybody writes one with kube: a kind of its own, one leader, a finalizer, status, events, children.
//!
//! `greeting-operator NAME` waits until it leads, defines the kind Greeting, and keeps a ConfigMap for each. What it does
//! it says on standard output, one line each, for the story that runs it.

// What it says is what it is for.
#![allow(clippy::print_stdout)]

mod kind;
mod leader;
mod reconcile;
mod watch;

use anyhow::Context as _;
use kube::discovery::Discovery;
use kube::{Client, Resource};
use tokio::signal::unix::{SignalKind, signal};

use crate::kind::Greeting;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let me = std::env::args().nth(1).context("usage: greeting-operator NAME")?;
    let client = Client::try_default().await.context("no cluster to talk to")?;
    let server = client.apiserver_version().await?;
    println!("{me}: the server is {}", server.git_version);

    let mut terminated = signal(SignalKind::terminate())?;
    let lease = leader::Lease::new(client.clone(), &me);
    tokio::select! {
        led = lease.acquire() => led?,
        _ = terminated.recv() => return Ok(()),
    }
    println!("{me}: leads");

    kind::define(client.clone()).await?;
    println!("{me}: the kind is established");
    let found = Discovery::new(client.clone()).filter(&[&Greeting::group(&())]).run().await?;
    let group = found.get(&Greeting::group(&())).context("the group is not in discovery")?;
    let (_, capabilities) = group.recommended_kind("Greeting").context("the kind is not in discovery")?;
    println!("{me}: status is {}", capabilities.subresources.iter().any(|(sub, _)| sub.plural == "status"));

    tokio::select! {
        lost = lease.keep() => anyhow::bail!("{me}: leads no longer: {:?}", lost.err()),
        ended = watch::names(client.clone(), &me) => ended.context("the watch of names ended")?,
        () = reconcile::run(client.clone(), &me) => anyhow::bail!("the controller ended"),
        _ = terminated.recv() => lease.release().await?,
    }
    println!("{me}: ends");
    Ok(())
}
