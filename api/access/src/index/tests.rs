//! Decisions, their reasons, and how long they take among ten thousand bindings.

use std::sync::Arc;
use std::time::Instant;

use super::*;
use crate::attributes::Resource;
use crate::objects::{Metadata, Subject};

fn metadata(namespace: &str, name: &str) -> Metadata {
    Metadata { name: name.into(), namespace: namespace.into(), ..Metadata::default() }
}

fn role(namespace: &str, name: &str, rules: &[PolicyRule]) -> Arc<Role> {
    Arc::new(Role { metadata: metadata(namespace, name), rules: rules.to_vec(), ..Role::default() })
}

fn binding(namespace: &str, name: &str, role_ref: RoleRef, subjects: &[Subject]) -> Arc<Binding> {
    Arc::new(Binding { metadata: metadata(namespace, name), subjects: subjects.to_vec(), role_ref })
}

fn get<'a>(namespace: &'a str, resource: &'a str, name: &'a str) -> Attributes<'a> {
    Attributes::Resource(Resource { verb: "get", resource, namespace, name, ..Resource::default() })
}

fn read(resource: &str) -> PolicyRule {
    PolicyRule::on("", &[resource], &["get"])
}

fn sample() -> Index {
    Index::new(&Objects {
        roles: vec![
            role("", "read", &[read("secrets"), PolicyRule::on_paths(&["/m*"], &["get"])]),
            role("a", "local", &[read("pods")]),
        ],
        bindings: vec![
            binding("", "all", RoleRef::cluster_role("read"), &[Subject::group("ops")]),
            binding(
                "a",
                "here",
                RoleRef::cluster_role("read"),
                &[Subject::user("ann"), Subject::service_account("", "bot")],
            ),
            binding("a", "own", RoleRef::role("local"), &[Subject::user("ann")]),
            binding("a", "gone", RoleRef::role("nope"), &[Subject::user("ann")]),
        ],
        tenants: vec![],
    })
}

#[test]
fn a_cluster_binding_holds_everywhere_and_a_binding_in_its_namespace() {
    let index = sample();
    let ops = ["ops".to_owned()];
    let bob = User { name: "bob", groups: &ops };
    let decision = index.authorize(&bob, &get("b", "secrets", "s"));
    assert_eq!(decision.reason, r#"RBAC: allowed by ClusterRoleBinding "all" of ClusterRole "read" to Group "ops""#);
    assert!(index.authorize(&bob, &Attributes::Path { verb: "get", path: "/metrics" }).allowed);
    let ann = User { name: "ann", groups: &[] };
    let decision = index.authorize(&ann, &get("a", "secrets", "s"));
    assert_eq!(decision.reason, r#"RBAC: allowed by RoleBinding "here/a" of ClusterRole "read" to User "ann""#);
    assert!(index.authorize(&ann, &get("a", "pods", "s")).allowed);
    assert!(!index.authorize(&ann, &get("b", "secrets", "s")).allowed);
    assert!(!index.authorize(&ann, &get("", "secrets", "")).allowed);
    // A binding in a namespace gives no paths.
    assert!(!index.authorize(&ann, &Attributes::Path { verb: "get", path: "/metrics" }).allowed);
}

#[test]
fn a_service_account_is_a_user_with_a_long_name() {
    let bot = User { name: "system:serviceaccount:a:bot", groups: &[] };
    let decision = sample().authorize(&bot, &get("a", "secrets", "s"));
    assert_eq!(
        decision.reason,
        r#"RBAC: allowed by RoleBinding "here/a" of ClusterRole "read" to ServiceAccount "bot/a""#
    );
}

#[test]
fn a_refusal_names_the_roles_that_are_not_there() {
    let ann = User { name: "ann", groups: &[] };
    let decision = sample().authorize(&ann, &get("a", "nodes", "n"));
    assert_eq!(
        decision,
        Decision { allowed: false, reason: r#"RBAC: role.rbac.authorization.k8s.io "nope" not found"#.into() }
    );
}

#[test]
fn the_rules_of_a_user_are_those_of_all_bindings() {
    let index = sample();
    let ann = User { name: "ann", groups: &[] };
    let scoped = index.rules_for(&ann, "a");
    assert_eq!(scoped.rules.len(), 3);
    assert_eq!(scoped.problems, [r#"role.rbac.authorization.k8s.io "nope" not found"#]);
    assert_eq!(index.rules_for(&ann, ""), Scoped::default());
    assert_eq!(index.role_rules(&RoleRef::role("local"), "a").unwrap(), [read("pods")]);
    let missing = index.role_rules(&RoleRef::role("local"), "b").unwrap_err();
    assert_eq!(missing.to_string(), r#"role.rbac.authorization.k8s.io "local" not found"#);
}

/// Ten thousand bindings: many of others, many of one user in one namespace, and the default roles.
fn crowded() -> Index {
    let mut objects = Objects {
        roles: crate::defaults::cluster_roles().into_iter().map(Arc::new).collect(),
        bindings: crate::defaults::cluster_role_bindings().into_iter().map(Arc::new).collect(),
        tenants: vec![],
    };
    for n in 0..5_000 {
        let user = Subject::user(&format!("user-{n}"));
        let space = format!("ns-{}", n % 500);
        objects.bindings.push(binding(
            &space,
            &format!("b{n}"),
            RoleRef::cluster_role("system:aggregate-to-edit"),
            &[user],
        ));
        let view = RoleRef::cluster_role("system:aggregate-to-view");
        objects.bindings.push(binding("ns-7", &format!("c{n}"), view, &[Subject::user("ann"), Subject::group("devs")]));
    }
    Index::new(&objects)
}

#[test]
fn ten_thousand_bindings_are_answered_in_microseconds() {
    let index = crowded();
    let groups = ["devs".to_owned(), "a".to_owned(), "system:authenticated".to_owned()];
    let ann = User { name: "ann", groups: &groups };
    let allowed = get("ns-7", "configmaps", "x");
    let refused = get("ns-7", "secrets", "x");
    assert!(index.authorize(&ann, &allowed).allowed && !index.authorize(&ann, &refused).allowed);
    let rounds = 20_000;
    let started = Instant::now();
    for _ in 0..rounds {
        std::hint::black_box(index.authorize(&ann, std::hint::black_box(&allowed)));
        std::hint::black_box(index.authorize(&ann, std::hint::black_box(&refused)));
    }
    let each = started.elapsed() / (2 * rounds);
    eprintln!("{each:?} an answer");
    // An unoptimised build on a busy machine is twenty times slower; a scan of the bindings would take milliseconds.
    assert!(each.as_micros() < 100, "{each:?}");
}
