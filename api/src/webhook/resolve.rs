//! From an endpoint to addresses. Berth has no cluster addresses: a Service is where its ready tasks are.

use std::net::{IpAddr, SocketAddr};

use berth_types::names::LABEL_SERVICE;
use serde_json::Value;

use super::endpoint::{Dial, Endpoint};
use crate::registry::Rows;

/// Finds the addresses of a Service.
pub(crate) trait Resolve: Sync {
    /// The addresses that answer for a port of a Service, in the order to try.
    ///
    /// # Errors
    /// Why there are none, in kube-apiserver's words.
    fn service(&self, namespace: &str, name: &str, port: u16) -> Result<Vec<SocketAddr>, String>;
}

/// The ready tasks of Berth's Services, as the caches know them.
pub(crate) struct ServiceTasks<'a>(pub &'a Rows);

impl Resolve for ServiceTasks<'_> {
    fn service(&self, namespace: &str, name: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        let row = |plural: &str| self.0.any_version(berth_types::GROUP, plural);
        let known = row("services").is_some_and(|row| row.storage.cache.get(namespace, name).is_some());
        if !known {
            return Err(format!("service {name:?} not found"));
        }
        let none = || format!("no endpoints available for service {name:?}");
        let tasks = row("tasks").ok_or_else(none)?.storage.cache.snapshot();
        let found: Vec<SocketAddr> = tasks
            .after(Some(namespace), None)
            .filter(|task| task.label(LABEL_SERVICE) == Some(name))
            .filter_map(|task| serde_json::from_slice::<Value>(&task.kv().value).ok())
            .filter_map(|task| address(&task, port))
            .collect();
        if found.is_empty() { Err(none()) } else { Ok(found) }
    }
}

/// Where a ready task listens for a port: the node's port that was given to the container port of this number; to
/// the one that is called `https` or `webhook`; or the only one that there is.
fn address(task: &Value, port: u16) -> Option<SocketAddr> {
    let conditions = task["status"]["conditions"].as_array()?;
    let ready = conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
    if !ready || !task["metadata"]["deletionTimestamp"].is_null() {
        return None;
    }
    let host: IpAddr = task["status"]["hostIP"].as_str()?.parse().ok()?;
    let given = task["spec"]["allocatedPorts"].as_array()?;
    let listens_on = |allocated: &&Value| {
        let containers = task["spec"]["containers"].as_array().into_iter().flatten();
        let mut of = containers.filter(|container| container["name"] == allocated["container"]);
        let index = allocated["index"].as_u64().and_then(|index| usize::try_from(index).ok()).unwrap_or_default();
        of.any(|container| container["ports"][index]["containerPort"] == port)
    };
    let is_named = |allocated: &&Value| matches!(allocated["name"].as_str(), Some("https" | "webhook"));
    let only = || given.first().filter(|_| given.len() == 1);
    let chosen = given.iter().find(listens_on).or_else(|| given.iter().find(is_named)).or_else(only)?;
    Some(SocketAddr::new(host, u16::try_from(chosen["port"].as_u64()?).ok()?))
}

/// The addresses of an endpoint, those that must not be called left out.
///
/// # Errors
/// Why there are none.
pub(crate) async fn addresses(resolver: &dyn Resolve, endpoint: &Endpoint) -> Result<Vec<SocketAddr>, String> {
    let found = match &endpoint.dial {
        Dial::Service { namespace, name, port } => resolver.service(namespace, name, *port)?,
        Dial::Host { host, port } => match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, *port)],
            Err(_) => tokio::net::lookup_host((host.as_str(), *port))
                .await
                .map_err(|_| format!("dial tcp: lookup {host}: no such host"))?
                .collect(),
        },
    };
    let Some(first) = found.first().copied() else { return Err("dial tcp: the host has no address".to_owned()) };
    let allowed: Vec<SocketAddr> = found.into_iter().filter(|address| may_call(address.ip())).collect();
    if allowed.is_empty() {
        return Err(format!("dial tcp {first}: addresses of this kind are not called"));
    }
    Ok(allowed)
}

/// Webhooks may listen on this machine or anywhere else, but never where clouds keep credentials (link-local), nor
/// where there is no single host.
fn may_call(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => !(v4.is_link_local() || v4.is_multicast() || v4.is_broadcast() || v4.is_unspecified()),
        IpAddr::V6(v6) => !(v6.is_unicast_link_local() || v6.is_multicast() || v6.is_unspecified()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn task(ready: &str, ports: Value) -> Value {
        json!({
            "metadata": {"name": "t"},
            "spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80}, {"containerPort": 8443}]}],
                "allocatedPorts": ports},
            "status": {"hostIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": ready}]},
        })
    }

    #[test]
    fn a_ready_task_answers_on_the_port_that_was_given_to_it() {
        let ports =
            json!([{"container": "c", "index": 0, "port": 31000}, {"container": "c", "index": 1, "port": 31001}]);
        assert_eq!(address(&task("True", ports.clone()), 8443).unwrap().to_string(), "10.0.0.1:31001");
        assert_eq!(address(&task("True", ports.clone()), 443), None);
        assert_eq!(address(&task("False", ports), 8443), None);
        let named = json!([{"container": "c", "index": 0, "port": 1}, {"container": "x", "name": "https", "port": 2}]);
        assert_eq!(address(&task("True", named), 443).unwrap().port(), 2);
        let one = json!([{"container": "x", "index": 0, "port": 7}]);
        assert_eq!(address(&task("True", one), 443).unwrap().port(), 7);
    }

    #[test]
    fn addresses_that_are_never_called() {
        for text in ["169.254.169.254", "fe80::1", "224.0.0.1", "0.0.0.0", "::", "::ffff:169.254.169.254"] {
            assert!(!may_call(text.parse().unwrap()), "{text}");
        }
        for text in ["127.0.0.1", "::1", "10.1.2.3", "192.168.0.1", "2001:db8::1"] {
            assert!(may_call(text.parse().unwrap()), "{text}");
        }
    }
}
