//! Acting as somebody else, by headers, for those who may.
//!
//! Whoever has the verb `impersonate` may act as the other in everything. The narrow way, as of Kubernetes 1.36, asks
//! for two things: `impersonate:MODE` on the other, and `impersonate-on:MODE:VERB` on what the request does. The narrow
//! way is tried first, and its refusal is the one that is told.

use std::collections::BTreeMap;
use std::fmt::Write;

use berth_identity::service_account::{groups, split_username};
use http::HeaderMap;

use super::{Acting, GROUP_AUTHENTICATED, GROUP_MASTERS, GROUP_NODES, GROUP_UNAUTHENTICATED, NODE_USER_PREFIX};
use super::{USER_ANONYMOUS, UserInfo};
use crate::authz;
use crate::inner::Inner;
use crate::request::{Query, RequestInfo, ResourcePath, Target, Verb, parse_path};
use crate::status::ApiError;
use crate::write::meta::is_dns_subdomain;

const USER: &str = "impersonate-user";
const UID: &str = "impersonate-uid";
const GROUP: &str = "impersonate-group";
const EXTRA: &str = "impersonate-extra-";
/// Extra key of service accounts' tokens: the node where the account's task runs.
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";
const AUTHENTICATION: &str = "authentication.k8s.io";
/// Most values of one request: each is a question to the roles.
const VALUES_MAX: usize = 200;

/// The user that a request acts as: the one that it asks to impersonate, if it may.
///
/// # Errors
/// 400 when it names no user, 403 when the user may not.
pub(crate) fn impersonate(server: &Inner, user: UserInfo, parts: &http::request::Parts) -> Result<Acting, ApiError> {
    let Some(wanted) = wanted(&parts.headers)? else { return Ok(Acting { user, impersonated_by: None }) };
    let target = parse_path(parts.uri.path())?;
    let query = Query::parse(parts.uri.query());
    let verb = parts.method.as_str().to_ascii_lowercase();
    let path = parts.uri.path().trim_end_matches('/');
    let info = match &target {
        Target::Resource(resource) => {
            let is_watch = query.flag("watch") || resource.watch_prefix;
            let verb = Verb::of(&parts.method, resource, is_watch).ok_or_else(ApiError::method_not_allowed_here)?;
            RequestInfo::of_resource(path, verb, resource, &query)
        }
        Target::GroupVersion { .. } => RequestInfo::of_path(path, &verb),
        Target::Other(path) => RequestInfo::of_path(path, &verb),
    };
    let acted = Asker { server, user: &user }.act_as(&wanted, &info)?;
    Ok(Acting { user: acted, impersonated_by: Some(user) })
}

/// Whom the headers ask for, as they ask.
fn wanted(headers: &HeaderMap) -> Result<Option<UserInfo>, ApiError> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let first = |name: &str| headers.get(name).map(text).unwrap_or_default();
    let mut wanted = UserInfo { name: first(USER), uid: first(UID), ..UserInfo::default() };
    wanted.groups = headers.get_all(GROUP).iter().map(text).collect();
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        if let Some(key) = name.as_str().strip_prefix(EXTRA) {
            extra.entry(unescape_key(key)).or_default().push(text(value));
        }
    }
    wanted.extra = extra;
    if wanted.groups.len() + wanted.extra.values().map(Vec::len).sum::<usize>() > VALUES_MAX {
        return Err(ApiError::bad_request(format!("requested more than {VALUES_MAX} groups and extra values")));
    }
    if !wanted.name.is_empty() {
        return Ok(Some(wanted));
    }
    if wanted.uid.is_empty() && wanted.groups.is_empty() && wanted.extra.is_empty() {
        return Ok(None);
    }
    Err(ApiError::bad_request(format!("requested {} without impersonating a user name", in_go(&wanted))))
}

/// The user as Go prints it: clients may look for the words.
fn in_go(user: &UserInfo) -> String {
    let list = |values: &[String]| {
        let quoted: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
        format!("[]string{{{}}}", quoted.join(", "))
    };
    let groups = if user.groups.is_empty() { "[]string(nil)".to_owned() } else { list(&user.groups) };
    let mut extra = "map[string][]string(nil)".to_owned();
    if !user.extra.is_empty() {
        let pairs: Vec<String> = user.extra.iter().map(|(key, values)| format!("{key:?}:{}", list(values))).collect();
        extra = format!("map[string][]string{{{}}}", pairs.join(", "));
    }
    format!("&user.DefaultInfo{{Name:{:?}, UID:{:?}, Groups:{groups}, Extra:{extra}}}", user.name, user.uid)
}

/// A key of extra facts out of a header's name: percent signs spell what headers cannot. What is malformed stays.
pub(super) fn unescape_key(key: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|b| char::from(*b).to_digit(16)).map(|d| d as u8);
    let bytes = key.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'%' {
            out.push(bytes[at]);
            at += 1;
            continue;
        }
        let (Some(high), Some(low)) = (digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) else {
            return key.to_owned();
        };
        out.push(high << 4 | low);
        at += 3;
    }
    String::from_utf8(out).unwrap_or_else(|_| key.to_owned())
}

/// The node of a user name; `None` for other users.
fn node_of(name: &str) -> Option<&str> {
    name.strip_prefix(NODE_USER_PREFIX).filter(|node| is_dns_subdomain(node))
}

/// Whoever asks to act as another.
#[derive(Clone, Copy)]
struct Asker<'a> {
    server: &'a Inner,
    user: &'a UserInfo,
}

/// One way of acting as another: the name of its verbs, and whether it is narrow.
#[derive(Clone, Copy)]
struct Mode {
    verb: &'static str,
    /// `impersonate-on:MODE:`, to be followed by the request's verb; empty for the wide way.
    on: &'static str,
}

const ASSOCIATED_NODE: Mode = Mode { verb: "impersonate:associated-node", on: "impersonate-on:associated-node:" };
const ARBITRARY_NODE: Mode = Mode { verb: "impersonate:arbitrary-node", on: "impersonate-on:arbitrary-node:" };
const SERVICE_ACCOUNT: Mode = Mode { verb: "impersonate:serviceaccount", on: "impersonate-on:serviceaccount:" };
const USER_INFO: Mode = Mode { verb: "impersonate:user-info", on: "impersonate-on:user-info:" };
const WIDE: Mode = Mode { verb: "impersonate", on: "" };

impl Asker<'_> {
    fn act_as(self, wanted: &UserInfo, info: &RequestInfo<'_>) -> Result<UserInfo, ApiError> {
        let mut refusal = None;
        for mode in self.modes(wanted).into_iter().flatten() {
            match self.by(mode, wanted, info) {
                Ok(user) => return Ok(user),
                Err(error) => {
                    refusal.get_or_insert(error);
                }
            }
        }
        Err(refusal.unwrap_or_else(|| ApiError::internal("all impersonation modes failed")))
    }

    /// The ways that are open for this user, in the order in which they are tried.
    fn modes(self, wanted: &UserInfo) -> [Option<Mode>; 3] {
        let name_only = wanted.uid.is_empty() && wanted.groups.is_empty() && wanted.extra.is_empty();
        if let Some(node) = node_of(&wanted.name) {
            let own_node = self.user.extra.get(NODE_NAME).is_some_and(|names| names == &[node]);
            let is_associated = own_node && split_username(&self.user.name).is_some();
            let associated = (name_only && is_associated).then_some(ASSOCIATED_NODE);
            return [associated, name_only.then_some(ARBITRARY_NODE), Some(WIDE)];
        }
        if split_username(&wanted.name).is_some() {
            return [name_only.then_some(SERVICE_ACCOUNT), Some(WIDE), None];
        }
        [Some(USER_INFO), Some(WIDE), None]
    }

    fn by(self, mode: Mode, wanted: &UserInfo, info: &RequestInfo<'_>) -> Result<UserInfo, ApiError> {
        let is_narrow = !mode.on.is_empty();
        if is_narrow {
            let verb = format!("{}{}", mode.on, info.verb);
            self.ask(&RequestInfo { verb: &verb, ..info.clone() })?;
        }
        let mut user = wanted.clone();
        self.may_be_named(mode, wanted, &mut user)?;
        if !wanted.uid.is_empty() {
            self.may(mode, AUTHENTICATION, "uids", None, "", &wanted.uid)?;
        }
        let group_of_groups = if is_narrow { AUTHENTICATION } else { "" };
        for group in &wanted.groups {
            let why = match group.as_str() {
                "" => Some("impersonating the empty string group is not allowed"),
                GROUP_MASTERS => Some("impersonating the system:masters group is not allowed"),
                _ => None,
            };
            if let Some(why) = why.filter(|_| is_narrow) {
                return Err(self.refuse(mode, group_of_groups, "groups", group, why));
            }
            self.may(mode, group_of_groups, "groups", None, "", group)?;
        }
        for (key, values) in &wanted.extra {
            if is_narrow && let Some(why) = bad_extra(key, values) {
                return Err(self.refuse(mode, AUTHENTICATION, "userextras", "", &why));
            }
            for value in values {
                self.may(mode, AUTHENTICATION, "userextras", Some(key), "", value)?;
            }
        }
        let is_in = |group: &str| user.groups.iter().any(|other| other == group);
        if user.name == USER_ANONYMOUS {
            if !is_in(GROUP_UNAUTHENTICATED) {
                user.groups.push(GROUP_UNAUTHENTICATED.to_owned());
            }
        } else if !is_in(GROUP_UNAUTHENTICATED) && !is_in(GROUP_AUTHENTICATED) {
            user.groups.push(GROUP_AUTHENTICATED.to_owned());
        }
        Ok(user)
    }

    /// Whether the name may be taken; the groups that come with it.
    fn may_be_named(self, mode: Mode, wanted: &UserInfo, user: &mut UserInfo) -> Result<(), ApiError> {
        let is_narrow = !mode.on.is_empty();
        let group = if is_narrow { AUTHENTICATION } else { "" };
        if let Some((namespace, name)) = split_username(&wanted.name) {
            if wanted.groups.is_empty() {
                user.groups = groups(namespace);
            }
            return self.may(mode, group, "serviceaccounts", None, namespace, name);
        }
        match node_of(&wanted.name).filter(|_| is_narrow) {
            Some(node) => {
                user.groups = vec![GROUP_NODES.to_owned()];
                // The right to be one's own node is given for all nodes: whose task it is decides.
                let name = if mode.verb == ASSOCIATED_NODE.verb { "*" } else { node };
                self.may(mode, group, "nodes", None, "", name)
            }
            None => self.may(mode, group, "users", None, "", &wanted.name),
        }
    }

    fn may(
        self,
        mode: Mode,
        group: &str,
        plural: &str,
        subresource: Option<&str>,
        namespace: &str,
        name: &str,
    ) -> Result<(), ApiError> {
        let resource = resource(group, plural, subresource, namespace, name);
        self.ask(&of(mode, &resource, name))
    }

    fn ask(self, info: &RequestInfo<'_>) -> Result<(), ApiError> {
        let decision = authz::authorize(self.server, self.user, info);
        if decision.allowed { Ok(()) } else { Err(authz::forbidden(self.user, info, &decision.reason)) }
    }

    fn refuse(self, mode: Mode, group: &str, plural: &str, name: &str, why: &str) -> ApiError {
        let resource = resource(group, plural, None, "", name);
        authz::forbidden(self.user, &of(mode, &resource, name), why)
    }
}

/// The question whether a mode's verb may be used on something.
fn of<'a>(mode: Mode, resource: &'a ResourcePath, name: &'a str) -> RequestInfo<'a> {
    RequestInfo { verb: mode.verb, path: "", resource: Some(resource), name, label_selector: "", field_selector: "" }
}

fn resource(group: &str, plural: &str, subresource: Option<&str>, namespace: &str, name: &str) -> ResourcePath {
    ResourcePath {
        group: group.to_owned(),
        version: "v1".to_owned(),
        plural: plural.to_owned(),
        subresource: subresource.map(str::to_owned),
        namespace: Some(namespace.to_owned()).filter(|namespace| !namespace.is_empty()),
        name: Some(name.to_owned()),
        ..ResourcePath::default()
    }
}

/// What the narrow way does not take as an extra fact.
fn bad_extra(key: &str, values: &[String]) -> Option<String> {
    let mut why = String::new();
    let prefixed = key.split_once('/').is_some_and(|(domain, path)| is_dns_subdomain(domain) && !path.is_empty());
    if key.is_empty() {
        why.push_str("impersonating the empty string key in extra is not allowed");
    } else if !prefixed {
        let _ = write!(
            why,
            "impersonating an invalid key in extra is not allowed: extra.key: Invalid value: {key:?}: must be a \
             domain-prefixed path (such as \"acme.io/foo\")"
        );
    } else if values.iter().any(String::is_empty) {
        why.push_str("impersonating the empty string value in extra is not allowed");
    }
    Some(why).filter(|why| !why.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn headers_say_whom_a_request_acts_as() {
        let asked = headers(&[
            ("impersonate-user", "bob"),
            ("impersonate-group", "a, b"),
            ("impersonate-group", "c"),
            ("impersonate-extra-example.com%2fscopes", "view"),
            ("impersonate-uid", "u-1"),
        ]);
        let user = wanted(&asked).unwrap().unwrap();
        assert_eq!((user.name.as_str(), user.uid.as_str()), ("bob", "u-1"));
        assert_eq!(user.groups, ["a, b", "c"]);
        assert_eq!(user.extra["example.com/scopes"], ["view"]);
        assert_eq!(wanted(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn groups_without_a_user_are_refused_in_gos_words() {
        let error = wanted(&headers(&[("impersonate-group", "a")])).unwrap_err();
        assert_eq!(error.code(), 400);
        assert_eq!(
            error.message(),
            "requested &user.DefaultInfo{Name:\"\", UID:\"\", Groups:[]string{\"a\"}, \
             Extra:map[string][]string(nil)} without impersonating a user name"
        );
    }

    #[test]
    fn keys_are_unescaped_or_left() {
        assert_eq!(unescape_key("a%2Fb"), "a/b");
        assert_eq!(unescape_key("a%2"), "a%2");
        assert_eq!(unescape_key("a%zz"), "a%zz");
        assert_eq!(unescape_key("%ff"), "%ff");
    }
}
