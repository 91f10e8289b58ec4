//! A process that is none of ours holds a port: the task says so, with who it is, and runs once the port is free.

use std::net::TcpListener;

use berth_e2e::{Cluster, until};

#[test]
fn a_port_that_a_stranger_holds_is_named_and_taken_up_when_it_is_free() {
    let cluster = Cluster::up();
    let ports = cluster.task_ports();
    let port: u16 = ports.split('-').next().and_then(|first| first.parse().ok()).expect("a range of ports");
    let stranger = TcpListener::bind(("127.0.0.1", port)).expect("the port is this cluster's own");
    cluster.apply(&format!(
        "{{apiVersion: berth.dev/v1, kind: Service, metadata: {{name: web}}, spec: {{replicas: 1, \
         backoff: {{seconds: 1, maxSeconds: 2}}, template: {{spec: {{containers: [{{name: main, \
         shell: 'exec python3 -m http.server {port}', ports: [{{name: http, hostPort: {port}}}]}}]}}}}}}}}"
    ));
    let said = until("a task that says who is in the way", || {
        let tasks = cluster.tasks("berth.dev/service=web");
        let hit = tasks.iter().find(|t| t["status"]["reason"] == "PortTaken");
        hit.map(|t| t["status"]["message"].to_string()).ok_or_else(|| format!("{tasks:#?}"))
    });
    let me = format!("pid {}", std::process::id());
    assert!(said.contains(&format!("port {port} of the node is taken by another process")), "{said}");
    assert!(said.contains(&me), "{said} does not name {me}");
    let why = cluster.berth(&["why", "service", "web"]).ok();
    assert!(why.out.contains("taken by another process"), "{why}");
    drop(stranger);
    cluster.wait_service("web", 1);
    cluster.purge();
}
