//! The whole product: how fast it starts, what it costs at rest, how long from apply to running.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use berth_e2e::Cluster;
use bytes::Bytes;

use crate::api::target;
use crate::load::Connection;
use crate::report::{Report, ms, percentile};

/// Resident bytes of a process.
pub(crate) fn resident(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kib * 1024)
}

/// Processor time that a process has used.
fn used(pid: u32) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit_once(')').context("stat")?.1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    // USER_HZ is 100 on every Linux that Rust runs on.
    Ok(Duration::from_millis(ticks * 10))
}

/// From exec to a ready node, then ten quiet seconds.
pub(crate) fn start_and_idle(report: &mut Report) -> anyhow::Result<()> {
    let mut starts = vec![];
    for _ in 0..5 {
        let mut cluster = Cluster::prepare();
        let begin = Instant::now();
        cluster.spawn();
        let ready = berth_e2e::until("ready", || {
            let log = cluster.log();
            if log.contains("berth apply -f") { Ok(begin.elapsed()) } else { Err(log) }
        });
        starts.push(ready);
        cluster.stop();
        cluster.purge();
    }
    report.add(
        "exec of berth up to a ready node, empty store",
        format!("p50 {}", ms(percentile(&mut starts, 50))),
        "looked at every 25 ms",
        "under 500 ms",
    );
    let cluster = Cluster::up();
    std::thread::sleep(Duration::from_secs(3));
    let (begin, cpu) = (Instant::now(), used(cluster.pid())?);
    std::thread::sleep(Duration::from_secs(20));
    let share = (used(cluster.pid())? - cpu).as_secs_f64() / begin.elapsed().as_secs_f64() * 100.0;
    report.add(
        "idle berth up",
        format!("{:.1} MiB resident, {share:.2} % CPU", resident(cluster.pid())? as f64 / (1 << 20) as f64),
        "20 s",
        "under 60 MiB, under 1 %",
    );
    cluster.purge();
    Ok(())
}

/// From the apply of a Service to three running tasks, as a client of the API sees it.
pub(crate) fn apply_to_running(report: &mut Report) -> anyhow::Result<()> {
    let cluster = Cluster::up();
    let target = target(&cluster)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let mut samples = vec![];
    runtime.block_on(async {
        let mut connection = Connection::open(&target).await?;
        for round in 0..25 {
            let name = format!("quick-{round}");
            let manifest = serde_json::json!({
                "apiVersion": "berth.dev/v1", "kind": "Service", "metadata": {"name": name},
                "spec": {"replicas": 3, "template": {"spec": {"terminationGracePeriodSeconds": 1, "containers": [{
                    "name": "main", "shell": "exec sleep 100000",
                    "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"memory": "64Mi"}}}]}}}
            });
            let services = "/apis/berth.dev/v1/namespaces/default/services";
            let path = format!("{services}/{name}?fieldManager=bench");
            let begin = Instant::now();
            connection.send("PATCH", &path, "application/apply-patch+yaml", manifest.to_string().into()).await?;
            loop {
                let tasks =
                    format!("/apis/berth.dev/v1/namespaces/default/tasks?labelSelector=berth.dev%2Fservice%3D{name}");
                let list: serde_json::Value =
                    serde_json::from_slice(&connection.send("GET", &tasks, "application/json", Bytes::new()).await?)?;
                let running = list["items"]
                    .as_array()
                    .map_or(0, |items| items.iter().filter(|task| task["status"]["phase"] == "Running").count());
                if running == 3 {
                    break;
                }
                anyhow::ensure!(begin.elapsed() < Duration::from_secs(30), "three tasks of {name} do not run: {list}");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            samples.push(begin.elapsed());
            connection.send("DELETE", &format!("{services}/{name}"), "application/json", Bytes::new()).await?;
        }
        anyhow::Ok(())
    })?;
    report.add(
        "apply to 3 running tasks, all in one",
        format!("p50 {}, p90 {}", ms(percentile(&mut samples, 50)), ms(percentile(&mut samples, 90))),
        "polled every 2 ms",
        "p50 under 150 ms",
    );
    cluster.purge();
    Ok(())
}
