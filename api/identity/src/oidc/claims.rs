//! From claims to a user: which claim is the name, which are the groups, and what must be so.

use serde_json::{Value, json};

use super::config::{Jwt, PrefixedClaimOrExpression};
use super::expression::{Expression, Over, Returns};
use crate::Subject;

/// Most groups of one user that are taken.
const GROUPS_MAX: usize = 10_000;
/// How the names of the cluster's own users and groups start. Whoever may name groups at a provider must not make
/// themselves administrators here; an expression, or a prefix, that makes such a name means it.
const RESERVED: &str = "system:";

/// The rules of one provider, ready to use.
pub(super) struct Rules {
    config: Jwt,
    username: Option<Expression>,
    groups: Option<Expression>,
    uid: Option<Expression>,
    extra: Vec<(String, Expression)>,
    /// Expressions over claims that must hold, with what is said otherwise.
    claims: Vec<(Expression, String)>,
    /// The same over the user.
    user: Vec<(Expression, String)>,
}

impl Rules {
    /// Compiles the rules of a configuration; the error starts with the path of what cannot be used.
    pub(super) fn compile(config: &Jwt) -> Result<Self, String> {
        let compile = |path: String, text: &str, over: Over, returns: Returns| {
            let compiled = Expression::compile(text, over, returns);
            compiled.map_err(|problem| format!("{path}: Invalid value: {text:?}: {problem}"))
        };
        let optional = |field: &str, text: &str| {
            let path = || format!("claimMappings.{field}.expression");
            (!text.is_empty()).then(|| compile(path(), text, Over::Claims, Returns::Any)).transpose()
        };
        let mappings = &config.claim_mappings;
        let mut rules = Self {
            config: config.clone(),
            username: optional("username", &mappings.username.expression)?,
            groups: optional("groups", &mappings.groups.expression)?,
            uid: optional("uid", &mappings.uid.expression)?,
            extra: Vec::new(),
            claims: Vec::new(),
            user: Vec::new(),
        };
        for (index, extra) in mappings.extra.iter().enumerate() {
            let path = format!("claimMappings.extra[{index}].valueExpression");
            let compiled = compile(path, &extra.value_expression, Over::Claims, Returns::Any)?;
            rules.extra.push((extra.key.clone(), compiled));
        }
        for (index, rule) in config.claim_validation_rules.iter().enumerate().filter(|(_, r)| !r.expression.is_empty())
        {
            let path = format!("claimValidationRules[{index}].expression");
            let compiled = compile(path, &rule.expression, Over::Claims, Returns::Bool)?;
            rules.claims.push((compiled, rule.message.clone()));
        }
        for (index, rule) in config.user_validation_rules.iter().enumerate() {
            let path = format!("userValidationRules[{index}].expression");
            let compiled = compile(path, &rule.expression, Over::User, Returns::Bool)?;
            rules.user.push((compiled, rule.message.clone()));
        }
        rules.check_email()?;
        Ok(rules)
    }

    /// An address that nobody verified is anybody's: who maps it must look at `email_verified`, too.
    fn check_email(&self) -> Result<(), String> {
        let Some(username) = self.username.as_ref().filter(|username| username.uses_claim("email")) else {
            return Ok(());
        };
        let extras = self.extra.iter().map(|(_, expression)| expression);
        let rules = self.claims.iter().map(|(expression, _)| expression);
        if std::iter::once(username).chain(extras).chain(rules).any(|e| e.uses_claim("email_verified")) {
            return Ok(());
        }
        Err(format!(
            "claimMappings.username.expression: Invalid value: {:?}: claims.email_verified must be used in \
             claimMappings.username.expression or claimMappings.extra[*].valueExpression or \
             claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression",
            username.text
        ))
    }

    /// The user of verified claims, or upstream's words for why there is none.
    pub(super) fn subject(&self, claims: &Value) -> Result<Subject, String> {
        let mut subject = Subject {
            name: self.username(claims)?,
            groups: self.groups(claims)?,
            uid: self.uid(claims)?,
            ..Subject::default()
        };
        for (key, expression) in &self.extra {
            let values = expression.texts(claims).map_err(|problem| {
                format!("error evaluating extra claim expression: {}: {problem}", expression.text)
            })?;
            if !values.is_empty() {
                subject.extra.insert(key.clone(), values);
            }
        }
        self.require(claims)?;
        holds(&self.claims, claims).map_err(|why| format!("error evaluating claim validation expression: {why}"))?;
        if !self.user.is_empty() {
            let user =
                json!({"username": subject.name, "uid": subject.uid, "groups": subject.groups, "extra": subject.extra});
            holds(&self.user, &user).map_err(|why| format!("error evaluating user info validation rule: {why}"))?;
        }
        if subject.name.is_empty() {
            return Err("the user name is empty".to_owned());
        }
        Ok(subject)
    }

    fn username(&self, claims: &Value) -> Result<String, String> {
        if let Some(expression) = &self.username {
            let name = expression.text(claims, "username");
            return name.map_err(|problem| format!("error evaluating username claim expression: {problem}"));
        }
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
        let name = format!("{}{name}", mapping.prefix.as_deref().unwrap_or_default());
        if is_reserved(&name, mapping) {
            return Err(format!(
                "parse username claims {:?}: names that start with {RESERVED:?} are the system's own",
                mapping.claim
            ));
        }
        Ok(name)
    }

    fn groups(&self, claims: &Value) -> Result<Vec<String>, String> {
        let groups = match &self.groups {
            Some(expression) => expression
                .texts(claims)
                .map_err(|problem| format!("error evaluating group claim expression: {problem}"))?,
            None => claimed_groups(claims, &self.config.claim_mappings.groups)?,
        };
        if groups.len() > GROUPS_MAX {
            return Err(format!("the user is in more than {GROUPS_MAX} groups"));
        }
        Ok(groups)
    }

    fn uid(&self, claims: &Value) -> Result<String, String> {
        if let Some(expression) = &self.uid {
            let uid = expression.text(claims, "uid");
            return uid.map_err(|problem| format!("error evaluating uid claim expression: {problem}"));
        }
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

/// The groups of a claim: one text, or a list of them.
fn claimed_groups(claims: &Value, mapping: &PrefixedClaimOrExpression) -> Result<Vec<String>, String> {
    let Some(found) = claims.get(&mapping.claim).filter(|_| !mapping.claim.is_empty()) else {
        return Ok(Vec::new());
    };
    let bad = || format!("parse groups claim {:?}: it is neither a string nor a list of strings", mapping.claim);
    let names = match found {
        Value::String(one) => vec![one.as_str()],
        Value::Array(many) => many.iter().map(Value::as_str).collect::<Option<Vec<_>>>().ok_or_else(bad)?,
        Value::Null => Vec::new(),
        _ => return Err(bad()),
    };
    let prefix = mapping.prefix.as_deref().unwrap_or_default();
    Ok(names.into_iter().map(|name| format!("{prefix}{name}")).filter(|name| !is_reserved(name, mapping)).collect())
}

/// Whether a claim alone makes this one of the cluster's own names.
fn is_reserved(name: &str, mapping: &PrefixedClaimOrExpression) -> bool {
    name.starts_with(RESERVED) && !mapping.prefix.as_deref().unwrap_or_default().starts_with(RESERVED)
}

/// Whether all rules hold.
fn holds(rules: &[(Expression, String)], data: &Value) -> Result<(), String> {
    for (expression, message) in rules {
        match expression.eval(data)? {
            Value::Bool(true) => {}
            Value::Bool(false) => return Err(format!("validation expression '{}' failed: {message}", expression.text)),
            _ => return Err("validation expression must return a boolean".to_owned()),
        }
    }
    Ok(())
}

fn text<'a>(claims: &'a Value, claim: &str) -> Result<&'a str, &'static str> {
    let value = claims.get(claim).ok_or("claim not present")?;
    value.as_str().ok_or("it is not a string")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_names_none_of_the_systems_own() {
        let mapping = |prefix: &str| PrefixedClaimOrExpression {
            claim: "groups".to_owned(),
            prefix: Some(prefix.to_owned()),
            ..PrefixedClaimOrExpression::default()
        };
        let claims = json!({"groups": ["devs", "system:masters", "system:nodes"]});
        assert_eq!(claimed_groups(&claims, &mapping("")).unwrap(), ["devs"]);
        assert_eq!(claimed_groups(&json!({"groups": "masters"}), &mapping("system:")).unwrap(), ["system:masters"]);
        assert_eq!(claimed_groups(&json!({"groups": "tem:masters"}), &mapping("sys")).unwrap(), [""; 0]);
        assert_eq!(claimed_groups(&claims, &mapping("oidc:")).unwrap().len(), 3);
        let rules = |prefix: &str| {
            let mut config = Jwt::default();
            config.claim_mappings.username = PrefixedClaimOrExpression { claim: "sub".to_owned(), ..mapping(prefix) };
            Rules::compile(&config).unwrap_or_else(|why| panic!("{why}"))
        };
        let claims = json!({"sub": "system:node:n1"});
        assert!(rules("").subject(&claims).unwrap_err().contains("are the system's own"));
        assert_eq!(rules("oidc:").subject(&claims).unwrap().name, "oidc:system:node:n1");
    }
}
