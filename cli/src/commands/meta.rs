//! `berth label`, `berth annotate`: `KEY=VALUE` sets, `KEY-` removes.

use berth_client::session::MERGE_PATCH;
use http::Method;
use serde_json::{Map, Value, json};

use super::get;
use super::shared::{self, Selector};
use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};
use crate::kinds::target;

/// Options of `label` and `annotate`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  berth label service hello tier=web\n  berth annotate service/hello note-\n  berth label nodes --all rack=r1 --overwrite"
)]
pub(crate) struct Args {
    /// KIND NAME… (or KIND/NAME…), then KEY=VALUE to set and KEY- to remove
    #[arg(value_name = "WHAT CHANGES", required = true)]
    words: Vec<String>,
    /// Replace values that are there
    #[arg(long)]
    overwrite: bool,
    /// All objects of the kind
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    selector: Selector,
}

/// Which map is changed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Field {
    Labels,
    Annotations,
}

impl Field {
    fn key(self) -> &'static str {
        match self {
            Self::Labels => "labels",
            Self::Annotations => "annotations",
        }
    }

    fn manager(self) -> &'static str {
        match self {
            Self::Labels => "berth-label",
            Self::Annotations => "berth-annotate",
        }
    }
}

/// What to set (`Some`) and to remove (`None`).
type Changes = Vec<(String, Option<String>)>;

fn split(words: &[String]) -> (Vec<String>, Changes) {
    let mut targets = Vec::new();
    let mut changes = Changes::new();
    for word in words {
        if let Some((key, value)) = word.split_once('=') {
            changes.push((key.to_owned(), Some(value.to_owned())));
        } else if let Some(key) = word.strip_suffix('-').filter(|k| !k.is_empty()) {
            changes.push((key.to_owned(), None));
        } else {
            targets.push(word.clone());
        }
    }
    (targets, changes)
}

pub(crate) async fn run(args: Args, ctx: &mut Ctx, field: Field) -> Outcome {
    let (targets, changes) = split(&args.words);
    if changes.is_empty() {
        return Err(Failure::usage("say what to change: KEY=VALUE sets, KEY- removes"));
    }
    let targets = target::parse(&targets)?;
    let session = ctx.session().await?;
    let mut all = Vec::new();
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
        let names = shared::items(&found.resource, list);
        all.extend(names.iter().map(|o| shared::Found { name: shared::name(o).to_owned(), ..found.clone() }));
    }
    for found in all {
        let object = get::object(&session, &found).await?;
        let now = &object["metadata"][field.key()];
        let mut patch = Map::new();
        for (key, value) in &changes {
            let old = now[key.as_str()].as_str();
            if let (Some(old), Some(new)) = (old, value)
                && old != new
                && !args.overwrite
            {
                return Err(
                    Failure::new(format!("{} has {key}={old} already", found.title())).hint("--overwrite replaces it")
                );
            }
            if old != value.as_deref() {
                patch.insert(key.clone(), value.clone().map_or(Value::Null, Value::String));
            }
        }
        if patch.is_empty() {
            ctx.term.line(&format!("{} unchanged", found.title()))?;
            continue;
        }
        let body = json!({"metadata": {field.key(): patch}});
        let target = format!("{}?fieldManager={}", found.path(), field.manager());
        session.write(Method::PATCH, &target, MERGE_PATCH, &body).await?;
        ctx.term.line(&format!(
            "{} {}",
            found.title(),
            if field.key() == "labels" { "labeled" } else { "annotated" }
        ))?;
    }
    Ok(exit::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_from_names() {
        let words = ["svc", "hello", "a=b", "c=", "d-"].map(ToOwned::to_owned);
        let (targets, changes) = split(&words);
        assert_eq!(targets, ["svc", "hello"]);
        assert_eq!(changes, [("a".into(), Some("b".into())), ("c".into(), Some(String::new())), ("d".into(), None)]);
    }
}
