//! What is in a namespace, of all kinds: deleted, and counted until it is gone.

use std::collections::BTreeMap;

use http::{Method, Request};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, ObjectMeta};
use serde::Deserialize;
use serde_json::json;

use crate::driver::informer::chain;
use crate::driver::kind::Metadata;
use crate::driver::{Context, Error, Key, Row, api};
use crate::garbage::kinds::{self, Served};

/// Objects a page when what is left is counted.
const PAGE: u32 = 500;

/// What is left in a namespace after everything in it was told to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Remains {
    /// Which kinds there are could not be found out.
    pub(super) discovery: Option<String>,
    /// What could not be deleted or counted, and why.
    pub(super) failures: Vec<String>,
    /// Objects left, by `plural.group`.
    pub(super) objects: BTreeMap<String, usize>,
    /// Objects left that have a finalizer, by finalizer.
    pub(super) finalizers: BTreeMap<String, usize>,
}

impl Remains {
    /// Whether the namespace is known to be empty.
    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    metadata: ListMeta,
    #[serde(default)]
    items: Vec<Metadata>,
}

/// Deletes everything in the namespace and gives what is left.
pub(super) async fn delete_all(namespace: &str, ctx: &Context) -> Result<Remains, Error> {
    let served = match kinds::discover(ctx.client()).await {
        Ok(served) => served,
        Err(error) => return Ok(Remains { discovery: Some(error.to_string()), ..Remains::default() }),
    };
    let mut served: Vec<Served> = served
        .into_iter()
        .filter(|served| served.row.namespaced && served.can("list") && served.can("delete"))
        .collect();
    served.sort_by_key(|served| turn(&served.row));
    let mut remains = Remains::default();
    for served in &served {
        if let Err(error) = delete_kind(namespace, served, &mut remains, ctx).await {
            // A definition may have gone since it was discovered; anything else is told.
            remains.failures.push(format!("{}: {}", full_name(&served.row), chain(&error)));
        }
    }
    Ok(remains)
}

/// Owners before what they make, so that nothing is made anew meanwhile; records of all that last.
fn turn(row: &Row) -> u8 {
    match (&*row.group, &*row.plural) {
        ("berth.dev", "services" | "jobs") => 0,
        ("berth.dev", "jobruns") => 1,
        ("" | "events.k8s.io", "events") => 3,
        _ => 2,
    }
}

async fn delete_kind(namespace: &str, served: &Served, remains: &mut Remains, ctx: &Context) -> Result<(), Error> {
    let before = list(namespace, &served.row, ctx).await?;
    if before.is_empty() {
        return Ok(());
    }
    let live = before.iter().any(|meta| meta.deletion_timestamp.is_none());
    if live && served.can("deletecollection") {
        delete(&served.row, &Key::new(namespace, ""), None, ctx).await?;
    } else {
        for meta in before.iter().filter(|meta| meta.deletion_timestamp.is_none()) {
            delete(&served.row, &Key::of(meta), meta.uid.as_deref(), ctx).await?;
        }
    }
    let left = if live { list(namespace, &served.row, ctx).await? } else { before };
    if !left.is_empty() {
        remains.objects.insert(full_name(&served.row), left.len());
    }
    for finalizer in left.iter().flat_map(|meta| meta.finalizers.iter().flatten()) {
        *remains.finalizers.entry(finalizer.clone()).or_default() += 1;
    }
    Ok(())
}

fn full_name(row: &Row) -> String {
    if row.group.is_empty() { row.plural.to_string() } else { format!("{}.{}", row.plural, row.group) }
}

/// One object, or all of the namespace when the key has no name; gone is no error.
async fn delete(row: &Row, key: &Key, uid: Option<&str>, ctx: &Context) -> Result<(), Error> {
    let name = if key.name.is_empty() { String::new() } else { format!("/{}", key.name) };
    let mut options = json!({ "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background" });
    if let Some(uid) = uid {
        options["preconditions"] = json!({ "uid": uid });
    }
    match send(Method::DELETE, format!("{}{name}", api::path(row, &key.namespace)), Some(options), row, key, ctx).await
    {
        Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
        other => other.map(drop),
    }
}

async fn list(namespace: &str, row: &Row, ctx: &Context) -> Result<Vec<ObjectMeta>, Error> {
    let mut all = vec![];
    let mut after = String::new();
    loop {
        let mut uri = format!("{}?limit={PAGE}", api::path(row, namespace));
        if !after.is_empty() {
            uri.push_str("&continue=");
            uri.push_str(&berth_client::resource::encode(&after));
        }
        let text = send(Method::GET, uri, None, row, &Key::new(namespace, ""), ctx).await?;
        let list: List = serde_json::from_str(&text)
            .map_err(|source| Error::Decode { what: format!("the list of {}", row.plural), source })?;
        all.extend(list.items.into_iter().map(|object| object.metadata));
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => after = token,
            None => return Ok(all),
        }
    }
}

async fn send(
    method: Method,
    uri: String,
    body: Option<serde_json::Value>,
    row: &Row,
    key: &Key,
    ctx: &Context,
) -> Result<String, Error> {
    let verb = if method == Method::DELETE { "delete" } else { "list" };
    let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
    let accept = if method == Method::GET { accept } else { "application/json" };
    let request = Request::builder()
        .method(method)
        .uri(&uri)
        .header(http::header::ACCEPT, accept)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body.map(|body| body.to_string().into_bytes()).unwrap_or_default())
        .map_err(|error| Error::Other(format!("could not build a request for {uri}: {error}")))?;
    ctx.client().request_text(request).await.map_err(|source| Error::Api {
        verb,
        kind: row.kind.to_string(),
        key: key.clone(),
        source: Box::new(source),
    })
}
