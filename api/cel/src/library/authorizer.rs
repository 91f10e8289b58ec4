//! Kubernetes' authorization library: builds what to check, asks the authorizer, reads the decision.

use std::sync::Arc;

use super::{arguments, formats};
use crate::budget::Meter;
use crate::error::EvalError;
use crate::value::{Check, CheckKind, Opaque, Str, Value};

type Result<'a> = std::result::Result<Value<'a>, EvalError>;

fn extend<'a>(check: &Check<'a>, kind: CheckKind, change: impl FnOnce(&mut Check<'a>)) -> Result<'a> {
    let mut next = check.clone();
    next.kind = kind;
    change(&mut next);
    Ok(Value::from(next))
}

/// The steps that take a string: `path`, `group`, `resource`, `subresource`, `namespace`, `name` and the selectors.
pub(super) fn step<'a>(name: &'static str, args: &[Value<'a>]) -> Result<'a> {
    let [Value::Opaque(Opaque::Check(check)), Value::String(text)] = args else { return Err(arguments(name, args)) };
    let text = || text.to_string();
    match (name, check.kind) {
        ("path" | "resource", _) if text().trim().is_empty() => {
            Err(EvalError::new(format!("{name} must not be empty")))
        }
        ("path", CheckKind::Authorizer) => extend(check, CheckKind::Path, |next| next.attributes.path = text()),
        ("group", CheckKind::Authorizer) => extend(check, CheckKind::Group, |next| next.attributes.group = text()),
        ("resource", CheckKind::Group) => extend(check, CheckKind::Resource, |next| {
            next.attributes.resource = text();
            next.attributes.resource_request = true;
        }),
        (_, CheckKind::Resource) => extend(check, CheckKind::Resource, |next| {
            let attributes = &mut next.attributes;
            match name {
                "subresource" => attributes.subresource = text(),
                "namespace" => attributes.namespace = text(),
                "name" => attributes.name = text(),
                "fieldSelector" => attributes.field_selector = text(),
                _ => attributes.label_selector = text(),
            }
        }),
        _ => Err(arguments(name, args)),
    }
}

/// `authorizer.serviceAccount(namespace, name)`: asks for that account in place of the user.
pub(super) fn service_account<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    match args {
        [Value::Opaque(Opaque::Check(check)), Value::String(namespace), Value::String(name)]
            if check.kind == CheckKind::Authorizer =>
        {
            if !formats::is_valid_subdomain(name) {
                return Err(EvalError::new("Invalid service account name"));
            }
            if !formats::is_valid_label(namespace) {
                return Err(EvalError::new("Invalid service account namespace"));
            }
            let account = (namespace.to_string(), name.to_string());
            extend(check, CheckKind::Authorizer, |next| next.attributes.service_account = Some(account))
        }
        _ => Err(arguments("serviceAccount", args)),
    }
}

/// `check.check(verb)`: asks.
pub(super) fn check<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    match args {
        [Value::Opaque(Opaque::Check(check)), Value::String(verb)]
            if matches!(check.kind, CheckKind::Path | CheckKind::Resource) =>
        {
            let mut attributes = check.attributes.clone();
            attributes.verb = verb.to_string();
            attributes.resource_request = check.kind == CheckKind::Resource;
            let decision = check.authorizer.check(&attributes);
            Ok(Value::Opaque(Opaque::Decision(Arc::new(decision))))
        }
        _ => Err(arguments("check", args)),
    }
}

/// The parts of a decision.
pub(super) fn decision<'a>(name: &'static str, args: &[Value<'a>]) -> Result<'a> {
    let [Value::Opaque(Opaque::Decision(decision))] = args else { return Err(arguments(name, args)) };
    Ok(match name {
        "allowed" => Value::Bool(decision.allowed),
        "errored" => Value::Bool(decision.error.is_some()),
        "reason" => Value::string(decision.reason.as_str()),
        _ => Value::String(Str::Owned(decision.error.as_deref().unwrap_or_default().into())),
    })
}
