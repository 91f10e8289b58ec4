//! API server, controllers and agent as three processes, speaking TLS.

use std::fs::File;
use std::process::{Child, Command, Stdio};

use berth_e2e::{Cluster, Parts, berth_bin, condition, example, items, until};

fn spawn(cluster: &Cluster, name: &str, arguments: &[&str]) -> Child {
    let log = File::create(cluster.path(&format!("{name}.log"))).unwrap();
    Command::new(berth_bin())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

#[test]
fn the_three_parts_run_apart_over_tls() {
    let cluster = Cluster::prepare();
    let data = cluster.data_dir().display().to_string();
    let run = cluster.run_dir().display().to_string();
    let apiserver =
        spawn(&cluster, "apiserver", &["apiserver", "--data-dir", &data, "--listen", &cluster.api_address()]);
    until("the API to answer", || {
        let version = cluster.berth(&["get", "namespaces"]);
        if version.code == 0 { Ok(()) } else { Err(version.to_string()) }
    });
    let controllers_config = cluster.path("controllers.kubeconfig").display().to_string();
    cluster.berth(&["certs", "issue", "controllers", "--data-dir", &data, "--out", &controllers_config]).ok();
    let controllers = spawn(&cluster, "controllers", &["controllers", "--kubeconfig", &controllers_config]);
    let certs = cluster.path("certs").display().to_string();
    cluster.berth(&["certs", "issue", "node", "node-1", "--data-dir", &data, "--out", &certs]).ok();
    let node_dir = cluster.path("node-1").display().to_string();
    let agent = spawn(
        &cluster,
        "agent",
        &[
            "agent",
            "--certs",
            &certs,
            "--node-name",
            "node-1",
            "--data-dir",
            &node_dir,
            "--run-dir",
            &run,
            "--listen",
            &cluster.agent_address(),
            "--ports",
            &cluster.task_ports(),
        ],
    );
    let mut parts = Parts { apiserver, controllers, agent };
    until("the node to be ready", || {
        let nodes = cluster.berth(&["get", "nodes", "-o", "json"]).ok();
        let ready = items(&nodes.json()).iter().any(|n| condition(n, "Ready") == Some("True"));
        let log = |name: &str| std::fs::read_to_string(cluster.path(&format!("{name}.log"))).unwrap_or_default();
        if ready { Ok(()) } else { Err(format!("{}{}{}", nodes.out, log("agent"), log("controllers"))) }
    });
    cluster.berth(&["apply", "-f", &example("hello.yaml")]).ok();
    cluster.wait_service("hello", 3);
    cluster.berth(&["logs", "hello", "--tail", "5"]).ok();
    cluster.berth(&["delete", "-f", &example("hello.yaml")]).ok();
    until("the tasks to be gone", || {
        let tasks = cluster.berth(&["get", "tasks", "-o", "name"]).ok();
        if tasks.out.trim().is_empty() { Ok(()) } else { Err(tasks.out) }
    });
    parts.stop();
    drop(parts);
    cluster.berth(&["down", "--data-dir", &node_dir, "--purge"]).ok();
    cluster.purge();
}
