//! The revisions that a service had.

use berth_client::Session;
use berth_client::session::JSON;
use berth_types::names;
use serde_json::Value;

use crate::commands::get;
use crate::commands::shared::{self, Found, number, text};
use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};
use crate::kinds;
use crate::output::table::Grid;
use crate::output::yaml;
use crate::text::age;

/// All revisions, oldest first.
pub(crate) async fn read(session: &Session, found: &Found) -> Outcome<Vec<Value>> {
    let revision = kinds::ours("Revision");
    let parameters = [("labelSelector".to_owned(), format!("{}={}", names::LABEL_SERVICE, found.name))];
    let list = shared::list(session, &revision.list_path(Some(&found.namespace)), &parameters, JSON).await?;
    let mut revisions = shared::items(revision, list);
    revisions.sort_by_key(|r| number(r, &["spec", "revision"]));
    Ok(revisions)
}

pub(crate) async fn run(ctx: &mut Ctx, found: &Found, wanted: Option<i64>) -> Outcome {
    let session = ctx.session().await?;
    let object = get::object(&session, found).await?;
    let revisions = read(&session, found).await?;
    if let Some(wanted) = wanted {
        let revision = revisions.iter().find(|r| number(r, &["spec", "revision"]) == wanted);
        let revision =
            revision.ok_or_else(|| Failure::not_found(format!("{} has no revision {wanted}", found.title())))?;
        let text = yaml::emit(&revision["spec"]["template"]);
        ctx.term.data(&text)?;
        return Ok(exit::OK);
    }
    let grid = table(&object, &revisions, ctx.now());
    ctx.term.data(&grid.render())?;
    Ok(exit::OK)
}

fn table(object: &Value, revisions: &[Value], now: k8s_openapi::jiff::Timestamp) -> Grid {
    let current = text(object, &["status", "currentRevision"]);
    let mut grid = Grid::new(["revision", "name", "age", "current", "change"]);
    for revision in revisions {
        let metadata = &revision["metadata"];
        let hash = text(metadata, &["labels", names::LABEL_REVISION]);
        let is_current = !current.is_empty() && (hash == current || text(metadata, &["name"]) == current);
        let change = text(metadata, &["annotations", names::ANNOTATION_CHANGE_CAUSE]);
        grid.row(vec![
            number(revision, &["spec", "revision"]).to_string(),
            text(metadata, &["name"]).to_owned(),
            age::since(text(metadata, &["creationTimestamp"]), now),
            if is_current { "*" } else { "" }.to_owned(),
            if change.is_empty() { summary(&revision["spec"]["template"]) } else { change.to_owned() },
        ]);
    }
    grid
}

/// What the first container runs: enough to tell revisions apart.
fn summary(template: &Value) -> String {
    let container = &template["spec"]["containers"][0];
    let command =
        container["command"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
    let what = [text(container, &["image"]), text(container, &["shell"]), &command];
    let text = what.iter().filter(|w| !w.is_empty()).copied().collect::<Vec<_>>().join(" ");
    let mut short: String = text.lines().next().unwrap_or_default().chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_current_revision_is_marked() {
        let revision = |number: i64, hash: &str, shell: &str| {
            json!({"metadata": {"name": format!("hello-{hash}"), "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"berth.dev/revision": hash}},
                "spec": {"revision": number, "template": {"spec": {"containers": [{"name": "a", "shell": shell}]}}}})
        };
        let service = json!({"status": {"currentRevision": "b"}});
        let now = "2026-01-01T00:01:00Z".parse().unwrap();
        assert_eq!(
            table(&service, &[revision(1, "a", "one"), revision(2, "b", "two")], now).render(),
            "REVISION   NAME      AGE   CURRENT   CHANGE\n1          hello-a   60s             one\n2          hello-b   60s   *         two\n"
        );
    }
}
