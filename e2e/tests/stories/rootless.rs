//! Without root the same commands work; what is missing is said once, and nothing is left in the end.

use berth_e2e::{Cluster, example, items};

#[test]
fn a_user_without_rights_runs_a_cluster_and_is_told_what_is_missing() {
    let mut cluster = Cluster::of_nobody();
    cluster.start();
    let hello = std::fs::read_to_string(example("hello.yaml")).unwrap();
    cluster.apply(&hello);
    let tasks = cluster.wait_service("hello", 3);

    let port = tasks[0]["spec"]["allocatedPorts"][0]["port"].as_u64().expect("a port was allotted");
    let page = cluster.command("curl".as_ref(), &["-s", &format!("http://127.0.0.1:{port}/")]).output().unwrap();
    assert!(String::from_utf8_lossy(&page.stdout).contains("hello from"), "{page:?}");
    cluster.berth(&["logs", "hello"]).ok().says("GET / HTTP");
    let name = tasks[0]["metadata"]["name"].as_str().unwrap();
    cluster.berth(&["exec", name, "--", "id", "-u"]).ok().says("65534");

    let nodes = items(&cluster.berth(&["get", "nodes", "-o", "json"]).ok().json());
    let said: Vec<&str> =
        nodes[0]["status"]["limitations"].as_array().into_iter().flatten().filter_map(|line| line.as_str()).collect();
    assert_eq!(said.iter().filter(|line| line.contains("cgroup")).count(), 1, "{said:#?}");
    assert_eq!(said.iter().filter(|line| line.contains("not root")).count(), 1, "{said:#?}");
    let limits = said.iter().find(|line| line.contains("not enforced")).expect("limits are not enforced");
    assert!(["cpu", "memory", "processes"].iter().all(|what| limits.contains(what)), "{limits}");
    cluster.purge();
}
