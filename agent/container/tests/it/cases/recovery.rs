//! Agents, helpers and shims that die.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use berth_container::{Containerizer, Error, State};

use crate::harness::{Case, Node, cases, config, eventually, is_dead, processes_with};

pub(crate) fn cases() -> Vec<Case> {
    cases![
        a_killed_agent_leaves_its_containers_running_and_the_next_one_gets_the_exit_code,
        an_exit_while_no_agent_was_there_is_found,
        a_killed_shim_means_lost_and_nothing_is_left,
        a_start_of_which_only_the_cgroup_was_made_leaves_nothing,
        a_killed_helper_is_started_again,
        a_record_of_another_boot_is_lost_and_harms_nobody,
        the_end_can_be_watched_by_descriptor,
        a_damaged_description_does_not_stop_recovery,
        purge_removes_running_containers_too,
    ]
}

/// `it-… __agent ROOT LINE`: launches "a", says its pid, and waits to be killed.
pub(crate) fn dying_agent(mut args: impl Iterator<Item = OsString>) {
    let root = std::path::PathBuf::from(args.next().unwrap());
    let line = args.next().unwrap().into_string().unwrap();
    let berth = Containerizer::new(config(&root)).unwrap();
    let sandbox = root.join("sandboxes/a");
    let spec = berth_container::ContainerSpec::new("a", vec!["/bin/sh".into(), "-c".into(), line], sandbox);
    println!("{}", berth.launch(&spec).unwrap().pid);
    std::io::stdout().flush().unwrap();
    std::thread::park();
}

/// Runs an agent that launches the line and is then killed. Returns the task's pid.
fn launched_by_a_killed_agent(node: &Node, line: &str) -> i32 {
    node.sandbox("a");
    let mut agent = Command::new(std::env::current_exe().unwrap())
        .arg("__agent")
        .arg(node.root.path())
        .arg(line)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pid = String::new();
    BufReader::new(agent.stdout.take().unwrap()).read_line(&mut pid).unwrap();
    agent.kill().unwrap();
    agent.wait().unwrap();
    pid.trim().parse().unwrap()
}

fn a_killed_agent_leaves_its_containers_running_and_the_next_one_gets_the_exit_code() {
    let mut node = Node::new();
    let pid = launched_by_a_killed_agent(&node, "while ! test -e go; do sleep 0.01; done; echo late; exit 23");
    node.restart();
    let found = node.berth().list().unwrap();
    assert_eq!((found.len(), found[0].id.as_str()), (1, "a"));
    assert!(matches!(found[0].state, State::Running(running) if running.pid == pid), "{:?}", found[0].state);
    fs::write(node.sandbox("a").join("go"), "").unwrap();
    assert_eq!(node.berth().wait("a").unwrap().code, Some(23));
    assert_eq!(fs::read_to_string(node.sandbox("a").join("stdout")).unwrap(), "late\n");
}

fn an_exit_while_no_agent_was_there_is_found() {
    let mut node = Node::new();
    drop(node.berth.take());
    let pid = launched_by_a_killed_agent(&node, "sleep 0.05; exit 24");
    eventually("it has ended", || is_dead(pid) && node.root.path().join("run/c/a/exit.json").exists());
    node.restart();
    let found = node.berth().list().unwrap();
    assert!(matches!(&found[0].state, State::Exited(record) if record.code == Some(24)), "{:?}", found[0].state);
    assert_eq!(node.groups().len(), 0);
}

fn shim_pid(node: &Node, id: &str) -> i32 {
    let text = fs::read_to_string(node.root.path().join(format!("run/c/{id}/state.json"))).unwrap();
    let state: serde_json::Value = serde_json::from_str(&text).unwrap();
    i32::try_from(state["shimPid"].as_i64().unwrap()).unwrap()
}

fn kill(pid: i32) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}

fn a_killed_shim_means_lost_and_nothing_is_left() {
    let node = Node::new();
    let mut spec = node.shell("a", "setsid sleep 8647020 & sleep 8647020");
    spec.limits.memory_limit_bytes = Some(64 << 20);
    node.berth().launch(&spec).unwrap();
    kill(shim_pid(&node, "a"));
    assert!(matches!(node.berth().wait("a"), Err(Error::Lost { .. })));
    assert_eq!(node.berth().status("a").unwrap(), Some(State::Lost));
    node.berth().destroy("a").unwrap();
    eventually("its processes are gone", || processes_with("8647020").is_empty());
    assert_eq!((node.groups().len(), node.berth().status("a").unwrap()), (0, None));
}

fn a_start_of_which_only_the_cgroup_was_made_leaves_nothing() {
    let node = Node::new();
    node.berth().launch(&node.shell("a", "exec sleep 8647023")).unwrap();
    kill(shim_pid(&node, "a"));
    // As if it had been killed a moment before it wrote down what it had made.
    fs::remove_file(node.root.path().join("run/c/a/state.json")).unwrap();
    node.berth().destroy("a").unwrap();
    eventually("its processes are gone", || processes_with("8647023").is_empty());
    assert_eq!((node.groups().len(), node.berth().status("a").unwrap()), (0, None));
}

fn a_killed_helper_is_started_again() {
    let node = Node::new();
    node.berth().launch(&node.shell("a", "exec sleep 8647021")).unwrap();
    let shim = shim_pid(&node, "a");
    let parent = fs::read_to_string(format!("/proc/{shim}/stat")).unwrap();
    let helper: i32 = parent.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap();
    kill(helper);
    eventually("the helper has ended", || is_dead(helper));
    // The first is served by what it left ready, the next by a new one.
    for id in ["b", "c", "d"] {
        assert_eq!(node.run(&node.shell(id, "exit 6")).record.code, Some(6));
    }
    node.berth().signal("a", 15).unwrap();
    assert_eq!(node.berth().wait("a").unwrap().signal, Some(15));
}

fn a_record_of_another_boot_is_lost_and_harms_nobody() {
    let node = Node::new();
    let running = node.berth().launch(&node.shell("a", "exec sleep 8647022")).unwrap();
    // As it would look after a reboot: the same numbers now belong to somebody else.
    let (from, to) = (node.root.path().join("run/c/a"), node.root.path().join("run/c/old"));
    fs::create_dir(&to).unwrap();
    let state = fs::read_to_string(from.join("state.json")).unwrap();
    let mut state: serde_json::Value = serde_json::from_str(&state).unwrap();
    state["bootId"] = "another".into();
    state["groups"] = serde_json::json!({});
    fs::write(to.join("state.json"), state.to_string()).unwrap();
    fs::copy(from.join("spec.json"), to.join("spec.json")).unwrap();
    assert_eq!(node.berth().status("old").unwrap(), Some(State::Lost));
    node.berth().destroy("old").unwrap();
    assert!(!is_dead(running.pid) && !to.exists());
}

fn the_end_can_be_watched_by_descriptor() {
    let node = Node::new();
    node.berth().launch(&node.shell("a", "while ! test -e go; do sleep 0.01; done; exit 2")).unwrap();
    let watch = node.berth().exit_watch("a").unwrap();
    let poll = |wait: i32| {
        let timeout = rustix::event::Timespec { tv_sec: wait.into(), tv_nsec: 0 };
        let mut fds = [rustix::event::PollFd::new(&watch, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, Some(&timeout)).unwrap()
    };
    assert_eq!(poll(0), 0);
    fs::write(node.sandbox("a").join("go"), "").unwrap();
    assert_eq!(poll(20), 1);
    assert!(matches!(node.berth().status("a").unwrap(), Some(State::Exited(record)) if record.code == Some(2)));
    let late = node.berth().exit_watch("a").unwrap();
    let mut fds = [rustix::event::PollFd::new(&late, rustix::event::PollFlags::IN)];
    assert_eq!(rustix::event::poll(&mut fds, None).unwrap(), 1);
}

fn a_damaged_description_does_not_stop_recovery() {
    let node = Node::new();
    node.berth().launch(&node.shell("a", "exec sleep 8647023")).unwrap();
    node.berth().launch(&node.shell("b", "exec sleep 8647023")).unwrap();
    fs::write(node.root.path().join("run/c/a/spec.json"), "{").unwrap();
    fs::create_dir(node.root.path().join("run/c/empty")).unwrap();
    let found = node.berth().list().unwrap();
    assert_eq!(found.iter().map(|f| f.id.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(processes_with("8647023").len(), 1);
}

fn purge_removes_running_containers_too() {
    let node = Node::new();
    for n in 0..5 {
        node.berth().launch(&node.shell(&format!("a{n}"), "exec sleep 8647024")).unwrap();
    }
    node.berth().purge().unwrap();
    assert_eq!((processes_with("8647024"), node.groups().len()), (vec![], 0));
    assert!(!node.root.path().join("run").exists());
}
