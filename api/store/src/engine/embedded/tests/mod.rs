//! What only a durable engine can do wrong.

mod crash;
mod disk;
mod reopen;

use std::path::Path;
use std::sync::Arc;

use crate::request::Txn;
use crate::store::Store;
use crate::{EmbeddedConfig, EmbeddedStore, Revision, StoreError};

fn open(dir: &Path) -> Arc<dyn Store> {
    Arc::new(EmbeddedStore::open(EmbeddedConfig::new(dir)).unwrap())
}

async fn put(store: &Arc<dyn Store>, key: &str, value: &str) -> Result<Revision, StoreError> {
    Ok(store.txn(Txn::put(key, value.to_owned())).await?.revision)
}

async fn value(store: &Arc<dyn Store>, key: &str) -> Option<String> {
    let kv = store.get(key, None).await.unwrap().kv?;
    Some(String::from_utf8(kv.value.to_vec()).unwrap())
}
