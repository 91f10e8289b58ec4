//! What a watcher wants to see.

use std::fmt;
use std::sync::Arc;

use super::entry::Entry;

/// Anything else than namespace, name and one indexed field: label and field selectors.
pub type Predicate = Arc<dyn Fn(&Entry) -> bool + Send + Sync>;

/// All that is given must hold; the default lets everything through.
#[derive(Clone, Default)]
pub struct Filter {
    pub namespace: Option<String>,
    pub name: Option<String>,
    /// An indexed field and its value: such a watcher sleeps through all other events.
    pub field: Option<(String, String)>,
    pub predicate: Option<Predicate>,
}

impl Filter {
    pub fn matches(&self, entry: &Entry) -> bool {
        self.namespace.as_deref().is_none_or(|namespace| namespace == entry.namespace())
            && self.name.as_deref().is_none_or(|name| name == entry.name())
            && self.field.as_ref().is_none_or(|(path, value)| entry.field(path) == value)
            && self.predicate.as_ref().is_none_or(|predicate| predicate(entry))
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter")
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .field("field", &self.field)
            .field("has_predicate", &self.predicate.is_some())
            .finish()
    }
}
