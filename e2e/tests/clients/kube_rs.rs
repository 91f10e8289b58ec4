//! An operator written with kube-rs, on a kind of its own: definition, leader election, finalizer, status, events.

use berth_e2e::{Cluster, Program, until};

use crate::typed::Typed;

/// The program is built with the tests, and stands beside the folder that they are in.
fn operator(cluster: &Cluster, name: &str) -> Program {
    let program = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("greeting-operator");
    Program::start(cluster, name, cluster.command(&program, &[name]))
}

fn greeting(name: &str, who: &str, times: u32) -> String {
    format!(
        "{{apiVersion: krs.example.com/v1, kind: Greeting, metadata: {{name: {name}}}, spec: {{who: {who}, times: {times}}}}}"
    )
}

#[test]
fn an_operator_in_rust_leads_reconciles_and_cleans_up() {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);
    let mut first = operator(&cluster, "first");
    first.wait_log("first: leads");
    first.wait_log("first: the kind is established");
    first.wait_log("first: status is true");
    let mut second = operator(&cluster, "second");
    second.wait_log("second: the server is v1.");

    k.with("apply -f -", &greeting("world", "World", 2)).ok();
    first.wait_log("first: said hello World, hello World");
    first.wait_log("first: metadata of world by 1");
    assert_eq!(k.text("get configmap world -o jsonpath={.data.words}"), "hello World, hello World");
    k.until("get hi world -o jsonpath={.status.said}/{.status.observedGeneration}", |run| {
        run.out == "hello World, hello World/1"
    });
    k.ok("get hi").says("SAID").says("hello World");
    k.until("describe hi world", |run| run.out.contains("Greeted") && run.out.contains("greeting-operator"));
    k.ok("get hi world -o jsonpath={.metadata.finalizers}").says("krs.example.com/farewell");

    // What the operator made is made again, and follows the spec.
    k.ok("delete configmap world");
    k.until("get configmap world -o jsonpath={.data.words}", |run| run.out.starts_with("hello"));
    k.ok("patch hi world --type=merge -p '{\"spec\":{\"times\":1}}'");
    first.wait_log("first: said hello World");
    k.until("get configmap world -o jsonpath={.data.words}", |run| run.out == "hello World");
    k.until("get hi world -o jsonpath={.status.observedGeneration}", |run| run.out == "2");

    // The leader dies: the other takes its place, finds all as it was, and goes on.
    assert!(!second.log().contains("leads"), "{}", second.log());
    assert_eq!(k.text("get lease greeting-operator -o jsonpath={.spec.holderIdentity}"), "first");
    first.crash();
    k.with("apply -f -", &greeting("moon", "Moon", 1)).ok();
    second.wait_log("second: leads");
    second.wait_log("second: 1 were made before");
    second.wait_log("second: said hello Moon");
    let lease = k.ok("get lease greeting-operator -o json").json();
    assert_eq!(lease["spec"]["holderIdentity"], "second");
    assert_eq!(lease["spec"]["leaseTransitions"], 1);
    assert!(lease["spec"]["renewTime"].as_str().unwrap().contains('.'), "microseconds: {lease}");

    k.ok("delete hi world").says("deleted");
    second.wait_log("second: goodbye World");
    assert_eq!(k.text("get configmap farewells -o jsonpath={.data.world}"), "goodbye World");
    k.until("get configmap world --ignore-not-found", |run| run.code == 0 && run.out.is_empty());
    // Nobody takes the finalizer off while no operator runs.
    assert_eq!(second.stop(), Some(0), "{}", second.log());
    assert_eq!(k.text("get lease greeting-operator -o jsonpath={.spec.holderIdentity}"), "");
    k.ok("delete hi moon --wait=false");
    k.ok("get hi moon -o jsonpath={.metadata.deletionTimestamp}").says("T");
    let mut third = operator(&cluster, "third");
    third.wait_log("third: goodbye Moon");
    k.ok("wait --for=delete hi/moon --timeout=20s");
    until("no failure to be told", || {
        let log = format!("{}{}{}", first.log(), second.log(), third.log());
        if log.contains("failed:") { Err(log) } else { Ok(()) }
    });
    assert_eq!(third.stop(), Some(0));
    cluster.purge();
}
