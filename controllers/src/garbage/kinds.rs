//! Which kinds are served, and what may be done with them.

use std::sync::Arc;

use berth_client::{ClientError, Session, discovery};
use kube::Client;

use crate::driver::Row;

/// Records of what happened have no dependents and nobody's life hangs on them; they end by themselves.
const NOT_COLLECTED: &[(&str, &str)] = &[("", "events"), ("events.k8s.io", "events")];

/// A served kind.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) row: Arc<Row>,
    verbs: Vec<String>,
}

impl Served {
    pub(crate) fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|known| known == verb)
    }

    /// Whether the garbage collector follows this kind.
    pub(crate) fn is_collected(&self) -> bool {
        let name = (&*self.row.group, &*self.row.plural);
        ["list", "watch", "delete"].iter().all(|verb| self.can(verb)) && !NOT_COLLECTED.contains(&name)
    }
}

/// All kinds that are served, by their groups' preferred versions.
pub(crate) async fn discover(client: &Client) -> Result<Vec<Served>, ClientError> {
    let session = Session::from_client(client.clone(), "the API server");
    let found = discovery::discover(&session).await?;
    let served = found.into_iter().map(|resource| Served {
        row: Arc::new(Row {
            group: resource.group.into(),
            version: resource.version.into(),
            kind: resource.kind.into(),
            plural: resource.plural.into(),
            namespaced: resource.namespaced,
            only: std::borrow::Cow::Borrowed(""),
        }),
        verbs: resource.verbs,
    });
    Ok(served.collect())
}
