//! What the spec of a FlowSchema or PriorityLevelConfiguration must be, in the words of Kubernetes.

use std::fmt::Display;

use serde::Serialize;

use crate::bootstrap;
use crate::shard;
use crate::spec::{
    BY_NAMESPACE, BY_USER, EXEMPT, FlowSchemaSpec, LIMITED, LimitResponse, Limited, NonResourceRule, PriorityLevelSpec,
    QUEUE, Queuing, REJECT, ResourceRule, RulesWithSubjects, Subject,
};

/// One refused field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path as a person would type it: `spec.rules[0].subjects`.
    pub field: String,
    /// A CauseType such as `FieldValueInvalid`.
    pub reason: &'static str,
    /// The whole detail: `Invalid value: 0: must be a positive value`.
    pub message: String,
}

impl Problem {
    fn required(field: String, detail: &str) -> Self {
        let message = if detail.is_empty() { "Required value".to_owned() } else { format!("Required value: {detail}") };
        Self { field, reason: "FieldValueRequired", message }
    }

    fn forbidden(field: String, detail: &str) -> Self {
        Self { field, reason: "FieldValueForbidden", message: format!("Forbidden: {detail}") }
    }

    fn invalid(field: String, value: &(impl Serialize + ?Sized), detail: impl Display) -> Self {
        let value = serde_json::to_string(value).unwrap_or_default();
        Self { field, reason: "FieldValueInvalid", message: format!("Invalid value: {value}: {detail}") }
    }

    fn not_supported(field: String, value: &(impl Serialize + ?Sized), supported: &[&str]) -> Self {
        let value = serde_json::to_string(value).unwrap_or_default();
        let supported: Vec<String> = supported.iter().map(|name| format!("{name:?}")).collect();
        let message = format!("Unsupported value: {value}: supported values: {}", supported.join(", "));
        Self { field, reason: "FieldValueNotSupported", message }
    }
}

const PRECEDENCE_MAX: i32 = 10_000;
const QUEUES_MAX: i32 = 10_000_000;
/// The verbs a rule may name, as upstream lists them: sorted.
const VERBS: [&str; 9] = ["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];

/// Checks the spec of the flow schema with this name.
pub fn flow_schema(name: &str, spec: &FlowSchemaSpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    let precedence =
        |detail: String| Problem::invalid("spec.matchingPrecedence".to_owned(), &spec.matching_precedence, detail);
    if spec.matching_precedence <= 0 {
        problems.push(precedence("must be a positive value".to_owned()));
    }
    if spec.matching_precedence > PRECEDENCE_MAX {
        problems.push(precedence(format!("must not be greater than {PRECEDENCE_MAX}")));
    }
    if spec.matching_precedence == 1 && name != bootstrap::EXEMPT_NAME {
        problems.push(precedence("only the schema named 'exempt' may have matchingPrecedence 1".to_owned()));
    }
    if let Some(method) = &spec.distinguisher_method
        && method.method != BY_USER
        && method.method != BY_NAMESPACE
    {
        let field = "spec.distinguisherMethod.type".to_owned();
        problems.push(Problem::not_supported(field, &method.method, &[BY_NAMESPACE, BY_USER]));
    }
    let level = &spec.priority_level_configuration.name;
    let field = || "spec.priorityLevelConfiguration.name".to_owned();
    if level.is_empty() {
        problems.push(Problem::required(field(), "must reference a priority level"));
    } else if !is_subdomain(level) {
        problems.push(Problem::invalid(field(), level, SUBDOMAIN_RULE));
    }
    for (index, rule) in spec.rules.iter().enumerate() {
        rules(rule, &format!("spec.rules[{index}]"), &mut problems);
    }
    let mandatory = bootstrap::schemas().into_iter().find(|one| one.name == name && bootstrap::is_mandatory(name));
    if mandatory.is_some_and(|mandatory| mandatory.spec != *spec) {
        problems.push(Problem::invalid(
            "spec".to_owned(),
            spec,
            format!("spec of '{name}' must equal the fixed value"),
        ));
    }
    problems
}

fn rules(rules: &RulesWithSubjects, at: &str, problems: &mut Vec<Problem>) {
    if rules.subjects.is_empty() {
        problems.push(Problem::required(format!("{at}.subjects"), "subjects must contain at least one value"));
    }
    for (index, who) in rules.subjects.iter().enumerate() {
        subject(who, &format!("{at}.subjects[{index}]"), problems);
    }
    if rules.resource_rules.is_empty() && rules.non_resource_rules.is_empty() {
        let detail = "at least one of resourceRules and nonResourceRules has to be non-empty";
        problems.push(Problem::required(at.to_owned(), detail));
    }
    for (index, rule) in rules.resource_rules.iter().enumerate() {
        resource_rule(rule, &format!("{at}.resourceRules[{index}]"), problems);
    }
    for (index, rule) in rules.non_resource_rules.iter().enumerate() {
        non_resource_rule(rule, &format!("{at}.nonResourceRules[{index}]"), problems);
    }
}

fn subject(subject: &Subject, at: &str, problems: &mut Vec<Problem>) {
    let given = [
        ("ServiceAccount", "serviceAccount", subject.service_account.is_some()),
        ("User", "user", subject.user.is_some()),
        ("Group", "group", subject.group.is_some()),
    ];
    let Some((kind, own, is_given)) = given.iter().find(|(kind, ..)| *kind == subject.kind) else {
        let kinds = ["Group", "ServiceAccount", "User"];
        problems.push(Problem::not_supported(format!("{at}.kind"), &subject.kind, &kinds));
        return;
    };
    if !is_given {
        let detail = format!("{own} is required when subject kind is '{kind}'");
        problems.push(Problem::required(format!("{at}.{own}"), &detail));
    }
    let name = match (*own, &subject.user, &subject.group, &subject.service_account) {
        ("user", Some(user), ..) => Some(&user.name),
        ("group", _, Some(group), _) => Some(&group.name),
        ("serviceAccount", _, _, Some(account)) => Some(&account.name),
        _ => None,
    };
    if name.is_some_and(String::is_empty) {
        problems.push(Problem::required(format!("{at}.{own}.name"), ""));
    }
    if let ("serviceAccount", Some(account)) = (*own, &subject.service_account) {
        if account.name != "*" && !account.name.is_empty() && !is_subdomain(&account.name) {
            problems.push(Problem::invalid(format!("{at}.{own}.name"), &account.name, SUBDOMAIN_RULE));
        }
        let field = format!("{at}.{own}.namespace");
        if account.namespace.is_empty() {
            problems.push(Problem::required(field, "must specify namespace for service account"));
        } else if !is_label(&account.namespace) {
            problems.push(Problem::invalid(field, &account.namespace, LABEL_RULE));
        }
    }
    for (kind, other, is_given) in given {
        if is_given && other != *own {
            let detail = format!("{other} is forbidden when subject kind is not '{kind}'");
            problems.push(Problem::forbidden(format!("{at}.{other}"), &detail));
        }
    }
}

fn has_wildcard(names: &[String]) -> bool {
    names.iter().any(|name| name == "*")
}

/// A list must not be empty, and a `*` in it must be alone.
fn list(names: &[String], field: String, absent: &str, others: &str, problems: &mut Vec<Problem>) {
    if names.is_empty() {
        problems.push(Problem::required(field, absent));
    } else if names.len() > 1 && has_wildcard(names) {
        problems.push(Problem::invalid(field, names, format!("if '*' is present, must not specify other {others}")));
    }
}

fn verbs(verbs: &[String], at: &str, problems: &mut Vec<Problem>) {
    let field = format!("{at}.verbs");
    list(verbs, field.clone(), "verbs must contain at least one value", "verbs", problems);
    if !has_wildcard(verbs) && verbs.iter().any(|verb| !VERBS.contains(&verb.as_str())) {
        problems.push(Problem::not_supported(field, verbs, &VERBS));
    }
}

fn resource_rule(rule: &ResourceRule, at: &str, problems: &mut Vec<Problem>) {
    verbs(&rule.verbs, at, problems);
    let groups = "resource rules must supply at least one api group";
    list(&rule.api_groups, format!("{at}.apiGroups"), groups, "api groups", problems);
    let resources = "resource rules must supply at least one resource";
    list(&rule.resources, format!("{at}.resources"), resources, "resources", problems);
    let field = format!("{at}.namespaces");
    if rule.namespaces.is_empty() && !rule.cluster_scope {
        let detail = "resource rules that are not cluster scoped must supply at least one namespace";
        problems.push(Problem::required(field, detail));
    } else if has_wildcard(&rule.namespaces) {
        list(&rule.namespaces, field, "", "namespaces", problems);
    } else {
        for (index, namespace) in rule.namespaces.iter().enumerate().filter(|(_, name)| !is_label(name)) {
            let detail = format!("each member of this list must be '*' or a DNS-1123 label; {LABEL_RULE}");
            problems.push(Problem::invalid(format!("{field}[{index}]"), namespace, detail));
        }
    }
}

fn non_resource_rule(rule: &NonResourceRule, at: &str, problems: &mut Vec<Problem>) {
    verbs(&rule.verbs, at, problems);
    let field = format!("{at}.nonResourceURLs");
    let absent = "nonResourceURLs must contain at least one value";
    list(&rule.non_resource_urls, field.clone(), absent, "non-resource URLs", problems);
    if has_wildcard(&rule.non_resource_urls) {
        return;
    }
    for (index, url) in rule.non_resource_urls.iter().enumerate() {
        let detail = match url.as_str() {
            "" => "must not be empty",
            "/" => continue,
            url if !url.starts_with('/') => "must start with slash",
            url if url.contains(' ') => "must not contain white-space",
            url if url.contains("//") => "must not contain double slash",
            url => match url.matches('*').count() {
                0 => continue,
                1 if url.ends_with("/*") => continue,
                _ => "wildcard can only do suffix matching",
            },
        };
        problems.push(Problem::invalid(format!("{field}[{index}]"), url, detail));
    }
}

/// Checks the spec of the priority level with this name.
pub fn priority_level(name: &str, spec: &PriorityLevelSpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    let at = |field: &str| format!("spec.{field}");
    if (name == bootstrap::EXEMPT_NAME) != (spec.enablement == EXEMPT) {
        let detail = "type must be 'Exempt' if and only if name is 'exempt'";
        problems.push(Problem::invalid(at("type"), &spec.enablement, detail));
    }
    match spec.enablement.as_str() {
        EXEMPT => {
            if spec.limited.is_some() {
                problems.push(Problem::forbidden(at("limited"), "must be nil if the type is not Limited"));
            }
            if let Some(exempt) = &spec.exempt {
                shares(exempt.nominal_concurrency_shares, at("exempt.nominalConcurrencyShares"), &mut problems);
                percent(exempt.lendable_percent, at("exempt.lendablePercent"), &mut problems);
            }
        }
        LIMITED => {
            if spec.exempt.is_some() {
                problems.push(Problem::forbidden(at("exempt"), "must be nil if the type is Limited"));
            }
            match &spec.limited {
                None => problems.push(Problem::required(at("limited"), "must not be empty when type is Limited")),
                Some(level) => limited(level, &mut problems),
            }
        }
        other => problems.push(Problem::not_supported(at("type"), other, &[EXEMPT, LIMITED])),
    }
    let mandatory = bootstrap::levels().into_iter().find(|one| one.name == name && bootstrap::is_mandatory(name));
    if let Some(mandatory) = mandatory {
        let is_exempt = name == bootstrap::EXEMPT_NAME;
        // What the exempt level lends may be changed, nothing else.
        let compared = if is_exempt {
            PriorityLevelSpec { exempt: mandatory.spec.exempt.clone(), ..spec.clone() }
        } else {
            spec.clone()
        };
        if compared != mandatory.spec {
            let except = if is_exempt { " except the 'spec.exempt' field" } else { "" };
            let detail = format!("spec of '{name}'{except} must equal the fixed value");
            problems.push(Problem::invalid("spec".to_owned(), spec, detail));
        }
    }
    problems
}

fn shares(shares: Option<i32>, field: String, problems: &mut Vec<Problem>) {
    if let Some(shares) = shares.filter(|shares| *shares < 0) {
        problems.push(Problem::invalid(field, &shares, "must be a non-negative integer"));
    }
}

fn percent(percent: Option<i32>, field: String, problems: &mut Vec<Problem>) {
    if let Some(percent) = percent.filter(|percent| !(0..=100).contains(percent)) {
        problems.push(Problem::invalid(field, &percent, "must be between 0 and 100, inclusive"));
    }
}

fn limited(limited: &Limited, problems: &mut Vec<Problem>) {
    let at = |field: &str| format!("spec.limited.{field}");
    shares(Some(limited.nominal_concurrency_shares), at("nominalConcurrencyShares"), problems);
    let LimitResponse { response, queuing } = &limited.limit_response;
    let field = at("limitResponse.queuing");
    match (response.as_str(), queuing) {
        (REJECT, Some(_)) => {
            let detail = "must be nil if limited.limitResponse.type is not Limited";
            problems.push(Problem::forbidden(field, detail));
        }
        (REJECT, None) => {}
        (QUEUE, None) => {
            let detail = "must not be empty if limited.limitResponse.type is Limited";
            problems.push(Problem::required(field, detail));
        }
        (QUEUE, Some(queuing)) => queues(queuing, &field, problems),
        (other, _) => problems.push(Problem::not_supported(at("limitResponse.type"), other, &[QUEUE, REJECT])),
    }
    percent(limited.lendable_percent, at("lendablePercent"), problems);
    if let Some(limit) = limited.borrowing_limit_percent.filter(|limit| *limit < 0) {
        let detail = "if specified, must be a non-negative integer";
        problems.push(Problem::invalid(at("borrowingLimitPercent"), &limit, detail));
    }
}

fn queues(queuing: &Queuing, at: &str, problems: &mut Vec<Problem>) {
    let Queuing { queues, hand_size, queue_length_limit } = *queuing;
    let mut refuse = |field: &str, value: i32, detail: String| {
        problems.push(Problem::invalid(format!("{at}.{field}"), &value, detail))
    };
    if queue_length_limit <= 0 {
        refuse("queueLengthLimit", queue_length_limit, "must be positive".to_owned());
    }
    if queues <= 0 {
        refuse("queues", queues, "must be positive".to_owned());
    } else if queues > QUEUES_MAX {
        refuse("queues", queues, format!("must not be greater than {QUEUES_MAX}"));
    }
    let bits = shard::entropy_bits(u32::try_from(queues).unwrap_or(1), u32::try_from(hand_size).unwrap_or(1));
    if hand_size <= 0 {
        refuse("handSize", hand_size, "must be positive".to_owned());
    } else if hand_size > queues {
        refuse("handSize", hand_size, format!("should not be greater than queues ({queues})"));
    } else if bits > shard::HASH_BITS_MAX {
        let max = shard::HASH_BITS_MAX;
        let detail = format!(
            "required entropy bits of deckSize {queues} and handSize {hand_size} should not be greater than {max}"
        );
        refuse("handSize", hand_size, detail);
    }
}

const LABEL_RULE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

fn is_label(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.len() <= 63 && text.bytes().all(is_inner) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(|part| part.len() > 63 || is_label(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(json: &str) -> Vec<String> {
        let problems = flow_schema("mine", &serde_json::from_str(json).unwrap());
        problems.into_iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect()
    }

    fn level(name: &str, json: &str) -> Vec<String> {
        let problems = priority_level(name, &serde_json::from_str(json).unwrap());
        problems.into_iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect()
    }

    #[test]
    fn a_schema_is_refused_in_upstreams_words() {
        let refused = schema(
            r#"{"matchingPrecedence":1,"distinguisherMethod":{"type":"ByMood"},"rules":[
                {"subjects":[{"kind":"User","group":{"name":"g"}},{"kind":"Robot"}],
                 "resourceRules":[{"verbs":["*","get"],"apiGroups":[],"resources":["a"],"namespaces":["A"]}],
                 "nonResourceRules":[{"verbs":["fly"],"nonResourceURLs":["x","/a*b"]}]},
                {"subjects":[]}]}"#,
        );
        assert_eq!(
            refused,
            [
                "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1"
                    .to_owned(),
                r#"spec.distinguisherMethod.type: Unsupported value: "ByMood": supported values: "ByNamespace", "ByUser""#
                    .to_owned(),
                "spec.priorityLevelConfiguration.name: Required value: must reference a priority level".to_owned(),
                "spec.rules[0].subjects[0].user: Required value: user is required when subject kind is 'User'".to_owned(),
                "spec.rules[0].subjects[0].group: Forbidden: group is forbidden when subject kind is not 'Group'".to_owned(),
                r#"spec.rules[0].subjects[1].kind: Unsupported value: "Robot": supported values: "Group", "ServiceAccount", "User""#
                    .to_owned(),
                r#"spec.rules[0].resourceRules[0].verbs: Invalid value: ["*","get"]: if '*' is present, must not specify other verbs"#
                    .to_owned(),
                "spec.rules[0].resourceRules[0].apiGroups: Required value: resource rules must supply at least one api group"
                    .to_owned(),
                format!(
                    "spec.rules[0].resourceRules[0].namespaces[0]: Invalid value: \"A\": each member of this list must be '*' or a DNS-1123 label; {LABEL_RULE}"
                ),
                r#"spec.rules[0].nonResourceRules[0].verbs: Unsupported value: ["fly"]: supported values: "create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch""#
                    .to_owned(),
                r#"spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: "x": must start with slash"#
                    .to_owned(),
                r#"spec.rules[0].nonResourceRules[0].nonResourceURLs[1]: Invalid value: "/a*b": wildcard can only do suffix matching"#
                    .to_owned(),
                "spec.rules[1].subjects: Required value: subjects must contain at least one value".to_owned(),
                "spec.rules[1]: Required value: at least one of resourceRules and nonResourceRules has to be non-empty"
                    .to_owned(),
            ]
        );
    }

    #[test]
    fn a_level_is_refused_in_upstreams_words() {
        assert_eq!(
            level(
                "mine",
                r#"{"type":"Limited","limited":{"nominalConcurrencyShares":-1,"lendablePercent":101,
                    "borrowingLimitPercent":-5,
                    "limitResponse":{"type":"Queue","queuing":{"queues":0,"handSize":3,"queueLengthLimit":0}}}}"#
            ),
            [
                "spec.limited.nominalConcurrencyShares: Invalid value: -1: must be a non-negative integer",
                "spec.limited.limitResponse.queuing.queueLengthLimit: Invalid value: 0: must be positive",
                "spec.limited.limitResponse.queuing.queues: Invalid value: 0: must be positive",
                "spec.limited.limitResponse.queuing.handSize: Invalid value: 3: should not be greater than queues (0)",
                "spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive",
                "spec.limited.borrowingLimitPercent: Invalid value: -5: if specified, must be a non-negative integer",
            ]
        );
        assert_eq!(
            level("mine", r#"{"type":"Exempt"}"#),
            [r#"spec.type: Invalid value: "Exempt": type must be 'Exempt' if and only if name is 'exempt'"#]
        );
    }

    #[test]
    fn mandatory_objects_stay_what_they_are_but_the_exempt_level_may_lend() {
        let lends = r#"{"type":"Exempt","exempt":{"nominalConcurrencyShares":10,"lendablePercent":50}}"#;
        assert_eq!(level("exempt", lends), Vec::<String>::new());
        let catch_all = level("catch-all", r#"{"type":"Limited","limited":{"limitResponse":{"type":"Reject"}}}"#);
        assert!(catch_all[0].ends_with("spec of 'catch-all' must equal the fixed value"), "{catch_all:?}");
    }
}
