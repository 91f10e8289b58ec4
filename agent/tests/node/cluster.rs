//! What every case needs: an API server in memory, an agent, certificates, and patience with a limit.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use berth_agent::{Agent, AgentHandle, Config};
use berth_api::{ApiServer, UserInfo};
use berth_client::kube::api::{DeleteParams, PostParams};
use berth_client::kube::{Api, Client};
use berth_types::{Task, TaskPhase, TaskStatus};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Longest that any single thing may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Cluster {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) client: Client,
    pub(crate) agent: Option<AgentHandle>,
    pub(crate) api: ApiServer,
    certificates: Certificates,
    name: String,
}

struct Certificates {
    ca: String,
    server: (String, String),
    client: (String, String),
    stranger: (String, String),
}

impl Certificates {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let make = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
        };
        Self { ca, server: make("system:node:n1"), client: make("system:apiserver"), stranger: make("somebody") }
    }
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let api = ApiServer::open(berth_api::Config::default()).await.unwrap();
        let client = api.client(UserInfo::admin());
        let name = format!("t{}", std::process::id());
        let mut cluster = Self {
            dir: tempfile::tempdir().unwrap(),
            client,
            agent: None,
            api,
            certificates: Certificates::new(),
            name,
        };
        cluster.start_agent().await;
        cluster
    }

    pub(crate) async fn start_agent(&mut self) {
        let c = &self.certificates;
        let tls = berth_agent::server_config(c.server.0.as_bytes(), c.server.1.as_bytes(), c.ca.as_bytes()).unwrap();
        let mut config = Config::new("n1", self.dir.path().join("data"), self.dir.path().join("run"), tls);
        config.listen = "127.0.0.1:0".parse().unwrap();
        config.cgroup_parent = format!("berth-agent-{}", self.name);
        let handle = Agent::start(self.api.client(UserInfo::node("n1")), config).await.unwrap();
        within("the agent to be ready", handle.wait_ready()).await;
        self.agent = Some(handle);
    }

    /// The agent ends as if killed: nothing is said to anybody.
    pub(crate) async fn kill_agent(&mut self) {
        drop(self.agent.take());
        // Dropping aborts its parts; the port and the lock are free when they are gone.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    pub(crate) fn tasks(&self) -> Api<Task> {
        Api::namespaced(self.client.clone(), "default")
    }

    pub(crate) async fn run(&self, name: &str, spec: serde_json::Value) -> Task {
        let mut spec = spec;
        spec["nodeName"] = "n1".into();
        let task: Task = serde_json::from_value(serde_json::json!({
            "apiVersion": "berth.dev/v1", "kind": "Task",
            "metadata": {"name": name, "namespace": "default", "finalizers": ["berth.dev/agent"]}, "spec": spec
        }))
        .unwrap();
        self.tasks().create(&PostParams::default(), &task).await.unwrap()
    }

    pub(crate) async fn until(&self, name: &str, what: &str, holds: impl Fn(&TaskStatus) -> bool) -> TaskStatus {
        let mut last = None;
        let begin = std::time::Instant::now();
        while begin.elapsed() < PATIENCE {
            let task = self.tasks().get(name).await.unwrap();
            last = task.status;
            if let Some(status) = last.as_ref().filter(|s| holds(s)) {
                return status.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{name} did not become {what}: {last:#?}");
    }

    pub(crate) async fn until_phase(&self, name: &str, phase: TaskPhase) -> TaskStatus {
        self.until(name, &format!("{phase:?}"), |s| s.phase == phase).await
    }

    pub(crate) async fn delete(&self, name: &str) {
        self.tasks().delete(name, &DeleteParams::default()).await.unwrap();
        let begin = std::time::Instant::now();
        while self.tasks().get_opt(name).await.unwrap().is_some() {
            assert!(begin.elapsed() < PATIENCE, "{name} does not go");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// GET on the agent's own API.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        self.get_as(path, Some(&self.certificates.client)).await
    }

    pub(crate) async fn get_as_stranger(&self, path: &str) -> (u16, String) {
        self.get_as(path, Some(&self.certificates.stranger)).await
    }

    pub(crate) async fn get_as_nobody(&self, path: &str) -> (u16, String) {
        self.get_as(path, None).await
    }

    async fn get_as(&self, path: &str, identity: Option<&(String, String)>) -> (u16, String) {
        use http_body_util::{BodyExt, Empty};
        let stream = self.connect(identity).await;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::get(path).header("host", "127.0.0.1").body(Empty::<bytes::Bytes>::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        let body = within("the answer's end", response.into_body().collect()).await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    async fn connect(
        &self,
        identity: Option<&(String, String)>,
    ) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
        use rustls::pki_types::pem::PemObject;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.certificates.ca.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let cert = CertificateDer::from_pem_slice(cert.as_bytes()).unwrap();
                builder
                    .with_client_auth_cert(vec![cert], PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap())
                    .unwrap()
            }
        };
        let address = self.agent.as_ref().unwrap().local_addr();
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }

    /// Runs a command in a container: what it wrote, and the result channel.
    pub(crate) async fn exec(&self, path: &str, stdin: &[u8]) -> (String, serde_json::Value) {
        use futures::{SinkExt, StreamExt};
        use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};
        let mut request = format!("wss://127.0.0.1{path}").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "v5.channel.k8s.io, v4.channel.k8s.io".parse().unwrap());
        let stream = self.connect(Some(&self.certificates.client)).await;
        let (mut socket, response) = tokio_tungstenite::client_async(request, stream).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "v5.channel.k8s.io");
        if !stdin.is_empty() {
            socket.send(Message::Binary([&[0], stdin].concat().into())).await.unwrap();
            socket.send(Message::Binary(vec![255, 0].into())).await.unwrap();
        }
        let (mut out, mut result) = (Vec::new(), serde_json::Value::Null);
        while let Some(Ok(message)) = within("exec's next message", socket.next()).await {
            let Message::Binary(bytes) = message else { continue };
            match bytes[0] {
                1 | 2 => out.extend_from_slice(&bytes[1..]),
                3 => result = serde_json::from_slice(&bytes[1..]).unwrap(),
                other => panic!("channel {other}"),
            }
        }
        (String::from_utf8(out).unwrap(), result)
    }

    /// Nothing of any task is left on the node.
    pub(crate) async fn assert_clean(&self) {
        for path in ["data/sandboxes", "data/volumes", "data/tasks"] {
            let left: Vec<_> = std::fs::read_dir(self.dir.path().join(path))
                .into_iter()
                .flatten()
                .map(|e| e.unwrap().path())
                .collect();
            assert!(left.is_empty(), "{left:?}");
        }
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(&self.dir.path().join("data").display().to_string()), "{mounts}");
    }

    /// Stops the agent; nothing may run on after a test.
    pub(crate) async fn end(mut self) {
        if let Some(agent) = self.agent.take() {
            within("the agent to stop", agent.shutdown()).await;
        }
        let config = berth_container::Config {
            run_dir: self.dir.path().join("run/containers"),
            cgroup_parent: format!("berth-agent-{}", self.name),
            shim: berth_container::Shim { exe: std::env::current_exe().unwrap(), args: vec!["__shim".to_owned()] },
        };
        tokio::task::spawn_blocking(move || berth_container::Containerizer::new(config).unwrap().purge().unwrap())
            .await
            .unwrap();
        self.api.stop();
    }
}

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited too long for {what}"))
}
