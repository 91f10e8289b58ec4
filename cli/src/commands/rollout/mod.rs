//! `berth rollout`: how a change reaches the instances.

mod history;

use std::time::{Duration, Instant};

use berth_client::session::{JSON_PATCH, MERGE_PATCH};
use http::Method;
use serde_json::json;

use super::apply::follow;
use super::get;
use super::ready::{Progress, progress};
use super::shared::{self, Found};
use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};
use crate::text::age;

/// Options of `rollout`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  berth rollout status service hello\n  berth rollout history service/hello --revision 2\n  berth rollout undo service hello"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: RolloutVerb,
}

#[derive(Debug, clap::Subcommand)]
enum RolloutVerb {
    /// Follow a rollout to its end
    Status {
        /// KIND NAME or KIND/NAME
        #[arg(value_name = "WHAT", required = true)]
        target: Vec<String>,
        /// Only tell how far it is
        #[arg(long)]
        no_wait: bool,
        /// The same, as kubectl has it
        #[arg(short, long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
        watch: bool,
        /// How long to wait
        #[arg(long, value_name = "TIME", default_value = "5m", value_parser = age::parse_argument)]
        timeout: Duration,
    },
    /// List the revisions that are kept
    History {
        /// KIND NAME or KIND/NAME
        #[arg(value_name = "WHAT", required = true)]
        target: Vec<String>,
        /// Show this one's template
        #[arg(long, value_name = "NUMBER")]
        revision: Option<i64>,
    },
    /// Go back to an earlier revision
    Undo {
        /// KIND NAME or KIND/NAME
        #[arg(value_name = "WHAT", required = true)]
        target: Vec<String>,
        /// Which one; the one before the current unless told
        #[arg(long, value_name = "NUMBER")]
        to_revision: Option<i64>,
        /// Wait until it is rolled out
        #[arg(long)]
        wait: bool,
    },
    /// Stop rolling out; failed tasks are still replaced
    Pause {
        /// KIND NAME or KIND/NAME
        #[arg(value_name = "WHAT", required = true)]
        target: Vec<String>,
    },
    /// Go on rolling out
    Resume {
        /// KIND NAME or KIND/NAME
        #[arg(value_name = "WHAT", required = true)]
        target: Vec<String>,
    },
    /// Replace all instances, step by step, without a change
    Restart {
        /// KIND NAME or KIND/NAME
        #[arg(value_name = "WHAT", required = true)]
        target: Vec<String>,
    },
}

pub(crate) async fn run(args: Args, ctx: &mut Ctx) -> Outcome {
    match args.verb {
        RolloutVerb::Status { target, no_wait, watch, timeout } => {
            let found = service(ctx, &target).await?;
            status(ctx, &found, no_wait || !watch, timeout).await
        }
        RolloutVerb::History { target, revision } => {
            let found = service(ctx, &target).await?;
            history::run(ctx, &found, revision).await
        }
        RolloutVerb::Undo { target, to_revision, wait } => {
            let found = service(ctx, &target).await?;
            undo(ctx, &found, to_revision).await?;
            if wait { status(ctx, &found, false, Duration::from_secs(300)).await } else { Ok(exit::OK) }
        }
        RolloutVerb::Pause { target } => pause(ctx, &target, true).await,
        RolloutVerb::Resume { target } => pause(ctx, &target, false).await,
        RolloutVerb::Restart { target } => restart(ctx, &target).await,
    }
}

/// Rollouts are services' own; a name alone is one.
async fn service(ctx: &mut Ctx, target: &[String]) -> Outcome<Found> {
    let words = match target {
        [name] if !name.contains('/') => vec!["service".to_owned(), name.clone()],
        words => words.to_vec(),
    };
    let found = shared::one(ctx, &words, "berth rollout VERB service NAME").await?;
    if found.resource.group != berth_types::GROUP || found.resource.kind != "Service" {
        return Err(Failure::usage(format!("{} are not rolled out; services are", found.resource.plural)));
    }
    Ok(found)
}

async fn status(ctx: &mut Ctx, found: &Found, only_tell: bool, timeout: Duration) -> Outcome {
    let session = ctx.session().await?;
    let object = get::object(&session, found).await?;
    if only_tell {
        let (line, code) = match progress(&object) {
            Progress::Done(what) => (format!("{} is rolled out: {what}", found.title()), exit::OK),
            Progress::Waiting(what) => (format!("{} is rolling out: {what}", found.title()), exit::OK),
            Progress::Failed(why) => (format!("{} failed to roll out: {why}", found.title()), exit::ERROR),
        };
        ctx.term.line(&line)?;
        return Ok(code);
    }
    if let Progress::Waiting(what) = progress(&object) {
        ctx.term.say(&format!("{}: {what}", found.title()));
    }
    let goal = follow::Goal::of(found, &object);
    let code = follow::until_done(ctx, &session, vec![goal], Instant::now(), timeout).await?;
    let is_paused = get::object(&session, found).await?["spec"]["paused"] == true;
    if code == exit::OK && !is_paused {
        ctx.term.line(&format!("{} successfully rolled out", found.title()))?;
    }
    Ok(code)
}

async fn undo(ctx: &mut Ctx, found: &Found, to: Option<i64>) -> Outcome<()> {
    let session = ctx.session().await?;
    let revisions = history::read(&session, found).await?;
    let object = get::object(&session, found).await?;
    let current = revisions.last().map(|r| shared::number(r, &["spec", "revision"]));
    let chosen =
        match to.filter(|n| *n > 0) {
            Some(number) => {
                revisions.iter().find(|r| shared::number(r, &["spec", "revision"]) == number).ok_or_else(|| {
                    Failure::not_found(format!("{} has no revision {number}", found.title()))
                        .hint(format!("they are listed by: berth rollout history {}", found.title()))
                })?
            }
            None => revisions.iter().rev().nth(1).ok_or_else(|| {
                Failure::not_found(format!("{} has no earlier revision to go back to", found.title()))
            })?,
        };
    let number = shared::number(chosen, &["spec", "revision"]);
    if Some(number) == current && chosen["spec"]["template"] == object["spec"]["template"] {
        ctx.term.line(&format!("{} is at revision {number} already", found.title()))?;
        return Ok(());
    }
    // The generation guards against a change that came in between (the status may move on); the whole template is replaced.
    let patch = json!([
        {"op": "test", "path": "/metadata/generation", "value": object["metadata"]["generation"]},
        {"op": "replace", "path": "/spec/template", "value": chosen["spec"]["template"]},
    ]);
    let target = format!("{}?fieldManager=berth-rollout", found.path());
    session.write(Method::PATCH, &target, JSON_PATCH, &patch).await?;
    ctx.term.line(&format!("{} rolled back to revision {number}", found.title()))?;
    Ok(())
}

async fn pause(ctx: &mut Ctx, target: &[String], on: bool) -> Outcome {
    let found = service(ctx, target).await?;
    let session = ctx.session().await?;
    let was = get::object(&session, &found).await?["spec"]["paused"] == true;
    if was == on {
        ctx.term.line(&format!("{} {}", found.title(), if on { "is paused already" } else { "is not paused" }))?;
        return Ok(exit::OK);
    }
    let path = format!("{}?fieldManager=berth-rollout", found.path());
    session.write(Method::PATCH, &path, MERGE_PATCH, &json!({"spec": {"paused": on}})).await?;
    ctx.term.line(&format!("{} {}", found.title(), if on { "paused" } else { "resumed" }))?;
    Ok(exit::OK)
}

async fn restart(ctx: &mut Ctx, target: &[String]) -> Outcome {
    let found = service(ctx, target).await?;
    let session = ctx.session().await?;
    let annotations = json!({berth_types::names::ANNOTATION_RESTARTED_AT: ctx.now().to_string()});
    let patch = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
    let path = format!("{}?fieldManager=berth-rollout", found.path());
    session.write(Method::PATCH, &path, MERGE_PATCH, &patch).await?;
    ctx.term.line(&format!("{} restarted", found.title()))?;
    Ok(exit::OK)
}
