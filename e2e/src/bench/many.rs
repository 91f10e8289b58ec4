//! Ten thousand small objects: what they cost in memory and how long all of them take to list; and how fast a server
//! starts that has none.

use std::time::Instant;

use bytes::Bytes;
use serde_json::json;

use crate::alone::Alone;
use crate::cluster::resident;
use crate::load::Connection;
use crate::report::{Report, ms, percentile};

const COUNT: u64 = 10_000;
const CLIENTS: u64 = 16;
const LISTS: usize = 15;
const STARTS: usize = 7;
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// About 0.6 KB, as most small objects of a cluster.
fn object(name: &str) -> Bytes {
    json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"app": "bench", "tier": "load"}, "annotations": {"note": "x".repeat(120)}},
        "data": {"config.yaml": format!("name: {name}\n{}", "y".repeat(250)), "mode": "standard"}})
    .to_string()
    .into()
}

/// Starts, memory and lists.
pub(crate) async fn run(report: &mut Report) -> anyhow::Result<()> {
    let mut starts = vec![];
    for _ in 0..STARTS {
        starts.push(Alone::start(|_| vec![]).await?.start);
    }
    report.add(
        "exec of berth apiserver to ready, empty store",
        format!("p50 {}", ms(percentile(&mut starts, 50))),
        "looked at every 2 ms, over TLS",
        "under 300 ms",
    );
    let server = Alone::start(|_| vec![]).await?;
    let before = resident(server.pid())?;
    let mut tasks = vec![];
    for client in 0..CLIENTS {
        let target = server.admin.clone();
        tasks.push(tokio::spawn(async move {
            let mut connection = Connection::open(&target).await?;
            for n in (client..COUNT).step_by(CLIENTS as usize) {
                connection.send("POST", CONFIG_MAPS, "application/json", object(&format!("m-{n:05}"))).await?;
            }
            anyhow::Ok(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    let grown = resident(server.pid())?.saturating_sub(before);
    let mut connection = Connection::open(&server.admin).await?;
    let one = connection.send("GET", &format!("{CONFIG_MAPS}/m-00100"), "application/json", Bytes::new()).await?;
    report.add(
        &format!("resident memory of an object of {} B, of 10,000", object("m-00100").len()),
        format!("{:.1} KB", grown as f64 / COUNT as f64 / 1e3),
        format!("{} B with its field owners, as answered", one.len()),
        "at most 2.5 KB (a fifth of kube-apiserver's heap)",
    );
    let mut samples = vec![];
    let mut bytes = 0;
    for _ in 0..LISTS {
        let begin = Instant::now();
        bytes = connection.send("GET", CONFIG_MAPS, "application/json", Bytes::new()).await?.len();
        samples.push(begin.elapsed());
    }
    let (server, bare) = crate::api::bare(server.cluster(), &vec![b' '; bytes], 19_803).map(|b| (server, b))?;
    let mut bare_connection = Connection::open(&bare.1).await?;
    let mut yardstick = vec![];
    for _ in 0..LISTS {
        let begin = Instant::now();
        bare_connection.send("GET", "/", "application/json", Bytes::new()).await?;
        yardstick.push(begin.elapsed());
    }
    drop((server, bare));
    report.add(
        "LIST of 10,000 objects in one answer, 1 client, TLS",
        format!("p50 {} for {:.1} MB", ms(percentile(&mut samples, 50)), bytes as f64 / 1e6),
        format!("bare hyper p50 {}", ms(percentile(&mut yardstick, 50))),
        "at most 44 ms",
    );
    Ok(())
}
