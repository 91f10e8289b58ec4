//! `berth auth whoami`: who the server takes us for.

use berth_client::session::JSON;
use http::Method;
use serde_json::json;

use super::shared::text;
use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};
use crate::output::table::Grid;

/// Options of `auth`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: AuthVerb,
}

#[derive(Debug, clap::Subcommand)]
enum AuthVerb {
    /// Print your user name and groups as the server sees them
    Whoami,
}

pub(crate) async fn run(args: Args, ctx: &mut Ctx) -> Outcome {
    let AuthVerb::Whoami = args.verb;
    let session = ctx.session().await?;
    let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let review = session.write(Method::POST, path, JSON, &body).await.map_err(|error| match error.code() {
        404 => Failure::not_found("this server does not tell who you are (it serves no SelfSubjectReview)"),
        _ => error.into(),
    })?;
    let review = review.body;
    let info = &review["status"]["userInfo"];
    let groups = info["groups"].as_array().into_iter().flatten().filter_map(|g| g.as_str());
    let mut grid = Grid::new(["attribute", "value"]);
    grid.row(vec!["Username".to_owned(), text(info, &["username"]).to_owned()]);
    grid.row(vec!["Groups".to_owned(), groups.collect::<Vec<_>>().join(", ")]);
    grid.row(vec!["Server".to_owned(), session.server().to_owned()]);
    ctx.term.data(&grid.render())?;
    Ok(exit::OK)
}
