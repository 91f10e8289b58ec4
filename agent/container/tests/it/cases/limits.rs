//! Limits and what is counted.

use crate::harness::{Case, Node, cases, eventually};

pub(crate) fn cases() -> Vec<Case> {
    cases![
        too_much_memory_is_killed_and_counted,
        too_many_processes_are_refused,
        a_processor_limit_holds_a_busy_loop_back,
        the_limits_are_in_force_before_the_first_instruction,
        use_is_told_while_it_runs,
    ]
}

const EATER: &str = "python3 -c 'x = bytearray(200 << 20)'";

fn too_much_memory_is_killed_and_counted() {
    let node = Node::new();
    let mut spec = node.shell("a", &format!("exec {EATER}"));
    spec.limits.memory_limit_bytes = Some(32 << 20);
    let record = node.run(&spec).record;
    assert_eq!((record.code, record.signal), (None, Some(9)));
    assert!(record.oom_kills >= 1 && record.memory_peak_bytes.unwrap() <= 32 << 20, "{record:?}");
    // A child of the task that is killed counts too, while the task goes on.
    let mut spec = node.shell("b", &format!("{EATER}; echo $?"));
    spec.limits.memory_limit_bytes = Some(32 << 20);
    let output = node.run(&spec);
    assert_eq!((output.stdout.as_str(), output.record.code), ("137\n", Some(0)));
    assert!(output.record.oom_kills >= 1);
}

fn too_many_processes_are_refused() {
    let node = Node::new();
    let mut spec = node.shell("a", "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 5 & done; echo all");
    spec.limits.pids_limit = Some(6);
    let output = node.run(&spec);
    assert!(!output.stdout.contains("all") && output.stderr.contains("fork"), "{} {}", output.stdout, output.stderr);
}

fn a_processor_limit_holds_a_busy_loop_back() {
    let node = Node::new();
    let mut spec = node.shell("a", "i=0; while :; do i=$((i+1)); done");
    spec.limits.cpu_milli_limit = Some(50);
    spec.limits.cpu_milli_request = Some(50);
    node.berth().launch(&spec).unwrap();
    eventually("it is held back", || node.berth().stats("a").unwrap().cpu_throttled_usec > 0);
}

fn the_limits_are_in_force_before_the_first_instruction() {
    let node = Node::new();
    let mut spec = node.shell("a", "cat /proc/self/cgroup");
    spec.limits.memory_limit_bytes = Some(32 << 20);
    spec.limits.pids_limit = Some(20);
    spec.limits.cpu_milli_limit = Some(1_000);
    let printed = node.run(&spec).stdout;
    let inside = printed.lines().filter(|l| l.ends_with(&format!("{}/a", node.cgroup_name()))).count();
    assert_eq!(inside, 4, "{printed}");
}

fn use_is_told_while_it_runs() {
    let node = Node::new();
    let mut spec = node.shell("a", "python3 -c 'x = bytearray(20 << 20); import time; time.sleep(60)' & wait");
    spec.limits.memory_limit_bytes = Some(256 << 20);
    node.berth().launch(&spec).unwrap();
    eventually("its memory is seen", || node.berth().stats("a").unwrap().memory_bytes > 20 << 20);
    let stats = node.berth().stats("a").unwrap();
    assert_eq!(stats.memory_limit_bytes, Some(256 << 20));
    // Its process 1, the shell and python.
    assert_eq!(stats.pids, 3);
    assert!(stats.cpu_usec > 0 && stats.memory_working_set_bytes > 0 && stats.oom_kills == 0);
}
