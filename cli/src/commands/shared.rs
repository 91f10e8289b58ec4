//! What several verbs need: finding objects, reading conditions, own managers.

use berth_client::{ClientError, Resource, Session, resource};
use futures::StreamExt as _;
use serde_json::Value;

use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome};
use crate::kinds::target;

/// Field manager of `berth apply`.
pub(crate) const MANAGER: &str = "berth";
/// Requests that run at the same time: enough to hide the round trips of a folder of manifests.
pub(crate) const PARALLEL: usize = 16;
/// Objects a page of a list.
const PAGE: &str = "500";
/// Most pages that are read: 50 million objects are a mistake.
const PAGES_MAX: usize = 100_000;

/// A found object.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) resource: Resource,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Found {
    pub(crate) fn path(&self) -> String {
        self.resource.path(&self.namespace, &self.name)
    }

    /// `service/hello`.
    pub(crate) fn title(&self) -> String {
        crate::kinds::title(&self.resource, &self.name)
    }

    /// ` -n shop`, when it must be typed to reach the object from here.
    pub(crate) fn namespace_flag(&self, ctx: &Ctx) -> String {
        match &ctx.globals.namespace {
            Some(namespace) if self.resource.namespaced => format!(" -n {namespace}"),
            _ => String::new(),
        }
    }
}

/// The one object that a command is about.
///
/// # Errors
/// When the arguments do not name exactly one, or the kind is not known.
pub(crate) async fn one(ctx: &mut Ctx, arguments: &[String], usage: &str) -> Outcome<Found> {
    let (kind, name) = target::parse_one(arguments, usage)?;
    found(ctx, &kind, &name).await
}

/// Looks up the kind of an object.
pub(crate) async fn found(ctx: &mut Ctx, kind: &str, name: &str) -> Outcome<Found> {
    let session = ctx.session().await?;
    let resource = ctx.kinds.resolve(&session, kind).await?;
    let namespace = ctx.namespace().await?;
    Ok(Found { resource, namespace, name: name.to_owned() })
}

/// Which objects of a kind: the usual flags.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Selector {
    /// Only objects with these labels, such as app=web,tier!=db
    #[arg(short = 'l', long = "selector", value_name = "LABELS")]
    pub(crate) labels: Option<String>,
    /// Only objects with these fields, such as spec.nodeName=n1
    #[arg(long = "field-selector", value_name = "FIELDS")]
    pub(crate) fields: Option<String>,
}

impl Selector {
    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_none() && self.fields.is_none()
    }

    /// As query parameters.
    pub(crate) fn parameters(&self) -> Vec<(String, String)> {
        let pairs = [("labelSelector", &self.labels), ("fieldSelector", &self.fields)];
        pairs.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v.clone()?))).collect()
    }
}

/// Reads all pages of a list and gives the last page with all items (or rows) in it.
pub(crate) async fn list(
    session: &Session,
    path: &str,
    parameters: &[(String, String)],
    accept: &str,
) -> Result<Value, ClientError> {
    let mut whole: Option<Value> = None;
    let mut next = String::new();
    for _ in 0..PAGES_MAX {
        let mut pairs: Vec<(&str, &str)> = parameters.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        pairs.push(("limit", PAGE));
        if !next.is_empty() {
            pairs.push(("continue", &next));
        }
        let target = format!("{path}{}", resource::query(pairs));
        let mut page = session.read(&target, accept, berth_client::Retry::READ).await?.body;
        next = page["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
        if let Some(mut before) = whole.take() {
            for field in ["items", "rows"] {
                if let (Some(old), Some(new)) = (before[field].as_array_mut(), page[field].as_array_mut()) {
                    old.append(new);
                    page[field] = before[field].take();
                }
            }
            if page["columnDefinitions"].is_null() {
                page["columnDefinitions"] = before["columnDefinitions"].take();
            }
        }
        whole = Some(page);
        if next.is_empty() {
            break;
        }
    }
    Ok(whole.unwrap_or_default())
}

/// The items of a list, each with its kind (items of core lists come without).
pub(crate) fn items(resource: &Resource, list: Value) -> Vec<Value> {
    let Value::Object(mut list) = list else { return vec![] };
    let Some(Value::Array(mut items)) = list.remove("items") else { return vec![] };
    for item in &mut items {
        if item["kind"].is_null() {
            item["kind"] = resource.kind.clone().into();
            item["apiVersion"] = resource.api_version().into();
        }
    }
    items
}

/// Runs work on all inputs, some at a time, and keeps the order.
pub(crate) async fn parallel<I, F, T>(inputs: impl IntoIterator<Item = I>, work: impl FnMut(I) -> F) -> Vec<T>
where
    F: Future<Output = T>,
{
    futures::stream::iter(inputs.into_iter().map(work)).buffered(PARALLEL).collect().await
}

/// A condition of an object.
pub(crate) fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    object["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|c| c["type"].as_str().is_some_and(|t| t.eq_ignore_ascii_case(type_)))
}

/// Whether a condition is `True`.
pub(crate) fn is_true(object: &Value, type_: &str) -> bool {
    condition(object, type_).is_some_and(|c| c["status"] == "True")
}

/// A text at a path of keys, or "".
pub(crate) fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    at(value, path).as_str().unwrap_or_default()
}

/// A number at a path of keys, or 0.
pub(crate) fn number(value: &Value, path: &[&str]) -> i64 {
    at(value, path).as_i64().unwrap_or_default()
}

/// The value at a path of keys, or null.
pub(crate) fn at<'a>(value: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(value, |value, key| &value[*key])
}

/// Name of an object.
pub(crate) fn name(object: &Value) -> &str {
    text(object, &["metadata", "name"])
}

/// `404` with the words of kubectl: which object is not there.
pub(crate) fn absent(found: &Found) -> Failure {
    Failure::not_found(format!("{} {:?} not found", found.resource.full_name(), found.name))
        .hint(format!("list what is there: berth get {} -A", found.resource.plural))
}
