//! One rule: what it allows, and how it is printed.

use serde::{Deserialize, Deserializer, Serialize};

use crate::attributes::Attributes;

/// Matches every verb, group, resource or path.
pub(crate) const ALL: &str = "*";

/// Verbs on resources, or verbs on paths. What is in no rule is not allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyRule {
    /// get, list, …; `*` is all.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub verbs: Vec<String>,
    /// API groups; "" is the core group, `*` is all.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub api_groups: Vec<String>,
    /// `tasks`, `tasks/log`, `*/scale` (that subresource of everything), `*` (everything).
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// Names of objects; none is all of them.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
    /// Paths; a `*` at the end stands for anything.
    #[serde(
        default,
        rename = "nonResourceURLs",
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub non_resource_urls: Vec<String>,
}

/// Kubernetes' clients send `null` for a list that is empty.
pub(crate) fn null_is_empty<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(input: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(input)?.unwrap_or_default())
}

impl PolicyRule {
    /// A rule about resources of one group.
    pub fn on(group: &str, resources: &[&str], verbs: &[&str]) -> Self {
        Self { verbs: owned(verbs), api_groups: owned(&[group]), resources: owned(resources), ..Self::default() }
    }

    /// A rule about paths.
    pub fn on_paths(paths: &[&str], verbs: &[&str]) -> Self {
        Self { verbs: owned(verbs), non_resource_urls: owned(paths), ..Self::default() }
    }

    /// The same for some objects only.
    #[must_use]
    pub fn named(mut self, names: &[&str]) -> Self {
        self.resource_names = owned(names);
        self
    }

    /// Whether the rule allows it.
    pub fn allows(&self, attributes: &Attributes<'_>) -> bool {
        match attributes {
            Attributes::Resource(wanted) => {
                let combined = combined(wanted.resource, wanted.subresource);
                self.allows_verb(wanted.verb)
                    && self.allows_group(wanted.group)
                    && self.resources.iter().any(|r| resource_matches(r, &combined, wanted.subresource))
                    && self.allows_name(wanted.name)
            }
            Attributes::Path { verb, path } => self.allows_verb(verb) && self.allows_path(path),
        }
    }

    pub(crate) fn allows_verb(&self, verb: &str) -> bool {
        self.verbs.iter().any(|v| v == verb || v == ALL)
    }

    pub(crate) fn allows_group(&self, group: &str) -> bool {
        self.api_groups.iter().any(|g| g == group || g == ALL)
    }

    /// A request without a name (create, deletecollection) matches no rule that has names.
    pub(crate) fn allows_name(&self, name: &str) -> bool {
        self.resource_names.is_empty() || self.resource_names.iter().any(|n| n == name)
    }

    pub(crate) fn allows_path(&self, path: &str) -> bool {
        self.non_resource_urls.iter().any(|owner| path_covers(owner, path))
    }

    /// As Kubernetes prints a rule in the message of a refused escalation.
    pub fn describe(&self) -> String {
        let parts = [
            ("APIGroups", &self.api_groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.non_resource_urls),
            ("ResourceNames", &self.resource_names),
            ("Verbs", &self.verbs),
        ];
        let parts: Vec<String> = parts
            .into_iter()
            .filter(|(_, values)| !values.is_empty())
            .map(|(name, values)| format!("{name}:{}", quoted_list(values)))
            .collect();
        format!("{{{}}}", parts.join(", "))
    }
}

/// `tasks`, or `tasks/log`.
pub(crate) fn combined<'a>(resource: &'a str, subresource: &str) -> std::borrow::Cow<'a, str> {
    if subresource.is_empty() { resource.into() } else { format!("{resource}/{subresource}").into() }
}

fn resource_matches(rule: &str, combined: &str, subresource: &str) -> bool {
    rule == ALL
        || rule == combined
        || (!subresource.is_empty() && rule.strip_prefix("*/").is_some_and(|of_all| of_all == subresource))
}

/// Whether a path of a rule covers a path, or a narrower path of another rule.
pub(crate) fn path_covers(owner: &str, path: &str) -> bool {
    owner == path || (owner.ends_with('*') && path.starts_with(owner.trim_end_matches('*')))
}

fn owned(list: &[&str]) -> Vec<String> {
    list.iter().map(|s| (*s).to_owned()).collect()
}

/// As Go's `%q` prints a list of strings.
pub(crate) fn quoted_list(values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
    format!("[{}]", values.join(" "))
}

/// As Go's `%q` prints a string: messages are compared by tools, and names must not break out of their quotes.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x80 && c.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::Resource;

    fn ask<'a>(
        verb: &'a str,
        group: &'a str,
        resource: &'a str,
        subresource: &'a str,
        name: &'a str,
    ) -> Attributes<'a> {
        Attributes::Resource(Resource { verb, group, resource, subresource, name, ..Resource::default() })
    }

    #[test]
    fn a_rule_allows_what_it_names() {
        let rule = PolicyRule::on("berth.dev", &["tasks", "tasks/log"], &["get", "list"]);
        assert!(rule.allows(&ask("get", "berth.dev", "tasks", "", "a")));
        assert!(rule.allows(&ask("get", "berth.dev", "tasks", "log", "a")));
        assert!(!rule.allows(&ask("get", "berth.dev", "tasks", "exec", "a")));
        assert!(!rule.allows(&ask("delete", "berth.dev", "tasks", "", "a")));
        assert!(!rule.allows(&ask("get", "", "tasks", "", "a")));
    }

    #[test]
    fn wildcards_match_everything_or_one_subresource_of_everything() {
        let all = PolicyRule::on("*", &["*"], &["*"]);
        assert!(all.allows(&ask("escalate", "x", "y", "z", "")));
        assert!(!all.allows(&Attributes::Path { verb: "get", path: "/metrics" }));
        let scale = PolicyRule::on("*", &["*/scale"], &["get"]);
        assert!(scale.allows(&ask("get", "berth.dev", "services", "scale", "a")));
        assert!(!scale.allows(&ask("get", "berth.dev", "services", "", "a")));
        assert!(!scale.allows(&ask("get", "berth.dev", "services", "upscale", "a")));
        // A plain resource does not include its subresources.
        assert!(!PolicyRule::on("", &["pods"], &["get"]).allows(&ask("get", "", "pods", "status", "a")));
    }

    #[test]
    fn names_restrict_and_exclude_requests_without_one() {
        let rule = PolicyRule::on("", &["secrets"], &["*"]).named(&["a", "b"]);
        assert!(rule.allows(&ask("get", "", "secrets", "", "b")));
        assert!(!rule.allows(&ask("get", "", "secrets", "", "c")));
        assert!(!rule.allows(&ask("create", "", "secrets", "", "")));
    }

    #[test]
    fn paths_match_by_a_star_at_the_end_only() {
        let rule = PolicyRule::on_paths(&["/api/*", "/version", "/*/x"], &["get"]);
        let may = |path| rule.allows(&Attributes::Path { verb: "get", path });
        assert!(may("/api/v1") && may("/version") && may("/api/"));
        assert!(!may("/api") && !may("/version/") && !may("/a/x"));
        assert!(PolicyRule::on_paths(&["*"], &["*"]).allows(&Attributes::Path { verb: "post", path: "/a" }));
    }

    #[test]
    fn a_rule_prints_as_upstreams() {
        let rule = PolicyRule::on("*", &["*"], &["*"]);
        assert_eq!(rule.describe(), r#"{APIGroups:["*"], Resources:["*"], Verbs:["*"]}"#);
        let rule = PolicyRule::on("", &["secrets"], &["get", "list"]).named(&["x\"y"]);
        assert_eq!(
            rule.describe(),
            r#"{APIGroups:[""], Resources:["secrets"], ResourceNames:["x\"y"], Verbs:["get" "list"]}"#
        );
        let rule = PolicyRule::on_paths(&["/x"], &["get"]);
        assert_eq!(rule.describe(), r#"{NonResourceURLs:["/x"], Verbs:["get"]}"#);
    }

    #[test]
    fn null_is_an_empty_list() {
        let rule: PolicyRule =
            serde_json::from_str(r#"{"verbs":["get"],"apiGroups":null,"nonResourceURLs":["/a"]}"#).unwrap();
        assert_eq!(rule, PolicyRule::on_paths(&["/a"], &["get"]));
        assert_eq!(serde_json::to_string(&rule).unwrap(), r#"{"verbs":["get"],"nonResourceURLs":["/a"]}"#);
    }
}
