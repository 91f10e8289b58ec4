//! `berth get`: rows as the server makes them, or whole objects in many forms, once or as they change.

use berth_client::session::{JSON, TABLE};
use berth_client::{Change, Resource, Retry, Session, Watch, resource};
use serde_json::Value;

use super::shared::{self, Found, Selector};
use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};
use crate::kinds::{self, target};
use crate::output::Format;
use crate::output::format::{jsonpath, list_of};
use crate::output::table::{TablePrinter, View};

/// Options of `get`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  berth get services\n  berth get tasks -o wide -w\n  berth get service/hello -o yaml\n  \
                        berth get tasks -l berth.dev/service=hello -o name\n  \
                        berth get tasks -o custom-columns=NAME:.metadata.name,NODE:.spec.nodeName"
)]
pub(crate) struct Args {
    /// KIND[,KIND…], KIND NAME…, KIND/NAME…, or all
    #[arg(value_name = "WHAT")]
    targets: Vec<String>,
    /// wide, yaml, json, name, jsonpath=…, custom-columns=…
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<String>,
    /// Go on and print changes
    #[arg(short, long)]
    watch: bool,
    /// Print changes only, not what is there now
    #[arg(long)]
    watch_only: bool,
    /// In all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    #[command(flatten)]
    selector: Selector,
    /// Sort by a field, such as .metadata.creationTimestamp
    #[arg(long, value_name = "JSONPATH")]
    sort_by: Option<String>,
    /// A column with all labels
    #[arg(long)]
    show_labels: bool,
    /// Show who manages which field
    #[arg(long)]
    show_managed_fields: bool,
    /// No headings
    #[arg(long)]
    no_headers: bool,
    /// No error when an object is not there
    #[arg(long)]
    ignore_not_found: bool,
    /// Objects that manifests name
    #[command(flatten)]
    files: crate::manifest::Files,
}

/// One thing to read: an object, or a list.
#[derive(Clone, Debug)]
struct Read {
    resource: Resource,
    namespace: Option<String>,
    name: Option<String>,
}

impl Read {
    fn path(&self) -> String {
        match &self.name {
            Some(name) => self.resource.path(self.namespace.as_deref().unwrap_or_default(), name),
            None => self.resource.list_path(self.namespace.as_deref()),
        }
    }
}

pub(crate) async fn run(args: Args, ctx: &mut Ctx) -> Outcome {
    let format = Format::parse(args.output.as_deref())?;
    let session = ctx.session().await?;
    let reads = complete(&args, ctx).await?;
    if args.watch || args.watch_only {
        return watch(&args, ctx, &session, &format, reads).await;
    }
    let are_events = reads.len() == 1 && reads[0].name.is_none() && reads[0].resource == *kinds::ours("Event");
    if are_events && matches!(format, Format::Table) && args.sort_by.is_none() && !args.show_labels {
        return super::events::get(ctx, &args.selector.parameters(), args.all_namespaces, args.no_headers).await;
    }
    if format.is_table() {
        tables(&args, ctx, &session, &format, reads).await
    } else {
        objects(&args, ctx, &session, &format, reads).await
    }
}

async fn complete(args: &Args, ctx: &mut Ctx) -> Outcome<Vec<Read>> {
    let session = ctx.session().await?;
    let namespace = ctx.namespace().await?;
    if !args.files.files.is_empty() {
        let mut reads = Vec::new();
        for document in args.files.load(&mut ctx.term)? {
            let resource = ctx.kinds.of_manifest(&session, document.api_version(), document.kind()).await?;
            let namespace = Some(document.namespace().unwrap_or(&namespace).to_owned());
            reads.push(Read { resource, namespace, name: Some(document.name().to_owned()) });
        }
        return Ok(reads);
    }
    let targets = target::parse(&args.targets)?;
    let mut reads = Vec::new();
    for kind in &targets.kinds {
        for resource in ctx.kinds.resolve_many(&session, kind).await? {
            let namespace = (!args.all_namespaces).then(|| namespace.clone());
            reads.push(Read { resource, namespace, name: None });
        }
    }
    for (kind, name) in &targets.objects {
        let resource = ctx.kinds.resolve(&session, kind).await?;
        reads.push(Read { resource, namespace: Some(namespace.clone()), name: Some(name.clone()) });
    }
    if reads.is_empty() {
        return Err(Failure::usage("say what to get: berth get KIND [NAME…]")
            .hint("all kinds are listed by: berth api-resources"));
    }
    if args.all_namespaces && !targets.objects.is_empty() {
        return Err(Failure::usage("a name belongs to one namespace: leave out -A, or the names"));
    }
    if !args.selector.is_empty() && !targets.objects.is_empty() {
        return Err(Failure::usage("names and selectors exclude each other"));
    }
    Ok(reads)
}

fn parameters(args: &Args, whole_objects: bool) -> Vec<(String, String)> {
    let mut parameters = args.selector.parameters();
    if whole_objects {
        parameters.push(("includeObject".to_owned(), "Object".to_owned()));
    }
    parameters
}

async fn read(session: &Session, read: &Read, parameters: &[(String, String)], accept: &str) -> Outcome<Value> {
    if read.name.is_none() {
        return Ok(shared::list(session, &read.path(), parameters, accept).await?);
    }
    let target = format!("{}{}", read.path(), resource::query(parameters.iter().map(|(k, v)| (k, v))));
    Ok(session.read(&target, accept, Retry::READ).await?.body)
}

async fn tables(args: &Args, ctx: &mut Ctx, session: &Session, format: &Format, reads: Vec<Read>) -> Outcome {
    let mut code = exit::OK;
    let several = reads.iter().any(|r| r.resource != reads[0].resource);
    let parameters = parameters(args, args.sort_by.is_some());
    let answers = shared::parallel(&reads, |r| read(session, r, &parameters, TABLE)).await;
    let mut printed = false;
    let mut groups: Vec<(Resource, Value)> = Vec::new();
    for (read, answer) in reads.iter().zip(answers) {
        match answer {
            Ok(table) => match groups.last_mut().filter(|(r, _)| *r == read.resource) {
                // Names of one kind share a table.
                Some((_, whole)) => {
                    let rows = table["rows"].as_array().cloned().unwrap_or_default();
                    if let Some(all) = whole["rows"].as_array_mut() {
                        all.extend(rows);
                    }
                }
                None => groups.push((read.resource.clone(), table)),
            },
            Err(failure) => code = tolerate(args, ctx, failure, code)?,
        }
    }
    for (resource, mut table) in groups {
        if let Some(path) = &args.sort_by {
            sort_rows(&mut table, path)?;
        }
        let view = view(args, ctx, format, &resource);
        let prefix = if several { kinds::title(&resource, "") } else { String::new() };
        let mut printer = TablePrinter::new(view, prefix);
        printer.learn(&table);
        let mut grid = printer.grid();
        printer.add(&mut grid, &table);
        if grid.is_empty() {
            continue;
        }
        if printed {
            ctx.term.line("")?;
        }
        printed = true;
        ctx.term.data(&grid.render())?;
    }
    if !printed && code == exit::OK && !args.ignore_not_found {
        nothing(args, ctx).await?;
    }
    Ok(code)
}

async fn nothing(args: &Args, ctx: &mut Ctx) -> Outcome<()> {
    let place = match args.all_namespaces {
        true => "in any namespace".to_owned(),
        false => format!("in namespace {}", ctx.namespace().await?),
    };
    ctx.term.say(&format!("nothing found {place}"));
    if let Some(namespace) = ctx.globals.namespace.clone().filter(|_| !args.all_namespaces) {
        let path = kinds::ours("Namespace").path("", &namespace);
        if ctx.session().await?.get(&path).await.is_err_and(|e| e.is_not_found()) {
            ctx.term.say(" hint: there is no such namespace; list them: berth get namespaces");
        }
    }
    Ok(())
}

fn tolerate(args: &Args, ctx: &mut Ctx, failure: Failure, code: u8) -> Outcome {
    if failure.code != exit::NOT_FOUND {
        return Err(failure);
    }
    if args.ignore_not_found {
        return Ok(code);
    }
    let text = format!("{} {}", ctx.term.paint_err(crate::term::Paint::Bad, "error:"), failure.message);
    ctx.term.say(&text);
    for hint in &failure.hints {
        ctx.term.say(&format!(" hint: {hint}"));
    }
    Ok(exit::NOT_FOUND)
}

fn view(args: &Args, ctx: &Ctx, format: &Format, resource: &Resource) -> View {
    View {
        wide: matches!(format, Format::Wide),
        namespaces: args.all_namespaces && resource.namespaced,
        labels: args.show_labels,
        no_headings: args.no_headers,
        colour: ctx.term.colour_out,
    }
}

async fn objects(args: &Args, ctx: &mut Ctx, session: &Session, format: &Format, reads: Vec<Read>) -> Outcome {
    let mut code = exit::OK;
    let parameters = parameters(args, false);
    let answers = shared::parallel(&reads, |r| read(session, r, &parameters, JSON)).await;
    let single = reads.len() == 1 && reads[0].name.is_some();
    let mut all = Vec::new();
    for (read, answer) in reads.iter().zip(answers) {
        match answer {
            Ok(object) if read.name.is_some() => all.push(object),
            Ok(list) => all.extend(shared::items(&read.resource, list)),
            Err(failure) => code = tolerate(args, ctx, failure, code)?,
        }
    }
    if !args.show_managed_fields {
        all.iter_mut().for_each(hide_managers);
    }
    if let Some(path) = &args.sort_by {
        let template = jsonpath(path)?;
        all.sort_by_cached_key(|o| sort_key(&template.find(o)));
    }
    let resource = Some(&reads[0].resource);
    let whole = if single { all.pop() } else { Some(list_of(all)) };
    if let Some(whole) = whole {
        let text = format.object(resource, &whole)?;
        ctx.term.data(&text)?;
    }
    Ok(code)
}

/// Managed fields are for machines; they drown what people look for.
pub(crate) fn hide_managers(object: &mut Value) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
}

fn sort_rows(table: &mut Value, path: &str) -> Outcome<()> {
    let template = jsonpath(path)?;
    if let Some(rows) = table["rows"].as_array_mut() {
        rows.sort_by_cached_key(|row| sort_key(&template.find(&row["object"])));
    }
    Ok(())
}

/// Numbers before text, each in its own order; amounts such as `500m` by their size.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum SortKey {
    Absent,
    Number(i64),
    Text(String),
}

fn sort_key(values: &[&Value]) -> SortKey {
    match values.first() {
        None | Some(Value::Null) => SortKey::Absent,
        Some(Value::Number(number)) => SortKey::Number((number.as_f64().unwrap_or_default() * 1000.0) as i64),
        Some(Value::String(text)) => match berth_types::Quantity(text.clone()).milli() {
            Ok(milli) => SortKey::Number(milli),
            Err(_) => SortKey::Text(text.clone()),
        },
        Some(other) => SortKey::Text(other.to_string()),
    }
}

async fn watch(args: &Args, ctx: &mut Ctx, session: &Session, format: &Format, reads: Vec<Read>) -> Outcome {
    let [read] = reads.as_slice() else {
        return Err(Failure::usage("-w follows one kind, or one object"));
    };
    let mut parameters = parameters(args, false);
    if let Some(name) = &read.name {
        // An object that is not there is told at once.
        if !args.ignore_not_found {
            session.get(&read.path()).await?;
        }
        parameters.push(("fieldSelector".to_owned(), format!("metadata.name={name}")));
    }
    let accept = if format.is_table() { TABLE } else { JSON };
    let path = read.resource.list_path(read.namespace.as_deref());
    let mut watch = Watch::new(session.clone(), path, parameters).accept(accept).retry(Retry::READ);
    let mut printer = TablePrinter::new(view(args, ctx, format, &read.resource), String::new());
    let mut grid = printer.grid();
    let mut first = true;
    loop {
        let change = watch.next().await?;
        let listed = matches!(change, Change::Listed(_));
        let skip = listed && first && args.watch_only;
        let (Change::Listed(object) | Change::Added(object) | Change::Modified(object) | Change::Deleted(object)) =
            change;
        if format.is_table() {
            if first {
                printer.learn(&object);
                grid = printer.grid();
                if !skip {
                    printer.add(&mut grid, &object);
                }
                let text = grid.render();
                ctx.term.data(&text)?;
            } else {
                printer.add(&mut grid, &object);
                let text = grid.render_from(0);
                ctx.term.data(&text)?;
            }
            grid.clear();
        } else if !skip {
            let all = if listed { shared::items(&read.resource, object) } else { vec![object] };
            for mut object in all {
                if !args.show_managed_fields {
                    hide_managers(&mut object);
                }
                if matches!(format, Format::Yaml) {
                    ctx.term.line("---")?;
                }
                let text = format.object(Some(&read.resource), &object)?;
                ctx.term.data(&text)?;
            }
        }
        first = false;
        ctx.term.flush()?;
    }
}

/// For other verbs: the object as it is now.
pub(crate) async fn object(session: &Session, found: &Found) -> Outcome<Value> {
    session.get(&found.path()).await.map_err(|e| if e.is_not_found() { shared::absent(found) } else { e.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn amounts_sort_by_size_and_gaps_come_first() {
        let mut values = [json!("1"), json!("500m"), json!("2Gi"), json!("b"), json!(null), json!("a"), json!(3)];
        values.sort_by_cached_key(|v| sort_key(&[v]));
        assert_eq!(values, [json!(null), json!("500m"), json!("1"), json!(3), json!("2Gi"), json!("a"), json!("b")]);
    }

    #[test]
    fn managers_are_hidden_unless_asked_for() {
        let mut object = json!({"metadata": {"name": "a", "managedFields": []}});
        hide_managers(&mut object);
        assert_eq!(object, json!({"metadata": {"name": "a"}}));
    }
}
