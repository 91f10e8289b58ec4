//! The kubeconfig of a person: a login adds a context beside those that are there, and takes its own away again.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Cluster, named};
use crate::failure::{Failure, Outcome};

/// Marks what a login made, so that a logout takes nothing else away.
const EXTENSION: &str = "berth.dev/login";

/// The file, in memory.
#[derive(Debug)]
pub(super) struct File(Value);

impl File {
    /// Reads it; an empty one when there is none.
    ///
    /// # Errors
    /// When it cannot be read, or is no kubeconfig.
    pub(super) fn open(path: &Path) -> Outcome<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Failure::new(format!("could not read {}: {error}", path.display()))),
        };
        if text.trim().is_empty() {
            return Ok(Self(json!({"apiVersion": "v1", "kind": "Config"})));
        }
        // The parser's words would show lines of the file, and so tokens.
        let file: Value = serde_saphyr::from_str(&text).unwrap_or_default();
        if !file.is_object() {
            return Err(Failure::new(format!("{} is no kubeconfig", path.display())));
        }
        Ok(Self(file))
    }

    /// Writes it, private, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn save(&self, path: &Path) -> Outcome<()> {
        // What a link names is changed, not the link.
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        berth_api::kubeconfig::write(&path, &crate::output::yaml::emit(&self.0))
            .map_err(|e| Failure::new(format!("could not write {}: {e}", path.display())))
    }

    /// Name of the current context.
    pub(super) fn current(&self) -> Option<&str> {
        self.0["current-context"].as_str().filter(|name| !name.is_empty())
    }

    /// The cluster of a context, the current one by default.
    pub(super) fn cluster(&self, context: Option<&str>) -> Option<Cluster> {
        let context = named(&self.0, "contexts", context.or_else(|| self.current())?)?;
        let name = context["context"]["cluster"].as_str()?;
        cluster(named(&self.0, "clusters", name)?)
    }

    /// The cluster at an address.
    pub(super) fn cluster_at(&self, server: &str) -> Option<Cluster> {
        self.0["clusters"].as_array()?.iter().filter_map(cluster).find(|cluster| cluster.server == server)
    }

    /// Adds user and context, and makes the context the current one. Gives its name.
    pub(super) fn log_in(&mut self, cluster: &Cluster, user: &str, token: &str) -> String {
        let host = cluster.server.trim_start_matches("https://").to_owned();
        let cluster_name = cluster.name.clone().unwrap_or_else(|| host.clone());
        if named(&self.0, "clusters", &cluster_name).is_none() {
            let mut told = json!({"server": cluster.server});
            if let Some(pem) = &cluster.ca_pem {
                told["certificate-authority-data"] = json!(STANDARD.encode(pem));
            }
            self.put("clusters", json!({"name": cluster_name, "cluster": told}));
        }
        let name = format!("{user}@{host}");
        let before = self.current().filter(|current| *current != name).map(str::to_owned);
        let before = before.or_else(|| {
            let own = named(&self.0, "contexts", &name)?;
            own["context"]["extensions"][0]["extension"]["before"].as_str().map(str::to_owned)
        });
        self.put("users", json!({"name": name, "user": {"token": token}}));
        let extension = json!({"name": EXTENSION, "extension": {"before": before}});
        let context = json!({"cluster": cluster_name, "user": name, "extensions": [extension]});
        self.put("contexts", json!({"name": name, "context": context}));
        self.0["current-context"] = json!(name);
        name
    }

    /// Takes away what a login made: `None` when the context is of no login.
    pub(super) fn log_out(&mut self, context: Option<&str>) -> Option<String> {
        let name = context.or_else(|| self.current())?.to_owned();
        let extensions = &named(&self.0, "contexts", &name)?["context"]["extensions"];
        let own = extensions.as_array()?.iter().find(|extension| extension["name"] == EXTENSION)?;
        let before = own["extension"]["before"].as_str().unwrap_or_default().to_owned();
        for list in ["contexts", "users"] {
            if let Some(all) = self.0[list].as_array_mut() {
                all.retain(|entry| entry["name"] != name.as_str());
            }
        }
        if self.current() == Some(&name) {
            let before = if named(&self.0, "contexts", &before).is_some() { before } else { String::new() };
            self.0["current-context"] = json!(before);
        }
        Some(name)
    }

    /// Puts a named entry into a list, in the place of one of the same name.
    fn put(&mut self, list: &str, entry: Value) {
        if !self.0[list].is_array() {
            self.0[list] = json!([]);
        }
        let Some(all) = self.0[list].as_array_mut() else { return };
        match all.iter_mut().find(|old| old["name"] == entry["name"]) {
            Some(old) => *old = entry,
            None => all.push(entry),
        }
    }
}

fn cluster(entry: &Value) -> Option<Cluster> {
    let told = &entry["cluster"];
    let data = told["certificate-authority-data"].as_str().and_then(|data| STANDARD.decode(data).ok());
    let file = || std::fs::read(told["certificate-authority"].as_str()?).ok();
    let ca_pem = data.or_else(file).and_then(|bytes| String::from_utf8(bytes).ok());
    let server = told["server"].as_str()?.trim_end_matches('/').to_owned();
    Some(Cluster { name: entry["name"].as_str().map(str::to_owned), server, ca_pem })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_stands_beside_what_is_there_and_goes_without_a_trace() {
        let start = json!({
            "current-context": "admin",
            "clusters": [{"name": "berth", "cluster": {"server": "https://h:1", "certificate-authority-data": "Q0E="}}],
            "contexts": [{"name": "admin", "context": {"cluster": "berth", "user": "admin"}}],
            "users": [{"name": "admin", "user": {"token": "secret"}}],
        });
        let mut file = File(start.clone());
        let cluster = file.cluster(None).unwrap();
        assert_eq!((cluster.server.as_str(), cluster.ca_pem.as_deref()), ("https://h:1", Some("CA")));
        for token in ["one", "two"] {
            assert_eq!(file.log_in(&cluster, "ann", token), "ann@h:1");
        }
        assert_eq!(named(&file.0, "users", "ann@h:1").unwrap()["user"]["token"], "two");
        assert_eq!((file.current(), file.0["users"].as_array().unwrap().len()), (Some("ann@h:1"), 2));
        assert_eq!(file.log_out(None).as_deref(), Some("ann@h:1"));
        assert_eq!(file.0, start);
        assert_eq!(file.log_out(None), None, "the administrator's is no login");
    }

    #[test]
    fn a_cluster_that_is_new_is_added() {
        let mut file = File(json!({}));
        let cluster = Cluster { name: None, server: "https://h:1".into(), ca_pem: Some("CA".into()) };
        file.log_in(&cluster, "ann", "t");
        assert_eq!(file.cluster_at("https://h:1").unwrap().name.as_deref(), Some("h:1"));
        assert!(file.cluster_at("https://h:2").is_none());
    }
}
