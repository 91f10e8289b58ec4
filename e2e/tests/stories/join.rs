//! A second machine joins with a token that is good once, and nobody else gets in with it.

use std::fs::File;
use std::process::{Child, Command, Stdio};

use berth_e2e::{Cluster, berth_bin, condition, kill, until};
use rustix::process::Signal;

/// Another agent on this machine, as if it were another machine.
struct Machine<'a> {
    cluster: &'a Cluster,
    node: &'a str,
}

impl Machine<'_> {
    fn path(&self, name: &str) -> String {
        self.cluster.path(&format!("{}-{name}", self.node)).display().to_string()
    }

    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let own = ["agent", "--node-name", self.node, "--listen", "127.0.0.1:0", "--join-timeout", "20s"];
        let mut all: Vec<String> = own.iter().chain(more).map(|a| (*a).to_owned()).collect();
        for name in ["certs", "data-dir", "run-dir"] {
            all.extend([format!("--{name}"), self.path(name)]);
        }
        all.extend(["--ports".to_owned(), self.cluster.task_ports()]);
        all
    }

    /// What an attempt that must fail says.
    fn refused(&self, more: &[&str]) -> String {
        let arguments = self.arguments(more);
        let run = self.cluster.berth(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert_ne!(run.code, 0, "{run}");
        run.to_string()
    }

    fn start(&self, more: &[&str]) -> Child {
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = Command::new(berth_bin());
        command.args(self.arguments(more)).env("HOME", self.cluster.path("home")).env_remove("KUBECONFIG");
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }

    fn wait_ready(&self, since: &str) -> String {
        until(&format!("{} to be ready", self.node), || {
            let found = self.cluster.berth(&["get", "node", self.node, "-o", "json"]);
            let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
            if found.code != 0 {
                return Err(format!("{found}{log}"));
            }
            let node = found.json();
            let lease = self.cluster.berth(&["get", "lease", self.node, "-n", "berth-node-lease", "-o", "json"]);
            let renewed = if lease.code == 0 { lease.json()["spec"]["renewTime"].to_string() } else { String::new() };
            let is_ready = condition(&node, "Ready") == Some("True") && renewed.as_str() > since;
            if is_ready { Ok(renewed) } else { Err(format!("{node}{renewed}{log}")) }
        })
    }
}

fn stop(mut child: Child) {
    kill(child.id(), Signal::INT);
    child.wait().unwrap();
}

fn token(cluster: &Cluster) -> String {
    cluster.berth(&["token", "create", "--description", "second machine"]).ok().out.trim().to_owned()
}

#[test]
fn a_machine_joins_with_a_token_that_is_good_once() {
    let cluster = Cluster::up();
    let server = format!("https://{}", cluster.api_address());
    let command = cluster.berth(&["token", "create", "--print-join-command"]).ok().out;
    let hash = command.split(" --ca-hash ").nth(1).unwrap().trim().to_owned();
    let token = token(&cluster);
    let join = ["--join", &server, "--token", &token, "--ca-hash", &hash];

    // Somebody in between has another authority; nothing is sent to them.
    let wrong = format!("sha256:{}", "0".repeat(64));
    let second = Machine { cluster: &cluster, node: "second" };
    let said = second.refused(&["--join", &server, "--token", &token, "--ca-hash", &wrong]);
    assert!(said.contains("which --ca-hash does not name"), "{said}");
    assert!(!std::path::Path::new(&second.path("certs")).join("node.kubeconfig").exists());

    let agent = second.start(&join);
    let seen = second.wait_ready("");
    let listed = cluster.berth(&["token", "list"]).ok();
    assert!(listed.out.contains("used by second"), "{listed}");
    let secret = token.split('.').nth(1).unwrap();
    assert!(!listed.out.contains(secret), "{listed}");
    stop(agent);

    // Another machine with the same token.
    let third = Machine { cluster: &cluster, node: "third" };
    let said = third.refused(&join);
    assert!(said.contains("the bootstrap token was used by node \"second\""), "{said}");

    // The first one needs no token any more.
    let requests = || cluster.berth(&["certificate", "list"]).ok().out.lines().count();
    let before = requests();
    let agent = second.start(&[]);
    second.wait_ready(&seen);
    assert_eq!(requests(), before);
    stop(agent);

    cluster.berth(&["token", "delete", &token]).ok();
    until("the token to be forgotten", || {
        let said = third.refused(&join);
        if said.contains("does not know the token") { Ok(()) } else { Err(said) }
    });
    let purge = |machine: &Machine<'_>| {
        cluster.berth(&["down", "--data-dir", &machine.path("data-dir"), "--purge"]).ok();
    };
    purge(&second);
    cluster.purge();
}

#[test]
fn a_request_that_no_rule_approves_waits_for_a_person() {
    let cluster = Cluster::up();
    // Bearers of tokens may ask, but nobody approves by rule.
    let binding = "system:node-autoapprove-bootstrap";
    cluster.berth(&["delete", "clusterrolebinding", binding]).ok();
    let command = cluster.berth(&["token", "create", "--print-join-command"]).ok().out;
    let join: Vec<&str> = command.trim().split(' ').skip(2).collect();
    let second = Machine { cluster: &cluster, node: "second" };
    let agent = second.start(&join);
    let name = until("the request to wait", || {
        let log = std::fs::read_to_string(second.path("log")).unwrap_or_default();
        let hint = log.split("berth certificate approve ").nth(1).and_then(|rest| rest.lines().next());
        hint.map(str::to_owned).ok_or_else(|| log.clone())
    });
    cluster.berth(&["certificate", "approve", &name]).ok();
    second.wait_ready("");
    let again = cluster.berth(&["certificate", "deny", &name]);
    assert!(again.code == 1 && again.err.contains("is approved, and stays so"), "{again}");
    stop(agent);
    cluster.berth(&["down", "--data-dir", &second.path("data-dir"), "--purge"]).ok();
    cluster.purge();
}
