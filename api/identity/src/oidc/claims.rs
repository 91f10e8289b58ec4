//! From claims to a user: which claim is the name, which are the groups, and what must be so.

use std::collections::BTreeMap;

use serde_json::Value;

use super::config::Jwt;
use crate::Subject;

/// Most groups of one user that are taken.
const GROUPS_MAX: usize = 10_000;

/// The rules of one provider, ready to use.
pub(super) struct Rules {
    config: Jwt,
}

impl Rules {
    /// Takes the rules of a configuration; the error starts with the path of what cannot be used.
    pub(super) fn compile(config: &Jwt) -> Result<Self, String> {
        let mappings = &config.claim_mappings;
        let fixed = [
            ("claimMappings.username.expression", &mappings.username.expression),
            ("claimMappings.groups.expression", &mappings.groups.expression),
            ("claimMappings.uid.expression", &mappings.uid.expression),
        ];
        let mut paths: Vec<String> =
            fixed.iter().filter(|(_, expression)| !expression.is_empty()).map(|(path, _)| (*path).to_owned()).collect();
        let rules = config.claim_validation_rules.iter().enumerate().filter(|(_, rule)| !rule.expression.is_empty());
        paths.extend(rules.map(|(index, _)| format!("claimValidationRules[{index}].expression")));
        paths.extend((0..mappings.extra.len()).map(|index| format!("claimMappings.extra[{index}].valueExpression")));
        paths.extend((0..config.user_validation_rules.len()).map(|i| format!("userValidationRules[{i}].expression")));
        if let Some(path) = paths.first() {
            return Err(format!("{path}: Forbidden: expressions are not supported yet: map a claim"));
        }
        Ok(Self { config: config.clone() })
    }

    /// The user of verified claims, or upstream's words for why there is none.
    pub(super) fn subject(&self, claims: &Value) -> Result<Subject, String> {
        let subject = Subject {
            name: self.username(claims)?,
            groups: self.groups(claims)?,
            uid: self.uid(claims)?,
            extra: BTreeMap::new(),
        };
        self.require(claims)?;
        if subject.name.is_empty() {
            return Err("the user name is empty".to_owned());
        }
        Ok(subject)
    }

    fn username(&self, claims: &Value) -> Result<String, String> {
        let mapping = &self.config.claim_mappings.username;
        let name = text(claims, &mapping.claim)
            .map_err(|reason| format!("parse username claims {:?}: {reason}", mapping.claim))?;
        if mapping.claim == "email" {
            match claims.get("email_verified") {
                None | Some(Value::Bool(true)) => {}
                Some(Value::Bool(false)) => return Err("email not verified".to_owned()),
                Some(_) => return Err("parse 'email_verified' claim: it is not a boolean".to_owned()),
            }
        }
        Ok(format!("{}{name}", mapping.prefix.as_deref().unwrap_or_default()))
    }

    fn groups(&self, claims: &Value) -> Result<Vec<String>, String> {
        let mapping = &self.config.claim_mappings.groups;
        let Some(found) = claims.get(&mapping.claim).filter(|_| !mapping.claim.is_empty()) else {
            return Ok(Vec::new());
        };
        let bad = || format!("parse groups claim {:?}: it is neither a string nor a list of strings", mapping.claim);
        let names = match found {
            Value::String(one) => vec![one.as_str()],
            Value::Array(many) if many.len() <= GROUPS_MAX => {
                many.iter().map(Value::as_str).collect::<Option<Vec<_>>>().ok_or_else(bad)?
            }
            Value::Null => Vec::new(),
            _ => return Err(bad()),
        };
        let prefix = mapping.prefix.as_deref().unwrap_or_default();
        Ok(names.into_iter().map(|name| format!("{prefix}{name}")).collect())
    }

    fn uid(&self, claims: &Value) -> Result<String, String> {
        let claim = &self.config.claim_mappings.uid.claim;
        if claim.is_empty() {
            return Ok(String::new());
        }
        text(claims, claim).map(str::to_owned).map_err(|reason| format!("parse uid claim {claim:?}: {reason}"))
    }

    fn require(&self, claims: &Value) -> Result<(), String> {
        for rule in self.config.claim_validation_rules.iter().filter(|rule| !rule.claim.is_empty()) {
            let claim = &rule.claim;
            if claims.get(claim).is_none() {
                return Err(format!("required claim {claim} not present in ID token"));
            }
            let found = text(claims, claim).map_err(|reason| format!("parse claim {claim}: {reason}"))?;
            if found != rule.required_value {
                // What was found stays out: it is somebody's, and logs are not for it.
                return Err(format!("required claim {claim} value does not match. want = {}", rule.required_value));
            }
        }
        Ok(())
    }
}

fn text<'a>(claims: &'a Value, claim: &str) -> Result<&'a str, &'static str> {
    let value = claims.get(claim).ok_or("claim not present")?;
    value.as_str().ok_or("it is not a string")
}
