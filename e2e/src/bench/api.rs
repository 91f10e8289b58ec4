//! Requests to the API over TLS, with authentication, validation and durable writes on.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use berth_e2e::Cluster;
use bytes::Bytes;

use crate::load::{self, Connection, Target};
use crate::report::{Report, median, ms, percentile};

/// How long each round of load takes.
const ROUND: Duration = Duration::from_secs(3);
/// Rounds of each side, interleaved.
const ROUNDS: usize = 3;
/// Clients, as in the published figures of other servers.
const CLIENTS: usize = 32;

/// The admin's token, from the kubeconfig.
pub(crate) fn target(cluster: &Cluster) -> anyhow::Result<Target> {
    let config = std::fs::read_to_string(cluster.kubeconfig())?;
    let token = config.lines().find_map(|line| line.trim().strip_prefix("token: ")).context("a token")?;
    Ok(Target { address: cluster.api_address(), token: token.trim_matches('"').to_owned() })
}

/// A Revision of 1.3 KB: stored, defaulted and validated like any object, and nothing acts on it.
fn object(name: &str) -> Bytes {
    let note = "x".repeat(640);
    Bytes::from(
        serde_json::json!({
            "apiVersion": "berth.dev/v1", "kind": "Revision",
            "metadata": {"name": name, "labels": {"app": "bench", "tier": "load"}, "annotations": {"note": note}},
            "spec": {"revision": 1, "template": {"metadata": {"labels": {"app": "bench"}}, "spec": {
                "containers": [{"name": "main", "shell": "exec sleep 1000", "env": [
                    {"name": "ALPHA", "value": "one"}, {"name": "BETA", "value": "two"}, {"name": "GAMMA", "value": "three"}],
                    "ports": [{"name": "http", "containerPort": 8080}],
                    "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}}],
                "nodeSelector": {"disk": "ssd"}, "terminationGracePeriodSeconds": 30}}}
        })
        .to_string(),
    )
}

const COLLECTION: &str = "/apis/berth.dev/v1/namespaces/default/revisions";

/// A yardstick's process; killed when dropped.
pub(crate) struct Bare(Child);

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a bare server that answers with these bytes.
pub(crate) fn bare(cluster: &Cluster, body: &[u8], port: u16) -> anyhow::Result<(Bare, Target)> {
    let file = cluster.path(&format!("bare-{port}.json"));
    std::fs::write(&file, body)?;
    let address = format!("127.0.0.1:{port}");
    let pki = cluster.data_dir().join("pki");
    let child = Command::new(std::env::current_exe()?)
        .args(["--bare-server", &address])
        .arg(pki.join("apiserver.crt"))
        .arg(pki.join("apiserver.key"))
        .arg(&file)
        .stdin(Stdio::null())
        .spawn()?;
    let target = Target { address, token: "none".to_owned() };
    let bare = Bare(child);
    berth_e2e::until("the bare server", || std::net::TcpStream::connect(&target.address).map_err(|e| e.to_string()));
    Ok((bare, target))
}

/// Creates, reads and lists against a bare server with the same bytes.
pub(crate) fn run(report: &mut Report) -> anyhow::Result<()> {
    let cluster = Cluster::up();
    let target = target(&cluster)?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let mut creates = vec![];
        let mut latencies = vec![];
        for round in 0..ROUNDS {
            let outcome = load::run(&target, CLIENTS, ROUND, move |n| {
                ("POST", COLLECTION.to_owned(), object(&format!("r{round}-{n}")))
            })
            .await?;
            creates.push(outcome.per_second);
            latencies.push((outcome.p50, outcome.p99));
        }
        latencies.sort();
        let (p50, p99) = latencies[latencies.len() / 2];
        report.add(
            &format!("durable creates of a {} B object, {CLIENTS} clients, TLS", object("r0-100").len()),
            format!("{:.0}/s, p50 {}, p99 {}", median(&mut creates), ms(p50), ms(p99)),
            fsync_yardstick(&cluster)?,
            "at least 8,000/s",
        );

        let mut connection = Connection::open(&target).await?;
        let one = connection.send("GET", &format!("{COLLECTION}/r0-0"), "application/json", Bytes::new()).await?;
        let (server, bare_target) = bare(&cluster, &one, 19_801)?;
        let (mut ours, mut theirs) = (vec![], vec![]);
        for _ in 0..ROUNDS {
            theirs.push(
                load::run(&bare_target, CLIENTS, ROUND, |_| ("GET", "/".to_owned(), Bytes::new())).await?.per_second,
            );
            let get =
                load::run(&target, CLIENTS, ROUND, |n| ("GET", format!("{COLLECTION}/r0-{}", n % 1000), Bytes::new()));
            ours.push(get.await?.per_second);
        }
        drop(server);
        let (a, b) = (median(&mut ours), median(&mut theirs));
        report.add(
            &format!("GET of one object ({} B), {CLIENTS} clients, TLS", one.len()),
            format!("{a:.0}/s = {:.0} %", a / b * 100.0),
            format!("bare hyper {b:.0}/s"),
            "at least 40 %",
        );

        let page = format!("{COLLECTION}?limit=500");
        let many = connection.send("GET", &page, "application/json", Bytes::new()).await?;
        let (server, bare_target) = bare(&cluster, &many, 19_802)?;
        let (mut ours, mut theirs) = (vec![], vec![]);
        for _ in 0..ROUNDS {
            theirs.push(
                load::run(&bare_target, 4, ROUND, |_| ("GET", "/".to_owned(), Bytes::new())).await?.bytes_per_second,
            );
            let page = page.clone();
            let list = load::run(&target, 4, ROUND, move |_| ("GET", page.clone(), Bytes::new()));
            ours.push(list.await?.bytes_per_second);
        }
        drop(server);
        let (a, b) = (median(&mut ours), median(&mut theirs));
        report.add(
            "LIST, pages of 500, 4 clients, TLS",
            format!("{:.0} MB/s = {:.0} %", a / 1e6, a / b * 100.0),
            format!("bare hyper {:.0} MB/s", b / 1e6),
            "at least 60 %",
        );
        anyhow::Ok(())
    })?;
    cluster.purge();
    Ok(())
}

/// How many times a second this disk makes 1.3 KB durable, one after the other: what bounds a store without groups.
fn fsync_yardstick(cluster: &Cluster) -> anyhow::Result<String> {
    use std::io::Write as _;
    let mut file = std::fs::File::create(cluster.path("fsync"))?;
    let block = vec![7u8; 1300];
    let mut samples = vec![];
    for _ in 0..500 {
        let start = std::time::Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        samples.push(start.elapsed());
    }
    let p50 = percentile(&mut samples, 50);
    Ok(format!("write+fdatasync of 1.3 KB one by one: {:.0}/s", 1.0 / p50.as_secs_f64().max(1e-9)))
}

/// What 10,000 objects cost in memory.
pub(crate) fn memory(report: &mut Report) -> anyhow::Result<()> {
    let cluster = Cluster::up();
    let target = target(&cluster)?;
    let before = crate::cluster::resident(cluster.pid())?;
    let runtime = tokio::runtime::Runtime::new()?;
    const COUNT: u64 = 10_000;
    runtime.block_on(async {
        let mut tasks = vec![];
        for client in 0..16u64 {
            let target = target.clone();
            tasks.push(tokio::spawn(async move {
                let mut connection = Connection::open(&target).await?;
                for n in (client..COUNT).step_by(16) {
                    connection.send("POST", COLLECTION, "application/json", object(&format!("m-{n}"))).await?;
                }
                anyhow::Ok(())
            }));
        }
        for task in tasks {
            task.await??;
        }
        anyhow::Ok(())
    })?;
    let after = crate::cluster::resident(cluster.pid())?;
    report.add(
        "10,000 objects: growth of resident memory",
        format!("{:.1} MiB", (after.saturating_sub(before)) as f64 / (1 << 20) as f64),
        format!("their JSON: {:.1} MiB", (object("m-1000").len() as u64 * COUNT) as f64 / (1 << 20) as f64),
        "under 60 MiB",
    );
    cluster.purge();
    Ok(())
}
