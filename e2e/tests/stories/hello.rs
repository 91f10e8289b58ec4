//! A manifest becomes running processes, and the everyday commands work on them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use berth_e2e::{Cluster, berth_bin, example, items, name_of, until};

/// What an instance answers on its port.
fn fetch(port: u64) -> Result<String, String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port as u16)).map_err(|e| e.to_string())?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).map_err(|e| e.to_string())?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").map_err(|e| e.to_string())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|e| e.to_string())?;
    Ok(answer)
}

#[test]
fn hello_runs_and_every_command_of_the_readme_works() {
    let cluster = Cluster::up();
    let hello = example("hello.yaml");

    let applied = cluster.berth(&["apply", "-f", &hello]).ok();
    let told = format!("{}{}", applied.out, applied.err);
    assert!(told.contains("created"), "{applied}");
    for instance in ["-0", "-1", "-2"] {
        let line = told.lines().find(|l| l.contains("hello-") && l.contains(instance));
        assert!(line.is_some(), "no line for instance {instance}\n{applied}");
    }
    let again = cluster.berth(&["apply", "-f", &hello]).ok();
    assert!(format!("{}{}", again.out, again.err).contains("unchanged"), "{again}");

    cluster.berth(&["get", "services"]).ok().says("hello").says("READY").says("3");
    let wide = cluster.berth(&["get", "tasks", "-o", "wide"]).ok().says("NODE").says("PORTS");
    assert_eq!(wide.lines().len(), 4, "{wide}");
    cluster.berth(&["get", "nodes"]).ok().says("True");
    cluster.berth(&["describe", "service", "hello"]).ok().says("Conditions").says("Events").says("hello-");
    cluster.berth(&["get", "service/hello", "-o", "yaml"]).ok().says("kind: Service").says("readyReplicas: 3");
    cluster.berth(&["get", "service", "hello", "-o", "name"]).ok().says("service.berth.dev/hello");
    let ports = cluster.berth(&["get", "tasks", "-o", "jsonpath={.items[*].spec.allocatedPorts[0].port}"]).ok();
    let ports: Vec<u64> = ports.out.split_whitespace().map(|port| port.parse().unwrap()).collect();
    assert_eq!(ports.len(), 3);
    for port in &ports {
        let answer = fetch(*port).unwrap();
        assert!(answer.contains("200 OK") && answer.contains(&format!("on port {port}")), "{answer}");
    }

    cluster.berth(&["get", "tasks", "-l", "berth.dev/service=hello", "-o", "name"]).ok().says("task.berth.dev/hello-");
    assert!(cluster.berth(&["get", "tasks", "-l", "berth.dev/service=other", "-o", "name"]).ok().out.trim().is_empty());
    cluster.berth(&["get", "services", "-A"]).ok().says("NAMESPACE").says("default");
    let empty = cluster.berth(&["get", "services", "-n", "kube-system"]).ok();
    assert!(!empty.out.contains("hello"), "{empty}");

    let mut logs = cluster.follow(&berth_bin(), &["logs", "-f", "hello"]);
    fetch(ports[0]).unwrap();
    logs.wait_line("the request in the log", |line| line.contains("GET / HTTP/1.0"));

    let mut watch = cluster.follow(&berth_bin(), &["get", "services", "-w"]);
    watch.wait_line("the service in the watch", |line| line.contains("hello"));
    cluster.berth(&["scale", "service", "hello", "--replicas", "5"]).ok();
    cluster.wait_service("hello", 5);
    watch.wait_line("five in the watch", |line| line.contains("hello") && line.matches('5').count() >= 2);
    cluster.berth(&["scale", "service/hello", "--replicas=2"]).ok();
    cluster.wait_service("hello", 2);

    cluster
        .berth(&["explain", "service.spec.template"])
        .ok()
        .says("KIND")
        .says("spec")
        .says("What each task is made from");
    cluster.berth(&["explain", "services.spec.update.maxSurge"]).ok().says("above");
    cluster.purge();
}

#[test]
fn exec_runs_inside_the_container_and_passes_its_exit_code_on() {
    let cluster = Cluster::up();
    cluster.berth(&["apply", "-f", &example("hello.yaml")]).ok();
    let tasks = cluster.wait_service("hello", 3);
    let task = format!("task/{}", name_of(&tasks[0]));
    cluster.berth(&["exec", &task, "--", "sh", "-c", "echo pid $$ in $BERTH_TASK"]).ok().says(name_of(&tasks[0]));
    cluster.berth(&["exec", &task, "--", "sh", "-c", "exit 7"]).code(7);
    let seen = cluster.berth(&["exec", &task, "--", "sh", "-c", "ls /proc | grep -c '^[0-9]'"]).ok();
    let processes: u32 = seen.out.trim().parse().unwrap();
    assert!(processes < 10, "the container sees only its own processes: {seen}");
    cluster.purge();
}

#[test]
fn labels_annotations_cordon_and_events_work() {
    let cluster = Cluster::up();
    cluster.berth(&["apply", "-f", &example("hello.yaml")]).ok();
    cluster.berth(&["label", "service", "hello", "team=web"]).ok();
    cluster.berth(&["get", "services", "-l", "team=web", "-o", "name"]).ok().says("hello");
    cluster.berth(&["annotate", "service/hello", "note=first"]).ok();
    assert_eq!(cluster.get("service", "hello")["metadata"]["annotations"]["note"], "first");
    cluster.berth(&["label", "service", "hello", "team-"]).ok();
    assert!(cluster.get("service", "hello")["metadata"]["labels"]["team"].is_null());

    let nodes = items(&cluster.berth(&["get", "nodes", "-o", "json"]).ok().json());
    let node = name_of(&nodes[0]);
    cluster.berth(&["cordon", node]).ok();
    cluster.berth(&["scale", "service", "hello", "--replicas", "4"]).ok();
    until("the fourth to be refused a cordoned node", || {
        let why = cluster.berth(&["why", "service", "hello"]);
        if why.out.to_lowercase().contains("cordon") || why.out.contains("unschedulable") {
            Ok(())
        } else {
            Err(why.to_string())
        }
    });
    cluster.berth(&["uncordon", node]).ok();
    cluster.wait_service("hello", 4);
    cluster.berth(&["events"]).ok().says("Started");
    cluster.berth(&["get", "events"]).ok().says("Started");
    cluster.berth(&["wait", "service/hello", "--for=condition=Ready", "--timeout=30s"]).ok();
    cluster.berth(&["drain", node, "--timeout=60s"]).ok();
    until("the node to be empty", || {
        let live = cluster.live_tasks("berth.dev/service=hello");
        let bound = live.iter().filter(|t| t["spec"]["nodeName"] == node).count();
        if bound == 0 { Ok(()) } else { Err(format!("{bound} tasks are on the node")) }
    });
    cluster.purge();
}
