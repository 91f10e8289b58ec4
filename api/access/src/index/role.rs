//! One role, arranged by resource: an aggregated role has a hundred rules, of which a request concerns two.

use std::collections::HashMap;

use crate::attributes::Attributes;
use crate::policy::{ALL, PolicyRule};

/// The rules of a role, and which of them speak of what.
#[derive(Debug, Default)]
pub(super) struct CompiledRole {
    rules: Box<[PolicyRule]>,
    /// By `tasks` or `tasks/log`: the rules that name it.
    exact: HashMap<Box<str>, Vec<usize>>,
    /// Rules with a resource that has a wildcard.
    open: Vec<usize>,
    /// Rules about paths.
    paths: Vec<usize>,
}

impl CompiledRole {
    pub(super) fn new(rules: &[PolicyRule]) -> Self {
        let mut role = Self { rules: rules.into(), ..Self::default() };
        for (place, rule) in rules.iter().enumerate() {
            if !rule.non_resource_urls.is_empty() {
                role.paths.push(place);
            }
            if rule.resources.iter().any(|resource| resource.starts_with(ALL)) {
                role.open.push(place);
                continue;
            }
            for resource in &rule.resources {
                role.exact.entry(resource.as_str().into()).or_default().push(place);
            }
        }
        role
    }

    pub(super) fn rules(&self) -> &[PolicyRule] {
        &self.rules
    }

    /// Whether a rule allows it. `resource` is the resource with its subresource.
    pub(super) fn allows(&self, attributes: &Attributes<'_>, resource: &str) -> bool {
        match attributes {
            Attributes::Resource(wanted) => {
                let exact = self.exact.get(resource).into_iter().flatten().any(|place| {
                    let rule = &self.rules[*place];
                    rule.allows_verb(wanted.verb) && rule.allows_group(wanted.group) && rule.allows_name(wanted.name)
                });
                exact || self.open.iter().any(|place| self.rules[*place].allows(attributes))
            }
            Attributes::Path { verb, path } => self.paths.iter().any(|place| {
                let rule = &self.rules[*place];
                rule.allows_verb(verb) && rule.allows_path(path)
            }),
        }
    }
}
