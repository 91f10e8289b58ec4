//! A user, as the whole server knows it.

use std::collections::BTreeMap;

use berth_identity::Subject;
use serde_json::{Map, Value, json};

/// Members may do everything.
pub const GROUP_MASTERS: &str = "system:masters";
/// The controllers of a cluster.
pub const GROUP_CONTROLLERS: &str = "system:controllers";
/// The agents; each is user `system:node:NAME`.
pub const GROUP_NODES: &str = "system:nodes";
/// Everybody who proved who they are.
pub const GROUP_AUTHENTICATED: &str = "system:authenticated";
/// Everybody else.
pub const GROUP_UNAUTHENTICATED: &str = "system:unauthenticated";
/// The user name of whoever did not say who they are.
pub const USER_ANONYMOUS: &str = "system:anonymous";
/// Prefix of an agent's user name.
pub const NODE_USER_PREFIX: &str = "system:node:";

/// A user that has proved who it is. Handed in process by a request extension, never by a header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserInfo {
    pub name: String,
    /// Empty when whoever vouches for the user knows none.
    pub uid: String,
    pub groups: Vec<String>,
    /// What else is known, such as the id of the credential.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl UserInfo {
    pub fn new(name: impl Into<String>, groups: &[&str]) -> Self {
        let groups = groups.iter().map(|g| (*g).to_owned()).collect();
        Self { name: name.into(), groups, ..Self::default() }.authenticated()
    }

    /// The administrator.
    pub fn admin() -> Self {
        Self::new("admin", &[GROUP_MASTERS])
    }

    /// Whoever did not say who they are.
    pub fn anonymous() -> Self {
        Self { name: USER_ANONYMOUS.to_owned(), groups: vec![GROUP_UNAUTHENTICATED.to_owned()], ..Self::default() }
    }

    /// The API server's own writes.
    pub fn apiserver() -> Self {
        Self::new("system:apiserver", &[GROUP_MASTERS])
    }

    /// The controllers of this process.
    pub fn controllers() -> Self {
        Self::new("system:controllers", &[GROUP_CONTROLLERS])
    }

    /// The agent of a node.
    pub fn node(name: &str) -> Self {
        Self::new(format!("{NODE_USER_PREFIX}{name}"), &[GROUP_NODES])
    }

    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }

    /// The user with the group of everybody who proved who they are; with that of nobody's, it stays without.
    #[must_use]
    pub(crate) fn authenticated(mut self) -> Self {
        if self.is_in(GROUP_UNAUTHENTICATED) {
            return self;
        }
        if !self.is_in(GROUP_AUTHENTICATED) {
            self.groups.push(GROUP_AUTHENTICATED.to_owned());
        }
        self
    }
}

impl UserInfo {
    /// As `userInfo` of reviews and webhooks: what is empty is left out.
    pub(crate) fn to_json(&self) -> Value {
        let mut info = Map::new();
        info.insert("username".to_owned(), json!(self.name));
        if !self.uid.is_empty() {
            info.insert("uid".to_owned(), json!(self.uid));
        }
        if !self.groups.is_empty() {
            info.insert("groups".to_owned(), json!(self.groups));
        }
        if !self.extra.is_empty() {
            info.insert("extra".to_owned(), json!(self.extra));
        }
        Value::Object(info)
    }
}

impl From<Subject> for UserInfo {
    fn from(subject: Subject) -> Self {
        let Subject { name, uid, groups, extra } = subject;
        Self { name, uid, groups, extra }.authenticated()
    }
}
