//! `berth apply`: server-side apply of whole files. Everything is checked before anything is changed.

mod check;
pub(crate) mod follow;
pub(crate) mod problem;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use berth_client::session::APPLY_PATCH;
use berth_client::{ClientError, Reply, Resource, Session, resource};
use http::Method;
use serde_json::Value;

use super::shared::{self, MANAGER};
use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};
use crate::kinds;
use crate::manifest::{self, Document, Files};
use crate::output::Format;
use crate::term::Paint;
use crate::text::age;

/// Options of `apply`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  berth apply -f hello.yaml\n  berth apply -f manifests/ -R --no-wait\n  \
                        cat hello.yaml | berth apply -f - --dry-run=server\n\n\
                        Nothing is changed when any object has an error.")]
pub(crate) struct Args {
    #[command(flatten)]
    files: Files,
    /// Do not wait until everything runs
    #[arg(long)]
    no_wait: bool,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = age::parse_argument)]
    timeout: Duration,
    /// server: let the server check and answer without storing; client: only read the files
    #[arg(long, value_name = "WHERE", num_args = 0..=1, default_missing_value = "server", default_value = "none")]
    #[arg(value_parser = ["none", "server", "client"])]
    dry_run: String,
    /// Take over fields that others manage
    #[arg(long)]
    force_conflicts: bool,
    /// Always on: berth applies on the server
    #[arg(long, hide = true)]
    server_side: bool,
    /// Name under which the fields are managed
    #[arg(long, value_name = "NAME", default_value = MANAGER)]
    field_manager: String,
    /// Print the objects: yaml, json, name
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<String>,
}

/// One object on its way.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) document: Document,
    pub(crate) resource: Resource,
    pub(crate) namespace: String,
    /// Version of the stored object; `None` when there is none.
    pub(crate) before: Option<String>,
    /// Take over conflicting fields.
    pub(crate) force: bool,
}

impl Item {
    pub(crate) fn title(&self) -> String {
        kinds::title(&self.resource, self.document.name())
    }

    /// Sends the apply; with `dry_run` nothing is stored.
    pub(crate) async fn send(
        &self,
        session: &Session,
        manager: &str,
        dry_run: bool,
        force: bool,
    ) -> Result<Reply, ClientError> {
        let mut parameters = vec![("fieldManager", manager), ("fieldValidation", "Warn")];
        if dry_run {
            parameters.push(("dryRun", "All"));
        }
        if force {
            parameters.push(("force", "true"));
        }
        let path = self.resource.path(&self.namespace, self.document.name());
        let target = format!("{path}{}", resource::query(parameters));
        session.write(Method::PATCH, &target, APPLY_PATCH, &self.document.object).await
    }
}

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Created,
    Configured,
    Unchanged,
}

pub(crate) async fn run(args: Args, ctx: &mut Ctx) -> Outcome {
    let started = Instant::now();
    let format = Format::parse(args.output.as_deref())?;
    let documents = args.files.load(&mut ctx.term)?;
    if args.dry_run == "client" {
        for document in &documents {
            ctx.term.line(&format!("{}/{} read (dry run)", document.kind().to_lowercase(), document.name()))?;
        }
        return Ok(exit::OK);
    }
    let session = ctx.session().await?;
    let own_kinds = defined_kinds(&documents);
    let mut items = Vec::new();
    let mut later = Vec::new();
    let mut problems = Vec::new();
    for document in documents {
        if document.name().is_empty() {
            problems.push(
                document.problem(
                    "metadata.generateName",
                    "apply needs metadata.name; use berth create for generated names",
                ),
            );
            continue;
        }
        match ctx.kinds.of_manifest(&session, document.api_version(), document.kind()).await {
            Ok(resource) => items.push(item(document, resource, ctx, &args).await?),
            // Its kind comes with the same files: it can be checked only when that is stored.
            Err(_) if own_kinds.contains(document.kind()) => later.push(document),
            Err(failure) if failure.code == exit::ERROR && failure.hints.is_empty() => {
                problems.push(document.problem("kind", failure.message));
            }
            Err(failure) => return Err(failure),
        }
    }
    items.sort_by_key(|i| rank(&i.resource));
    let checked = check::all(&session, &mut items, &args.field_manager, &mut problems).await?;
    for text in checked.remarks {
        ctx.term.say(&format!("{} {text}", ctx.term.paint_err(Paint::Warn, "warning:")));
    }
    if !problems.is_empty() {
        return Err(manifest::report(&mut ctx.term, problems));
    }
    if args.dry_run == "server" {
        for (item, reply) in items.iter().zip(checked.replies) {
            print(ctx, &format, item, &reply.unwrap_or(Value::Null), verdict(item, None), " (server dry run)")?;
        }
        return Ok(exit::OK);
    }
    let mut goals = Vec::new();
    let mut code = store(ctx, &session, &args, &format, &items, &mut goals).await?;
    if !later.is_empty() {
        ctx.kinds.forget();
        let mut rest = Vec::new();
        for document in later {
            let resource = ctx.kinds.of_manifest(&session, document.api_version(), document.kind()).await?;
            rest.push(item(document, resource, ctx, &args).await?);
        }
        code = code.max(store(ctx, &session, &args, &format, &rest, &mut goals).await?);
    }
    if code != exit::OK || args.no_wait {
        return Ok(code);
    }
    ctx.term.flush()?;
    follow::until_done(ctx, &session, goals, started, args.timeout).await
}

async fn item(document: Document, resource: Resource, ctx: &mut Ctx, args: &Args) -> Outcome<Item> {
    let namespace = match document.namespace() {
        Some(own) => {
            if let Some(wanted) = ctx.globals.namespace.as_deref().filter(|n| *n != own && resource.namespaced) {
                return Err(Failure::usage(format!(
                    "{}: {} says namespace {own:?}, but -n says {wanted:?}",
                    document.file,
                    kinds::title(&resource, document.name())
                )));
            }
            own.to_owned()
        }
        None => ctx.namespace().await?,
    };
    Ok(Item { document, resource, namespace, before: None, force: args.force_conflicts })
}

async fn store(
    ctx: &mut Ctx,
    session: &Session,
    args: &Args,
    format: &Format,
    items: &[Item],
    goals: &mut Vec<follow::Goal>,
) -> Outcome {
    let mut code = exit::OK;
    // Namespaces and kinds must be there before what lives in them: one rank after the other.
    let mut ranks: Vec<u8> = items.iter().map(|i| rank(&i.resource)).collect();
    ranks.dedup();
    for wanted in ranks {
        let group = items.iter().filter(|i| rank(&i.resource) == wanted);
        let replies =
            shared::parallel(group, |i| async move { (i, i.send(session, &args.field_manager, false, i.force).await) })
                .await;
        for (item, reply) in replies {
            match reply {
                Ok(reply) => {
                    let verdict = verdict(item, Some(&reply));
                    print(ctx, format, item, &reply.body, verdict, "")?;
                    goals.push(follow::Goal::new(item, &reply.body, verdict));
                }
                Err(error) => {
                    code = exit::ERROR;
                    for problem in problem::of(&item.document, &error) {
                        ctx.term.say(&format!("{} {problem}", ctx.term.paint_err(Paint::Bad, "error:")));
                    }
                }
            }
        }
    }
    Ok(code)
}

fn verdict(item: &Item, reply: Option<&Reply>) -> Verdict {
    let after = reply.and_then(|r| r.body["metadata"]["resourceVersion"].as_str());
    match (&item.before, after) {
        (None, _) => Verdict::Created,
        (Some(before), Some(after)) if before == after => Verdict::Unchanged,
        (Some(_), _) => Verdict::Configured,
    }
}

fn print(ctx: &mut Ctx, format: &Format, item: &Item, object: &Value, verdict: Verdict, remark: &str) -> Outcome<()> {
    if !format.is_table() {
        let mut object = object.clone();
        super::get::hide_managers(&mut object);
        if matches!(format, Format::Yaml) {
            ctx.term.line("---")?;
        }
        let text = format.object(Some(&item.resource), &object)?;
        return Ok(ctx.term.data(&text)?);
    }
    let (paint, word) = match verdict {
        Verdict::Created => (Paint::Good, "created"),
        Verdict::Configured => (Paint::Warn, "configured"),
        Verdict::Unchanged => (Paint::Dim, "unchanged"),
    };
    let word = ctx.term.paint(paint, word);
    Ok(ctx.term.line(&format!("{} {word}{remark}", item.title()))?)
}

/// Kinds that CustomResourceDefinitions among the documents define.
fn defined_kinds(documents: &[Document]) -> BTreeSet<String> {
    let definitions = documents.iter().filter(|d| d.kind() == "CustomResourceDefinition");
    definitions.filter_map(|d| d.object["spec"]["names"]["kind"].as_str()).map(ToOwned::to_owned).collect()
}

/// What others stand on goes first.
fn rank(resource: &Resource) -> u8 {
    match resource.kind.as_str() {
        "Namespace" => 0,
        "CustomResourceDefinition" => 1,
        "Role" | "Secret" | "ConfigMap" | "Volume" => 2,
        _ => 3,
    }
}
