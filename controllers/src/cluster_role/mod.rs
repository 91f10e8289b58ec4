//! ClusterRoles with an aggregation rule: their rules are those of the ClusterRoles that they select, so that a plugin
//! adds its kinds to `view`, `edit` and `admin` by a label (Kubernetes' clusterrole-aggregation-controller).

use std::sync::Arc;

use berth_access::{AggregationRule, PolicyRule, Role, aggregate};
use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::driver::{Context, Error, Key, Next, Part, Reconciler, Watch};
use crate::kind;

/// What the manager runs for this part.
pub fn parts() -> Vec<Part> {
    vec![Part::Reconciler(Arc::new(Aggregation))]
}

/// A ClusterRole.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClusterRole {
    metadata: ObjectMeta,
    #[serde(default)]
    rules: Option<Vec<PolicyRule>>,
    #[serde(default)]
    aggregation_rule: Option<AggregationRule>,
}

kind!(ClusterRole, "rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", false);

#[derive(Debug)]
struct Aggregation;

impl Reconciler for Aggregation {
    fn name(&self) -> &'static str {
        "clusterrole-aggregation-controller"
    }

    fn watches(&self) -> Vec<Watch> {
        // Any role may come to be selected by any other: they are looked at together.
        vec![Watch::all::<ClusterRole>()]
    }

    fn reconcile<'a>(&'a self, _: &'a Key, ctx: &'a Context) -> BoxFuture<'a, Result<Next, Error>> {
        reconcile(ctx).boxed()
    }
}

async fn reconcile(ctx: &Context) -> Result<Next, Error> {
    let there = ctx.store::<ClusterRole>().all();
    let roles: Vec<Role> = there.iter().map(|role| plain(role)).collect();
    for (place, rules) in plan(roles) {
        let meta = &there[place].metadata;
        // The revision keeps a change of the aggregation rule from being overlooked, and a role that was deleted from
        // being made anew.
        let patch = json!({ "metadata": { "resourceVersion": meta.resource_version }, "rules": rules });
        match ctx.patch::<ClusterRole>(&Key::of(meta), &patch).await {
            Err(error) if error.is_not_found() => {}
            done => drop(done?),
        }
    }
    Ok(Next::Changed)
}

/// The role as the rules of aggregation see it.
fn plain(role: &ClusterRole) -> Role {
    let metadata = berth_access::Metadata {
        name: role.metadata.name.clone().unwrap_or_default(),
        labels: role.metadata.labels.clone().unwrap_or_default(),
        ..berth_access::Metadata::default()
    };
    let rules = role.rules.clone().unwrap_or_default();
    Role { metadata, rules, aggregation_rule: role.aggregation_rule.clone() }
}

/// The roles that must get other rules, by their place, with these rules.
///
/// A role that gathers others may be gathered itself, so one round decides on what the rounds before it found. Rules
/// travel along chains of roles: after as many rounds as there are roles nothing is new.
fn plan(mut roles: Vec<Role>) -> Vec<(usize, Vec<PolicyRule>)> {
    let before: Vec<Vec<PolicyRule>> = roles.iter().map(|role| role.rules.clone()).collect();
    for _ in 0..roles.len() {
        let mut is_new = false;
        for place in 0..roles.len() {
            // One after the other, each on what the one before got: a ring comes to rest, instead of swapping for ever.
            if let Some(rules) = aggregate(&roles[place], &roles).filter(|rules| *rules != roles[place].rules) {
                roles[place].rules = rules;
                is_new = true;
            }
        }
        if !is_new {
            break;
        }
    }
    let changed = roles.into_iter().zip(before).enumerate();
    changed.filter(|(_, (role, before))| role.rules != *before).map(|(place, (role, _))| (place, role.rules)).collect()
}

#[cfg(test)]
mod tests {
    use berth_access::{LabelSelector, defaults};

    use super::*;

    #[test]
    fn the_default_roles_need_nothing() {
        assert_eq!(plan(defaults::cluster_roles()), []);
    }

    #[test]
    fn a_plugins_rules_travel_along_the_chain_in_one_go() {
        let mut roles = defaults::cluster_roles();
        let rule = PolicyRule::on("demo.example.com", &["widgets"], &["get"]);
        let label = ("rbac.authorization.k8s.io/aggregate-to-view".to_owned(), "true".to_owned());
        let metadata =
            berth_access::Metadata { name: "widgets-view".into(), labels: [label].into(), ..Default::default() };
        roles.push(Role { metadata, rules: vec![rule.clone()], aggregation_rule: None });
        let planned = plan(roles.clone());
        let names: Vec<&str> = planned.iter().map(|(place, _)| roles[*place].metadata.name.as_str()).collect();
        assert_eq!(names, ["admin", "edit", "view"]);
        assert!(planned.iter().all(|(_, rules)| rules.contains(&rule)));
        for (place, rules) in planned {
            roles[place].rules = rules;
        }
        assert_eq!(plan(roles), [], "a plan applied leaves nothing to plan");
    }

    #[test]
    fn roles_that_gather_one_another_come_to_rest() {
        let ring = |name: &str, of: &str, rule: &str| Role {
            metadata: berth_access::Metadata {
                name: name.into(),
                labels: [("of".to_owned(), name.to_owned())].into(),
                ..Default::default()
            },
            rules: vec![PolicyRule::on(rule, &["x"], &["get"])],
            aggregation_rule: Some(AggregationRule {
                cluster_role_selectors: vec![LabelSelector {
                    match_labels: [("of".to_owned(), of.to_owned())].into(),
                    ..LabelSelector::default()
                }],
            }),
        };
        let mut roles = vec![ring("a", "b", "1"), ring("b", "a", "2")];
        for (place, rules) in plan(roles.clone()) {
            roles[place].rules = rules;
        }
        assert_eq!(plan(roles), []);
    }
}
