//! The driver that all controllers share: it watches, queues, retries and writes; they decide.
//!
//! It works on JSON text and type-erased objects, so that list, watch, queue and retry are compiled once and not
//! once a kind. A controller is a [`Reconciler`]: it says which kind it brings into shape, which other kinds matter
//! to it, and what to do with one object. What it reads through its [`Context`] comes from local [`store`]s that
//! one [`informer`] a kind keeps current; what it writes through the same context is seen in these stores at once,
//! so that no reconciler decides on a state from before its own writes.

pub mod api;
pub mod clock;
pub mod context;
pub mod controller;
pub mod error;
pub mod informer;
pub mod key;
pub mod kind;
pub mod queue;
pub mod reconciler;
pub mod store;

pub use clock::{Clock, SystemClock};
pub use context::{Context, Created};
pub use error::Error;
pub use key::Key;
pub use kind::{Kind, Row};
pub use reconciler::{Next, Part, Reconciler, Watch};
pub use store::Store;
