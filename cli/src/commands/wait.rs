//! `berth wait`: until a condition holds, a field has a value, or the object is gone.

use std::time::Duration;

use berth_client::{Change, Retry, Watch};
use serde_json::Value;

use super::shared::{self, Found, Selector, condition, name};
use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};
use crate::kinds::target;
use crate::output::format::jsonpath;
use crate::text::age;

/// Options of `wait`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  berth wait --for=condition=Ready service/hello\n  berth wait --for=delete task/hello-0 --timeout 30s\n  \
                        berth wait --for=jsonpath='{.status.phase}'=Running tasks --all"
)]
pub(crate) struct Args {
    /// KIND NAME…, KIND/NAME…, or KIND with -l or --all
    #[arg(value_name = "WHAT", required = true)]
    targets: Vec<String>,
    /// condition=NAME[=VALUE], jsonpath=PATH[=VALUE], create, delete
    #[arg(long = "for", value_name = "WHAT")]
    until: String,
    /// How long to wait; 0 looks once
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = age::parse_argument)]
    timeout: Duration,
    #[command(flatten)]
    selector: Selector,
    /// All objects of the kind
    #[arg(long)]
    all: bool,
}

/// What is waited for.
#[derive(Debug)]
enum Until {
    Condition(String, String),
    JsonPath(berth_schema::jsonpath::Template, Option<String>),
    Create,
    Delete,
}

impl Until {
    fn parse(text: &str) -> Outcome<Self> {
        let (word, rest) = text.split_once('=').unwrap_or((text, ""));
        match word {
            "create" if rest.is_empty() => Ok(Self::Create),
            "delete" if rest.is_empty() => Ok(Self::Delete),
            "condition" if !rest.is_empty() => {
                let (type_, status) = rest.split_once('=').unwrap_or((rest, "True"));
                Ok(Self::Condition(type_.to_owned(), status.to_owned()))
            }
            "jsonpath" if !rest.is_empty() => {
                // The value stands after the last brace, since filters have `=` of their own.
                let end = rest.rfind('}').map_or(0, |at| at + 1);
                let (path, value) = match rest[end..].find('=') {
                    Some(at) => (&rest[..end + at], Some(rest[end + at + 1..].to_owned())),
                    None => (rest, None),
                };
                Ok(Self::JsonPath(jsonpath(path.trim_matches('\''))?, value))
            }
            _ => Err(Failure::usage(format!(
                "--for={text} is none of condition=NAME, jsonpath=PATH=VALUE, create, delete"
            ))),
        }
    }

    /// Whether it holds for the object, or for its absence.
    fn holds(&self, object: Option<&Value>) -> bool {
        let Some(object) = object else { return matches!(self, Self::Delete) };
        match self {
            Self::Create => true,
            Self::Delete => false,
            Self::Condition(type_, status) => condition(object, type_).is_some_and(|c| {
                let generation = shared::number(object, &["metadata", "generation"]);
                let seen = c["observedGeneration"].as_i64().or_else(|| object["status"]["observedGeneration"].as_i64());
                seen.is_none_or(|s| s >= generation)
                    && c["status"].as_str().is_some_and(|s| s.eq_ignore_ascii_case(status))
            }),
            Self::JsonPath(path, value) => match value {
                Some(value) => path.render(object).is_ok_and(|text| text == *value),
                None => path.render(object).is_ok_and(|text| !text.is_empty()),
            },
        }
    }
}

pub(crate) async fn run(args: Args, ctx: &mut Ctx) -> Outcome {
    let until = Until::parse(&args.until)?;
    let targets = target::parse(&args.targets)?;
    let session = ctx.session().await?;
    let mut all: Vec<Found> = Vec::new();
    for (kind, name) in &targets.objects {
        all.push(shared::found(ctx, kind, name).await?);
    }
    for kind in &targets.kinds {
        if !args.all && args.selector.is_empty() {
            return Err(Failure::usage("name the objects, or choose them with -l, or take --all"));
        }
        let found = shared::found(ctx, kind, "").await?;
        let path = found.resource.list_path(Some(&found.namespace));
        let list = shared::list(&session, &path, &args.selector.parameters(), berth_client::session::JSON).await?;
        let items = shared::items(&found.resource, list);
        all.extend(items.iter().map(|o| Found { name: name(o).to_owned(), ..found.clone() }));
    }
    if all.is_empty() {
        if matches!(until, Until::Delete) {
            return Ok(exit::OK);
        }
        return Err(Failure::not_found("nothing found to wait for"));
    }
    let end = tokio::time::Instant::now() + args.timeout;
    for found in all {
        let selector = ("fieldSelector".to_owned(), format!("metadata.name={}", found.name));
        let list = found.resource.list_path(Some(&found.namespace));
        let mut watch = Watch::new(session.clone(), list, vec![selector]).retry(Retry::READ);
        let mut looked = false;
        loop {
            // What is there is looked at even when the time is over.
            let change = if looked { tokio::time::timeout_at(end, watch.next()).await } else { Ok(watch.next().await) };
            let object = match change {
                Err(_) => {
                    return Err(Failure::new(format!("timed out waiting for {} of {}", args.until, found.title()))
                        .code(exit::TIMED_OUT)
                        .hint(format!("berth why {}", found.title())));
                }
                Ok(change) => match change? {
                    Change::Listed(list) => shared::items(&found.resource, list).into_iter().next(),
                    Change::Added(o) | Change::Modified(o) => Some(o),
                    Change::Deleted(_) => None,
                },
            };
            if until.holds(object.as_ref()) {
                break;
            }
            if object.is_none() && !looked && !matches!(until, Until::Create) {
                return Err(shared::absent(&found));
            }
            looked = true;
        }
        let word = match &until {
            Until::Delete => "deleted",
            Until::Create => "created",
            _ => "condition met",
        };
        ctx.term.line(&format!("{} {word}", found.title()))?;
    }
    Ok(exit::OK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn conditions_count_for_the_newest_generation_only() {
        let until = Until::parse("condition=ready").unwrap();
        let object = |seen: i64, status: &str| json!({"metadata": {"generation": 2}, "status": {"conditions": [{"type": "Ready", "status": status, "observedGeneration": seen}]}});
        assert!(until.holds(Some(&object(2, "True"))));
        assert!(!until.holds(Some(&object(1, "True"))));
        assert!(Until::parse("condition=Ready=False").unwrap().holds(Some(&object(2, "False"))));
        assert!(!until.holds(None));
    }

    #[test]
    fn forms_are_read_or_refused() {
        assert!(Until::parse("delete").unwrap().holds(None));
        assert!(Until::parse("create").unwrap().holds(Some(&json!({}))));
        assert!(
            matches!(Until::parse("jsonpath={.status.phase}=Running").unwrap(), Until::JsonPath(_, Some(v)) if v == "Running")
        );
        for bad in ["", "ready", "condition", "jsonpath="] {
            assert_eq!(Until::parse(bad).unwrap_err().code, 2, "{bad}");
        }
    }
}
