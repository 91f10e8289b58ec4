//! Nobody grants what they do not have: which wanted rules are not covered by the rules that somebody holds.

use std::collections::{BTreeMap, BTreeSet};

use crate::attributes::User;
use crate::policy::{ALL, PolicyRule, path_covers, quoted, quoted_list};

/// The wanted rules that the owner's rules do not cover, each broken down to one verb, one resource and one name.
///
/// A small rule must be covered by one single rule of the owner: that is exact, because it cannot be divided further.
pub fn covers(owner: &[PolicyRule], wanted: &[PolicyRule]) -> Vec<PolicyRule> {
    wanted.iter().flat_map(break_down).filter(|small| !owner.iter().any(|rule| rule_covers(rule, small))).collect()
}

/// What only those hold who may do everything: asked of whoever sets an aggregation rule, which can gather anything.
pub fn full_authority() -> [PolicyRule; 2] {
    [PolicyRule::on(ALL, &[ALL], &[ALL]), PolicyRule::on_paths(&[ALL], &[ALL])]
}

fn break_down(rule: &PolicyRule) -> Vec<PolicyRule> {
    let one = |text: &String| vec![text.clone()];
    let mut small = Vec::new();
    for group in &rule.api_groups {
        for resource in &rule.resources {
            for verb in &rule.verbs {
                let base = PolicyRule {
                    verbs: one(verb),
                    api_groups: one(group),
                    resources: one(resource),
                    ..PolicyRule::default()
                };
                if rule.resource_names.is_empty() {
                    small.push(base);
                    continue;
                }
                small.extend(
                    rule.resource_names.iter().map(|name| PolicyRule { resource_names: one(name), ..base.clone() }),
                );
            }
        }
    }
    for path in &rule.non_resource_urls {
        for verb in &rule.verbs {
            small.push(PolicyRule { verbs: one(verb), non_resource_urls: one(path), ..PolicyRule::default() });
        }
    }
    small
}

/// Whether a rule covers one that was broken down.
fn rule_covers(owner: &PolicyRule, small: &PolicyRule) -> bool {
    let has =
        |set: &[String], wanted: &[String]| set.iter().any(|s| s == ALL) || wanted.iter().all(|w| set.contains(w));
    let names = owner.resource_names.is_empty()
        || (!small.resource_names.is_empty() && small.resource_names.iter().all(|n| owner.resource_names.contains(n)));
    has(&owner.verbs, &small.verbs)
        && has(&owner.api_groups, &small.api_groups)
        && small.resources.iter().all(|resource| resource_covers(&owner.resources, resource))
        && names
        && small.non_resource_urls.iter().all(|path| owner.non_resource_urls.iter().any(|o| path_covers(o, path)))
}

fn resource_covers(owner: &[String], resource: &str) -> bool {
    owner.iter().any(|held| {
        held == ALL
            || held == resource
            || resource.split_once('/').is_some_and(|(_, sub)| held.strip_prefix("*/") == Some(sub))
    })
}

/// Puts together the verbs of rules that are about the same one resource, for a shorter message.
pub fn compact(rules: &[PolicyRule]) -> Vec<PolicyRule> {
    let mut simple: BTreeMap<(String, String), PolicyRule> = BTreeMap::new();
    let mut rest = Vec::new();
    for rule in rules {
        let key = match (&rule.api_groups[..], &rule.resources[..]) {
            ([group], [resource]) if rule.resource_names.is_empty() && rule.non_resource_urls.is_empty() => {
                (group.clone(), resource.clone())
            }
            _ => {
                rest.push(rule.clone());
                continue;
            }
        };
        match simple.get_mut(&key) {
            Some(there) => there.verbs.extend(rule.verbs.iter().cloned()),
            None => {
                simple.insert(key, rule.clone());
            }
        }
    }
    rest.extend(simple.into_values());
    rest
}

/// Why somebody may not grant rules: upstream's message. `missing` is what [`covers`] left over; `problems` are roles
/// that could not be found while the user's rules were gathered.
pub fn escalation_message(user: &User<'_>, missing: &[PolicyRule], problems: &[String]) -> String {
    let lines: BTreeSet<String> = compact(missing).iter().map(PolicyRule::describe).collect();
    let lines: Vec<String> = lines.into_iter().collect();
    let mut message = format!(
        "user {} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
        quoted(user.name),
        quoted_list(user.groups),
        lines.join("\n")
    );
    if !problems.is_empty() {
        message.push_str(&format!("; resolution errors: [{}]", together(problems)));
    }
    message
}

/// Several problems as Go prints an aggregate of errors: each once, in brackets when there are more than one.
pub(crate) fn together(problems: &[String]) -> String {
    let mut seen = Vec::new();
    for problem in problems {
        if !seen.contains(problem) {
            seen.push(problem.clone());
        }
    }
    match &seen[..] {
        [one] => one.clone(),
        all => format!("[{}]", all.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_covered_and_the_rest_is_left_over() {
        let owner =
            [PolicyRule::on("", &["secrets", "configmaps"], &["get", "list"]), PolicyRule::on("a", &["*"], &["*"])];
        assert_eq!(covers(&owner, &[PolicyRule::on("", &["secrets"], &["get"])]), []);
        assert_eq!(covers(&owner, &[PolicyRule::on("a", &["x", "y/z"], &["escalate"])]), []);
        assert_eq!(
            covers(&owner, &[PolicyRule::on("", &["secrets"], &["get", "delete"])]),
            [PolicyRule::on("", &["secrets"], &["delete"])]
        );
        // Every verb that exists is not the same as every verb.
        assert_eq!(covers(&owner, &[PolicyRule::on("", &["secrets"], &["*"])]).len(), 1);
    }

    #[test]
    fn names_and_subresources_narrow() {
        let one = [PolicyRule::on("", &["secrets"], &["get"]).named(&["a"])];
        let all = [PolicyRule::on("", &["secrets"], &["get"])];
        assert_eq!(covers(&all, &one), []);
        assert_eq!(covers(&one, &all), all);
        let scale = [PolicyRule::on("*", &["*/scale"], &["get"])];
        assert_eq!(covers(&scale, &[PolicyRule::on("x", &["y/scale"], &["get"])]), []);
        assert_eq!(covers(&scale, &[PolicyRule::on("x", &["y"], &["get"])]).len(), 1);
    }

    #[test]
    fn paths_are_covered_by_wider_ones() {
        let owner = [PolicyRule::on_paths(&["/api/*"], &["get"])];
        assert_eq!(covers(&owner, &[PolicyRule::on_paths(&["/api/v1", "/api/v1/*"], &["get"])]), []);
        assert_eq!(covers(&owner, &[PolicyRule::on_paths(&["/apis"], &["get"])]).len(), 1);
        assert_eq!(covers(&full_authority(), &full_authority()), []);
    }

    #[test]
    fn the_message_is_upstreams() {
        let groups = ["devs".to_owned(), "system:authenticated".to_owned()];
        let user = User { name: "alice", groups: &groups };
        let missing = covers(&[], &[PolicyRule::on("*", &["*"], &["*"])]);
        assert_eq!(
            escalation_message(&user, &missing, &[]),
            "user \"alice\" (groups=[\"devs\" \"system:authenticated\"]) is attempting to grant RBAC permissions not \
             currently held:\n{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}"
        );
        let missing = covers(&[], &[PolicyRule::on("", &["b", "a"], &["get", "list"])]);
        let message = escalation_message(&user, &missing, &["x not found".into(), "x not found".into()]);
        let end = "held:\n{APIGroups:[\"\"], Resources:[\"a\"], Verbs:[\"get\" \"list\"]}\n\
                   {APIGroups:[\"\"], Resources:[\"b\"], Verbs:[\"get\" \"list\"]}; resolution errors: [x not found]";
        assert!(message.ends_with(end), "{message}");
    }
}
