//! Probing with a fake container and virtual time.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::*;
use crate::runtime::fake::Fake;

async fn prober(fake: &Fake) -> Prober {
    let task: Task = serde_json::from_value(serde_json::json!({
        "apiVersion": "berth.dev/v1", "kind": "Task", "metadata": {"name": "t"}, "spec": {"containers": [{"name": "c"}]}
    }))
    .unwrap();
    let container = task.spec.template.containers[0].clone();
    fake.launch(berth_container::ContainerSpec::new("id", vec!["x".into()], "/s")).await.unwrap();
    Prober { runtime: Arc::new(fake.clone()), id: "id".into(), address: String::new(), task: Arc::new(task), container }
}

fn probe(value: serde_json::Value) -> Probe {
    serde_json::from_value(value).unwrap()
}

async fn words(fake: &Fake, kind: Kind, spec: Probe, time: Duration) -> Vec<(u128, Word)> {
    let prober = prober(fake).await;
    let begin = Instant::now();
    let (words, mut queue) = mpsc::channel(64);
    let told = Mutex::new(Vec::new());
    let stop = CancellationToken::new();
    let listen = async {
        while let Some(word) = queue.recv().await {
            told.lock().push((begin.elapsed().as_millis(), word));
        }
    };
    let run = async {
        prober.run(kind, &spec, &stop, &words).await;
        drop(words);
    };
    let _ = tokio::time::timeout(time, async { tokio::join!(run, listen) }).await;
    told.into_inner()
}

#[tokio::test(start_paused = true)]
async fn a_container_is_ready_soon_after_it_can_serve() {
    let fake = Fake::default();
    fake.answer_exec("check", 1, "no");
    let ready_at = Duration::from_millis(500);
    let later = fake.clone();
    tokio::spawn(async move {
        tokio::time::sleep(ready_at).await;
        later.answer_exec("check", 0, "");
    });
    let spec = probe(serde_json::json!({"exec": {"command": ["check"]}, "periodSeconds": 10}));
    let told = words(&fake, Kind::Readiness, spec, Duration::from_secs(5)).await;
    assert!(matches!(&told[..], [(at, Word::Verdict { healthy: true, .. })] if (500..1000).contains(at)), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn liveness_fails_after_its_threshold_in_periods() {
    let fake = Fake::default();
    fake.answer_exec("check", 2, "broken");
    let spec = probe(
        serde_json::json!({"exec": {"command": ["check"]}, "periodSeconds": 2, "failureThreshold": 3, "initialDelaySeconds": 1}),
    );
    let told = words(&fake, Kind::Liveness, spec, Duration::from_secs(6)).await;
    let verdicts: Vec<_> = told.iter().filter(|(_, w)| matches!(w, Word::Verdict { .. })).collect();
    assert!(
        matches!(&verdicts[..], [(5000..5100, Word::Verdict { healthy: false, message, .. })] if message.contains("broken")),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn quick_tries_do_not_count_against_start_up() {
    let fake = Fake::default();
    fake.answer_exec("check", 1, "");
    let spec = probe(serde_json::json!({"exec": {"command": ["check"]}, "periodSeconds": 1, "failureThreshold": 3}));
    let told = words(&fake, Kind::Startup, spec, Duration::from_secs(60)).await;
    let misses = told.iter().filter(|(_, w)| matches!(w, Word::Miss { .. })).count();
    assert_eq!(misses, 3);
    assert!(
        told.last().is_some_and(|(at, w)| *at >= 3000 && matches!(w, Word::Verdict { healthy: false, .. })),
        "{told:?}"
    );
}

#[tokio::test]
async fn an_http_probe_judges_by_the_answer_and_the_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let fine = Arc::new(AtomicBool::new(true));
    let answer = fine.clone();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let status = if answer.load(Ordering::SeqCst) { "204 No Content" } else { "503 Service Unavailable" };
            let _ = stream
                .write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes())
                .await;
        }
    });
    let prober = prober(&Fake::default()).await;
    let target = Target::Http(target::HttpRequest { port, path: "/".into(), ..Default::default() });
    assert_eq!(prober.knock(&target, Duration::from_secs(5)).await, Ok(()));
    fine.store(false, Ordering::SeqCst);
    assert!(prober.knock(&target, Duration::from_secs(5)).await.unwrap_err().contains("503"));
}
