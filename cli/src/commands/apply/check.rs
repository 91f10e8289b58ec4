//! The dry run before anything is stored: all problems of all objects at once.

use berth_client::{ClientError, Session};
use serde_json::Value;

use super::{Item, problem};
use crate::commands::shared;
use crate::failure::Outcome;
use crate::manifest::Problem;

/// What the dry run gave.
pub(crate) struct Checked {
    /// Warnings that do not stop anything.
    pub(crate) remarks: Vec<String>,
    /// The objects as they would be stored; `None` where that could not be asked.
    pub(crate) replies: Vec<Option<Value>>,
}

/// Asks the server about every object, and learns which are there already.
///
/// # Errors
/// When the server cannot be reached or does not let us in.
pub(crate) async fn all(
    session: &Session,
    items: &mut [Item],
    manager: &str,
    problems: &mut Vec<Problem>,
) -> Outcome<Checked> {
    let new_namespaces: Vec<String> =
        items.iter().filter(|i| i.resource.kind == "Namespace").map(|i| i.document.name().to_owned()).collect();
    let answers = shared::parallel(items.iter(), |item| ask(session, item, manager)).await;
    let mut checked = Checked { remarks: vec![], replies: vec![] };
    for (item, answer) in items.iter_mut().zip(answers) {
        item.before = match answer.before {
            Ok(version) => version,
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.into()),
        };
        if let Some(taken) = answer.taken {
            item.force = true;
            checked.remarks.push(format!("{}: takes over {taken}", item.title()));
        }
        match answer.reply {
            Ok((object, warnings)) => {
                for warning in warnings {
                    match problem::unknown_field(&item.document, &warning) {
                        Some(problem) => problems.push(problem),
                        None => checked.remarks.push(format!("{}: {}: {warning}", item.document.file, item.title())),
                    }
                }
                checked.replies.push(Some(object));
            }
            // It lives in a namespace that the same files make.
            Err(error) if error.is_not_found() && new_namespaces.contains(&item.namespace) => {
                checked.replies.push(None)
            }
            Err(error) if matches!(error.code(), 0 | 401 | 403) || error.is_transient() && error.code() != 500 => {
                return Err(error.into());
            }
            Err(error) => {
                problems.extend(problem::of(&item.document, &error));
                checked.replies.push(None);
            }
        }
    }
    Ok(checked)
}

struct Answer {
    before: Result<Option<String>, ClientError>,
    reply: Result<(Value, Vec<String>), ClientError>,
    /// Fields that our own verbs had set, and that the file takes back.
    taken: Option<String>,
}

async fn ask(session: &Session, item: &Item, manager: &str) -> Answer {
    let path = item.resource.path(&item.namespace, item.document.name());
    let (live, mut reply) = futures::join!(session.get(&path), item.send(session, manager, true, item.force));
    let mut taken = None;
    if let Err(error) = &reply
        && !item.force
        && let Some(status) = error.status().filter(|s| problem::only_own_verbs(s))
    {
        taken = Some(problem::taken_over(status));
        reply = item.send(session, manager, true, true).await;
    }
    let before = live.map(|o| o["metadata"]["resourceVersion"].as_str().map(ToOwned::to_owned));
    Answer { before, reply: reply.map(|r| (r.body, r.warnings)), taken }
}
