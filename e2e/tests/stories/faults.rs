//! Faults of the machine: each is told clearly, and nothing acknowledged is lost.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use berth_e2e::{Cluster, Run, berth_bin, until};

/// Runs `berth up` that should end by itself.
fn up_fails(cluster: &Cluster) -> String {
    let arguments = cluster.up_arguments();
    let child = Command::new(berth_bin())
        .args(&arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    // A berth that starts after all would run for ever: the watchdog ends it, and the test fails on the exit code.
    let watchdog = std::thread::spawn(move || {
        until("the refusal", || if berth_e2e::alive(pid) { Err("still running".to_owned()) } else { Ok(()) });
    });
    let output = child.wait_with_output().unwrap();
    watchdog.join().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_port_that_is_taken_is_told_with_the_mend() {
    let cluster = Cluster::prepare();
    let holder = TcpListener::bind(cluster.api_address()).unwrap();
    let told = up_fails(&cluster);
    let port = cluster.api_address().rsplit_once(':').unwrap().1.to_owned();
    assert!(told.contains(&format!("port {port}")) && told.contains("--listen"), "{told}");
    drop(holder);
}

#[test]
fn one_data_directory_serves_one_process() {
    let cluster = Cluster::up();
    let told = up_fails(&cluster);
    assert!(told.contains(&cluster.pid().to_string()) || told.contains("in use"), "{told}");
    cluster.berth(&["get", "nodes"]).ok();
    cluster.purge();
}

#[test]
fn a_data_directory_that_cannot_be_read_is_told() {
    let mut cluster = Cluster::up();
    cluster.stop();
    // Root reads everything, so the store's file becomes a directory: unreadable for anybody.
    let store = std::fs::read_dir(cluster.data_dir().join("store")).unwrap().flatten().find(|e| e.path().is_file());
    let store = store.expect("the store has a file").path();
    let aside = store.with_extension("aside");
    std::fs::rename(&store, &aside).unwrap();
    std::fs::create_dir(&store).unwrap();
    std::fs::set_permissions(&store, std::fs::Permissions::from_mode(0o000)).unwrap();
    let told = up_fails(&cluster);
    assert!(told.contains("store"), "{told}");
    std::fs::remove_dir(&store).unwrap();
    std::fs::rename(&aside, &store).unwrap();
    cluster.start();
    cluster.purge();
}

#[test]
fn a_full_disk_refuses_writes_clearly_and_loses_nothing() {
    let mut cluster = Cluster::on_small_disk(24);
    cluster.start();
    let filler: String = "x".repeat(200_000);
    let mut acknowledged = vec![];
    let mut refusal: Option<Run> = None;
    for index in 0..400 {
        let name = format!("fill-{index}");
        let manifest =
            format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}, data: {{a: {filler}}}}}");
        let run = cluster.berth_stdin(&["create", "-f", "-"], &manifest);
        if run.code == 0 {
            acknowledged.push(name);
        } else {
            refusal = Some(run);
            break;
        }
    }
    let refusal = refusal.expect("the disk was full at some time");
    let told = refusal.err.to_lowercase();
    assert!(told.contains("space") || told.contains("disk"), "{refusal}");
    assert!(acknowledged.len() > 3);
    cluster.berth(&["get", "configmap", &acknowledged[0], "-o", "name"]).ok();
    cluster.crash();
    cluster.start();
    let names = cluster.berth(&["get", "configmaps", "-o", "name"]).ok();
    for name in &acknowledged {
        assert!(
            names.out.lines().any(|line| line.ends_with(&format!("/{name}"))),
            "{name} was acknowledged and is lost"
        );
    }
    cluster.purge();
}
