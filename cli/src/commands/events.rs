//! `berth events`: what happened lately, oldest first.

use berth_client::session::JSON;
use berth_client::{Change, Retry, Watch};
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::shared::{self, number, text};
use crate::ctx::Ctx;
use crate::failure::{Outcome, exit};
use crate::kinds;
use crate::kinds::target;
use crate::output::Format;
use crate::output::format::list_of;
use crate::output::table::Grid;
use crate::text::age;

/// Options of `events`.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "Examples:\n  berth events\n  berth events service hello -w\n  berth events -A --types Warning")]
pub(crate) struct Args {
    /// Only about this object: KIND NAME or KIND/NAME
    #[arg(value_name = "WHAT")]
    target: Vec<String>,
    /// The same, as kubectl has it
    #[arg(long = "for", value_name = "KIND/NAME")]
    about: Option<String>,
    /// Go on and print new ones
    #[arg(short, long)]
    watch: bool,
    /// In all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only of these types: Normal, Warning
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    types: Vec<String>,
    /// yaml, json, name, jsonpath=…
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<String>,
    /// No headings
    #[arg(long)]
    no_headers: bool,
}

pub(crate) async fn run(mut args: Args, ctx: &mut Ctx) -> Outcome {
    let format = Format::parse(args.output.as_deref())?;
    args.target.extend(args.about.clone());
    let session = ctx.session().await?;
    let namespace = ctx.namespace().await?;
    let mut parameters = Vec::new();
    if !args.target.is_empty() {
        let (kind, name) = target::parse_one(&args.target, "berth events KIND NAME")?;
        let resource = ctx.kinds.resolve(&session, &kind).await?;
        parameters.push((
            "fieldSelector".to_owned(),
            format!("involvedObject.kind={},involvedObject.name={name}", resource.kind),
        ));
    }
    let event = kinds::ours("Event");
    let path = event.list_path((!args.all_namespaces).then_some(namespace.as_str()));
    let wanted =
        |e: &Value| args.types.is_empty() || args.types.iter().any(|t| t.eq_ignore_ascii_case(text(e, &["type"])));
    if args.watch {
        let mut watch = Watch::new(session, path, parameters).retry(Retry::READ);
        let mut grid = grid(&args);
        let mut first = true;
        loop {
            let mut events = match watch.next().await? {
                Change::Listed(list) => shared::items(event, list),
                Change::Added(e) | Change::Modified(e) => vec![e],
                Change::Deleted(_) => vec![],
            };
            events.retain(wanted);
            events.sort_by_key(last_seen);
            for event in &events {
                grid.row(row(event, args.all_namespaces, ctx.now()));
            }
            let text = if first { grid.render() } else { grid.render_from(0) };
            grid.clear();
            first = false;
            ctx.term.data(&text)?;
            ctx.term.flush()?;
        }
    }
    let list = shared::list(&session, &path, &parameters, JSON).await?;
    let mut events = shared::items(event, list);
    events.retain(wanted);
    events.sort_by_key(last_seen);
    if !format.is_table() {
        let text = format.object(Some(event), &list_of(events))?;
        ctx.term.data(&text)?;
        return Ok(exit::OK);
    }
    print(ctx, &args, &events)
}

fn print(ctx: &mut Ctx, args: &Args, events: &[Value]) -> Outcome {
    if events.is_empty() {
        ctx.term.say("no events; they are kept for an hour");
        return Ok(exit::OK);
    }
    let mut grid = grid(args).colour(ctx.term.colour_out);
    for event in events {
        grid.row(row(event, args.all_namespaces, ctx.now()));
    }
    ctx.term.data(&grid.render())?;
    Ok(exit::OK)
}

/// What `berth get events` prints: the same as `berth events`, in the order in which things happened.
pub(crate) async fn get(
    ctx: &mut Ctx,
    parameters: &[(String, String)],
    all_namespaces: bool,
    no_headers: bool,
) -> Outcome {
    let session = ctx.session().await?;
    let namespace = ctx.namespace().await?;
    let event = kinds::ours("Event");
    let path = event.list_path((!all_namespaces).then_some(namespace.as_str()));
    let mut events = shared::items(event, shared::list(&session, &path, parameters, JSON).await?);
    events.sort_by_key(last_seen);
    print(ctx, &Args { all_namespaces, no_headers, ..Args::default() }, &events)
}

fn grid(args: &Args) -> Grid {
    let namespace = args.all_namespaces.then_some("namespace");
    Grid::new(namespace.into_iter().chain(["last seen", "type", "reason", "object", "message"]))
        .without_headings(args.no_headers)
}

fn row(event: &Value, namespaces: bool, now: Timestamp) -> Vec<String> {
    let mut cells = Vec::new();
    if namespaces {
        cells.push(text(event, &["metadata", "namespace"]).to_owned());
    }
    let repeated = times(event);
    let when = age::since(&last_seen(event), now);
    cells.push(if repeated > 1 { format!("{when} (x{repeated})") } else { when });
    cells.push(text(event, &["type"]).to_owned());
    cells.push(text(event, &["reason"]).to_owned());
    cells.push(subject(event));
    cells.push(text(event, &["message"]).trim().to_owned());
    cells
}

fn times(event: &Value) -> i64 {
    number(event, &["count"]).max(number(event, &["series", "count"])).max(1)
}

fn subject(event: &Value) -> String {
    format!("{}/{}", text(event, &["involvedObject", "kind"]).to_lowercase(), text(event, &["involvedObject", "name"]))
}

/// When it happened last, RFC 3339: sorts as text.
pub(crate) fn last_seen(event: &Value) -> String {
    let candidates: [&[&str]; 5] = [
        &["series", "lastObservedTime"],
        &["lastTimestamp"],
        &["eventTime"],
        &["firstTimestamp"],
        &["metadata", "creationTimestamp"],
    ];
    candidates.iter().map(|path| text(event, path)).find(|t| !t.is_empty()).unwrap_or_default().to_owned()
}

/// `4s ago  Warning Failed task/hello-0: message (x3)`.
pub(crate) fn one_line(event: &Value, now: Timestamp) -> String {
    let repeated = times(event);
    let again = if repeated > 1 { format!(" (x{repeated})") } else { String::new() };
    let kind = if event["type"] == "Warning" { "Warning " } else { "" };
    let when = format!("{} ago", age::since(&last_seen(event), now));
    format!(
        "{when:<10} {kind}{} {}: {}{again}",
        text(event, &["reason"]),
        subject(event),
        text(event, &["message"]).trim()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_is_one_line() {
        let event = json!({"type": "Warning", "reason": "Failed", "message": "exited with code 1\n", "count": 3,
            "lastTimestamp": "2026-01-01T00:00:00Z", "involvedObject": {"kind": "Task", "name": "a"}});
        let now = "2026-01-01T00:00:05Z".parse().unwrap();
        assert_eq!(one_line(&event, now), "5s ago     Warning Failed task/a: exited with code 1 (x3)");
        assert_eq!(row(&event, false, now), ["5s (x3)", "Warning", "Failed", "task/a", "exited with code 1"]);
    }
}
