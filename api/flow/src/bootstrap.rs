//! The flow schemas and priority levels that every server has.
//!
//! The mandatory ones cannot be changed; the suggested ones are kept as they are here until someone turns that off
//! with [`AUTO_UPDATE_ANNOTATION`]. All but the `berth-` ones are Kubernetes' own.

use crate::plan::Named;
use crate::spec::{
    BY_NAMESPACE, BY_USER, DistinguisherMethod, EXEMPT, Exempt, FlowSchemaSpec, LIMITED, LevelReference, LimitResponse,
    Limited, NonResourceRule, PriorityLevelSpec, QUEUE, Queuing, REJECT, ResourceRule, RulesWithSubjects,
    ServiceAccountName, Subject, SubjectName,
};

/// `"true"` on an object: the server keeps its spec as it is here. `"false"`: the object belongs to who changed it.
pub const AUTO_UPDATE_ANNOTATION: &str = "apf.kubernetes.io/autoupdate-spec";

/// Name of the schema and of the level that are never limited.
pub const EXEMPT_NAME: &str = "exempt";
/// Name of the schema and of the level for what nothing else matches.
pub const CATCH_ALL_NAME: &str = "catch-all";

const EVERYONE: [&str; 2] = ["system:unauthenticated", "system:authenticated"];
const NODES: &str = "system:nodes";
/// The group of our own controllers.
const CONTROLLERS: &str = "system:controllers";

/// Whether an object of this name must always be what it is here.
pub fn is_mandatory(name: &str) -> bool {
    name == EXEMPT_NAME || name == CATCH_ALL_NAME
}

/// All priority levels, the mandatory ones first.
pub fn levels() -> Vec<Named<PriorityLevelSpec>> {
    let exempt = PriorityLevelSpec {
        enablement: EXEMPT.to_owned(),
        limited: None,
        exempt: Some(Exempt { nominal_concurrency_shares: Some(0), lendable_percent: Some(0) }),
    };
    let reject = LimitResponse { response: REJECT.to_owned(), queuing: None };
    vec![
        Named::new(EXEMPT_NAME, exempt),
        Named::new(CATCH_ALL_NAME, limited(5, 0, reject)),
        // Agents: starting tasks, reading what they need.
        Named::new("system", limited(30, 33, queue(64, 6))),
        // Agents telling that they live: apart, so that they can even when the rest of their requests cannot be served.
        Named::new("node-high", limited(40, 25, queue(64, 6))),
        Named::new("leader-election", limited(10, 0, queue(16, 4))),
        // Controllers.
        Named::new("workload-high", limited(40, 50, queue(128, 6))),
        // Programs of the users.
        Named::new("workload-low", limited(100, 90, queue(128, 6))),
        // Everybody else.
        Named::new("global-default", limited(20, 50, queue(128, 6))),
    ]
}

fn limited(shares: i32, lendable: i32, response: LimitResponse) -> PriorityLevelSpec {
    let limited = Limited {
        nominal_concurrency_shares: shares,
        limit_response: response,
        lendable_percent: Some(lendable),
        borrowing_limit_percent: None,
    };
    PriorityLevelSpec { enablement: LIMITED.to_owned(), limited: Some(limited), exempt: None }
}

fn queue(queues: i32, hand_size: i32) -> LimitResponse {
    let queuing = Queuing { queues, hand_size, queue_length_limit: 50 };
    LimitResponse { response: QUEUE.to_owned(), queuing: Some(queuing) }
}

/// All flow schemas, the mandatory ones first.
pub fn schemas() -> Vec<Named<FlowSchemaSpec>> {
    let everything = |subjects| rules(subjects, vec![all_resources()], vec![non_resource(&["*"], &["*"])]);
    let leases = |verbs: &[&str]| resource(verbs, &["coordination.k8s.io"], &["leases"], false);
    let election = ["get", "create", "update"];
    let candidates =
        [users(&["system:kube-controller-manager", "system:kube-scheduler"]), accounts("kube-system")].concat();
    let on_node = |group: &str| resource(&["*"], &[group], &["nodes", "nodes/status"], true);
    vec![
        schema(EXEMPT_NAME, EXEMPT_NAME, 1, None, everything(groups(&["system:masters"]))),
        schema(CATCH_ALL_NAME, CATCH_ALL_NAME, 10_000, Some(BY_USER), everything(groups(&EVERYONE))),
        schema("system-nodes", "system", 500, Some(BY_USER), everything(groups(&[NODES]))),
        schema(
            "system-node-high",
            "node-high",
            400,
            Some(BY_USER),
            rules(groups(&[NODES]), vec![on_node(""), leases(&["*"])], vec![]),
        ),
        schema(
            "probes",
            EXEMPT_NAME,
            2,
            None,
            rules(groups(&EVERYONE), vec![], vec![non_resource(&["get"], &["/healthz", "/readyz", "/livez"])]),
        ),
        schema(
            "system-leader-election",
            "leader-election",
            100,
            Some(BY_USER),
            rules(candidates, vec![leases(&election)], vec![]),
        ),
        schema(
            "kube-controller-manager",
            "workload-high",
            800,
            Some(BY_NAMESPACE),
            everything(users(&["system:kube-controller-manager"])),
        ),
        schema(
            "kube-scheduler",
            "workload-high",
            800,
            Some(BY_NAMESPACE),
            everything(users(&["system:kube-scheduler"])),
        ),
        schema(
            "kube-system-service-accounts",
            "workload-high",
            900,
            Some(BY_NAMESPACE),
            everything(accounts("kube-system")),
        ),
        schema(
            "service-accounts",
            "workload-low",
            9000,
            Some(BY_USER),
            everything(groups(&["system:serviceaccounts"])),
        ),
        schema("global-default", "global-default", 9900, Some(BY_USER), everything(groups(&EVERYONE))),
        // Ours: agents write Nodes of our own group, and our controllers are a group of their own.
        schema(
            "berth-leader-election",
            "leader-election",
            110,
            Some(BY_USER),
            rules(groups(&[CONTROLLERS]), vec![leases(&election)], vec![]),
        ),
        schema(
            "berth-node-high",
            "node-high",
            410,
            Some(BY_USER),
            rules(groups(&[NODES]), vec![on_node("berth.dev")], vec![]),
        ),
        schema("berth-controllers", "workload-high", 810, Some(BY_NAMESPACE), everything(groups(&[CONTROLLERS]))),
    ]
}

fn schema(
    name: &str,
    level: &str,
    precedence: i32,
    distinguisher: Option<&str>,
    rules: RulesWithSubjects,
) -> Named<FlowSchemaSpec> {
    let spec = FlowSchemaSpec {
        priority_level_configuration: LevelReference { name: level.to_owned() },
        matching_precedence: precedence,
        distinguisher_method: distinguisher.map(|method| DistinguisherMethod { method: method.to_owned() }),
        rules: vec![rules],
    };
    Named::new(name, spec)
}

fn rules(subjects: Vec<Subject>, resources: Vec<ResourceRule>, paths: Vec<NonResourceRule>) -> RulesWithSubjects {
    RulesWithSubjects { subjects, resource_rules: resources, non_resource_rules: paths }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn all_resources() -> ResourceRule {
    resource(&["*"], &["*"], &["*"], true)
}

fn resource(verbs: &[&str], groups: &[&str], resources: &[&str], cluster_scope: bool) -> ResourceRule {
    ResourceRule {
        verbs: texts(verbs),
        api_groups: texts(groups),
        resources: texts(resources),
        cluster_scope,
        namespaces: texts(&["*"]),
    }
}

fn non_resource(verbs: &[&str], urls: &[&str]) -> NonResourceRule {
    NonResourceRule { verbs: texts(verbs), non_resource_urls: texts(urls) }
}

fn groups(names: &[&str]) -> Vec<Subject> {
    let named = |name: &&str| Some(SubjectName { name: (*name).to_owned() });
    names.iter().map(|name| Subject { kind: "Group".to_owned(), group: named(name), ..Subject::default() }).collect()
}

fn users(names: &[&str]) -> Vec<Subject> {
    let named = |name: &&str| Some(SubjectName { name: (*name).to_owned() });
    names.iter().map(|name| Subject { kind: "User".to_owned(), user: named(name), ..Subject::default() }).collect()
}

/// All service accounts of a namespace.
fn accounts(namespace: &str) -> Vec<Subject> {
    let all = ServiceAccountName { namespace: namespace.to_owned(), name: "*".to_owned() };
    vec![Subject { kind: "ServiceAccount".to_owned(), service_account: Some(all), ..Subject::default() }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate;

    #[test]
    fn every_object_is_valid_and_refers_to_one_that_exists() {
        let levels = levels();
        for level in &levels {
            assert_eq!(validate::priority_level(&level.name, &level.spec), [], "{}", level.name);
        }
        for schema in schemas() {
            assert_eq!(validate::flow_schema(&schema.name, &schema.spec), [], "{}", schema.name);
            let level = &schema.spec.priority_level_configuration.name;
            assert!(levels.iter().any(|known| known.name == *level), "{level}");
        }
    }

    #[test]
    fn a_level_reads_as_kubernetes_writes_it() {
        let level = levels().into_iter().find(|level| level.name == "leader-election").unwrap();
        assert_eq!(
            serde_json::to_string(&level.spec).unwrap(),
            r#"{"type":"Limited","limited":{"nominalConcurrencyShares":10,"limitResponse":{"type":"Queue","queuing":{"queues":16,"handSize":4,"queueLengthLimit":50}},"lendablePercent":0}}"#
        );
    }
}
