//! What reads requests, as functions of plain data: for the crate that fuzzes them. Behind a feature that nothing
//! which ships turns on.

use serde_json::Value;

use crate::audit::{Attributes, Policy};
use crate::request::{
    ContinueToken, DeleteOptions, ListOptions, Query, ResourcePath, Target, WriteOptions, parse_path, parse_revision,
};
use crate::write::decode::{Format, decode};
use crate::{admission, protobuf};

/// An answer's code and message.
pub type Refused = (u16, String);

fn refused(error: crate::status::ApiError) -> Refused {
    (error.code(), error.message().to_owned())
}

/// A JSON or YAML body, and the paths of keys that it has twice.
pub fn body(bytes: &[u8], is_yaml: bool) -> Result<(Value, Vec<String>), Refused> {
    let format = if is_yaml { Format::Yaml } else { Format::Json };
    decode(bytes, format).map(|decoded| (decoded.value, decoded.duplicates)).map_err(refused)
}

/// The bytes that are stored of an object, and those that are answered.
pub fn encoded(object: &Value, revision: u64) -> (Vec<u8>, Vec<u8>) {
    let encoded = crate::write::encode::Encoded::new(object);
    (encoded.stored().to_vec(), encoded.with_revision(revision).to_vec())
}

/// Group and kind of all protobuf bodies that are read.
pub fn protobuf_kinds() -> Vec<(&'static str, &'static str)> {
    protobuf::all_kinds()
}

/// A protobuf body.
pub fn protobuf_body(bytes: &[u8], group: &str, kind: &str) -> Result<Value, Refused> {
    protobuf::decode(bytes, group, kind).map_err(refused)
}

/// Whether JSON fits the types of a standard kind.
pub fn typed(group: &str, kind: &str, object: &Value) -> Result<(), String> {
    protobuf::check_json(group, kind, object)
}

/// The parts of a path that points at a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub group: String,
    pub version: String,
    pub namespace: Option<String>,
    pub plural: String,
    pub name: Option<String>,
    pub subresource: Option<String>,
    pub watch_prefix: bool,
    pub is_deep: bool,
}

/// A path; `None` when it points at something else than a resource.
pub fn path(text: &str) -> Result<Option<Place>, Refused> {
    Ok(match parse_path(text).map_err(refused)? {
        Target::Resource(found) => {
            let ResourcePath { group, version, namespace, plural, name, subresource, watch_prefix, is_deep } = found;
            Some(Place { group, version, namespace, plural, name, subresource, watch_prefix, is_deep })
        }
        Target::GroupVersion { .. } | Target::Other(_) => None,
    })
}

/// The options of a query, read as each kind of request reads them: how many were taken.
pub fn query(text: &str, body: Option<&Value>) -> usize {
    let query = Query::parse(Some(text));
    let read = [
        ListOptions::parse(&query, false).is_ok(),
        ListOptions::parse(&query, true).is_ok(),
        WriteOptions::parse(&query, "CreateOptions", text).is_ok(),
        DeleteOptions::parse(&query, body).is_ok(),
        parse_revision(text).is_ok(),
        query.is_cut(),
    ];
    read.into_iter().filter(|taken| *taken).count()
}

/// A continue token: revision, namespace, name.
pub fn continue_token(text: &str, namespaced: bool) -> Result<(i64, (String, String)), Refused> {
    ContinueToken::decode(text, namespaced).map_err(refused)
}

/// The token for a place.
pub fn make_continue_token(revision: i64, namespace: &str, name: &str) -> String {
    ContinueToken { revision, after: (namespace, name) }.encode()
}

/// A webhook's answer: whether it allows, and its patch.
pub fn admission_answer(old: bool, mutating: bool, body: &[u8]) -> Result<(bool, Vec<u8>), String> {
    admission::read_answer(old, mutating, body)
}

/// What an audit policy says of requests for `paths`: the levels.
pub fn audit_policy(text: &str, paths: &[&str]) -> Result<Vec<&'static str>, String> {
    let policy = Policy::parse(text).map_err(|error| error.to_string())?;
    let groups = ["system:authenticated".to_owned(), "devs".to_owned()];
    let level = |path: &&str| {
        let place = self::path(path).ok().flatten();
        let text = |part: Option<&String>| part.cloned().unwrap_or_default();
        let place = place.as_ref();
        let parts = (
            text(place.map(|p| &p.group)),
            text(place.map(|p| &p.plural)),
            text(place.and_then(|p| p.subresource.as_ref())),
            text(place.and_then(|p| p.namespace.as_ref())),
            text(place.and_then(|p| p.name.as_ref())),
        );
        let request = Attributes {
            user: "alice",
            groups: &groups,
            verb: "get",
            is_resource: place.is_some(),
            group: &parts.0,
            resource: &parts.1,
            subresource: &parts.2,
            namespace: &parts.3,
            name: &parts.4,
            path,
        };
        policy.verdict(&request).level.as_str()
    };
    Ok(paths.iter().map(level).collect())
}
