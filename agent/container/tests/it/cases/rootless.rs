//! The same without root: the test starts itself again as another user.

use std::process::Command;

use berth_container::{CgroupLayout, Isolation, LaunchError};

use crate::harness::{Case, Node, cases, is_root, processes_with};

pub(crate) fn cases() -> Vec<Case> {
    cases![without_root_containers_run_in_a_user_namespace, without_any_namespace_the_process_is_still_minded]
}

fn without_root_containers_run_in_a_user_namespace() {
    if is_root() {
        // nobody: known everywhere, owns nothing.
        let name = "it::cases::rootless::without_root_containers_run_in_a_user_namespace";
        // Built where another user may not read.
        let copy = tempfile::Builder::new().prefix("berth-it-").tempdir_in("/var/tmp").unwrap();
        let exe = copy.path().join("it");
        std::fs::copy(std::env::current_exe().unwrap(), &exe).unwrap();
        std::os::unix::fs::chown(copy.path(), Some(65534), Some(65534)).unwrap();
        let output = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&exe)
            .args(["--exact", name])
            .current_dir("/")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("ok"), "{text}");
        return;
    }
    let node = Node::new();
    let features = node.berth().capabilities();
    assert_eq!((features.isolation, features.cgroups), (Isolation::UserNamespace, CgroupLayout::None));
    assert!(node.berth().limitations().iter().any(|l| l.contains("cgroup")), "{:?}", node.berth().limitations());
    let line = "id -u; ps -e -o pid= | wc -l | xargs; ls /tmp | wc -l; touch made; touch /var/tmp/x 2>/dev/null || echo ro; \
        grep CapEff /proc/self/status | cut -f2; echo x > /dev/null; exit 7";
    let output = node.run(&node.shell("a", line));
    assert_eq!(output.stdout, "65534\n5\n0\nro\n0000000000000000\n", "{}", output.stderr);
    assert_eq!(output.record.code, Some(7));
    node.berth().launch(&node.shell("b", "setsid sleep 8647030 & sleep 8647030")).unwrap();
    let exec = berth_container::ExecSpec { argv: vec!["true".into()], ..Default::default() };
    assert_eq!(node.berth().exec("b", &exec).unwrap().wait().unwrap().code, Some(0));
    node.berth().kill_all("b").unwrap();
    assert_eq!(node.berth().wait("b").unwrap().signal, Some(9));
    assert!(processes_with("8647030").is_empty());
    let mut spec = node.shell("c", "true");
    spec.user = Some(berth_container::User { uid: 0, gid: 0, groups: vec![] });
    assert_eq!(node.run(&spec).record.code, Some(0));
}

fn without_any_namespace_the_process_is_still_minded() {
    if std::env::var_os("BERTH_IT_DIR").is_none() {
        // A default container is such a place: it may neither mount nor make namespaces.
        let node = Node::new();
        let name = "it::cases::rootless::without_any_namespace_the_process_is_still_minded";
        // A copy in the sandbox: a checkout below /tmp is not seen from inside.
        let exe = node.sandbox("outer").join("it");
        let mut spec = node.program("outer", &[exe.to_str().unwrap(), "--exact", name]);
        std::fs::copy(std::env::current_exe().unwrap(), &exe).unwrap();
        spec.env = vec![("BERTH_IT_DIR".into(), "/tmp".into())];
        let output = node.run(&spec);
        assert_eq!(output.record.code, Some(0), "{}{}", output.stdout, output.stderr);
        return;
    }
    let node = Node::new();
    let features = node.berth().capabilities();
    assert_eq!((features.isolation, features.cgroups), (Isolation::Plain, CgroupLayout::None));
    assert!(node.berth().limitations().iter().any(|l| l.contains("namespaces")), "{:?}", node.berth().limitations());
    let output = node.run(&node.shell("a", "pwd; (setsid sleep 8647040 &); echo out; exit 8"));
    assert_eq!((output.stdout, output.record.code), (format!("{}\nout\n", node.sandbox("a").display()), Some(8)));
    assert!(processes_with("8647040").is_empty());
    node.berth().launch(&node.shell("b", "sleep 8647041 & sleep 8647041; true")).unwrap();
    let exec = berth_container::ExecSpec { argv: vec!["true".into()], ..Default::default() };
    assert_eq!(node.berth().exec("b", &exec).unwrap().wait().unwrap().code, Some(0));
    assert!(node.berth().stats("b").unwrap().memory_bytes > 0);
    node.berth().kill_all("b").unwrap();
    assert_eq!(node.berth().wait("b").unwrap().signal, Some(9));
    node.berth().destroy("b").unwrap();
    assert!(processes_with("8647041").is_empty());
    let missing = node.berth().launch(&node.program("c", &["no-such-thing"]));
    assert!(matches!(missing, Err(LaunchError::CommandNotFound { .. })), "{missing:?}");
}
