//! Where a probe or a lifecycle hook knocks.

use std::time::Duration;

use berth_client::k8s_openapi::api::core::v1::{HTTPGetAction, LifecycleHandler, Probe};
use berth_client::k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use berth_types::{Container, Task};

/// Something to knock at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A command in the container: code 0 is success.
    Exec(Vec<String>),
    /// A GET: 200 to 399 is success.
    Http(HttpRequest),
    /// A connection.
    Tcp { host: Option<String>, port: u16 },
    /// Only time (hooks).
    Sleep(Duration),
}

/// One GET request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRequest {
    /// Where to, unless it is the container itself.
    pub host: Option<String>,
    /// Host port.
    pub port: u16,
    /// Path and query.
    pub path: String,
    /// TLS, with whatever certificate.
    pub https: bool,
    /// Headers; `Host` may be among them.
    pub headers: Vec<(String, String)>,
}

impl Target {
    /// What a probe asks for.
    ///
    /// # Errors
    /// When it asks for nothing, for gRPC, or for a port that is not there.
    pub fn of_probe(probe: &Probe, task: &Task, container: &Container) -> Result<Self, String> {
        if probe.grpc.is_some() {
            return Err("grpc probes are not supported yet: use httpGet, tcpSocket or exec".to_owned());
        }
        if let Some(exec) = &probe.exec {
            return command(exec.command.as_deref());
        }
        if let Some(get) = &probe.http_get {
            return http(get, task, container);
        }
        if let Some(tcp) = &probe.tcp_socket {
            return Ok(Self::Tcp { host: tcp.host.clone(), port: port(&tcp.port, task, container)? });
        }
        Err("the probe needs one of exec, httpGet, tcpSocket".to_owned())
    }

    /// What a lifecycle hook asks for.
    ///
    /// # Errors
    /// When it asks for nothing, or for a port that is not there.
    pub fn of_hook(hook: &LifecycleHandler, task: &Task, container: &Container) -> Result<Self, String> {
        if let Some(exec) = &hook.exec {
            return command(exec.command.as_deref());
        }
        if let Some(get) = &hook.http_get {
            return http(get, task, container);
        }
        if let Some(tcp) = &hook.tcp_socket {
            return Ok(Self::Tcp { host: tcp.host.clone(), port: port(&tcp.port, task, container)? });
        }
        if let Some(sleep) = &hook.sleep {
            return Ok(Self::Sleep(Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0))));
        }
        Err("the hook needs one of exec, httpGet, tcpSocket, sleep".to_owned())
    }
}

fn command(argv: Option<&[String]>) -> Result<Target, String> {
    let argv = argv.filter(|a| !a.is_empty()).ok_or("exec.command is empty")?;
    Ok(Target::Exec(argv.to_vec()))
}

fn http(get: &HTTPGetAction, task: &Task, container: &Container) -> Result<Target, String> {
    let mut path = get.path.clone().unwrap_or_default();
    if !path.starts_with('/') {
        path.insert(0, '/');
    }
    Ok(Target::Http(HttpRequest {
        host: get.host.clone().filter(|h| !h.is_empty()),
        port: port(&get.port, task, container)?,
        path,
        https: get.scheme.as_deref().is_some_and(|s| s.eq_ignore_ascii_case("https")),
        headers: get.http_headers.iter().flatten().map(|h| (h.name.clone(), h.value.clone())).collect(),
    }))
}

/// The host port of a port's name or number. A number that a port of the container has means that port, wherever
/// it is on the node; 0 means the container's first one.
fn port(wanted: &IntOrString, task: &Task, container: &Container) -> Result<u16, String> {
    let allotted = |index: usize| {
        let own =
            |p: &&berth_types::AllocatedPort| p.container == container.name && usize::try_from(p.index) == Ok(index);
        task.spec.allocated_ports.iter().find(own).map(|p| p.port)
    };
    let number = match wanted {
        IntOrString::Int(0) => allotted(0).ok_or("the container has no ports")?,
        IntOrString::Int(number) => {
            let index = container.ports.iter().position(|p| p.container_port == Some(*number));
            index.and_then(allotted).unwrap_or(*number)
        }
        IntOrString::String(name) => match container.ports.iter().position(|p| p.name.as_deref() == Some(name)) {
            Some(index) => allotted(index).ok_or_else(|| format!("port {name:?} has no port on the node yet"))?,
            None => name.parse().map_err(|_| format!("container {:?} has no port named {name:?}", container.name))?,
        },
    };
    u16::try_from(number).ok().filter(|p| *p > 0).ok_or_else(|| format!("port {number} is not between 1 and 65535"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(probe: serde_json::Value) -> Result<Target, String> {
        let task: Task = serde_json::from_value(serde_json::json!({
            "apiVersion": "berth.dev/v1", "kind": "Task", "metadata": {"name": "t"},
            "spec": {
                "containers": [{"name": "c", "ports": [{"name": "admin"}, {"name": "http", "containerPort": 80}]}],
                "allocatedPorts": [{"container": "c", "index": 0, "port": 31000}, {"container": "c", "index": 1, "name": "http", "port": 31001}]
            }
        }))
        .unwrap();
        let probe = serde_json::from_value(probe).unwrap();
        Target::of_probe(&probe, &task, &task.spec.template.containers[0])
    }

    #[test]
    fn ports_are_found_by_name_and_by_number() {
        for (port, expected) in [
            (serde_json::json!("http"), 31001),
            (serde_json::json!(80), 31001),
            (serde_json::json!(0), 31000),
            (serde_json::json!(9999), 9999),
            (serde_json::json!("admin"), 31000),
        ] {
            let found = target(serde_json::json!({"tcpSocket": {"port": port}})).unwrap();
            assert_eq!(found, Target::Tcp { host: None, port: expected });
        }
        assert!(target(serde_json::json!({"tcpSocket": {"port": "none"}})).unwrap_err().contains("none"));
    }

    #[test]
    fn what_is_not_supported_says_so() {
        assert!(target(serde_json::json!({"grpc": {"port": 1}})).unwrap_err().contains("httpGet"));
        assert!(target(serde_json::json!({})).is_err());
        assert!(target(serde_json::json!({"exec": {"command": []}})).is_err());
    }
}
