//! Carries a plan out. Every step may be repeated: names are made from what they name, and a create that finds its
//! own object there is done.

use std::collections::BTreeMap;

use berth_types::names::{LABEL_INSTANCE, LABEL_REVISION, LABEL_SERVICE};
use berth_types::{Revision, RevisionSpec, Task, TaskSpec, TaskTemplate};
use futures::future::try_join;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

use super::names;
use super::observe::{Seen, hash_of};
use super::plan::{NewTask, Plan, RevisionStep, Why};
use crate::driver::context::owner_reference;
use crate::driver::store::controller_of;
use crate::driver::{Context, Created, Error, Key, Kind};
use crate::events::EventType;

/// Requests that one service has under way. Enough to fill a group commit, few enough to leave room for others.
const REQUESTS_MAX: usize = 32;
/// Tasks that are made before the rest is dared: when they are refused, the others would be too.
const FIRST_BATCH: usize = 8;
/// Names that an event lists.
const NAMED_MAX: usize = 3;

pub(super) async fn apply(seen: &Seen, plan: &Plan, ctx: &Context) -> Result<(), Error> {
    // The revision is not waited for: tasks name it by its hash, and whichever write is lost is made up for.
    let made = async { try_join(revision(seen, plan, ctx), create(seen, plan, ctx)).await };
    try_join(made, delete(seen, plan, ctx)).await?;
    forget(seen, plan, ctx).await
}

async fn revision(seen: &Seen, plan: &Plan, ctx: &Context) -> Result<(), Error> {
    let now = ctx.now_time();
    match &plan.revision {
        RevisionStep::Keep { .. } => Ok(()),
        RevisionStep::Create { hash, number } => {
            let mut metadata = metadata(seen, &names::revision(seen.name(), hash), hash);
            let mut annotations = BTreeMap::from([(names::ANNOTATION_ACTIVATED_AT.to_owned(), now.0.to_string())]);
            let cause = seen
                .service
                .metadata
                .annotations
                .as_ref()
                .and_then(|all| all.get_key_value(berth_types::names::ANNOTATION_CHANGE_CAUSE));
            annotations.extend(cause.map(|(name, value)| (name.clone(), value.clone())));
            metadata.annotations = Some(annotations);
            let spec = RevisionSpec { revision: *number, template: seen.service.spec.template.clone() };
            let mut object = Revision::new("", spec);
            object.metadata = metadata;
            let created = ctx.create(&object).await?;
            own(seen, created).map(drop)?;
            let message = format!("rolling out revision {number} ({hash})");
            ctx.event(&*seen.service, EventType::Normal, "RollingOut", message);
            Ok(())
        }
        RevisionStep::Renumber { hash, number } => {
            let Some(old) = seen.revision(hash) else { return Ok(()) };
            let patch = json!({
                "metadata": {
                    "resourceVersion": old.metadata.resource_version,
                    "annotations": { names::ANNOTATION_ACTIVATED_AT: now.0.to_string() },
                },
                "spec": { "revision": number },
            });
            ctx.patch::<Revision>(&Key::of(&old.metadata), &patch).await?;
            let message = format!("rolling back to revision {} ({hash}), now {number}", old.spec.revision);
            ctx.event(&*seen.service, EventType::Normal, "RollingOut", message);
            Ok(())
        }
    }
}

async fn create(seen: &Seen, plan: &Plan, ctx: &Context) -> Result<(), Error> {
    if plan.create.is_empty() {
        return Ok(());
    }
    let mut names = vec![];
    let (first, rest) = plan.create.split_at(plan.create.len().min(FIRST_BATCH));
    for batch in [first, rest] {
        let requests: Vec<_> = batch.iter().map(|new| create_task(seen, new, ctx)).collect();
        let made = stream::iter(requests).buffer_unordered(REQUESTS_MAX).try_collect::<Vec<String>>().await?;
        names.extend(made);
    }
    ctx.event(&*seen.service, EventType::Normal, "Created", format!("created {}", list_of(names)));
    Ok(())
}

/// `2 tasks: hello-7f9c4-0, hello-7f9c4-1`.
fn list_of(mut names: Vec<String>) -> String {
    names.sort();
    let more = names.len().saturating_sub(NAMED_MAX);
    let shown = names[..names.len() - more].join(", ");
    match (names.len(), more) {
        (1, _) => format!("task {shown}"),
        (all, 0) => format!("{all} tasks: {shown}"),
        (all, more) => format!("{all} tasks: {shown} and {more} more"),
    }
}

async fn create_task(seen: &Seen, new: &NewTask, ctx: &Context) -> Result<String, Error> {
    let template = match seen.revision(&new.revision) {
        Some(revision) => &revision.spec.template,
        None => &seen.service.spec.template,
    };
    let mut attempt = new.attempt;
    let store = ctx.store::<Task>();
    let mut key = Key::new(seen.namespace(), names::task(seen.name(), &new.revision, new.instance, attempt));
    // A name may still be held by a task of a deleted service of the same name, which is being stopped.
    while store.get(&key).is_some() {
        attempt += 1;
        key.name = names::task(seen.name(), &new.revision, new.instance, attempt);
    }
    let created = ctx.create(&task(seen, new, template, &key.name)).await?;
    own(seen, created)?;
    Ok(key.name)
}

fn task(seen: &Seen, new: &NewTask, template: &TaskTemplate, name: &str) -> Task {
    let mut metadata = metadata(seen, name, &new.revision);
    let given = template.metadata.clone().unwrap_or_default();
    let ours = metadata.labels.take().unwrap_or_default();
    let mut labels = given.labels;
    labels.extend(ours);
    labels.insert(LABEL_INSTANCE.to_owned(), new.instance.to_string());
    metadata.labels = Some(labels);
    let mut annotations = given.annotations;
    if new.failures > 0 {
        annotations.insert(names::ANNOTATION_FAILURES.to_owned(), new.failures.to_string());
    }
    metadata.annotations = Some(annotations).filter(|all| !all.is_empty());
    let spec = TaskSpec { template: template.spec.clone(), node_name: None, allocated_ports: vec![] };
    let mut task = Task::new("", spec);
    task.metadata = metadata;
    task
}

fn metadata(seen: &Seen, name: &str, hash: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(seen.namespace().to_owned()),
        labels: Some(BTreeMap::from([
            (LABEL_SERVICE.to_owned(), seen.name().to_owned()),
            (LABEL_REVISION.to_owned(), hash.to_owned()),
        ])),
        owner_references: Some(vec![owner_reference(&*seen.service)]),
        ..ObjectMeta::default()
    }
}

/// An object that was there already must be ours.
fn own<K: Kind>(seen: &Seen, created: Created<K>) -> Result<(), Error> {
    let Created::Exists(there) = created else { return Ok(()) };
    let meta = there.meta();
    if controller_of(meta).is_some_and(|owner| Some(&owner.uid) == seen.service.metadata.uid.as_ref()) {
        return Ok(());
    }
    Err(Error::Other(format!(
        "the name of {} {} is taken by an object that belongs to somebody else; it is tried again",
        K::ROW.kind,
        Key::of(meta),
    )))
}

async fn delete(seen: &Seen, plan: &Plan, ctx: &Context) -> Result<(), Error> {
    let requests: Vec<_> = plan.delete.iter().map(|(place, _)| ctx.delete(&*seen.tasks[*place])).collect();
    stream::iter(requests).buffer_unordered(REQUESTS_MAX).try_collect::<()>().await?;
    for (why, text) in
        [(Why::Surplus, "more than asked for: stopping"), (Why::Outdated, "of an older revision: stopping")]
    {
        let of_why = plan.delete.iter().filter(|(_, reason)| *reason == why);
        let names: Vec<String> = of_why.filter_map(|(place, _)| seen.tasks[*place].metadata.name.clone()).collect();
        if !names.is_empty() {
            ctx.event(&*seen.service, EventType::Normal, "Stopping", format!("{text} {}", list_of(names)));
        }
    }
    Ok(())
}

async fn forget(seen: &Seen, plan: &Plan, ctx: &Context) -> Result<(), Error> {
    for revision in seen.revisions.iter().filter(|r| plan.forget.iter().any(|hash| hash == hash_of(r))) {
        ctx.delete(&**revision).await?;
    }
    Ok(())
}
