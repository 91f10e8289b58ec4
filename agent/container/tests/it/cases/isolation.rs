//! What a container cannot see or do.

use std::fs;

use berth_container::{Mount, MountKind, Rlimit, Rootfs, Seccomp};

use crate::harness::{Case, Node, cases};

pub(crate) fn cases() -> Vec<Case> {
    cases![
        the_nodes_files_are_read_only,
        tmp_and_dev_are_private,
        only_its_own_processes_are_in_proc,
        the_host_name_is_its_own,
        mounting_is_refused_by_capabilities_and_by_seccomp,
        new_user_namespaces_are_refused_and_threads_are_not,
        no_new_privs_is_set_unless_told_otherwise,
        dropped_and_added_capabilities_are_seen,
        the_run_directory_and_masked_paths_are_hidden,
        volumes_appear_where_they_were_asked_for,
        a_volume_whose_source_is_missing_is_named,
        a_link_in_the_sandbox_cannot_move_a_volume_to_the_host,
        a_link_in_a_sub_path_is_not_followed,
        a_directory_can_be_the_root,
        resource_limits_are_set_and_clamped,
        privileged_containers_may_mount,
        no_descriptor_of_the_agent_leaks,
    ]
}

fn the_nodes_files_are_read_only() {
    let node = Node::new();
    for path in ["/etc", "/usr", "/var/tmp", "/sys/kernel", "/proc/sys/kernel", "/root", "/"] {
        assert_eq!(
            node.prints(&format!("touch {path}/berth-was-here 2>/dev/null || echo refused")),
            "refused",
            "{path}"
        );
    }
    assert_eq!(node.prints("echo 1 2>/dev/null > /proc/sys/vm/swappiness || echo refused"), "refused");
}

fn tmp_and_dev_are_private() {
    let node = Node::new();
    let marker = tempfile::Builder::new().prefix("host-only-").tempfile_in("/tmp").unwrap();
    assert_eq!(node.prints("ls /tmp; echo x > /tmp/mine-8647024; ls /tmp"), "mine-8647024");
    assert!(marker.path().exists() && !std::path::Path::new("/tmp/mine-8647024").exists());
    assert_eq!(
        node.prints("ls /dev | tr '\\n' ' '"),
        "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero"
    );
    assert_eq!(
        node.prints("echo x > /dev/null; head -c 3 /dev/zero | wc -c; test -c /dev/tty && echo y > /dev/shm/f"),
        "3"
    );
}

fn only_its_own_processes_are_in_proc() {
    let node = Node::new();
    assert_eq!(node.prints("ps -e -o pid= | wc -l | xargs; echo $$"), "5\n2");
    assert_eq!(node.prints("cat /proc/1/environ 2>/dev/null || echo hidden"), "hidden");
}

fn the_host_name_is_its_own() {
    let node = Node::new();
    let mut spec = node.shell("a", "hostname");
    spec.hostname = Some("web-0".into());
    assert_eq!(node.run(&spec).stdout, "web-0\n");
}

fn mounting_is_refused_by_capabilities_and_by_seccomp() {
    let node = Node::new();
    let line = "mount -t tmpfs none /tmp 2>/dev/null && echo mounted; grep Seccomp: /proc/self/status";
    let mut spec = node.shell("a", line);
    assert_eq!(node.run(&spec).stdout, "Seccomp:\t2\n");
    spec = node.shell("b", line);
    spec.seccomp = Seccomp::Unconfined;
    assert_eq!(node.run(&spec).stdout, "Seccomp:\t0\n");
    // The filter goes with the capability, as Docker's.
    spec = node.shell("c", line);
    spec.capabilities.add = vec!["SYS_ADMIN".into()];
    assert_eq!(node.run(&spec).stdout, "mounted\nSeccomp:\t2\n");
}

fn new_user_namespaces_are_refused_and_threads_are_not() {
    let node = Node::new();
    assert_eq!(node.prints("unshare -U true 2>/dev/null || echo refused"), "refused");
    let threads = "python3 -c 'import threading; t = threading.Thread(target=print, args=(1,)); t.start(); t.join()'";
    assert_eq!(node.prints(threads), "1");
}

fn no_new_privs_is_set_unless_told_otherwise() {
    let node = Node::new();
    let mut spec = node.shell("a", "grep -h NoNewPrivs /proc/self/status");
    assert_eq!(node.run(&spec).stdout, "NoNewPrivs:\t1\n");
    spec = node.shell("b", "grep -h -e NoNewPrivs -e Seccomp: /proc/self/status");
    spec.no_new_privileges = false;
    assert_eq!(node.run(&spec).stdout, "NoNewPrivs:\t0\nSeccomp:\t2\n");
}

fn dropped_and_added_capabilities_are_seen() {
    let node = Node::new();
    let line = "grep -h -e CapBnd -e CapEff -e CapInh /proc/self/status | cut -f2 | xargs";
    assert_eq!(node.prints(line), "0000000000000000 00000000a00425fb 00000000a00425fb");
    let mut spec = node.shell("b", line);
    spec.capabilities.drop = vec!["all".into()];
    spec.capabilities.add = vec!["CAP_NET_BIND_SERVICE".into()];
    assert_eq!(node.run(&spec).stdout, "0000000000000000 0000000000000400 0000000000000400\n");
}

fn the_run_directory_and_masked_paths_are_hidden() {
    let node = Node::new();
    let data = node.root.path().join("data");
    let sandbox = data.join("sandboxes/a");
    fs::create_dir_all(&sandbox).unwrap();
    fs::write(data.join("ca.key"), "secret").unwrap();
    fs::write(data.join("alone"), "secret").unwrap();
    let mut spec = node.shell(
        "a",
        &format!(
            "cat {0}/ca.key; ls {0} {1}; cat {1}/c/a/spec.json; pwd; touch ok; touch {0}/x",
            data.display(),
            node.root.path().join("run").display()
        ),
    );
    spec.sandbox = sandbox.clone();
    spec.masked_paths = vec![data.clone()];
    let output = node.run(&spec);
    assert_eq!(
        output.stdout,
        format!("{0}:\nsandboxes\n\n{1}/run:\n{2}\n", data.display(), node.root.path().display(), sandbox.display())
    );
    assert!(sandbox.join("ok").exists() && !output.stderr.contains("secret"));
    assert!(output.stderr.contains("Read-only file system"), "{}", output.stderr);
}

fn volumes_appear_where_they_were_asked_for() {
    let node = Node::new();
    let volume = node.sandbox("volume");
    fs::write(volume.join("f"), "data").unwrap();
    let bind = |target: &str, source: &std::path::Path, read_only| Mount {
        target: target.into(),
        read_only,
        kind: MountKind::Bind { source: source.into(), sub_path: None },
    };
    let line = "cat /data/f /srv/deep/er/f /etc/app/conf.d/f /etc/berth.conf /tmp/in/f; cat /etc/passwd | head -c 4; \
        echo new > /data/new; touch /srv/deep/er/x 2>/dev/null || echo ro; touch /etc/x 2>/dev/null || echo ro; \
        touch /x 2>/dev/null || echo ro; df --output=size /cache | tail -1; ls / | grep -c -e usr -e etc -e proc";
    let mut spec = node.shell("a", line);
    spec.mounts = vec![
        bind("/data", &volume, false),
        bind("/srv/deep/er", &volume, true),
        bind("/etc/app/conf.d", &volume, false),
        bind("/etc/berth.conf", &volume.join("f"), true),
        bind("/tmp/in", &volume, true),
        Mount { target: "/cache".into(), read_only: false, kind: MountKind::Tmpfs { size_bytes: Some(1 << 20) } },
    ];
    let output = node.run(&spec);
    let words: Vec<_> = output.stdout.split_whitespace().collect();
    assert_eq!(words, ["datadatadatadatadatarootro", "ro", "ro", "1024", "3"], "{}", output.stderr);
    assert_eq!(fs::read_to_string(volume.join("new")).unwrap(), "new\n");
    assert!(!std::path::Path::new("/data").exists() && !std::path::Path::new("/etc/app").exists());
}

fn a_volume_whose_source_is_missing_is_named() {
    let node = Node::new();
    let mut spec = node.shell("a", "true");
    let kind = MountKind::Bind { source: "/no/such/volume".into(), sub_path: None };
    spec.mounts = vec![Mount { target: "/data".into(), read_only: false, kind }];
    let refused = node.berth().launch(&spec).unwrap_err();
    assert_eq!(refused.to_string(), "could not open the volume's source (/no/such/volume)");
}

fn a_link_in_the_sandbox_cannot_move_a_volume_to_the_host() {
    let node = Node::new();
    let volume = node.sandbox("volume");
    fs::write(volume.join("f"), "data").unwrap();
    let mut spec = node.shell("a", "cat up/f");
    std::os::unix::fs::symlink("../../../../../../tmp", spec.sandbox.join("up")).unwrap();
    spec.mounts = vec![Mount {
        target: spec.sandbox.join("up"),
        read_only: false,
        kind: MountKind::Bind { source: volume, sub_path: None },
    }];
    // It went to the container's own /tmp.
    assert_eq!(node.run(&spec).stdout, "data");
    assert!(!std::path::Path::new("/tmp/f").exists());
}

fn a_link_in_a_sub_path_is_not_followed() {
    let node = Node::new();
    let volume = node.sandbox("volume");
    fs::create_dir(volume.join("real")).unwrap();
    fs::write(volume.join("real/f"), "data").unwrap();
    std::os::unix::fs::symlink("/etc", volume.join("link")).unwrap();
    let with = |id: &str, sub_path: &str| {
        let mut spec = node.shell(id, "cat /data/f");
        let kind = MountKind::Bind { source: volume.clone(), sub_path: Some(sub_path.into()) };
        spec.mounts = vec![Mount { target: "/data".into(), read_only: false, kind }];
        spec
    };
    assert_eq!(node.run(&with("a", "real")).stdout, "data");
    assert_eq!(node.run(&with("b", "real/f")).record.code, Some(1), "a file is mounted as one");
    for sub_path in ["link", "../volume", "link/../real"] {
        assert!(node.berth().launch(&with("c", sub_path)).is_err(), "{sub_path}");
    }
}

fn a_directory_can_be_the_root() {
    let node = Node::new();
    let root = node.sandbox("rootfs");
    for dir in ["bin", "lib", "lib64", "usr"] {
        let host = std::path::Path::new("/").join(dir);
        match fs::read_link(&host) {
            Ok(to) => std::os::unix::fs::symlink(to, root.join(dir)).unwrap(),
            Err(_) => fs::create_dir(root.join(dir)).unwrap(),
        }
    }
    let mut spec = node
        .shell("a", "ls / | xargs; pwd; ls /etc /root 2>/dev/null; touch /made; test -e /dev/null && ls -d /proc/self");
    spec.rootfs = Rootfs::Directory { path: root.clone() };
    spec.sandbox_target = Some("/mnt/berth/sandbox".into());
    spec.mounts = vec![Mount {
        target: "/usr".into(),
        read_only: true,
        kind: MountKind::Bind { source: "/usr".into(), sub_path: None },
    }];
    let output = node.run(&spec);
    assert_eq!(
        output.stdout, "bin dev lib lib64 mnt proc sys tmp usr\n/mnt/berth/sandbox\n/proc/self\n",
        "{}",
        output.stderr
    );
    assert!(root.join("made").exists());
    spec.read_only_rootfs = true;
    spec.id = "b".into();
    fs::remove_file(root.join("made")).unwrap();
    assert!(node.run(&spec).stderr.contains("Read-only file system"));
}

fn resource_limits_are_set_and_clamped() {
    let node = Node::new();
    let mut spec = node.shell("a", "ulimit -n; ulimit -c");
    let limit = |kind: &str, value| Rlimit { kind: kind.into(), soft: value, hard: value };
    spec.rlimits = vec![limit("NOFILE", Some(512)), limit("RLIMIT_CORE", Some(0))];
    assert_eq!(node.run(&spec).stdout, "512\n0\n");
    let mut spec = node.shell("b", "ulimit -n");
    spec.rlimits = vec![limit("NOFILE", Some(100_000_000))];
    assert!(node.run(&spec).stdout.trim().parse::<u64>().unwrap() >= 1_024);
}

fn privileged_containers_may_mount() {
    let node = Node::new();
    let mut spec = node.shell("a", "mount -t tmpfs none /tmp && echo mounted; test -e /dev/fuse && echo device");
    spec.privileged = true;
    assert_eq!(node.run(&spec).stdout, "mounted\ndevice\n");
}

fn no_descriptor_of_the_agent_leaks() {
    let node = Node::new();
    let _open = fs::File::open("/etc/shadow").unwrap();
    assert_eq!(node.prints("ls /proc/self/fd | xargs"), "0 1 2 3");
}
