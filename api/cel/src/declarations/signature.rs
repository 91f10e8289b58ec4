//! Reads a line of the tables.

use std::sync::Arc;

use super::Overload;
use crate::types::{Type, opaque};

/// `id: name(args) -> result`; nothing when the line is something else.
pub(super) fn parse(line: &'static str) -> Option<(&'static str, Overload)> {
    let (id, rest) = line.split_once(": ")?;
    let (call, result) = rest.rsplit_once(" -> ")?;
    let (name, args) = call.strip_suffix(')')?.split_once('(')?;
    let mut params = Vec::new();
    let args = split(args).into_iter().map(|arg| type_of(arg, &mut params)).collect::<Option<Vec<_>>>()?;
    let result = type_of(result, &mut params)?;
    let (member, name) = match name.strip_prefix('.') {
        Some(name) => (true, name),
        None => (false, name),
    };
    Some((name, Overload { id, member, args, result, params }))
}

/// Parts between the commas that stand in no parenthesis.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    let parts = text.split(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn type_of(text: &str, params: &mut Vec<Arc<str>>) -> Option<Type> {
    if let Some((name, inner)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        let mut inner = split(inner).into_iter().map(|part| type_of(part, params));
        return Some(match name {
            "list" => Type::list(inner.next()??),
            "map" => Type::map(inner.next()??, inner.next()??),
            "optional" => Type::optional(inner.next()??),
            "type" => Type::type_of(inner.next()??),
            _ => return None,
        });
    }
    Some(match text {
        "dyn" => Type::Dyn,
        "bool" => Type::Bool,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "timestamp" => Type::Timestamp,
        "duration" => Type::Duration,
        "quantity" => Type::Opaque(opaque::QUANTITY),
        "ip" => Type::Opaque(opaque::IP),
        "cidr" => Type::Opaque(opaque::CIDR),
        "url" => Type::Opaque(opaque::URL),
        "semver" => Type::Opaque(opaque::SEMVER),
        "format" => Type::Opaque(opaque::FORMAT),
        "authorizer" => Type::Opaque(opaque::AUTHORIZER),
        "path_check" => Type::Opaque(opaque::PATH_CHECK),
        "group_check" => Type::Opaque(opaque::GROUP_CHECK),
        "resource_check" => Type::Opaque(opaque::RESOURCE_CHECK),
        "decision" => Type::Opaque(opaque::DECISION),
        "A" | "B" | "K" | "V" | "T" => {
            let name: Arc<str> = text.into();
            if !params.contains(&name) {
                params.push(Arc::clone(&name));
            }
            Type::Param(name)
        }
        _ => return None,
    })
}
