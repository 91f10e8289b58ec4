//! Counting what is in a namespace: of tasks and volumes what they ask for, of other kinds only how many there are.

use berth_types::quota::{Amount, Amounts, Counted, match_all, read_all};
use http::Request;
use serde::Deserialize;
use serde_json::Value;

use crate::driver::{Context, Error, Key, api};
use crate::garbage::kinds::{self, Served};

/// Objects a page where they are looked at.
const PAGE: u32 = 500;
/// Pages of one kind in one namespace: a bound on a loop, more than any namespace has.
const PAGES_MAX: usize = 10_000;

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    metadata: ListMeta,
    #[serde(default)]
    items: Vec<Value>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta {
    #[serde(default, rename = "continue")]
    token: String,
    #[serde(default)]
    remaining_item_count: Option<i64>,
}

/// What is used of all that the quota bounds.
pub(super) async fn used(quota: &Value, namespace: &str, ctx: &Context) -> Result<Amounts, Error> {
    let hard = read_all(&quota["spec"]["hard"]);
    let served = kinds::discover(ctx.client())
        .await
        .map_err(|error| Error::Other(format!("could not ask for a count: {error}")))?;
    let mut sum = Amounts::new();
    for kind in served.iter().filter(|kind| kind.row.namespaced && kind.can("list")) {
        let counted = Counted { group: &kind.row.group, plural: &kind.row.plural };
        if !hard.keys().any(|name| counted.is_bound_by(name)) {
            continue;
        }
        let of_kind = if looks_inside(counted) {
            weigh(quota, kind, counted, namespace, ctx).await?
        } else {
            number(quota, kind, counted, namespace, ctx).await?
        };
        for (name, amount) in of_kind {
            let all = sum.entry(name).or_default();
            *all = all.plus(amount);
        }
    }
    Ok(sum)
}

/// Whether objects of the kind count for more than their number.
fn looks_inside(counted: Counted<'_>) -> bool {
    counted.is_task() || counted.is_volume()
}

/// Asks for one object and how many more there are: the server knows without looking at them.
async fn number(
    quota: &Value,
    kind: &Served,
    counted: Counted<'_>,
    namespace: &str,
    ctx: &Context,
) -> Result<Amounts, Error> {
    if !match_all(quota, counted, &Value::Null) {
        return Ok(Amounts::new());
    }
    let list = page(kind, namespace, 1, "", ctx).await?;
    let objects = i64::try_from(list.items.len()).unwrap_or(i64::MAX);
    let all = objects.saturating_add(list.metadata.remaining_item_count.unwrap_or(0));
    Ok(counted.usage(&Value::Null).into_keys().map(|name| (name, Amount::count(all))).collect())
}

async fn weigh(
    quota: &Value,
    kind: &Served,
    counted: Counted<'_>,
    namespace: &str,
    ctx: &Context,
) -> Result<Amounts, Error> {
    let mut sum = Amounts::new();
    let mut token = String::new();
    for _ in 0..PAGES_MAX {
        let list = page(kind, namespace, PAGE, &token, ctx).await?;
        for object in list.items.iter().filter(|object| match_all(quota, counted, object)) {
            for (name, amount) in counted.usage(object) {
                let all = sum.entry(name).or_default();
                *all = all.plus(amount);
            }
        }
        token = list.metadata.token;
        if token.is_empty() {
            break;
        }
    }
    Ok(sum)
}

async fn page(kind: &Served, namespace: &str, limit: u32, token: &str, ctx: &Context) -> Result<List, Error> {
    let mut uri = format!("{}?limit={limit}", api::path(&kind.row, namespace));
    if !token.is_empty() {
        uri.push_str("&continue=");
        uri.push_str(&berth_client::resource::encode(token));
    }
    let request = Request::get(uri)
        .body(Vec::new())
        .map_err(|error| Error::Other(format!("could not ask for a count: {error}")))?;
    let text = ctx.client().request_text(request).await.map_err(|source| Error::Api {
        verb: "list",
        kind: kind.row.kind.to_string(),
        key: Key::new(namespace, ""),
        source: Box::new(source),
    })?;
    serde_json::from_str(&text).map_err(|source| Error::Decode { what: format!("a list of {}", kind.row.kind), source })
}
