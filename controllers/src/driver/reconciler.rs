//! What a controller is to the driver.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::store::AnyObject;
use super::{Context, Error, Key, Kind, Row};

/// What to do with a key after it was reconciled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing until something changes.
    Changed,
    /// Look again after this long, or when something changes.
    After(Duration),
    /// Look again at this time, or when something changes.
    At(Timestamp),
}

/// Brings one kind of object into shape.
///
/// `reconcile` gets a key and never an event: it looks at what is, and a second call right after does nothing.
/// One key is never worked on twice at a time; different keys are. An error or a panic is counted, told in the log
/// and tried again with growing waits; a conflict (409) is tried again at once.
pub trait Reconciler: Send + Sync + 'static {
    /// Name for logs, metrics and events: `berth-service-controller`.
    fn name(&self) -> &'static str;

    /// All kinds that the reconciler reads from the local stores, and which keys a change of each falls on.
    fn watches(&self) -> Vec<Watch>;

    /// How many keys may be worked on at a time.
    fn concurrency(&self) -> usize {
        8
    }

    /// Brings one object into shape.
    fn reconcile<'a>(&'a self, key: &'a Key, ctx: &'a Context) -> BoxFuture<'a, Result<Next, Error>>;
}

/// Which keys of a reconciler a changed object falls on. Called with the object as it was and as it is.
pub type Mapper = Arc<dyn Fn(&AnyObject, &Context) -> Vec<Key> + Send + Sync>;

/// A kind that a reconciler reads.
#[derive(Clone)]
pub struct Watch {
    pub(crate) row: Row,
    pub(crate) open: fn(&super::store::Stores) -> Arc<super::store::RawStore>,
    pub(crate) map: Mapper,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("row", &self.row).finish_non_exhaustive()
    }
}

impl Watch {
    /// Changes fall on the object's own key.
    pub fn itself<K: Kind>() -> Self {
        Self::map::<K>(|object, _| vec![Key::of(object.meta())])
    }

    /// Changes fall on the object's controlling owner, when that is of kind `O`.
    pub fn owner<O: Kind, K: Kind>() -> Self {
        Self::map::<K>(|object, _| owner_key(object.meta(), &O::ROW).into_iter().collect())
    }

    /// Changes fall on whatever `map` says.
    pub fn map<K: Kind>(map: impl Fn(&K, &Context) -> Vec<Key> + Send + Sync + 'static) -> Self {
        Self {
            row: K::ROW,
            open: |stores| stores.open::<K>(),
            map: Arc::new(move |object, ctx| object.downcast_ref::<K>().map(|k| map(k, ctx)).unwrap_or_default()),
        }
    }

    /// All changes fall on [`Key::all`].
    pub fn all<K: Kind>() -> Self {
        Self::map::<K>(|_, _| vec![Key::all()])
    }

    /// The kind is read, but its changes call for nothing.
    pub fn read_only<K: Kind>() -> Self {
        Self::map::<K>(|_, _| vec![])
    }
}

/// The key of the controlling owner, if it is of that kind.
fn owner_key(meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta, row: &Row) -> Option<Key> {
    let owner = super::store::controller_of(meta)?;
    let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
    if owner.kind != row.kind || group != row.group {
        return None;
    }
    let namespace = if row.namespaced { meta.namespace.clone().unwrap_or_default() } else { String::new() };
    Some(Key::new(namespace, owner.name.clone()))
}

/// A long-running piece of a part that is no reconciler; it ends when the token is cancelled.
pub type Background = Box<dyn FnOnce(Context, CancellationToken) -> BoxFuture<'static, ()> + Send>;

/// What a controller module hands to [`run`](crate::run): called anew each time that leadership is won.
pub enum Part {
    /// A reconciler, driven by the driver.
    Reconciler(Arc<dyn Reconciler>),
    /// A loop of its own (name, kinds that it reads, the loop). The stores are filled before it starts.
    Background(&'static str, Vec<Watch>, Background),
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reconciler(reconciler) => f.debug_tuple("Reconciler").field(&reconciler.name()).finish(),
            Self::Background(name, ..) => f.debug_tuple("Background").field(name).finish(),
        }
    }
}
