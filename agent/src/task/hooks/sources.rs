//! ConfigMaps and Secrets that a container refers to: read once, before its start.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use berth_client::k8s_openapi::api::core::v1::{ConfigMap, Secret};
use berth_client::kube::{Api, Client};
use berth_types::{Container, Task};
use futures::future::BoxFuture;

use super::HookError;

/// Keys and their bytes.
pub type Data = BTreeMap<String, Vec<u8>>;

/// Kind and name of an object with keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// A ConfigMap.
    ConfigMap(String),
    /// A Secret.
    Secret(String),
}

impl Reference {
    /// For people: `ConfigMap "web"`.
    pub fn describe(&self) -> String {
        match self {
            Self::ConfigMap(name) => format!("ConfigMap {name:?}"),
            Self::Secret(name) => format!("Secret {name:?}"),
        }
    }

    fn missing(&self) -> &'static str {
        match self {
            Self::ConfigMap(_) => "ConfigMapNotFound",
            Self::Secret(_) => "SecretNotFound",
        }
    }
}

/// Where objects with keys come from.
pub trait Source: Send + Sync + 'static {
    /// The object's data; `None` when there is no such object.
    fn fetch<'a>(&'a self, namespace: &'a str, reference: &'a Reference)
    -> BoxFuture<'a, Result<Option<Data>, String>>;
}

/// The API server.
#[derive(Clone)]
pub struct ApiSource(pub Client);

impl std::fmt::Debug for ApiSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiSource")
    }
}

impl Source for ApiSource {
    fn fetch<'a>(
        &'a self,
        namespace: &'a str,
        reference: &'a Reference,
    ) -> BoxFuture<'a, Result<Option<Data>, String>> {
        Box::pin(async move {
            match reference {
                Reference::ConfigMap(name) => {
                    let api: Api<ConfigMap> = Api::namespaced(self.0.clone(), namespace);
                    let found = api.get_opt(name).await.map_err(|e| e.to_string())?;
                    Ok(found.map(|map| {
                        let text = map.data.unwrap_or_default().into_iter().map(|(k, v)| (k, v.into_bytes()));
                        text.chain(map.binary_data.unwrap_or_default().into_iter().map(|(k, v)| (k, v.0))).collect()
                    }))
                }
                Reference::Secret(name) => {
                    let api: Api<Secret> = Api::namespaced(self.0.clone(), namespace);
                    let found = api.get_opt(name).await.map_err(|e| e.to_string())?;
                    Ok(found.map(|secret| {
                        let data = secret.data.unwrap_or_default().into_iter().map(|(k, v)| (k, v.0));
                        // Our server keeps stringData out of what it stores; another may not.
                        data.chain(secret.string_data.unwrap_or_default().into_iter().map(|(k, v)| (k, v.into_bytes())))
                            .collect()
                    }))
                }
            }
        })
    }
}

/// How long one object is waited for before it is asked for again.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What was read for one container. Most containers refer to nothing, and then nothing is asked for.
#[derive(Clone, Debug, Default)]
pub struct Sources(BTreeMap<Reference, Data>);

impl Sources {
    /// The object's data, if it exists.
    pub fn get(&self, reference: &Reference) -> Option<&Data> {
        self.0.get(reference)
    }

    /// The object's data, or the word for its absence.
    ///
    /// # Errors
    /// [`HookError::Waiting`] when the object does not exist and is not optional.
    pub fn require(&self, namespace: &str, reference: &Reference, optional: bool) -> Result<Option<&Data>, HookError> {
        match self.get(reference) {
            Some(data) => Ok(Some(data)),
            None if optional => Ok(None),
            None => Err(HookError::waiting(
                reference.missing(),
                format!(
                    "{} does not exist in namespace {namespace:?}: create it, or mark the reference optional",
                    reference.describe()
                ),
            )),
        }
    }

    /// One key of an object.
    ///
    /// # Errors
    /// [`HookError::Waiting`] when the object or the key does not exist and is not optional.
    pub fn require_key(
        &self,
        namespace: &str,
        reference: &Reference,
        key: &str,
        optional: bool,
    ) -> Result<Option<&[u8]>, HookError> {
        let Some(data) = self.require(namespace, reference, optional)? else { return Ok(None) };
        match data.get(key) {
            Some(value) => Ok(Some(value)),
            None if optional => Ok(None),
            None => Err(HookError::waiting(
                "KeyNotFound",
                format!("{} in namespace {namespace:?} has no key {key:?}", reference.describe()),
            )),
        }
    }

    /// For tests.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (Reference, Data)>) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// Reads all that the container refers to.
///
/// # Errors
/// [`HookError::Waiting`] when the API server does not answer.
pub async fn load(source: &dyn Source, task: &Task, container: &Container) -> Result<Sources, HookError> {
    let namespace = task.metadata.namespace.as_deref().unwrap_or("default");
    let mut loaded = BTreeMap::new();
    for reference in references(task, container) {
        // A dead connection must not keep the task from being stopped.
        let answer = tokio::time::timeout(ANSWER_MAX, source.fetch(namespace, &reference)).await;
        let answer = answer.unwrap_or_else(|_| Err(format!("no answer within {} seconds", ANSWER_MAX.as_secs())));
        let found = answer.map_err(|error| {
            HookError::waiting("ReferenceNotRead", format!("{} could not be read: {error}", reference.describe()))
        })?;
        if let Some(data) = found {
            loaded.insert(reference, data);
        }
    }
    Ok(Sources(loaded))
}

/// What a container refers to, in its environment and through the volumes that it mounts.
pub fn references(task: &Task, container: &Container) -> BTreeSet<Reference> {
    let mut all = BTreeSet::new();
    for from in &container.env_from {
        all.extend(from.config_map_ref.iter().map(|r| Reference::ConfigMap(r.name.clone())));
        all.extend(from.secret_ref.iter().map(|r| Reference::Secret(r.name.clone())));
    }
    for from in container.env.iter().filter_map(|e| e.value_from.as_ref()) {
        all.extend(from.config_map_key_ref.iter().map(|r| Reference::ConfigMap(r.name.clone())));
        all.extend(from.secret_key_ref.iter().map(|r| Reference::Secret(r.name.clone())));
    }
    for volume in &task.spec.template.volumes {
        if container.volume_mounts.iter().any(|m| m.name == volume.name) {
            all.extend(volume.config_map.iter().map(|c| Reference::ConfigMap(c.name.clone())));
            all.extend(volume.secret.iter().filter_map(|s| s.secret_name.clone()).map(Reference::Secret));
        }
    }
    all
}
