//! `berth api-resources`: every kind that the server knows.

use crate::ctx::Ctx;
use crate::failure::{Outcome, exit};
use crate::output::table::Grid;

/// Options of `api-resources`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only kinds of this group; "" is the core group
    #[arg(long, value_name = "GROUP")]
    api_group: Option<String>,
    /// Only kinds that live in a namespace, or only those that do not
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    namespaced: Option<bool>,
    /// Only kinds that can do all of these
    #[arg(long, value_name = "VERBS", value_delimiter = ',')]
    verbs: Vec<String>,
    /// name, wide
    #[arg(short, long, value_name = "FORMAT", value_parser = ["name", "wide"])]
    output: Option<String>,
    /// No headings
    #[arg(long)]
    no_headers: bool,
}

pub(crate) async fn run(args: Args, ctx: &mut Ctx) -> Outcome {
    let session = ctx.session().await?;
    let all = ctx.kinds.all(&session).await?.to_vec();
    let wanted = all.iter().filter(|r| {
        args.api_group.as_ref().is_none_or(|g| *g == r.group)
            && args.namespaced.is_none_or(|n| n == r.namespaced)
            && args.verbs.iter().all(|v| r.verbs.contains(v))
    });
    let wide = args.output.as_deref() == Some("wide");
    let headings =
        ["name", "shortnames", "apiversion", "namespaced", "kind"].into_iter().chain(wide.then_some("verbs"));
    let mut grid = Grid::new(headings).without_headings(args.no_headers);
    for resource in wanted {
        if args.output.as_deref() == Some("name") {
            ctx.term.line(&resource.full_name())?;
            continue;
        }
        let mut cells = vec![
            resource.plural.clone(),
            resource.short_names.join(","),
            resource.api_version(),
            resource.namespaced.to_string(),
            resource.kind.clone(),
        ];
        if wide {
            cells.push(resource.verbs.join(","));
        }
        grid.row(cells);
    }
    if args.output.as_deref() != Some("name") {
        ctx.term.data(&grid.render())?;
    }
    Ok(exit::OK)
}
