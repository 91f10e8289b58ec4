//! Starting, ending, and what is told about it.

use std::fs;

use berth_container::{LaunchError, State, User};

use crate::harness::{Case, Node, cases, eventually, is_dead, processes_with};

pub(crate) fn cases() -> Vec<Case> {
    cases![
        exit_codes_and_signals_are_kept,
        the_environment_is_what_was_given_and_nothing_else,
        the_sandbox_is_the_working_directory_and_writable,
        a_command_that_is_not_there_is_told_apart,
        a_file_that_may_not_be_executed_is_told_apart,
        a_script_without_its_interpreter_says_so,
        a_missing_working_directory_names_the_path,
        the_same_id_twice_is_refused,
        sigterm_ends_a_program_that_does_not_handle_it,
        kill_all_takes_the_whole_tree,
        orphans_of_the_task_are_reaped_and_end_with_it,
        another_user_runs_it,
        a_removed_container_leaves_nothing,
        two_hundred_containers_leave_nothing,
    ]
}

fn exit_codes_and_signals_are_kept() {
    let node = Node::new();
    for (line, code, signal) in [("exit 0", Some(0), None), ("exit 42", Some(42), None), ("kill -9 $$", None, Some(9))]
    {
        let record = node.run(&node.shell("a", line)).record;
        assert_eq!((record.code, record.signal, record.oom_kills), (code, signal, 0), "{line}");
        assert!(record.finished_unix_nanos >= record.started_unix_nanos && record.failure.is_none());
    }
}

fn the_environment_is_what_was_given_and_nothing_else() {
    let node = Node::new();
    let mut spec = node.program("a", &["/usr/bin/env"]);
    spec.env = vec![("A".into(), "b c=d".into()), ("MESOS_SANDBOX".into(), "/x".into())];
    let printed = node.run(&spec).stdout;
    let mut lines: Vec<_> = printed.lines().map(|l| l.split_once('=').unwrap()).collect();
    lines.sort_unstable();
    assert_eq!(lines[0], ("A", "b c=d"));
    assert_eq!(lines.iter().map(|l| l.0).collect::<Vec<_>>(), ["A", "MESOS_SANDBOX", "PATH"]);
}

fn the_sandbox_is_the_working_directory_and_writable() {
    let node = Node::new();
    let mut spec = node.shell("a", "pwd; cat given; echo made > taken");
    fs::write(spec.sandbox.join("given"), "input").unwrap();
    assert_eq!(node.run(&spec).stdout, format!("{}\ninput", spec.sandbox.display()));
    assert_eq!(fs::read_to_string(spec.sandbox.join("taken")).unwrap(), "made\n");
    spec.sandbox_target = Some("/mnt/berth/sandbox".into());
    assert_eq!(node.run(&spec).stdout, "/mnt/berth/sandbox\ninput");
}

fn a_command_that_is_not_there_is_told_apart() {
    let node = Node::new();
    let mut spec = node.program("a", &["no-such-thing"]);
    spec.env = vec![("PATH".into(), "/bin:/usr/bin".into())];
    match node.berth().launch(&spec) {
        Err(LaunchError::CommandNotFound { command, path }) => {
            assert_eq!((command.as_str(), path.as_str()), ("no-such-thing", "/bin:/usr/bin"));
        }
        other => panic!("{other:?}"),
    }
    let absolute = node.berth().launch(&node.program("a", &["/no/such/thing"]));
    assert!(matches!(absolute, Err(LaunchError::CommandNotFound { .. })), "{absolute:?}");
    assert_eq!((node.berth().status("a").unwrap(), node.groups().len()), (None, 0));
}

fn a_file_that_may_not_be_executed_is_told_apart() {
    let node = Node::new();
    for path in ["/etc/passwd", "/etc"] {
        let refused = node.berth().launch(&node.program("a", &[path]));
        assert!(matches!(refused, Err(LaunchError::PermissionDenied { .. })), "{refused:?}");
    }
}

fn a_script_without_its_interpreter_says_so() {
    use std::os::unix::fs::PermissionsExt;
    let node = Node::new();
    let script = node.sandbox("a").join("run");
    fs::write(&script, "#!/no/such/shell\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let refused = node.berth().launch(&node.program("a", &["./run"])).unwrap_err();
    assert!(refused.to_string().contains("interpreter"), "{refused}");
}

fn a_missing_working_directory_names_the_path() {
    let node = Node::new();
    let mut spec = node.shell("a", "true");
    spec.cwd = Some("/no/such/dir".into());
    let refused = node.berth().launch(&spec).unwrap_err();
    assert_eq!(refused.to_string(), "could not enter the working directory (/no/such/dir)");
}

fn the_same_id_twice_is_refused() {
    let node = Node::new();
    let spec = node.shell("a", "sleep 60");
    let running = node.berth().launch(&spec).unwrap();
    assert!(matches!(node.berth().launch(&spec), Err(LaunchError::AlreadyExists { .. })));
    assert_eq!(node.berth().status("a").unwrap(), Some(State::Running(running)));
}

fn sigterm_ends_a_program_that_does_not_handle_it() {
    let node = Node::new();
    node.berth().launch(&node.program("a", &["/bin/sleep", "60"])).unwrap();
    node.berth().signal("a", 15).unwrap();
    let record = node.berth().wait("a").unwrap();
    assert_eq!((record.code, record.signal), (None, Some(15)));
    node.berth().signal("a", 15).unwrap();
}

fn kill_all_takes_the_whole_tree() {
    let node = Node::new();
    let line = "setsid sleep 8647001 & (trap '' TERM INT; setsid sh -c 'sleep 8647001' &) ; sleep 8647001; true";
    node.berth().launch(&node.shell("a", line)).unwrap();
    eventually("the tree is there", || processes_with("8647001").len() >= 4);
    node.berth().kill_all("a").unwrap();
    assert_eq!(node.berth().wait("a").unwrap().signal, Some(9));
    assert!(processes_with("8647001").is_empty());
}

fn orphans_of_the_task_are_reaped_and_end_with_it() {
    let node = Node::new();
    let line = "(sleep 0.01 &); (sleep 8647002 &); sleep 0.1; ps -e -o stat= | grep -c Z; exit 3";
    let output = node.run(&node.shell("a", line));
    assert_eq!((output.stdout.as_str(), output.record.code), ("0\n", Some(3)));
    assert!(processes_with("8647002").is_empty());
}

fn another_user_runs_it() {
    let node = Node::new();
    let mut spec =
        node.shell("a", "id -u; id -g; id -G; cat /proc/self/status | grep CapEff; echo x > f; echo y > /dev/stdout");
    std::os::unix::fs::chown(&spec.sandbox, Some(1234), Some(77)).unwrap();
    spec.user = Some(User { uid: 1234, gid: 77, groups: vec![88, 99] });
    let output = node.run(&spec);
    assert_eq!(output.stdout, "1234\n77\n77 88 99\nCapEff:\t0000000000000000\ny\n", "{}", output.stderr);
    let refused = node.shell("b", "touch /var/tmp/x || touch /etc/x");
    assert_eq!(node.run(&refused).record.code, Some(1));
}

fn a_removed_container_leaves_nothing() {
    let node = Node::new();
    let mounts = || fs::read_to_string("/proc/self/mountinfo").unwrap();
    let before = mounts();
    let mut spec = node.shell("a", "setsid sleep 8647003 & sleep 8647003");
    spec.limits.memory_limit_bytes = Some(64 << 20);
    spec.limits.pids_limit = Some(64);
    let running = node.berth().launch(&spec).unwrap();
    assert_eq!(node.groups().len(), 3, "{:?}", node.groups());
    assert_eq!(mounts(), before);
    node.berth().destroy("a").unwrap();
    node.berth().destroy("a").unwrap();
    assert!(is_dead(running.pid));
    assert_eq!((processes_with("8647003"), node.groups().len()), (vec![], 0));
    assert!(!node.root.path().join("run/c/a").exists());
    assert_eq!(node.berth().status("a").unwrap(), None);
}

fn two_hundred_containers_leave_nothing() {
    let node = Node::new();
    let fds = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = fds();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let node = &node;
            scope.spawn(move || {
                for n in 0..50 {
                    let mut spec = node.shell(&format!("w{worker}-{n}"), "exit 5");
                    spec.limits.memory_limit_bytes = Some(32 << 20);
                    assert_eq!(node.run(&spec).record.code, Some(5));
                }
            });
        }
    });
    assert_eq!((fds(), node.groups().len()), (before, 0));
    assert_eq!(fs::read_dir(node.root.path().join("run/c")).unwrap().count(), 0);
    // The helper stays with the shim of the next start; no other does.
    eventually("the shims are gone", || processes_with(&node.cgroup_name()).len() == 2);
}
