//! The node authorizer against a graph of one task.

use super::*;
use crate::attributes::FieldTerm;

/// Node `n1` has task `a/t`, which names secret `s`, config map `c`, service account `sa`; request `csr1` is n1's.
struct OneTask;

impl Graph for OneTask {
    fn names(&self, node: &str, kind: Kind, namespace: &str, name: &str) -> bool {
        let its = match kind {
            Kind::Secret => "s",
            Kind::ConfigMap => "c",
            Kind::ServiceAccount => "sa",
            Kind::Volume => "v",
        };
        (node, namespace, name) == ("n1", "a", its)
    }

    fn task(&self, node: &str, namespace: &str, name: &str) -> Place {
        match (node, namespace, name) {
            ("n1", "a", "t") => Place::Here,
            (_, "a", "t") => Place::Elsewhere,
            _ => Place::Nowhere,
        }
    }

    fn is_foreign_request(&self, user: &str, request: &str) -> bool {
        (user, request) != ("system:node:n1", "csr1")
    }
}

fn ask(node: &str, verb: &str, path: &str) -> Answer {
    // GROUP/NAMESPACE/RESOURCE/NAME/SUBRESOURCE, each may be empty.
    let parts: Vec<&str> = path.split('|').collect();
    let [group, namespace, resource, name, subresource] = parts[..] else { panic!("{path}") };
    let groups = [GROUP_NODES.to_owned()];
    let user = format!("{USER_PREFIX}{node}");
    let user = User { name: &user, groups: &groups };
    let wanted = Resource { verb, group, resource, subresource, namespace, name, fields: &[] };
    authorize(node_of(&user).unwrap(), &user, &Attributes::Resource(wanted), &OneTask)
}

fn may(node: &str, verb: &str, path: &str) -> bool {
    ask(node, verb, path) == Answer::Allow
}

#[test]
fn an_agent_reads_what_its_tasks_name_and_nobody_elses() {
    for (path, verb) in [
        ("|a|secrets|s|", "get"),
        ("|a|secrets|s|", "watch"),
        ("|a|configmaps|c|", "get"),
        ("|a|serviceaccounts|sa|", "get"),
        ("|a|serviceaccounts|sa|token", "create"),
        ("berth.dev|a|volumes|v|", "get"),
        ("berth.dev|a|tasks|t|", "get"),
        ("berth.dev|a|tasks|t|status", "patch"),
        ("certificates.k8s.io||certificatesigningrequests|csr1|", "get"),
    ] {
        assert!(may("n1", verb, path), "{verb} {path}");
        assert!(!may("n2", verb, path), "{verb} {path}");
    }
    assert_eq!(
        ask("n2", "get", "|a|secrets|s|"),
        Answer::NoOpinion("no relationship found between node 'n2' and this object".to_owned())
    );
}

#[test]
fn an_agent_may_not_list_secrets_or_reach_other_resources() {
    for (path, verb) in [
        ("|a|secrets||", "list"),
        ("|a|secrets|s|", "update"),
        ("|a|secrets||", "create"),
        ("|||namespaces|", "list"),
        ("berth.dev|a|tasks|t|log", "get"),
        ("berth.dev|a|tasks|t|", "delete"),
        ("berth.dev|a|tasks||", "create"),
        ("berth.dev|a|tasks||", "list"),
        ("berth.dev|a|services|t|", "get"),
        ("berth.dev||nodes|n2|", "get"),
        ("berth.dev||nodes|n2|status", "patch"),
        ("berth.dev||nodes|n1|", "delete"),
        ("coordination.k8s.io|default|leases|n1|", "update"),
        ("coordination.k8s.io|berth-node-lease|leases|n2|", "update"),
        ("coordination.k8s.io|berth-node-lease|leases||", "list"),
        ("certificates.k8s.io||certificatesigningrequests|csr2|", "get"),
        ("certificates.k8s.io||certificatesigningrequests|csr1|approval", "update"),
        ("rbac.authorization.k8s.io||clusterroles|x|", "get"),
    ] {
        assert!(!may("n1", verb, path), "{verb} {path}");
    }
}

#[test]
fn an_agent_keeps_its_node_its_lease_and_events() {
    for (path, verb) in [
        ("berth.dev||nodes||", "create"),
        ("berth.dev||nodes|n1|", "patch"),
        ("berth.dev||nodes|n1|status", "patch"),
        ("berth.dev||nodes|n1|", "watch"),
        ("coordination.k8s.io|berth-node-lease|leases|n1|", "update"),
        ("coordination.k8s.io|berth-node-lease|leases||", "create"),
        ("|a|events||", "create"),
        ("events.k8s.io|a|events|e|", "patch"),
        ("certificates.k8s.io||certificatesigningrequests||", "create"),
    ] {
        assert!(may("n1", verb, path), "{verb} {path}");
    }
}

#[test]
fn an_agent_learns_that_its_task_is_gone() {
    assert!(may("n1", "get", "berth.dev|a|tasks|gone|"));
    assert!(may("n1", "patch", "berth.dev|a|tasks|gone|status"));
}

#[test]
fn tasks_are_listed_by_node_only() {
    let groups = [GROUP_NODES.to_owned()];
    let user = User { name: "system:node:n1", groups: &groups };
    let with = |value| {
        let fields = [FieldTerm { path: "spec.nodeName", value }];
        let wanted =
            Resource { verb: "watch", group: "berth.dev", resource: "tasks", fields: &fields, ..Resource::default() };
        authorize("n1", &user, &Attributes::Resource(wanted), &OneTask) == Answer::Allow
    };
    assert!(with("n1"));
    assert!(!with("n2"));
}

#[test]
fn only_members_of_the_group_are_agents() {
    let groups = [GROUP_NODES.to_owned()];
    assert_eq!(node_of(&User { name: "system:node:n1", groups: &[] }), None);
    assert_eq!(node_of(&User { name: "system:node:", groups: &groups }), None);
    assert_eq!(node_of(&User { name: "n1", groups: &groups }), None);
    assert_eq!(node_of(&User { name: "system:node:n1", groups: &groups }), Some("n1"));
}
