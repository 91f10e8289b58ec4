//! Aggregation: which rules a ClusterRole gathers from others.

use crate::objects::Role;
use crate::policy::PolicyRule;

/// The rules of an aggregated role: those of every other role that one of its selectors selects, by the roles' names,
/// each rule once. `None` for a role that gathers nothing.
pub fn aggregate<'a>(role: &Role, all: impl IntoIterator<Item = &'a Role>) -> Option<Vec<PolicyRule>> {
    let selectors = &role.aggregation_rule.as_ref()?.cluster_role_selectors;
    let mut chosen: Vec<&Role> = all
        .into_iter()
        .filter(|other| other.metadata.name != role.metadata.name)
        .filter(|other| selectors.iter().any(|selector| selector.selects(&other.metadata.labels)))
        .collect();
    // The order decides the order of the rules: without one the role would be written at every look.
    chosen.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    let mut rules: Vec<PolicyRule> = Vec::new();
    for rule in chosen.into_iter().flat_map(|other| &other.rules) {
        if !rules.contains(rule) {
            rules.push(rule.clone());
        }
    }
    Some(rules)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::{AggregationRule, LabelSelector, Metadata};

    fn role(name: &str, label: Option<&str>, rules: &[PolicyRule]) -> Role {
        let labels = label.map(|l| (l.to_owned(), "true".to_owned())).into_iter().collect();
        Role {
            metadata: Metadata { name: name.into(), labels, ..Metadata::default() },
            rules: rules.to_vec(),
            ..Role::default()
        }
    }

    #[test]
    fn an_aggregated_role_has_the_rules_of_those_it_selects() {
        let (a, b) = (PolicyRule::on("a", &["x"], &["get"]), PolicyRule::on("b", &["x"], &["get"]));
        let mut sum = role("sum", Some("to-sum"), &[PolicyRule::on("old", &["x"], &["get"])]);
        sum.aggregation_rule = Some(AggregationRule {
            cluster_role_selectors: vec![LabelSelector {
                match_labels: [("to-sum".to_owned(), "true".to_owned())].into(),
                ..LabelSelector::default()
            }],
        });
        let all = [
            role("z", Some("to-sum"), std::slice::from_ref(&a)),
            role("m", Some("to-sum"), &[b.clone(), a.clone()]),
            role("other", None, &[PolicyRule::on("c", &["x"], &["get"])]),
            sum.clone(),
        ];
        assert_eq!(aggregate(&sum, &all), Some(vec![b, a]));
        assert_eq!(aggregate(&all[0], &all), None);
    }
}
