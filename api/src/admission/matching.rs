//! Which writes a webhook or a policy is asked about: its rules and selectors, compiled once.

use berth_schema::selector::LabelSelector;
use serde_json::Value;

use super::Operation;
use super::attributes::{Attributes, namespace_object};
use crate::status::ApiError;
use crate::write::Write;

/// One rule: these operations on these resources.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rule {
    operations: Vec<String>,
    groups: Vec<String>,
    versions: Vec<String>,
    /// Plural and subresource; `("*", "")` is every resource without its subresources.
    resources: Vec<(String, String)>,
    scope: Scope,
    /// Only objects of these names; empty for all. Webhooks have none.
    names: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Scope {
    #[default]
    All,
    Cluster,
    Namespaced,
}

/// A resource as a rule sees it.
#[derive(Clone, Copy, Debug)]
struct Target<'a> {
    group: &'a str,
    version: &'a str,
    plural: &'a str,
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn lists(list: &[String], wanted: &str) -> bool {
    list.iter().any(|item| item == "*" || item == wanted)
}

impl Rule {
    fn of(rule: &Value) -> Self {
        let split = |text: String| match text.split_once('/') {
            Some((plural, sub)) => (plural.to_owned(), sub.to_owned()),
            None => (text, String::new()),
        };
        Self {
            operations: texts(&rule["operations"]),
            groups: texts(&rule["apiGroups"]),
            versions: texts(&rule["apiVersions"]),
            resources: texts(&rule["resources"]).into_iter().map(split).collect(),
            scope: match rule["scope"].as_str() {
                Some("Cluster") => Scope::Cluster,
                Some("Namespaced") => Scope::Namespaced,
                _ => Scope::All,
            },
            names: texts(&rule["resourceNames"]),
        }
    }

    fn matches(&self, a: &Attributes, target: Target<'_>) -> bool {
        let in_scope = match self.scope {
            Scope::All => true,
            Scope::Namespaced => !a.is_namespace && !a.namespace.is_empty(),
            Scope::Cluster => a.is_namespace || a.namespace.is_empty(),
        };
        in_scope
            && lists(&self.operations, a.operation.as_str())
            && lists(&self.groups, target.group)
            && lists(&self.versions, target.version)
            && self.resources.iter().any(|(plural, sub)| {
                (plural == "*" || plural == target.plural) && (sub == "*" || *sub == a.subresource)
            })
            && (self.names.is_empty() || self.names.contains(&a.name))
    }
}

/// The rules and selectors of one webhook, policy or binding.
#[derive(Clone, Debug)]
pub(crate) struct Matching {
    rules: Vec<Rule>,
    excluded: Vec<Rule>,
    /// A write to another version of the resource matches, too.
    equivalent: bool,
    namespaces: Result<LabelSelector, String>,
    objects: Result<LabelSelector, String>,
}

/// That it matches, and in which version it wants to see the objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Matched {
    pub version: String,
}

impl Matching {
    /// Of a webhook.
    pub(crate) fn of_webhook(webhook: &Value) -> Self {
        Self::of(webhook, "rules")
    }

    /// Of a policy's `matchConstraints`, or a binding's `matchResources`.
    pub(crate) fn of_match_resources(resources: &Value) -> Self {
        Self::of(resources, "resourceRules")
    }

    fn of(value: &Value, rules: &str) -> Self {
        let rules_of = |field: &str| value[field].as_array().into_iter().flatten().map(Rule::of).collect();
        let selector = |field: &str| LabelSelector::from_json(&value[field]).map_err(|error| error.to_string());
        Self {
            rules: rules_of(rules),
            excluded: rules_of("excludeResourceRules"),
            equivalent: value["matchPolicy"] != "Exact",
            namespaces: selector("namespaceSelector"),
            objects: selector("objectSelector"),
        }
    }

    /// Whether this write is to be asked about.
    ///
    /// # Errors
    /// When it matches but for a selector that cannot be decided.
    pub(crate) async fn matches(
        &self,
        w: &Write<'_>,
        a: &Attributes,
        object: Option<&Value>,
        old: Option<&Value>,
    ) -> Result<Option<Matched>, ApiError> {
        // The rules first, though selectors come first upstream: they are cheaper, and the outcome is the same.
        let Some(matched) = self.by_rules(w, a) else { return Ok(None) };
        let selects =
            |object: Option<&Value>, selector: &LabelSelector| object.is_some_and(|o| selector.matches_object(o));
        let objects = self.objects.as_ref().map_err(ApiError::internal)?;
        if !objects.is_empty() && !selects(object, objects) && !selects(old, objects) {
            return Ok(None);
        }
        let namespaces = self.namespaces.as_ref().map_err(ApiError::internal)?;
        if namespaces.is_empty() || a.namespace.is_empty() {
            return Ok(Some(matched));
        }
        let own = a.is_namespace && a.subresource.is_empty() && a.operation != Operation::Delete;
        let selected = match object.filter(|_| own) {
            Some(namespace) => namespaces.matches_object(namespace),
            None => namespaces.matches_object(&namespace_object(w, &a.namespace).await?),
        };
        Ok(selected.then_some(matched))
    }

    /// No rules at all mean every resource, for bindings of policies.
    fn by_rules(&self, w: &Write<'_>, a: &Attributes) -> Option<Matched> {
        if find(&self.excluded, self.equivalent, w, a).is_some() {
            return None;
        }
        if self.rules.is_empty() {
            return Some(Matched { version: w.resource.version.clone() });
        }
        find(&self.rules, self.equivalent, w, a)
    }

    /// A webhook without rules is never asked.
    pub(crate) fn has_rules(&self) -> bool {
        !self.rules.is_empty()
    }
}

/// The first rule that matches the request as it came; else the first that matches another version of the resource.
fn find(rules: &[Rule], equivalent: bool, w: &Write<'_>, a: &Attributes) -> Option<Matched> {
    if rules.is_empty() {
        return None;
    }
    let (group, plural) = (w.resource.group.as_str(), w.resource.plural.as_str());
    let target = |version| Target { group, version, plural };
    if rules.iter().any(|rule| rule.matches(a, target(&w.resource.version))) {
        return Some(Matched { version: w.resource.version.clone() });
    }
    if !equivalent {
        return None;
    }
    let rows = w.server.registry.rows();
    let others = rows
        .ordered
        .iter()
        .filter(|row| row.group == group && row.plural == plural && row.version != w.resource.version);
    let others: Vec<&str> = others.map(|row| row.version.as_str()).collect();
    let version = rules.iter().find_map(|rule| others.iter().find(|version| rule.matches(a, target(version))))?;
    Some(Matched { version: (*version).to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn attributes(operation: Operation, namespace: &str, subresource: &str) -> Attributes {
        Attributes {
            operation,
            subresource: subresource.to_owned(),
            namespace: namespace.to_owned(),
            name: "a".to_owned(),
            is_namespace: false,
            dry_run: false,
            revision: 0,
        }
    }

    #[test]
    fn a_rule_names_operations_groups_versions_resources_and_scope() {
        let target = Target { group: "g", version: "v1", plural: "widgets" };
        let rule = |resources: Value, scope: &str| {
            Rule::of(&json!({"operations": ["CREATE"], "apiGroups": ["g"], "apiVersions": ["*"],
                "resources": resources, "scope": scope}))
        };
        let create = attributes(Operation::Create, "ns", "");
        let status = attributes(Operation::Create, "ns", "status");
        for (resources, scope, plain, of_status) in [
            (json!(["widgets"]), "*", true, false),
            (json!(["*"]), "Namespaced", true, false),
            (json!(["*/*"]), "*", true, true),
            (json!(["widgets/*"]), "*", true, true),
            (json!(["widgets/status"]), "*", false, true),
            (json!(["*/status"]), "*", false, true),
            (json!(["gadgets"]), "*", false, false),
            (json!(["*"]), "Cluster", false, false),
        ] {
            let rule = rule(resources.clone(), scope);
            assert_eq!(rule.matches(&create, target), plain, "{resources} {scope}");
            assert_eq!(rule.matches(&status, target), of_status, "{resources} {scope} status");
        }
        assert!(!rule(json!(["*"]), "*").matches(&attributes(Operation::Update, "ns", ""), target));
        let core = Target { group: "", version: "v1", plural: "widgets" };
        assert!(!rule(json!(["*"]), "*").matches(&create, core));
    }

    #[test]
    fn a_namespace_is_cluster_scoped_though_it_bears_its_own_name() {
        let rule = |scope: &str| {
            Rule::of(&json!({"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"],
                "resources": ["namespaces"], "scope": scope}))
        };
        let target = Target { group: "", version: "v1", plural: "namespaces" };
        let namespace = Attributes { is_namespace: true, ..attributes(Operation::Create, "ns", "") };
        assert!(rule("Cluster").matches(&namespace, target));
        assert!(!rule("Namespaced").matches(&namespace, target));
    }
}
