//! Further processes in a running container.

use std::fs::File;
use std::io::{Read, Write};

use berth_container::{ExecSpec, LaunchError, User};

use crate::harness::{Case, Node, cases, eventually, is_dead, processes_with};

pub(crate) fn cases() -> Vec<Case> {
    cases![
        it_runs_inside_and_tells_its_exit_code,
        standard_input_is_piped,
        a_terminal_works_and_has_a_size,
        its_rights_are_the_containers,
        it_ends_when_dropped_and_with_its_container,
        a_stopped_container_and_a_missing_command_are_told_apart,
    ]
}

fn exec(argv: &[&str]) -> ExecSpec {
    ExecSpec { argv: argv.iter().map(|a| (*a).to_owned()).collect(), ..ExecSpec::default() }
}

fn text(fd: Option<std::os::fd::OwnedFd>) -> String {
    let mut text = Vec::new();
    // The other side of a terminal hangs up with an error, after the last byte.
    let _ = File::from(fd.unwrap()).read_to_end(&mut text);
    String::from_utf8(text).unwrap()
}

fn sleeper(node: &Node) {
    let mut spec = node.shell("a", "exec sleep 8647010");
    spec.env = vec![("FROM".into(), "container".into()), ("BOTH".into(), "old".into())];
    spec.limits.memory_limit_bytes = Some(64 << 20);
    node.berth().launch(&spec).unwrap();
}

fn it_runs_inside_and_tells_its_exit_code() {
    let node = Node::new();
    sleeper(&node);
    let mut spec = exec(&["sh", "-c", "echo $FROM $BOTH; ps -e -o comm= | xargs; pwd; echo oops >&2; exit 9"]);
    spec.env = vec![("BOTH".into(), "new".into())];
    let mut process = node.berth().exec("a", &spec).unwrap();
    let printed = text(process.stdout.take());
    assert_eq!(printed, format!("container new\nberth-init sleep sh ps xargs\n{}\n", node.sandbox("a").display()));
    assert_eq!(text(process.stderr.take()), "oops\n");
    assert_eq!((process.wait().unwrap().code, process.wait().unwrap().code), (Some(9), Some(9)));
}

fn standard_input_is_piped() {
    let node = Node::new();
    sleeper(&node);
    let mut process = node.berth().exec("a", &ExecSpec { stdin: true, ..exec(&["wc", "-c"]) }).unwrap();
    File::from(process.stdin.take().unwrap()).write_all(&[b'x'; 5_000]).unwrap();
    assert_eq!(text(process.stdout.take()).trim(), "5000");
}

fn a_terminal_works_and_has_a_size() {
    let node = Node::new();
    sleeper(&node);
    let spec = ExecSpec { tty: true, ..exec(&["sh", "-c", "read line; tty; stty size; echo got $line; exit 4"]) };
    let mut process = node.berth().exec("a", &spec).unwrap();
    process.resize(132, 43).unwrap();
    let terminal = process.tty.take().unwrap();
    File::from(terminal.try_clone().unwrap()).write_all(b"hello\n").unwrap();
    assert_eq!(text(Some(terminal)), "hello\r\n/dev/pts/0\r\n43 132\r\ngot hello\r\n");
    assert_eq!(process.wait().unwrap().code, Some(4));
}

fn its_rights_are_the_containers() {
    let node = Node::new();
    sleeper(&node);
    let line = "grep -h -e NoNew -e Seccomp: -e CapEff /proc/self/status | cut -f2 | xargs; id -u; grep memory /proc/self/cgroup";
    let mut process = node.berth().exec("a", &exec(&["sh", "-c", line])).unwrap();
    let printed = text(process.stdout.take());
    assert!(printed.starts_with("00000000a00425fb 1 2\n0\n"), "{printed}");
    assert!(printed.trim_end().ends_with(&format!("{}/a", node.cgroup_name())), "{printed}");
    let user = Some(User { uid: 65534, gid: 65534, groups: vec![] });
    let mut process = node.berth().exec("a", &ExecSpec { user, ..exec(&["sh", "-c", line]) }).unwrap();
    assert!(text(process.stdout.take()).starts_with("0000000000000000 1 2\n65534\n"));
}

fn it_ends_when_dropped_and_with_its_container() {
    let node = Node::new();
    sleeper(&node);
    let dropped = node.berth().exec("a", &exec(&["sleep", "8647011"])).unwrap();
    let pid = dropped.pid;
    drop(dropped);
    eventually("the dropped one has ended", || is_dead(pid));
    let process = node.berth().exec("a", &exec(&["sleep", "8647012"])).unwrap();
    process.signal(10).unwrap();
    assert_eq!(process.wait().unwrap().signal, Some(10));
    let process = node.berth().exec("a", &exec(&["sleep", "8647012"])).unwrap();
    node.berth().kill_all("a").unwrap();
    assert_eq!(process.wait().unwrap().signal, Some(9));
    assert_eq!((node.berth().wait("a").unwrap().signal, processes_with("8647012")), (Some(9), vec![]));
}

fn a_stopped_container_and_a_missing_command_are_told_apart() {
    let node = Node::new();
    sleeper(&node);
    let missing = node.berth().exec("a", &exec(&["no-such-thing"]));
    assert!(matches!(missing, Err(LaunchError::CommandNotFound { .. })), "{missing:?}");
    node.berth().kill_all("a").unwrap();
    node.berth().wait("a").unwrap();
    for id in ["a", "never"] {
        let refused = node.berth().exec(id, &exec(&["true"]));
        assert!(matches!(refused, Err(LaunchError::NotRunning { .. })), "{refused:?}");
    }
}
