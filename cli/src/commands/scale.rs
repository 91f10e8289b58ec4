//! `berth scale`: the number of instances, through the scale subresource.

use berth_client::session::MERGE_PATCH;
use http::Method;
use serde_json::json;

use super::shared;
use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};
use crate::kinds::target;

/// Options of `scale`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  berth scale service hello --replicas 5\n  berth scale service/a service/b --replicas 0"
)]
pub(crate) struct Args {
    /// KIND NAME… or KIND/NAME…
    #[arg(value_name = "WHAT", required = true)]
    targets: Vec<String>,
    /// How many instances there are to be
    #[arg(long, value_name = "COUNT")]
    replicas: u32,
    /// Only if there are that many now
    #[arg(long, value_name = "COUNT")]
    current_replicas: Option<i64>,
}

pub(crate) async fn run(args: Args, ctx: &mut Ctx) -> Outcome {
    let targets = target::parse(&args.targets)?;
    if targets.objects.is_empty() {
        return Err(Failure::usage("say what to scale: berth scale service NAME --replicas COUNT"));
    }
    let session = ctx.session().await?;
    for (kind, name) in &targets.objects {
        let found = shared::found(ctx, kind, name).await?;
        let path = format!("{}/scale", found.path());
        let mut patch = json!({"spec": {"replicas": args.replicas}});
        if let Some(expected) = args.current_replicas {
            let scale = session.get(&path).await?;
            let now = scale["spec"]["replicas"].as_i64().unwrap_or_default();
            if now != expected {
                return Err(Failure::new(format!(
                    "{} has {now} replicas, not {expected}: nothing was changed",
                    found.title()
                )));
            }
            patch["metadata"] = json!({"resourceVersion": scale["metadata"]["resourceVersion"]});
        }
        let scaled =
            session.write(Method::PATCH, &format!("{path}?fieldManager=berth-scale"), MERGE_PATCH, &patch).await;
        if let Err(error) = scaled {
            // The object is there, so it is the scale that is not.
            if error.is_not_found() && session.get(&found.path()).await.is_ok() {
                let plural = &found.resource.plural;
                return Err(Failure::usage(format!(
                    "{} cannot be scaled: {plural} have no number of instances",
                    found.title()
                )));
            }
            return Err(error.into());
        }
        ctx.term.line(&format!("{} scaled to {}", found.title(), args.replicas))?;
    }
    Ok(exit::OK)
}
