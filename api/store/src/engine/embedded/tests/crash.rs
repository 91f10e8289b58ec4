//! kill -9, and two processes. The child is this test program, started again.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::*;

/// Tells the child what to do and where; without it the child's test does nothing.
const CHILD_DIR: &str = "BERTH_STORE_TEST_CHILD_DIR";
const CHILD_ROUND: &str = "BERTH_STORE_TEST_CHILD_ROUND";
const CHILD_TEST: &str = "engine::embedded::tests::crash::child_writes_until_it_is_killed";

const WRITERS: usize = 8;

/// Killed when it goes out of scope, so that a failed test leaves nothing behind.
struct Writing {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Writing {
    fn start(dir: &Path, round: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", CHILD_TEST, "--nocapture", "--test-threads", "1"])
            .env(CHILD_DIR, dir)
            .env(CHILD_ROUND, round.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next acknowledged write: key, value, revision.
    fn next_ack(&mut self) -> Option<(String, String, Revision)> {
        for line in self.lines.by_ref() {
            // The line may be cut by the kill: then the parent was not told.
            let line = line.ok()?;
            let Some(ack) = line.strip_prefix("ack ").and_then(|rest| rest.strip_suffix(" .")) else { continue };
            let parts: Vec<&str> = ack.split(' ').collect();
            return Some((parts[0].to_owned(), parts[1].to_owned(), parts[2].parse().unwrap()));
        }
        None
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        // Already gone is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn child_writes_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let round = std::env::var(CHILD_ROUND).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = open(Path::new(&dir));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (store, round) = (Arc::clone(&store), round.clone());
                tokio::spawn(async move {
                    for i in 0.. {
                        // Some keys are written over, some are new.
                        let key = format!("/{writer}/{}", i % 40);
                        let value = format!("{round}-{i}-{}", "x".repeat(600));
                        let revision = put(&store, &key, &value).await.unwrap();
                        let line = format!("ack {key} {value} {revision} .\n");
                        std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
    });
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut acknowledged: BTreeMap<String, (String, Revision)> = BTreeMap::new();
    let mut revision_max = 0;
    for round in 0..6 {
        let mut writing = Writing::start(dir.path(), round);
        for _ in 0..100 + round * 37 {
            let (key, value, revision) = writing.next_ack().expect("the child writes");
            acknowledged.insert(key, (value, revision));
            revision_max = revision_max.max(revision);
        }
        writing.child.kill().unwrap();
        while let Some((key, value, revision)) = writing.next_ack() {
            acknowledged.insert(key, (value, revision));
            revision_max = revision_max.max(revision);
        }
        drop(writing);
        let store = open(dir.path());
        runtime.block_on(async {
            assert!(store.current_revision().await.unwrap() >= revision_max);
            for (key, (value, revision)) in &acknowledged {
                let kv = store.get(key, None).await.unwrap().kv.expect("it was acknowledged");
                // The next write of the same key may have come through without its answer.
                assert!(kv.mod_revision > *revision || kv.value == *value, "{key} went back");
            }
        });
    }
    assert!(acknowledged.len() > 200, "enough was written to mean something: {}", acknowledged.len());
}

#[test]
fn a_second_process_is_told_who_has_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let mut writing = Writing::start(dir.path(), 0);
    writing.next_ack().expect("the child has the directory");
    let error = EmbeddedStore::open(EmbeddedConfig::new(dir.path())).unwrap_err();
    let pid = writing.child.id().to_string();
    assert!(matches!(&error, StoreError::Locked { holder, .. } if *holder == format!("process {pid}")), "{error}");
    drop(writing);
    open(dir.path());
}
