//! Parts of the API that other servers serve behind this one, as APIServices say.
//!
//! - [`table`]: what the stored APIServices say; [`register`] keeps those of what is served here.
//! - [`forward`]: a request goes there and its answer comes back. Who asks and whether they may was decided before.
//! - [`available`] asks the servers again and again whether they are there, and what they serve ([`check`]).
//! - [`discovery`] and [`documents`]: what they serve is shown with what is served here.

mod available;
pub(crate) mod bootstrap;
mod check;
mod condition;
pub(crate) mod discovery;
pub(crate) mod documents;
mod forward;
mod headers;
pub(crate) mod priority;
mod register;
mod table;
mod transport;
mod upgrade;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use crate::derived::Derived;
use crate::inner::Inner;
use crate::pki::FrontProxy;
use check::Learned;
use table::Table;
use transport::Transport;

pub(crate) use forward::{Passage, forward};
pub(crate) use table::Remote;

/// What a server knows of those behind it.
#[derive(Debug)]
pub(crate) struct State {
    table: Derived<Table>,
    transport: Transport,
    /// What they said when they were asked last, by the name of the APIService.
    learned: RwLock<HashMap<String, Arc<Learned>>>,
    /// Counts up when documents made of that change.
    generation: AtomicU64,
}

impl Default for State {
    fn default() -> Self {
        Self::new(None)
    }
}

impl State {
    /// Without a certificate to show nothing is passed on.
    pub(crate) fn new(front_proxy: Option<FrontProxy>) -> Self {
        Self {
            table: Derived::new(table::SOURCES, Table::read),
            transport: Transport::new(front_proxy),
            learned: RwLock::default(),
            generation: AtomicU64::new(0),
        }
    }

    /// Changes whenever the documents of others do.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn learned(&self, name: &str) -> Option<Arc<Learned>> {
        self.learned.read().get(name).cloned()
    }

    /// Takes over what a server said; `None` when its APIService is gone.
    fn learn(&self, name: &str, learned: Option<Learned>) {
        let mut all = self.learned.write();
        match learned {
            Some(learned) => all.insert(name.to_owned(), Arc::new(learned)),
            None => all.remove(name),
        };
        self.generation.fetch_add(1, Ordering::Release);
    }
}

/// All that others serve.
fn table(server: &Inner) -> Arc<Table> {
    server.aggregate.table.get(&server.registry.rows())
}

/// Whoever serves this group and version for us, if it is not served here. Costs nothing for what ships with the
/// server.
pub(crate) fn find(server: &Inner, group: &str, version: &str) -> Option<Arc<Remote>> {
    if priority::is_own(group, version) {
        return None;
    }
    table(server).find(group, version).cloned()
}

/// Whoever has the document at a path such as `/openapi/v3/apis/group/version`, if it is not made here.
pub(crate) fn find_document(server: &Inner, path: &str) -> Option<Arc<Remote>> {
    let (group, version) = path.strip_prefix("/openapi/v3/apis/")?.split_once('/')?;
    find(server, group, version)
}

/// Keeps APIServices, and looks after those who serve what they say, until the server stops.
pub(crate) fn start(server: &Arc<Inner>) {
    tokio::spawn(register::follow(Arc::clone(server)));
    tokio::spawn(available::follow(Arc::clone(server)));
}
