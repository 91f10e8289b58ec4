//! `berth diff`: what apply would change, as the server sees it.

use berth_client::Session;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::apply::{Item, problem};
use super::shared::{self, MANAGER};
use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};
use crate::manifest::{self, Files};
use crate::output::yaml;
use crate::term::Paint;

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// Options of `diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 nothing would change, 1 error, 2 there are changes.\n\
                        With --kubectl-exit-codes: 1 there are changes, 2 error.")]
pub(crate) struct Args {
    #[command(flatten)]
    files: Files,
    /// Exit codes as kubectl has them: 1 for changes, 2 for errors
    #[arg(long)]
    kubectl_exit_codes: bool,
    /// Name under which the fields would be managed
    #[arg(long, value_name = "NAME", default_value = MANAGER)]
    field_manager: String,
    /// Show what would change if fields that others manage were taken over
    #[arg(long)]
    force_conflicts: bool,
    /// Always on: berth applies on the server
    #[arg(long, hide = true)]
    server_side: bool,
}

pub(crate) async fn run(args: Args, ctx: &mut Ctx) -> Outcome {
    let kubectl = args.kubectl_exit_codes;
    match compare(args, ctx).await {
        Ok(true) => Ok(if kubectl { 1 } else { 2 }),
        Ok(false) => Ok(exit::OK),
        Err(failure) if kubectl => Err(failure.code(2)),
        Err(failure) => Err(failure),
    }
}

async fn compare(args: Args, ctx: &mut Ctx) -> Outcome<bool> {
    let documents = args.files.load(&mut ctx.term)?;
    let session = ctx.session().await?;
    let mut items = Vec::new();
    let mut problems = Vec::new();
    for document in documents {
        match ctx.kinds.of_manifest(&session, document.api_version(), document.kind()).await {
            Ok(resource) => {
                let namespace = match document.namespace() {
                    Some(own) => own.to_owned(),
                    None => ctx.namespace().await?,
                };
                items.push(Item { document, resource, namespace, before: None, force: args.force_conflicts });
            }
            Err(failure) if failure.hints.is_empty() => problems.push(document.problem("kind", failure.message)),
            Err(failure) => return Err(failure),
        }
    }
    let answers = shared::parallel(&items, |item| both(&session, item, &args.field_manager)).await;
    let mut differs = false;
    for (item, (live, wanted)) in items.iter().zip(answers) {
        let live = match live {
            Ok(object) => Some(object),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.into()),
        };
        let wanted = match wanted {
            Ok(reply) => {
                problems.extend(reply.warnings.iter().filter_map(|w| problem::unknown_field(&item.document, w)));
                reply.body
            }
            // Its namespace comes with the same files: all of it is new.
            Err(error) if error.is_not_found() && live.is_none() => item.document.object.clone(),
            Err(error) if error.status().is_none() || matches!(error.code(), 401 | 403) => return Err(error.into()),
            Err(error) => {
                problems.extend(problem::of(&item.document, &error));
                continue;
            }
        };
        let text =
            unified(&item.title(), live.as_ref().map(comparable).as_ref(), &comparable(&wanted), ctx.term.colour_out);
        differs |= !text.is_empty();
        ctx.term.data(&text)?;
    }
    if !problems.is_empty() {
        ctx.term.flush()?;
        let failure = manifest::report(&mut ctx.term, problems);
        return Err(Failure { code: exit::ERROR, ..failure });
    }
    Ok(differs)
}

type Answer = Result<Value, berth_client::ClientError>;

async fn both(
    session: &Session,
    item: &Item,
    manager: &str,
) -> (Answer, Result<berth_client::Reply, berth_client::ClientError>) {
    let path = item.resource.path(&item.namespace, item.document.name());
    let (live, mut reply) = futures::join!(session.get(&path), item.send(session, manager, true, item.force));
    if let Err(error) = &reply
        && error.status().is_some_and(problem::only_own_verbs)
    {
        reply = item.send(session, manager, true, true).await;
    }
    (live, reply)
}

/// Without what the server keeps for itself.
fn comparable(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for field in ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"] {
            metadata.remove(field);
        }
    }
    object
}

fn unified(title: &str, before: Option<&Value>, after: &Value, colour: bool) -> String {
    let before = before.map(yaml::emit).unwrap_or_default();
    let after = yaml::emit(after);
    if before == after {
        return String::new();
    }
    let diff = TextDiff::from_lines(before.as_str(), after.as_str());
    let old = if before.is_empty() { "/dev/null".to_owned() } else { format!("live {title}") };
    let mut out = crate::term::painted(colour, Paint::Bold, &format!("--- {old}\n+++ file {title}"));
    out.push('\n');
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        out.push_str(&format!("{}\n", hunk.header()));
        for change in hunk.iter_changes() {
            let line = change.value().trim_end_matches('\n');
            let (mark, paint) = match change.tag() {
                ChangeTag::Delete => ('-', Some(Paint::Bad)),
                ChangeTag::Insert => ('+', Some(Paint::Good)),
                ChangeTag::Equal => (' ', None),
            };
            let line = format!("{mark}{}", crate::term::harmless(line));
            out.push_str(&paint.map_or_else(|| line.clone(), |p| crate::term::painted(colour, p, &line)));
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_people_write_is_compared() {
        let live = json!({"metadata": {"name": "a", "uid": "u", "resourceVersion": "7", "managedFields": []}, "spec": {"x": 1}, "status": {"y": 2}});
        let wanted = json!({"metadata": {"name": "a", "uid": "u", "generation": 2}, "spec": {"x": 1}});
        assert_eq!(unified("t/a", Some(&comparable(&live)), &comparable(&wanted), false), "");
    }

    #[test]
    fn changes_are_shown_as_a_unified_diff() {
        let text = unified("service/a", Some(&json!({"spec": {"x": 1}})), &json!({"spec": {"x": 2}}), false);
        assert_eq!(text, "--- live service/a\n+++ file service/a\n@@ -1,2 +1,2 @@\n spec:\n-  x: 1\n+  x: 2\n");
        assert!(unified("service/a", None, &json!({"a": 1}), false).starts_with("--- /dev/null\n"));
    }
}
