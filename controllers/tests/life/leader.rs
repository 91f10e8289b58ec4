//! One manager acts, and the next takes over at once when it is asked to go.

use std::time::{Duration, Instant};

use berth_api::{ApiServer, Config, UserInfo};
use berth_controllers::{Handle, Options, placement};
use tokio_util::sync::CancellationToken;

async fn manager(server: &ApiServer, identity: &str) -> (Handle, CancellationToken) {
    let stop = CancellationToken::new();
    let options = Options { leader_election: true, parts: placement::parts, ..Options::new(identity, stop.clone()) };
    let client = server.client(UserInfo::new(identity, &["system:masters"]));
    (berth_controllers::run(client, options).await.unwrap(), stop)
}

#[tokio::test]
async fn one_of_two_managers_acts_and_the_other_takes_over_at_once_when_it_stops() {
    let server = ApiServer::open(Config::default()).await.unwrap();
    let (first, stop_first) = manager(&server, "a").await;
    first.wait_leading().await;
    let (second, stop_second) = manager(&server, "b").await;
    second.wait_ready().await;
    assert!(first.leading() && !second.leading());
    let stopped = Instant::now();
    stop_first.cancel();
    first.stopped().await;
    second.wait_leading().await;
    assert!(stopped.elapsed() < Duration::from_secs(4), "{:?}: not given back", stopped.elapsed());
    stop_second.cancel();
    second.stopped().await;
    server.stop();
}
