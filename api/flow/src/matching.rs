//! Which flow schema a request belongs to: the first that matches, in the order of precedence and name.

use crate::spec::{BY_NAMESPACE, BY_USER, FlowSchemaSpec, NonResourceRule, ResourceRule, RulesWithSubjects, Subject};
use crate::width::Cost;

/// What is known of a request when it arrives.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestFacts<'a> {
    pub user: &'a str,
    pub groups: &'a [String],
    pub verb: &'a str,
    /// Whether the next five name a resource; else `path` counts.
    pub is_resource: bool,
    pub api_group: &'a str,
    pub resource: &'a str,
    pub subresource: &'a str,
    /// Empty for what lies in no namespace.
    pub namespace: &'a str,
    pub path: &'a str,
    pub cost: Cost,
}

impl RequestFacts<'_> {
    /// Whether a rule names the resource: `nodes`, or `nodes/status`.
    fn is_named(&self, rule: &str) -> bool {
        match rule.split_once('/') {
            None => self.subresource.is_empty() && rule == self.resource,
            Some((resource, subresource)) => resource == self.resource && subresource == self.subresource,
        }
    }
}

/// A list in a rule, in which a lone `*` means everything.
#[derive(Clone, Debug)]
enum Names {
    All,
    Some(Box<[Box<str>]>),
}

impl Names {
    fn new(names: &[String]) -> Self {
        match names {
            [only] if only == "*" => Self::All,
            names => Self::Some(names.iter().map(|name| name.as_str().into()).collect()),
        }
    }

    fn any(&self, is_meant: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::All => true,
            Self::Some(names) => names.iter().any(|name| is_meant(name)),
        }
    }

    fn has(&self, wanted: &str) -> bool {
        self.any(|name| name == wanted)
    }
}

/// The rules of a schema, ready to be asked.
#[derive(Clone, Debug)]
pub(crate) struct Matcher {
    rules: Box<[Rules]>,
    distinguisher: Distinguisher,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Distinguisher {
    None,
    User,
    Namespace,
}

#[derive(Clone, Debug)]
struct Rules {
    subjects: Box<[Who]>,
    resources: Box<[OnResource]>,
    paths: Box<[OnPath]>,
}

#[derive(Clone, Debug)]
enum Who {
    Anyone,
    User(Box<str>),
    Group(Box<str>),
    /// `system:serviceaccount:NAMESPACE:`: all of that namespace.
    AccountsOf(Box<str>),
}

#[derive(Clone, Debug)]
struct OnResource {
    verbs: Names,
    groups: Names,
    resources: Names,
    cluster_scope: bool,
    namespaces: Names,
}

#[derive(Clone, Debug)]
struct OnPath {
    verbs: Names,
    urls: Names,
}

impl Matcher {
    pub(crate) fn new(spec: &FlowSchemaSpec) -> Self {
        let method = spec.distinguisher_method.as_ref().map(|method| method.method.as_str());
        let distinguisher = match method {
            Some(BY_USER) => Distinguisher::User,
            Some(BY_NAMESPACE) => Distinguisher::Namespace,
            _ => Distinguisher::None,
        };
        Self { rules: spec.rules.iter().map(Rules::new).collect(), distinguisher }
    }

    pub(crate) fn matches(&self, facts: &RequestFacts<'_>) -> bool {
        self.rules.iter().any(|rules| rules.matches(facts))
    }

    /// What tells the request's flow from the others of its schema.
    pub(crate) fn flow<'a>(&self, facts: &RequestFacts<'a>) -> &'a str {
        match self.distinguisher {
            Distinguisher::None => "",
            Distinguisher::User => facts.user,
            Distinguisher::Namespace => facts.namespace,
        }
    }
}

impl Rules {
    fn new(rules: &RulesWithSubjects) -> Self {
        Self {
            subjects: rules.subjects.iter().filter_map(Who::new).collect(),
            resources: rules.resource_rules.iter().map(OnResource::new).collect(),
            paths: rules.non_resource_rules.iter().map(OnPath::new).collect(),
        }
    }

    fn matches(&self, facts: &RequestFacts<'_>) -> bool {
        self.subjects.iter().any(|who| who.is(facts))
            && if facts.is_resource {
                self.resources.iter().any(|rule| rule.matches(facts))
            } else {
                self.paths.iter().any(|rule| rule.matches(facts))
            }
    }
}

impl Who {
    fn new(subject: &Subject) -> Option<Self> {
        let by_name = |name: &str, one: fn(Box<str>) -> Self| if name == "*" { Self::Anyone } else { one(name.into()) };
        match subject.kind.as_str() {
            "User" => subject.user.as_ref().map(|user| by_name(&user.name, Self::User)),
            "Group" => subject.group.as_ref().map(|group| by_name(&group.name, Self::Group)),
            "ServiceAccount" => subject.service_account.as_ref().map(|account| {
                let all = format!("system:serviceaccount:{}:", account.namespace);
                if account.name == "*" {
                    Self::AccountsOf(all.into())
                } else {
                    Self::User(format!("{all}{}", account.name).into())
                }
            }),
            _ => None,
        }
    }

    fn is(&self, facts: &RequestFacts<'_>) -> bool {
        match self {
            Self::Anyone => true,
            Self::User(name) => **name == *facts.user,
            Self::Group(name) => facts.groups.iter().any(|group| **name == **group),
            Self::AccountsOf(prefix) => facts.user.starts_with(&**prefix),
        }
    }
}

impl OnResource {
    fn new(rule: &ResourceRule) -> Self {
        Self {
            verbs: Names::new(&rule.verbs),
            groups: Names::new(&rule.api_groups),
            resources: Names::new(&rule.resources),
            cluster_scope: rule.cluster_scope,
            namespaces: Names::new(&rule.namespaces),
        }
    }

    fn matches(&self, facts: &RequestFacts<'_>) -> bool {
        let is_in_scope =
            if facts.namespace.is_empty() { self.cluster_scope } else { self.namespaces.has(facts.namespace) };
        is_in_scope
            && self.verbs.has(facts.verb)
            && self.groups.has(facts.api_group)
            && self.resources.any(|rule| facts.is_named(rule))
    }
}

impl OnPath {
    fn new(rule: &NonResourceRule) -> Self {
        Self { verbs: Names::new(&rule.verbs), urls: Names::new(&rule.non_resource_urls) }
    }

    fn matches(&self, facts: &RequestFacts<'_>) -> bool {
        self.verbs.has(facts.verb) && self.urls.any(|rule| is_at_or_below(facts.path, rule))
    }
}

/// `/healthz` means itself and all below it, `/healthz/*` only the latter.
fn is_at_or_below(path: &str, rule: &str) -> bool {
    let prefix = rule.trim_end_matches('*').trim_end_matches('/');
    path == rule || path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap;
    use crate::plan::ordered;

    /// The schema of the defaults that a request falls into.
    fn schema_of(facts: &RequestFacts<'_>) -> String {
        let schemas = ordered(bootstrap::schemas());
        let found = schemas.iter().find(|schema| Matcher::new(&schema.spec).matches(facts));
        found.map_or_else(|| "none".to_owned(), |schema| schema.name.clone())
    }

    fn resource<'a>(verb: &'a str, user: &'a str, groups: &'a [String], what: [&'a str; 3]) -> RequestFacts<'a> {
        let (resource, subresource) = what[1].split_once('/').unwrap_or((what[1], ""));
        RequestFacts {
            user,
            groups,
            verb,
            is_resource: true,
            api_group: what[0],
            resource,
            subresource,
            namespace: what[2],
            ..RequestFacts::default()
        }
    }

    fn groups(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).chain(["system:authenticated".to_owned()]).collect()
    }

    #[test]
    fn each_caller_falls_into_its_own_schema() {
        let (nobody, nodes, masters) = (groups(&[]), groups(&["system:nodes"]), groups(&["system:masters"]));
        let accounts = groups(&["system:serviceaccounts", "system:serviceaccounts:shop"]);
        let controllers = groups(&["system:controllers"]);
        let of = |verb, user, groups, what| schema_of(&resource(verb, user, groups, what));
        let lease = ["coordination.k8s.io", "leases", "kube-system"];
        assert_eq!(of("list", "ann", &nobody, ["", "pods", "a"]), "global-default");
        assert_eq!(of("list", "root", &masters, ["", "pods", ""]), "exempt");
        assert_eq!(of("patch", "system:node:n1", &nodes, ["", "nodes/status", ""]), "system-node-high");
        assert_eq!(of("patch", "system:node:n1", &nodes, ["berth.dev", "nodes/status", ""]), "berth-node-high");
        assert_eq!(of("update", "system:node:n1", &nodes, lease), "system-node-high");
        assert_eq!(of("get", "system:node:n1", &nodes, ["", "secrets", "a"]), "system-nodes");
        assert_eq!(of("update", "system:controllers", &controllers, lease), "berth-leader-election");
        assert_eq!(of("create", "system:controllers", &controllers, ["berth.dev", "tasks", "a"]), "berth-controllers");
        assert_eq!(of("get", "system:serviceaccount:shop:bot", &accounts, ["", "pods", "shop"]), "service-accounts");
        let ours = "system:serviceaccount:kube-system:gc";
        assert_eq!(of("get", ours, &accounts, ["", "pods", "shop"]), "kube-system-service-accounts");
        assert_eq!(of("get", ours, &accounts, lease), "system-leader-election");
        assert_eq!(of("get", "someone", &[], ["", "pods", "shop"]), "none", "in no group at all");
    }

    #[test]
    fn probes_are_exempt_below_their_paths_too() {
        let groups = ["system:unauthenticated".to_owned()];
        let at = |path| {
            schema_of(&RequestFacts { user: "x", groups: &groups, verb: "get", path, ..RequestFacts::default() })
        };
        assert_eq!(at("/readyz"), "probes");
        assert_eq!(at("/readyz/ping"), "probes");
        assert_eq!(at("/readyzz"), "global-default");
        assert_eq!(at("/apis"), "global-default");
    }

    #[test]
    fn a_rule_without_cluster_scope_needs_its_namespace() {
        let rule = OnResource::new(&ResourceRule {
            verbs: vec!["*".into()],
            api_groups: vec!["".into()],
            resources: vec!["pods".into(), "pods/log".into()],
            cluster_scope: false,
            namespaces: vec!["a".into()],
        });
        assert!(rule.matches(&resource("get", "u", &[], ["", "pods", "a"])));
        assert!(rule.matches(&resource("get", "u", &[], ["", "pods/log", "a"])));
        assert!(!rule.matches(&resource("get", "u", &[], ["", "pods/exec", "a"])));
        assert!(!rule.matches(&resource("get", "u", &[], ["", "pods", "b"])));
        assert!(!rule.matches(&resource("get", "u", &[], ["", "pods", ""])));
    }
}
