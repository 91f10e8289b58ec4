//! The path grammar of the Kubernetes API.

use crate::status::ApiError;

/// What a path points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A resource: collection, object or subresource.
    Resource(ResourcePath),
    /// `/api/v1` or `/apis/g/v`: the resources of a group and version.
    GroupVersion { group: String, version: String },
    /// Everything else (health, discovery roots, openapi, version), without a trailing slash.
    Other(String),
}

/// A path that points at a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResourcePath {
    /// Empty for the core group.
    pub group: String,
    pub version: String,
    pub namespace: Option<String>,
    pub plural: String,
    pub name: Option<String>,
    pub subresource: Option<String>,
    /// The old `/watch/` prefix was used.
    pub watch_prefix: bool,
    /// The path goes on behind the subresource: nothing of ours does, but what others serve behind us may.
    pub is_deep: bool,
}

/// The longest path that is looked at. The longest legal one has five names of 253 bytes.
const PATH_BYTES_MAX: usize = 8 * 1024;

/// Reads a path.
///
/// # Errors
/// 404 for what cannot be a path of this server, 400 for broken percent encoding.
pub(crate) fn parse_path(path: &str) -> Result<Target, ApiError> {
    if path.len() > PATH_BYTES_MAX || path.contains("//") {
        return Err(ApiError::page_not_found());
    }
    let mut segments: Vec<&str> = path.split('/').skip(1).map(word).collect();
    if segments.last() == Some(&"") {
        segments.pop();
    }
    let (group, version, rest) = match segments.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return Ok(Target::Other(format!("/{}", segments.join("/")))),
    };
    let (group, version) = (decode(group)?, decode(version)?);
    let (watch_prefix, rest) = match rest {
        ["watch", rest @ ..] if !rest.is_empty() => (true, rest),
        _ => (false, rest),
    };
    let base = ResourcePath { group, version, watch_prefix, ..ResourcePath::default() };
    let core = base.group.is_empty();
    let found = match rest {
        [] => return Ok(Target::GroupVersion { group: base.group, version: base.version }),
        ["namespaces"] if core => ResourcePath { plural: "namespaces".into(), ..base },
        ["namespaces", name] if core => {
            let name = decode_name(name)?;
            ResourcePath { plural: "namespaces".into(), namespace: Some(name.clone()), name: Some(name), ..base }
        }
        ["namespaces", name, sub @ ("status" | "finalize")] if core => {
            let name = decode_name(name)?;
            ResourcePath {
                plural: "namespaces".into(),
                namespace: Some(name.clone()),
                name: Some(name),
                subresource: Some((*sub).into()),
                ..base
            }
        }
        ["namespaces", ns, plural, tail @ ..] => {
            let base = ResourcePath { namespace: Some(decode_name(ns)?), plural: decode(plural)?, ..base };
            with_tail(base, tail)?
        }
        [plural, tail @ ..] => with_tail(ResourcePath { plural: decode(plural)?, ..base }, tail)?,
    };
    Ok(Target::Resource(found))
}

fn with_tail(base: ResourcePath, tail: &[&str]) -> Result<ResourcePath, ApiError> {
    match tail {
        [] => Ok(base),
        [name] => Ok(ResourcePath { name: Some(decode_name(name)?), ..base }),
        [name, sub, deeper @ ..] => Ok(ResourcePath {
            name: Some(decode_name(name)?),
            subresource: Some(decode(sub)?),
            is_deep: !deeper.is_empty(),
            ..base
        }),
    }
}

/// A segment that is a word of the grammar is that word however it is encoded: else a path that is written in an odd way
/// would mean another place.
fn word(segment: &str) -> &str {
    const WORDS: [&str; 6] = ["api", "apis", "namespaces", "watch", "status", "finalize"];
    if !segment.contains('%') {
        return segment;
    }
    let plain = super::query::percent_decode(segment, false);
    WORDS.into_iter().find(|word| plain.as_deref() == Some(word)).unwrap_or(segment)
}

/// A name from a path. What would break out of its place in a store key is refused here, once.
fn decode_name(segment: &str) -> Result<String, ApiError> {
    let name = decode(segment)?;
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '%', '\0']) {
        return Err(ApiError::page_not_found());
    }
    Ok(name)
}

fn decode(segment: &str) -> Result<String, ApiError> {
    super::query::percent_decode(segment, false)
        .filter(|text| !text.contains(['/', '\0']))
        .ok_or_else(|| ApiError::bad_request(format!("path segment {segment:?} is not percent-encoded UTF-8")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(path: &str) -> ResourcePath {
        match parse_path(path).unwrap() {
            Target::Resource(found) => found,
            other => panic!("{path} is {other:?}"),
        }
    }

    #[track_caller]
    fn check(path: &str, group: &str, ns: Option<&str>, plural: &str, name: Option<&str>, sub: Option<&str>) {
        let found = resource(path);
        assert_eq!(
            (
                &*found.group,
                found.namespace.as_deref(),
                &*found.plural,
                found.name.as_deref(),
                found.subresource.as_deref()
            ),
            (group, ns, plural, name, sub),
            "{path}"
        );
    }

    #[test]
    fn every_shape_of_the_grammar_is_read() {
        check("/api/v1/namespaces", "", None, "namespaces", None, None);
        check("/api/v1/namespaces/x", "", Some("x"), "namespaces", Some("x"), None);
        check("/api/v1/namespaces/x/status", "", Some("x"), "namespaces", Some("x"), Some("status"));
        check("/api/v1/namespaces/x/finalize", "", Some("x"), "namespaces", Some("x"), Some("finalize"));
        check("/api/v1/namespaces/x/secrets", "", Some("x"), "secrets", None, None);
        check("/api/v1/secrets", "", None, "secrets", None, None);
        check("/apis/berth.dev/v1/namespaces/x/tasks/t/log", "berth.dev", Some("x"), "tasks", Some("t"), Some("log"));
        check("/apis/berth.dev/v1/nodes/n/status", "berth.dev", None, "nodes", Some("n"), Some("status"));
        assert!(resource("/api/v1/watch/namespaces/x/secrets").watch_prefix);
    }

    #[test]
    fn a_word_that_is_encoded_is_the_same_word() {
        check("/api/v1/%6eamespaces/x", "", Some("x"), "namespaces", Some("x"), None);
        check("/%61pi/v1/namespaces/x/%73tatus", "", Some("x"), "namespaces", Some("x"), Some("status"));
        check("/apis/berth.dev/v1/%6Eamespaces/x/tasks/t", "berth.dev", Some("x"), "tasks", Some("t"), None);
        assert!(resource("/api/v1/w%61tch/namespaces/x/secrets").watch_prefix);
    }

    #[test]
    fn other_paths_keep_their_text_without_a_trailing_slash() {
        assert_eq!(parse_path("/version/").unwrap(), Target::Other("/version".into()));
        assert_eq!(parse_path("/").unwrap(), Target::Other("/".into()));
        assert_eq!(
            parse_path("/apis/berth.dev/v1/").unwrap(),
            Target::GroupVersion { group: "berth.dev".into(), version: "v1".into() }
        );
    }

    #[test]
    fn a_path_that_goes_on_is_known_as_such() {
        assert!(!resource("/apis/g/v/a/b/c").is_deep);
        assert!(resource("/apis/g/v/a/b/c/d").is_deep);
        assert!(resource("/apis/g/v/namespaces/x/a/b/c/d/e").is_deep);
    }

    #[test]
    fn what_could_escape_a_key_is_refused() {
        for path in [
            "//api",
            "/api/v1/namespaces/..%2f/secrets",
            "/api/v1/namespaces/%2e%2e/secrets/x",
            "/api/v1/secrets/a%00b",
        ] {
            assert!(parse_path(path).is_err(), "{path}");
        }
    }
}
