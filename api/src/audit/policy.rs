//! The audit policy: which requests are recorded, and how much of them. The first rule that matches decides.

use serde::Deserialize;

/// How much of a request is recorded. Each level has all of the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    #[default]
    None,
    /// Who, what, when, and with what result.
    Metadata,
    /// And the object that the client sent.
    Request,
    /// And the object of the answer.
    RequestResponse,
}

impl Level {
    const ALL: [Self; 4] = [Self::None, Self::Metadata, Self::Request, Self::RequestResponse];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Metadata => "Metadata",
            Self::Request => "Request",
            Self::RequestResponse => "RequestResponse",
        }
    }
}

/// When an event is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    RequestReceived,
    /// The headers of a stream are out.
    ResponseStarted,
    ResponseComplete,
    Panic,
}

impl Stage {
    const ALL: [Self; 4] = [Self::RequestReceived, Self::ResponseStarted, Self::ResponseComplete, Self::Panic];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::RequestReceived => "RequestReceived",
            Self::ResponseStarted => "ResponseStarted",
            Self::ResponseComplete => "ResponseComplete",
            Self::Panic => "Panic",
        }
    }
}

/// Stages that are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stages(u8);

impl Stages {
    pub(crate) fn has(self, stage: Stage) -> bool {
        self.0 & 1 << stage as u8 != 0
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a policy looks at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Attributes<'a> {
    /// Empty for whoever could not prove who they are.
    pub user: &'a str,
    pub groups: &'a [String],
    pub verb: &'a str,
    pub is_resource: bool,
    pub group: &'a str,
    pub resource: &'a str,
    pub subresource: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
    pub path: &'a str,
}

/// What a policy says of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub level: Level,
    pub omit_stages: Stages,
    pub omit_managed_fields: bool,
}

/// Why a policy cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PolicyError {
    #[error("not a Policy: {0}")]
    Syntax(String),
    #[error("it must say `apiVersion: audit.k8s.io/v1` and `kind: Policy`, not {0:?} and {1:?}")]
    Kind(String, String),
    #[error("it has no rules: nothing would be recorded")]
    NoRules,
    #[error("{}", .0.join("; "))]
    Invalid(Vec<String>),
}

/// A policy, ready to be asked.
#[derive(Debug)]
pub(crate) struct Policy {
    rules: Vec<Rule>,
    otherwise: Verdict,
}

#[derive(Debug)]
struct Rule {
    verdict: Verdict,
    wanted: RuleSpec,
}

/// The file, as it is written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PolicyFile {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default, rename = "metadata")]
    _metadata: serde_json::Value,
    #[serde(default)]
    rules: Vec<RuleSpec>,
    #[serde(default)]
    omit_stages: Vec<String>,
    #[serde(default)]
    omit_managed_fields: bool,
}

/// A rule matches when each of its lists that is not empty does.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RuleSpec {
    #[serde(default)]
    level: String,
    #[serde(default)]
    users: Vec<String>,
    #[serde(default)]
    user_groups: Vec<String>,
    #[serde(default)]
    verbs: Vec<String>,
    #[serde(default)]
    resources: Vec<GroupResources>,
    /// An empty string is what lies in no namespace.
    #[serde(default)]
    namespaces: Vec<String>,
    #[serde(default, rename = "nonResourceURLs")]
    non_resource_urls: Vec<String>,
    #[serde(default)]
    omit_stages: Vec<String>,
    omit_managed_fields: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GroupResources {
    #[serde(default)]
    group: String,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    resource_names: Vec<String>,
}

impl Policy {
    /// Reads a policy in YAML or JSON.
    ///
    /// # Errors
    /// Everything that is wrong with it, with the paths of the fields.
    pub(crate) fn parse(text: &str) -> Result<Self, PolicyError> {
        let file: PolicyFile = serde_saphyr::from_str(text).map_err(|error| PolicyError::Syntax(error.to_string()))?;
        if file.api_version != "audit.k8s.io/v1" || file.kind != "Policy" {
            return Err(PolicyError::Kind(file.api_version, file.kind));
        }
        if file.rules.is_empty() {
            return Err(PolicyError::NoRules);
        }
        let mut problems = Vec::new();
        let everywhere = stages(&file.omit_stages, "omitStages", &mut problems);
        let omit_managed_fields = file.omit_managed_fields;
        let mut rules = Vec::with_capacity(file.rules.len());
        for (index, wanted) in file.rules.into_iter().enumerate() {
            let at = format!("rules[{index}]");
            wanted.check(&at, &mut problems);
            let verdict = Verdict {
                level: level(&wanted.level, &at, &mut problems),
                omit_stages: everywhere.and(stages(&wanted.omit_stages, &format!("{at}.omitStages"), &mut problems)),
                omit_managed_fields: wanted.omit_managed_fields.unwrap_or(omit_managed_fields),
            };
            rules.push(Rule { verdict, wanted });
        }
        if !problems.is_empty() {
            return Err(PolicyError::Invalid(problems));
        }
        let otherwise = Verdict { level: Level::None, omit_stages: everywhere, omit_managed_fields };
        Ok(Self { rules, otherwise })
    }

    /// What becomes of a request.
    pub(crate) fn verdict(&self, request: &Attributes<'_>) -> Verdict {
        let rule = self.rules.iter().find(|rule| rule.wanted.matches(request));
        rule.map_or(self.otherwise, |rule| rule.verdict)
    }
}

fn level(text: &str, at: &str, problems: &mut Vec<String>) -> Level {
    if let Some(level) = Level::ALL.into_iter().find(|level| level.as_str() == text) {
        return level;
    }
    let known = Level::ALL.map(|level| format!("{:?}", level.as_str())).join(", ");
    problems.push(match text {
        "" => format!("{at}.level: Required value"),
        other => format!("{at}.level: Unsupported value: {other:?}: supported values: {known}"),
    });
    Level::None
}

fn stages(texts: &[String], at: &str, problems: &mut Vec<String>) -> Stages {
    let mut found = Stages::default();
    for (index, text) in texts.iter().enumerate() {
        match Stage::ALL.into_iter().find(|stage| stage.as_str() == text) {
            Some(stage) => found.0 |= 1 << stage as u8,
            None => {
                let known = Stage::ALL.map(Stage::as_str).join(",");
                problems.push(format!("{at}[{index}]: Invalid value: {text:?}: allowed stages are {known}"));
            }
        }
    }
    found
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|one| one == wanted)
}

impl RuleSpec {
    fn check(&self, at: &str, problems: &mut Vec<String>) {
        for (index, url) in self.non_resource_urls.iter().enumerate().filter(|(_, url)| *url != "*") {
            let mut refuse =
                |why| problems.push(format!("{at}.nonResourceURLs[{index}]: Invalid value: {url:?}: {why}"));
            if !url.starts_with('/') {
                refuse("non-resource URL rules must begin with a '/' character");
            }
            if url.strip_suffix('*').unwrap_or(url).contains('*') {
                refuse("non-resource URL wildcards '*' must be the final character of the rule");
            }
        }
        for (index, resources) in self.resources.iter().enumerate() {
            let at = format!("{at}.resources[{index}]");
            let group = &resources.group;
            if group.contains(['/', ' ']) || group.chars().any(|c| c.is_ascii_uppercase()) {
                problems
                    .push(format!("{at}.group: Invalid value: {group:?}: a group has no version, such as \"apps\""));
            }
            if !resources.resource_names.is_empty() && resources.resources.is_empty() {
                let names = &resources.resource_names;
                let why = "using resourceNames requires at least one resource";
                problems.push(format!("{at}.resourceNames: Invalid value: {names:?}: {why}"));
            }
        }
        let of_resources = !self.resources.is_empty() || !self.namespaces.is_empty();
        if !self.non_resource_urls.is_empty() && of_resources {
            let why = "rules cannot apply to both regular resources and non-resource URLs";
            problems.push(format!("{at}.nonResourceURLs: Invalid value: {:?}: {why}", self.non_resource_urls));
        }
    }

    fn matches(&self, request: &Attributes<'_>) -> bool {
        if !self.users.is_empty() && !has(&self.users, request.user)
            || !self.user_groups.is_empty() && !request.groups.iter().any(|group| has(&self.user_groups, group))
            || !self.verbs.is_empty() && !has(&self.verbs, request.verb)
        {
            return false;
        }
        if !self.namespaces.is_empty() || !self.resources.is_empty() {
            return request.is_resource
                && (self.namespaces.is_empty() || has(&self.namespaces, request.namespace))
                && (self.resources.is_empty() || self.resources.iter().any(|resources| resources.match_one(request)));
        }
        self.non_resource_urls.is_empty()
            || !request.is_resource && self.non_resource_urls.iter().any(|url| is_at(request.path, url))
    }
}

/// `/healthz*` is everything that begins so.
fn is_at(path: &str, url: &str) -> bool {
    url == path || url.strip_suffix('*').is_some_and(|prefix| path.starts_with(prefix))
}

impl GroupResources {
    fn match_one(&self, request: &Attributes<'_>) -> bool {
        if self.group != "*" && self.group != request.group {
            return false;
        }
        if self.resources.is_empty() {
            return true;
        }
        (self.resource_names.is_empty() || has(&self.resource_names, request.name))
            && self.resources.iter().any(|pattern| names_resource(pattern, request))
    }
}

/// `tasks` is the resource alone, `tasks/log` one subresource, `tasks/*` all of them, `*/scale` that of all
/// resources, and `*` everything.
fn names_resource(pattern: &str, request: &Attributes<'_>) -> bool {
    match pattern.split_once('/') {
        _ if pattern == "*" => true,
        None => request.subresource.is_empty() && pattern == request.resource,
        Some((resource, "*")) if resource == request.resource => true,
        Some(("*", subresource)) => !request.subresource.is_empty() && subresource == request.subresource,
        Some((resource, subresource)) => resource == request.resource && subresource == request.subresource,
    }
}

/// The policy when none is given: every change and read of an object, but not what every client does all the time to
/// find its way and to tell that it lives. Objects themselves, which may hold secrets, are in no event.
pub(crate) const DEFAULT: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    nonResourceURLs: [/healthz*, /livez*, /readyz*, /version, /metrics, /, /api, /api/*, /apis, /apis/*, /openapi/*]
  - level: None
    verbs: [get, list, watch]
    resources:
      - {group: coordination.k8s.io, resources: [leases]}
  # Whoever raises the last rule to see objects does not see these.
  - level: Metadata
    resources:
      - {group: "", resources: [secrets, configmaps, serviceaccounts/token]}
      - {group: authentication.k8s.io, resources: [tokenreviews]}
      - {group: authentication.berth.dev, resources: [loginrequests]}
  - level: Metadata
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(rules: &str) -> Policy {
        Policy::parse(&format!("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n{rules}")).unwrap()
    }

    /// Of a request `get berth.dev tasks/log ns/name`.
    fn asks<'a>(verb: &'a str, group: &'a str, resource: &'a str, at: &'a str) -> Attributes<'a> {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let (namespace, name) = at.split_once('/').unwrap_or((at, ""));
        Attributes {
            user: "ann",
            verb,
            is_resource: true,
            group,
            resource,
            subresource,
            namespace,
            name,
            ..Attributes::default()
        }
    }

    fn level_of(policy: &Policy, request: &Attributes<'_>) -> &'static str {
        policy.verdict(request).level.as_str()
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let policy = policy(
            r#"
- {level: None, users: ["system:kube-proxy"], verbs: [watch], resources: [{group: "", resources: [endpoints]}]}
- {level: Request, resources: [{group: "", resources: ["pods/status", "*/scale"]}]}
- {level: RequestResponse, resources: [{group: berth.dev, resources: ["tasks/*"], resourceNames: [a]}]}
- {level: Metadata, namespaces: [kube-system]}
- {level: Request, userGroups: [devs]}
- {level: Metadata, nonResourceURLs: ["/healthz*", "/version"]}"#,
        );
        let of = |request: Attributes<'_>| level_of(&policy, &request);
        let proxy = Attributes { user: "system:kube-proxy", ..asks("watch", "", "endpoints", "") };
        assert_eq!(of(proxy), "None");
        assert_eq!(of(asks("update", "", "pods/status", "x/p")), "Request");
        assert_eq!(of(asks("get", "", "services/scale", "x/p")), "Request");
        assert_eq!(of(asks("get", "", "pods", "x/p")), "None", "no rule matches");
        assert_eq!(of(asks("get", "berth.dev", "tasks/log", "x/a")), "RequestResponse");
        assert_eq!(of(asks("get", "berth.dev", "tasks/log", "x/b")), "None");
        assert_eq!(of(asks("get", "apps", "things", "kube-system/x")), "Metadata");
        let devs = ["devs".to_owned()];
        assert_eq!(of(Attributes { groups: &devs, ..asks("get", "", "pods", "x/p") }), "Request");
        let at = |path| Attributes { verb: "get", path, ..Attributes::default() };
        assert_eq!(
            (of(at("/healthz/etcd")), of(at("/version")), of(at("/version/x"))),
            ("Metadata", "Metadata", "None")
        );
    }

    #[test]
    fn stages_and_managed_fields_are_left_out_by_rule_or_everywhere() {
        let policy = Policy::parse(
            "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nomitManagedFields: true\nrules:\n\
             - {level: Metadata, verbs: [get], omitStages: [Panic], omitManagedFields: false}\n- level: Metadata",
        )
        .unwrap();
        let get = policy.verdict(&asks("get", "", "pods", ""));
        assert!(get.omit_stages.has(Stage::RequestReceived) && get.omit_stages.has(Stage::Panic));
        assert!(!get.omit_stages.has(Stage::ResponseComplete) && !get.omit_managed_fields);
        let list = policy.verdict(&asks("list", "", "pods", ""));
        assert!(!list.omit_stages.has(Stage::Panic) && list.omit_managed_fields);
    }

    #[test]
    fn a_bad_policy_is_refused_with_everything_that_is_wrong() {
        let text = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [Begin]\nrules:\n\
                    - {level: All}\n- {nonResourceURLs: [x, '/a*b'], namespaces: [a]}\n\
                    - {level: None, resources: [{group: apps/v1, resourceNames: [a]}]}";
        let error = Policy::parse(text).unwrap_err().to_string();
        assert_eq!(
            error.split("; ").collect::<Vec<_>>(),
            [
                "omitStages[0]: Invalid value: \"Begin\": allowed stages are RequestReceived,ResponseStarted,ResponseComplete,Panic",
                "rules[0].level: Unsupported value: \"All\": supported values: \"None\", \"Metadata\", \"Request\", \"RequestResponse\"",
                "rules[1].nonResourceURLs[0]: Invalid value: \"x\": non-resource URL rules must begin with a '/' character",
                "rules[1].nonResourceURLs[1]: Invalid value: \"/a*b\": non-resource URL wildcards '*' must be the final character of the rule",
                "rules[1].nonResourceURLs: Invalid value: [\"x\", \"/a*b\"]: rules cannot apply to both regular resources and non-resource URLs",
                "rules[1].level: Required value",
                "rules[2].resources[0].group: Invalid value: \"apps/v1\": a group has no version, such as \"apps\"",
                "rules[2].resources[0].resourceNames: Invalid value: [\"a\"]: using resourceNames requires at least one resource",
            ]
        );
        let typo = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- {level: None, user: [a]}";
        assert!(matches!(Policy::parse(typo), Err(PolicyError::Syntax(_))), "a rule that matches all by a typo");
        assert!(matches!(Policy::parse("kind: Policy"), Err(PolicyError::Kind(..))));
    }

    #[test]
    fn the_default_policy_records_objects_but_not_what_is_in_them() {
        let policy = Policy::parse(DEFAULT).unwrap();
        assert_eq!(level_of(&policy, &asks("create", "", "secrets", "a")), "Metadata");
        assert_eq!(level_of(&policy, &asks("create", "", "serviceaccounts/token", "a/b")), "Metadata");
        assert_eq!(level_of(&policy, &asks("patch", "berth.dev", "services", "a/b")), "Metadata");
        assert_eq!(level_of(&policy, &asks("get", "coordination.k8s.io", "leases", "a/b")), "None");
        assert_eq!(level_of(&policy, &asks("update", "coordination.k8s.io", "leases", "a/b")), "Metadata");
        for path in ["/readyz/ping", "/api", "/apis/berth.dev/v1", "/openapi/v3/api/v1", "/metrics"] {
            assert_eq!(level_of(&policy, &Attributes { verb: "get", path, ..Attributes::default() }), "None", "{path}");
        }
    }
}
