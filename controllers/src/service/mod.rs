//! The service controller: keeps a Service's tasks running, replaces those that end, rolls out changes.
//!
//! [`observe`] reads, [`plan`] decides, [`apply`] writes, [`status`] tells.

mod apply;
pub(crate) mod detail;
pub mod names;
mod observe;
pub mod plan;
mod status;

use std::sync::Arc;

use berth_types::{Revision, Service, Task};
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::driver::kind::BY_DEPENDENCY;
use crate::driver::{Context, Error, Key, Next, Part, Reconciler, Watch};

/// Name in logs, metrics, events and managed fields.
pub const NAME: &str = "berth-service-controller";

/// Plans that one reconcile applies before it lets others have their turn: a plan applied leaves nothing to plan,
/// so a second one follows only when the world moved meanwhile.
const ROUNDS_MAX: usize = 4;

/// What the manager runs for this part.
pub fn parts() -> Vec<Part> {
    vec![Part::Reconciler(Arc::new(ServiceController))]
}

/// The service controller.
#[derive(Debug)]
pub struct ServiceController;

impl Reconciler for ServiceController {
    fn name(&self) -> &'static str {
        NAME
    }

    fn watches(&self) -> Vec<Watch> {
        vec![
            Watch::map::<Service>(itself_and_dependents),
            Watch::owner::<Service, Task>(),
            Watch::owner::<Service, Revision>(),
        ]
    }

    fn reconcile<'a>(&'a self, key: &'a Key, ctx: &'a Context) -> BoxFuture<'a, Result<Next, Error>> {
        reconcile(key, ctx).boxed()
    }
}

fn itself_and_dependents(service: &Service, ctx: &Context) -> Vec<Key> {
    let key = Key::of(&service.metadata);
    let dependents = ctx.store::<Service>().by(BY_DEPENDENCY, &key.to_string());
    let mut keys: Vec<Key> = dependents.iter().map(|dependent| Key::of(&dependent.metadata)).collect();
    keys.push(key);
    keys
}

async fn reconcile(key: &Key, ctx: &Context) -> Result<Next, Error> {
    let mut failure = None;
    for _ in 0..ROUNDS_MAX {
        let Some(seen) = observe::observe(key, ctx) else { return Ok(Next::Changed) };
        let plan = plan::plan(&seen.observed);
        if plan.is_settled() {
            break;
        }
        if let Err(error) = apply::apply(&seen, &plan, ctx).await {
            failure = Some(error);
            break;
        }
    }
    // Observed anew: the status speaks of what is there after our own writes.
    let Some(seen) = observe::observe(key, ctx) else { return Ok(Next::Changed) };
    let plan = plan::plan(&seen.observed);
    let (status, look_again) = status::status(&seen, &plan, failure.as_ref());
    status::tell(&seen, &plan, &status, ctx);
    ctx.write_status(&*seen.service, seen.service.status.as_ref(), &status).await?;
    if let Some(error) = failure {
        return Err(error);
    }
    if !plan.is_settled() {
        return Ok(Next::After(std::time::Duration::ZERO));
    }
    Ok([plan.next, look_again].into_iter().flatten().min().map_or(Next::Changed, Next::At))
}
