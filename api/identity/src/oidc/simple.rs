//! One provider by a few settings, as kube-apiserver's `--oidc-*` flags say it.

use std::collections::BTreeMap;

use super::config::{
    AuthenticationConfiguration, ClaimMappings, ClaimValidationRule, Issuer, Jwt, PrefixedClaimOrExpression,
};

/// The settings.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    pub issuer_url: String,
    pub client_id: String,
    /// `sub` when empty.
    pub username_claim: String,
    /// Unset: `ISSUER#`, but nothing before an e-mail address. `-` for none at all.
    pub username_prefix: Option<String>,
    pub groups_claim: String,
    pub groups_prefix: String,
    pub required_claims: BTreeMap<String, String>,
    /// Authorities in PEM form.
    pub ca_pem: Option<String>,
}

impl Flags {
    /// The configuration that says the same.
    pub fn configuration(&self) -> AuthenticationConfiguration {
        let claim = if self.username_claim.is_empty() { "sub" } else { &self.username_claim };
        let prefix = match self.username_prefix.as_deref() {
            Some("-") => String::new(),
            Some(prefix) if !prefix.is_empty() => prefix.to_owned(),
            _ if claim == "email" => String::new(),
            _ => format!("{}#", self.issuer_url),
        };
        let mapping = |claim: &str, prefix: String| PrefixedClaimOrExpression {
            claim: claim.to_owned(),
            prefix: Some(prefix),
            ..PrefixedClaimOrExpression::default()
        };
        let groups = if self.groups_claim.is_empty() {
            PrefixedClaimOrExpression::default()
        } else {
            mapping(&self.groups_claim, self.groups_prefix.clone())
        };
        let rule = |(claim, value): (&String, &String)| ClaimValidationRule {
            claim: claim.clone(),
            required_value: value.clone(),
            ..ClaimValidationRule::default()
        };
        let jwt = Jwt {
            issuer: Issuer {
                url: self.issuer_url.clone(),
                audiences: vec![self.client_id.clone()],
                certificate_authority: self.ca_pem.clone(),
                ..Issuer::default()
            },
            claim_mappings: ClaimMappings { username: mapping(claim, prefix), groups, ..ClaimMappings::default() },
            claim_validation_rules: self.required_claims.iter().map(rule).collect(),
            ..Jwt::default()
        };
        AuthenticationConfiguration { jwt: vec![jwt], ..AuthenticationConfiguration::default() }
    }
}
