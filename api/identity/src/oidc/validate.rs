//! The rules of a configuration, all problems at once, in upstream's words.

use std::collections::BTreeSet;

use super::config::{
    AuthenticationConfiguration, ClaimMappings, ClaimValidationRule, Issuer, PrefixedClaimOrExpression,
};

/// Most providers.
const PROVIDERS_MAX: usize = 64;

/// All problems of a configuration.
pub(super) fn configuration(config: &AuthenticationConfiguration, disallowed: &[String]) -> Vec<String> {
    let mut problems = Problems::default();
    if config.jwt.len() > PROVIDERS_MAX {
        problems.add("jwt", format!("Too many: {}: must have at most {PROVIDERS_MAX} items", config.jwt.len()));
        return problems.0;
    }
    let (mut issuers, mut discoveries) = (BTreeSet::new(), BTreeSet::new());
    for (index, jwt) in config.jwt.iter().enumerate() {
        let path = format!("jwt[{index}]");
        issuer(&mut problems, &format!("{path}.issuer"), &jwt.issuer, disallowed);
        claim_rules(&mut problems, &format!("{path}.claimValidationRules"), &jwt.claim_validation_rules);
        mappings(&mut problems, &format!("{path}.claimMappings"), &jwt.claim_mappings);
        let mut seen = BTreeSet::new();
        for (index, rule) in jwt.user_validation_rules.iter().enumerate() {
            let at = format!("{path}.userValidationRules[{index}].expression");
            if rule.expression.is_empty() {
                problems.add(&at, "Required value: expression is required");
            } else if !seen.insert(&rule.expression) {
                problems.add(&at, format!("Duplicate value: {:?}", rule.expression));
            }
        }
        if !issuers.insert(&jwt.issuer.url) {
            problems.add(&format!("{path}.issuer.url"), format!("Duplicate value: {:?}", jwt.issuer.url));
        }
        if let Some(url) = jwt.issuer.discovery_url.as_ref().filter(|url| !url.is_empty())
            && !discoveries.insert(url)
        {
            problems.add(&format!("{path}.issuer.discoveryURL"), format!("Duplicate value: {url:?}"));
        }
    }
    if config.anonymous.as_ref().is_some_and(|a| !a.enabled && !a.conditions.is_empty()) {
        problems
            .add("anonymous.conditions", "Invalid value: enabled should be set to true when conditions are defined");
    }
    problems.0
}

#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn add(&mut self, path: &str, text: impl std::fmt::Display) {
        self.0.push(format!("{path}: {text}"));
    }

    fn invalid(&mut self, path: &str, value: &str, text: impl std::fmt::Display) {
        self.add(path, format!("Invalid value: {value:?}: {text}"));
    }
}

fn issuer(problems: &mut Problems, path: &str, issuer: &Issuer, disallowed: &[String]) {
    let at = format!("{path}.url");
    if issuer.url.is_empty() {
        problems.add(&at, "Required value");
    } else {
        if disallowed.contains(&issuer.url) {
            let text = format!("URL must not overlap with disallowed issuers: [{}]", disallowed.join(" "));
            problems.invalid(&at, &issuer.url, text);
        }
        url(problems, &at, &issuer.url);
    }
    if let Some(discovery) = issuer.discovery_url.as_deref().filter(|url| !url.is_empty()) {
        let at = format!("{path}.discoveryURL");
        if !issuer.url.is_empty() && issuer.url.trim_end_matches('/') == discovery.trim_end_matches('/') {
            problems.invalid(&at, discovery, "discoveryURL must be different from URL");
        }
        url(problems, &at, discovery);
    }
    audiences(problems, path, issuer);
    if let Some(pem) = issuer.certificate_authority.as_deref().filter(|pem| !pem.is_empty())
        && let Err(error) = crate::trust::client(Some(pem))
    {
        problems.add(&format!("{path}.certificateAuthority"), format!("Invalid value: \"<omitted>\": {error}"));
    }
    if let Some(selector) = issuer.egress_selector_type.as_deref().filter(|s| !s.is_empty()) {
        problems.invalid(&format!("{path}.egressSelectorType"), selector, "egress selectors are not supported");
    }
}

fn audiences(problems: &mut Problems, path: &str, issuer: &Issuer) {
    let at = format!("{path}.audiences");
    if issuer.audiences.is_empty() {
        problems.add(&at, format!("Required value: at least one {at} is required"));
        return;
    }
    let mut seen = BTreeSet::new();
    for (index, audience) in issuer.audiences.iter().enumerate() {
        if audience.is_empty() {
            problems.add(&format!("{at}[{index}]"), "Required value");
        }
        if !seen.insert(audience) {
            problems.add(&format!("{at}[{index}]"), format!("Duplicate value: {audience:?}"));
        }
    }
    let policy = issuer.audience_match_policy.as_deref().unwrap_or_default();
    let at = format!("{path}.audienceMatchPolicy");
    if issuer.audiences.len() > 1 && policy != "MatchAny" {
        problems.invalid(&at, policy, "audienceMatchPolicy must be MatchAny for multiple audiences");
    } else if !policy.is_empty() && policy != "MatchAny" {
        problems.invalid(&at, policy, "audienceMatchPolicy must be empty or MatchAny for single audience");
    }
}

fn url(problems: &mut Problems, path: &str, text: &str) {
    let Ok(uri) = text.parse::<http::Uri>() else {
        problems.invalid(path, text, "it is not a URL");
        return;
    };
    if uri.scheme_str() != Some("https") || uri.host().is_none_or(str::is_empty) {
        problems.invalid(path, text, "URL scheme must be https");
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        problems.invalid(path, text, "URL must not contain a username or password");
    }
    if uri.query().is_some() {
        problems.invalid(path, text, "URL must not contain a query");
    }
    if text.contains('#') {
        problems.invalid(path, text, "URL must not contain a fragment");
    }
}

fn claim_rules(problems: &mut Problems, path: &str, rules: &[ClaimValidationRule]) {
    let (mut claims, mut expressions) = (BTreeSet::new(), BTreeSet::new());
    for (index, rule) in rules.iter().enumerate() {
        let at = format!("{path}[{index}]");
        match (rule.claim.is_empty(), rule.expression.is_empty()) {
            (false, false) => problems.invalid(&at, &rule.claim, "claim and expression can't both be set"),
            (true, true) => problems.add(&at, "Required value: claim or expression is required"),
            (false, true) => {
                if !rule.message.is_empty() {
                    problems.invalid(&format!("{at}.message"), &rule.message, "may not be specified when claim is set");
                }
                if !claims.insert(&rule.claim) {
                    problems.add(&format!("{at}.claim"), format!("Duplicate value: {:?}", rule.claim));
                }
            }
            (true, false) => {
                if !rule.required_value.is_empty() {
                    let text = "may not be specified when expression is set";
                    problems.invalid(&format!("{at}.requiredValue"), &rule.required_value, text);
                }
                if !expressions.insert(&rule.expression) {
                    problems.add(&format!("{at}.expression"), format!("Duplicate value: {:?}", rule.expression));
                }
            }
        }
    }
}

fn mappings(problems: &mut Problems, path: &str, mappings: &ClaimMappings) {
    prefixed(problems, &format!("{path}.username"), &mappings.username, true);
    prefixed(problems, &format!("{path}.groups"), &mappings.groups, false);
    if !mappings.uid.claim.is_empty() && !mappings.uid.expression.is_empty() {
        problems.invalid(&format!("{path}.uid"), "", "claim and expression can't both be set");
    }
    let mut seen = BTreeSet::new();
    for (index, extra) in mappings.extra.iter().enumerate() {
        let at = format!("{path}.extra[{index}]");
        let key = format!("{at}.key");
        let domain = extra.key.split_once('/').filter(|(domain, rest)| domain.contains('.') && !rest.is_empty());
        match domain {
            None => problems.invalid(&key, &extra.key, "must be a domain-prefixed path (such as \"acme.io/foo\")"),
            Some((domain, _)) => {
                let reserved = |name: &str| domain == name || domain.ends_with(&format!(".{name}"));
                if reserved("k8s.io") || reserved("kubernetes.io") {
                    let text = "k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use";
                    problems.invalid(&key, &extra.key, text);
                }
            }
        }
        if extra.key.chars().any(char::is_uppercase) {
            problems.invalid(&key, &extra.key, "must be lowercase");
        }
        if !seen.insert(&extra.key) {
            problems.add(&key, format!("Duplicate value: {:?}", extra.key));
        }
        if extra.value_expression.is_empty() {
            problems.add(&format!("{at}.valueExpression"), "Required value");
        }
    }
}

fn prefixed(problems: &mut Problems, path: &str, mapping: &PrefixedClaimOrExpression, required: bool) {
    match (mapping.claim.is_empty(), mapping.expression.is_empty()) {
        (false, false) => problems.invalid(path, "", "claim and expression can't both be set"),
        (true, true) if required => problems.add(path, "Required value: claim or expression is required"),
        (true, true) if mapping.prefix.is_some() => {
            problems.invalid(
                path,
                mapping.prefix.as_deref().unwrap_or_default(),
                "non-empty prefix is set without claim",
            );
        }
        (true, false) if mapping.prefix.is_some() => {
            let prefix = mapping.prefix.as_deref().unwrap_or_default();
            problems.invalid(&format!("{path}.prefix"), prefix, "prefix can't be set when expression is set");
        }
        (false, true) if mapping.prefix.is_none() => {
            let text = "Required value: prefix is required when claim is set. It can be set to an empty string to disable prefixing";
            problems.add(&format!("{path}.prefix"), text);
        }
        _ => {}
    }
}
