//! Measures the embedded store and its watch cache: `cargo run --release -p berth-store
//! --example store_bench [DIR]`. Prints one line a figure; nothing is judged here.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use berth_store::cache::{Cache, CacheConfig, Filter};
use berth_store::{EmbeddedConfig, EmbeddedStore, Store, Txn};
use tokio::task::JoinSet;

const PREFIX: &str = "/registry/berth.dev/tasks/";
const OBJECTS: usize = 10_000;

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome {
    let temporary = std::env::temp_dir().join(format!("berth-store-bench-{}", std::process::id()));
    let dir = std::env::args().nth(1).map_or_else(|| temporary.clone(), Into::into);
    let result = run(&dir).await;
    std::fs::remove_dir_all(&dir)?;
    result
}

async fn run(dir: &Path) -> Outcome {
    let data = dir.join("data");
    let rss_before = rss_kib();
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(EmbeddedConfig::new(&data))?);
    let config = CacheConfig { indexed_fields: vec!["spec.nodeName".to_owned()], ..CacheConfig::default() };
    let cache = Cache::start(Arc::clone(&store), PREFIX, config).await?;
    for name in 0..OBJECTS {
        if name % 64 == 0 {
            let many = (name..(name + 64).min(OBJECTS)).map(|name| (key(name), object(name)));
            let txn = many.fold(Txn::new(), |txn, (key, value)| txn.then(berth_store::Op::put(key, value)));
            store.txn(txn).await?;
        }
    }
    cache.wait_until(store.current_revision().await?, Duration::from_secs(10)).await?;
    let grown = rss_kib().saturating_sub(rss_before);
    report("memory of 10,000 objects of 1.3 KB, store and cache", format!("{} KiB", grown));

    let copy = dir.join("copy");
    std::fs::create_dir_all(&copy)?;
    for file in ["FORMAT", "state.redb"] {
        std::fs::copy(data.join(file), copy.join(file))?;
    }
    let begin = Instant::now();
    drop(EmbeddedStore::open(EmbeddedConfig::new(&copy))?);
    report("open after a crash with 10,000 objects", format!("{:?}", begin.elapsed()));

    for clients in [1, 8, 32, 64, 256] {
        let (rate, p50, p99) = puts(&store, clients).await?;
        report(&format!("durable puts, {clients} clients"), format!("{rate:.0}/s p50 {p50:?} p99 {p99:?}"));
    }
    let rate = fan_out(&store, &cache, 100).await?;
    report("events to 100 watchers, 64 writers", format!("{rate:.0}/s"));
    report("memory at the end", format!("{} KiB", rss_kib()));
    Ok(())
}

async fn puts(
    store: &Arc<dyn Store>,
    clients: usize,
) -> Result<(f64, Duration, Duration), Box<dyn std::error::Error + Send + Sync>> {
    let time = Duration::from_secs(2);
    let begin = Instant::now();
    let mut running = JoinSet::new();
    for client in 0..clients {
        let store = Arc::clone(store);
        running.spawn(async move {
            let mut took = Vec::new();
            let mut i = 0;
            while begin.elapsed() < time {
                let name = (client * 7_919 + i * 31) % OBJECTS;
                let one = Instant::now();
                store.txn(Txn::put(key(name), object(name))).await?;
                took.push(one.elapsed());
                i += 1;
            }
            Ok::<_, berth_store::StoreError>(took)
        });
    }
    let mut took = Vec::new();
    while let Some(client) = running.join_next().await {
        took.extend(client??);
    }
    let rate = took.len() as f64 / begin.elapsed().as_secs_f64();
    took.sort_unstable();
    Ok((rate, took[took.len() / 2], took[took.len() * 99 / 100]))
}

async fn fan_out(
    store: &Arc<dyn Store>,
    cache: &Arc<Cache>,
    watchers: usize,
) -> Result<f64, Box<dyn std::error::Error + Send + Sync>> {
    let seen = Arc::new(AtomicU64::new(0));
    let mut watching = JoinSet::new();
    for _ in 0..watchers {
        let (mut watcher, seen) = (cache.watch(0, Filter::default())?, Arc::clone(&seen));
        watching.spawn(async move {
            while let Ok(batch) = watcher.next_batch().await {
                let bytes: usize = batch.iter().map(|item| item.line().len()).sum();
                std::hint::black_box(bytes);
                seen.fetch_add(batch.len() as u64, Ordering::Relaxed);
            }
        });
    }
    let begin = Instant::now();
    puts(store, 64).await?;
    let rate = seen.load(Ordering::Relaxed) as f64 / begin.elapsed().as_secs_f64();
    watching.shutdown().await;
    Ok(rate)
}

fn key(name: usize) -> String {
    format!("{PREFIX}default/task-{name:05}")
}

fn object(name: usize) -> String {
    let head = format!(
        r#"{{"apiVersion":"berth.dev/v1","kind":"Task","metadata":{{"name":"task-{name:05}","namespace":"default","labels":{{"app":"bench","tier":"web"}}}},"spec":{{"nodeName":"node-{}","args":""#,
        name % 100
    );
    let fill = "x".repeat(1_300_usize.saturating_sub(head.len() + 3));
    format!("{head}{fill}\"}}}}")
}

#[expect(clippy::print_stdout, reason = "this program is for reading")]
fn report(what: &str, figure: String) {
    println!("{what:<55} {figure}");
}

fn rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
