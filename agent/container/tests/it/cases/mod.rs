//! The tests, by subject.

mod exec;
mod isolation;
mod launch;
mod limits;
mod logs;
pub(crate) mod recovery;
mod rootless;

use std::time::Instant;

use crate::harness::{Case, Node};

pub(crate) fn all() -> Vec<Case> {
    [
        launch::cases(),
        isolation::cases(),
        limits::cases(),
        logs::cases(),
        exec::cases(),
        recovery::cases(),
        rootless::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Not a test: prints how long a start takes, for the person who tunes it (`it-… __bench`).
pub(crate) fn bench() {
    let node = Node::new();
    let (mut started, mut ended, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..200 {
        let mut spec = node.program(&format!("b{n}"), &["/bin/true"]);
        spec.limits.memory_limit_bytes = Some(64 << 20);
        spec.limits.cpu_milli_limit = Some(1_000);
        spec.limits.pids_limit = Some(100);
        let begin = Instant::now();
        node.berth().launch(&spec).unwrap();
        started.push(begin.elapsed());
        node.berth().wait(&spec.id).unwrap();
        ended.push(begin.elapsed());
        node.berth().destroy(&spec.id).unwrap();
        removed.push(begin.elapsed());
    }
    for (what, mut times) in [("executed", started), ("exited", ended), ("removed", removed)] {
        times.sort();
        println!("{what:10} p50 {:?} p90 {:?} min {:?}", times[100], times[180], times[0]);
    }
}
