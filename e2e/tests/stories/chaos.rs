//! kill -9 of berth at random moments of a rolling update: afterwards the spec is met and nothing is doubled.

use std::time::Duration;

use berth_e2e::{Cluster, name_of, until, until_for};

/// A small generator, so that a seed tells the whole run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        // SplitMix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}

fn manifest(version: u64) -> String {
    format!(
        "{{apiVersion: berth.dev/v1, kind: Service, metadata: {{name: chaos}}, spec: {{replicas: 4, \
         update: {{maxSurge: 1, maxUnavailable: 1}}, template: {{spec: {{terminationGracePeriodSeconds: 1, \
         containers: [{{name: main, shell: 'exec sleep 100000', env: [{{name: RELEASE, value: \"{version}\"}}]}}]}}}}}}}}"
    )
}

fn run(seed: u64) {
    eprintln!("seed {seed}");
    let mut dice = Dice(seed);
    let mut cluster = Cluster::up();
    cluster.apply(&manifest(0));
    cluster.wait_service("chaos", 4);
    let rounds = 3;
    for round in 1..=rounds {
        cluster.apply(&manifest(round));
        // The moment of the crash is the fault that is tried, not a wait for something.
        std::thread::sleep(Duration::from_millis(dice.roll(700)));
        cluster.crash();
        if dice.roll(2) == 0 {
            // Killed again while it starts.
            cluster.spawn();
            std::thread::sleep(Duration::from_millis(dice.roll(250)));
            cluster.crash();
        }
        cluster.start();
    }
    let tasks = cluster.wait_service_for(Duration::from_secs(90), "chaos", 4);
    let mut instances: Vec<_> =
        tasks.iter().map(|t| t["metadata"]["labels"]["berth.dev/instance"].as_str().unwrap_or("").to_owned()).collect();
    instances.sort();
    instances.dedup();
    assert_eq!(instances.len(), 4, "seed {seed}: each instance is there once");
    for task in &tasks {
        let release = &task["spec"]["containers"][0]["env"][0]["value"];
        assert_eq!(release, &rounds.to_string(), "seed {seed}: {} has an old template", name_of(task));
    }
    // On the machine itself: one process for each task, and none of a task that the API does not know.
    until_for(Duration::from_secs(30), "as many processes as tasks", || {
        // The container's own init may carry the environment too: the task is the one that sleeps.
        let sleeping: Vec<u32> = cluster
            .pids("BERTH_SERVICE=chaos")
            .into_iter()
            .filter(|pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sleep"))
            .collect();
        if sleeping.len() == 4 { Ok(()) } else { Err(format!("seed {seed}: {} processes", sleeping.len())) }
    });
    until("ended tasks to be let go", || {
        let deleting: Vec<_> = cluster
            .tasks("berth.dev/service=chaos")
            .into_iter()
            .filter(|t| !t["metadata"]["deletionTimestamp"].is_null())
            .map(|t| name_of(&t).to_owned())
            .collect();
        if deleting.is_empty() { Ok(()) } else { Err(format!("{deleting:?}")) }
    });
    cluster.purge();
}

#[test]
fn a_rolling_update_survives_kills_at_random() {
    let seeds: u64 = std::env::var("BERTH_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    for seed in 1..=seeds {
        run(seed);
    }
}
