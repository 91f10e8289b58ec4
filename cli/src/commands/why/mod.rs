//! `berth why`: one cause chain from what is not ready to what to do about it.

pub(crate) mod cause;
mod gather;
mod story;

use super::shared;
use crate::ctx::Ctx;
use crate::failure::{Outcome, exit};

/// Options of `why`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  berth why service hello\n  berth why task/hello-7f9c4-0\n  berth why node n1")]
pub(crate) struct Args {
    /// KIND NAME or KIND/NAME; a name alone means a service
    #[arg(value_name = "WHAT", required = true)]
    target: Vec<String>,
    /// Lines of log to show for a container that failed
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    log_lines: usize,
}

pub(crate) async fn run(mut args: Args, ctx: &mut Ctx) -> Outcome {
    if let [name] = args.target.as_slice()
        && !name.contains('/')
    {
        args.target = vec!["service".to_owned(), name.clone()];
    }
    let found = shared::one(ctx, &args.target, "berth why KIND NAME").await?;
    let session = ctx.session().await?;
    let evidence = gather::all(&session, &found, args.log_lines).await?;
    let flag = found.namespace_flag(ctx);
    let story = story::tell(&evidence, &found.resource, &flag, ctx.now());
    let text = story.render(ctx.term.colour_out);
    ctx.term.data(&text)?;
    Ok(exit::OK)
}
