//! A part of the API that another server serves: requests go there, and who asks goes with them.

use berth_api::UserInfo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::aggregate_support::*;
use crate::support::*;
use crate::tls::Running;

/// Lets a user do this with toys.
async fn grant(running: &Running, user: &str, resources: &[&str], verbs: &[&str]) {
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": user},
        "rules": [{"apiGroups": ["toys.example"], "resources": resources, "verbs": verbs}]});
    post(&running.server, &format!("{rbac}/clusterroles"), &role).await.expect(201);
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": user}, "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user}});
    post(&running.server, &format!("{rbac}/clusterrolebindings"), &binding).await.expect(201);
}

#[tokio::test]
async fn a_request_goes_to_the_server_behind_with_who_asks_and_nobody_elses_word_for_it() {
    let (running, backend) = with_toys().await;
    let mut alice = UserInfo::new("alice", &["devs", "system:masters"]);
    alice.uid = "u-1".into();
    alice.extra.insert("example.com/Scopes".into(), vec!["a".into(), "b c".into()]);
    let got = ask_as(&running.server, Some(alice), "GET", &format!("{TOYS}/a?pretty=1"))
        .header("x-remote-user", "system:admin")
        .header("x-remote-group", "forged")
        .header("x-remote-extra-forged", "1")
        .header("x_remote_user", "system:admin")
        .header("authorization", "Bearer secret")
        .header("connection", "x-private")
        .header("x-private", "1")
        .header("accept", "application/json")
        .header("cookie", "a=b")
        .send()
        .await;
    assert_eq!(got.headers["x-toy"], "1");
    assert!(got.headers.contains_key("audit-id"));
    assert_eq!(got.expect(200)["kind"], "Toy");
    let asked = backend.asked();
    let [asked] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((&*asked.method, &*asked.path), ("GET", &*format!("{TOYS}/a?pretty=1")));
    let all = |name: &str| -> Vec<String> {
        asked.headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    };
    assert_eq!(all("x-remote-user"), ["alice"]);
    assert_eq!(all("x-remote-uid"), ["u-1"]);
    assert_eq!(all("x-remote-group"), ["devs", "system:masters", "system:authenticated"]);
    assert_eq!(all("x-remote-extra-example.com%2fscopes"), ["a", "b c"]);
    for name in ["authorization", "x-remote-extra-forged", "x_remote_user", "x-private", "connection"] {
        assert_eq!(all(name), Vec::<String>::new(), "{name}");
    }
    assert_eq!(all("host"), ["toys.default.svc:443"]);
    assert_eq!(all("audit-id").len(), 1);
    assert!(backend.shown().iter().all(|name| name == "front-proxy-client"), "{:?}", backend.shown());
    running.stop.cancel();
}

#[tokio::test]
async fn lists_patches_and_bodies_go_through() {
    let (running, backend) = with_toys().await;
    let server = &running.server;
    let list = get(server, &format!("{TOYS}?limit=500")).await.expect(200);
    assert_eq!((&list["kind"], &list["items"][0]["metadata"]["name"]), (&json!("ToyList"), &json!("a")));
    let patched = patch(server, "merge", &format!("{TOYS}/a"), &json!({"spec": {"x": 1}})).await.expect(200);
    assert_eq!((&patched["method"], &patched["type"]), (&json!("PATCH"), &json!("application/merge-patch+json")));
    // More than we would take in ourselves: it is never held as a whole.
    let large = "x".repeat(5 << 20) + "the end";
    let made = ask(server, "POST", TOYS).header("content-type", "text/plain").body(large.clone()).send().await;
    let made = made.expect(200);
    assert_eq!(made["bytes"], large.len());
    assert!(made["end"].as_str().unwrap().ends_with("the end"));
    // What goes on behind a subresource is for the other server to understand.
    get(server, &format!("{TOYS}/a/proxy/deep/down?x=%2F")).await.expect(200);
    assert_eq!(backend.asked().last().unwrap().path, format!("{TOYS}/a/proxy/deep/down?x=%2F"));
    let before = backend.asked().len();
    for odd in ["a/proxy/../../x", "a/proxy/%2e%2e/x", "a/proxy/b%2fc", "a/proxy/b%5Cc"] {
        assert_eq!(get(server, &format!("{TOYS}/{odd}")).await.code, 404, "{odd}");
    }
    assert_eq!(backend.asked().len(), before, "what can be misread is not passed on");
    // Nobody is sent elsewhere with their credentials.
    let away = get(server, &format!("{TOYS}/away")).await;
    assert_eq!((away.code, away.headers.get("location")), (502, None));
    assert_eq!(away.text(), "the backend attempted to redirect this request, which is not permitted");
    let head = ask(server, "HEAD", &format!("{TOYS}/a")).send().await;
    assert_eq!((head.code, head.bytes.len()), (200, 0));
    running.stop.cancel();
}

#[tokio::test]
async fn a_watch_is_passed_on_as_it_comes() {
    let (running, backend) = with_toys().await;
    let mut lines = Lines::new(ask(&running.server, "GET", &format!("{TOYS}?watch=1")).response().await);
    assert_eq!(lines.brief(1).await, ["ADDED first"]);
    backend.next_event();
    assert_eq!(lines.brief(1).await, ["ADDED second"]);
    assert!(lines.next_or_end().await.is_none());
    let mut open = Lines::new(ask(&running.server, "GET", &format!("{TOYS}?watch=1")).response().await);
    open.brief(1).await;
    running.server.stop();
    assert!(open.next_or_end().await.is_none(), "a watch ends with the server");
    running.stop.cancel();
}

#[tokio::test]
async fn nothing_leaves_this_server_that_its_user_may_not() {
    let (running, backend) = with_toys().await;
    let server = &running.server;
    let alice = || Some(UserInfo::new("alice", &[]));
    let refused = ask_as(server, alice(), "GET", &format!("{TOYS}/a")).send().await.expect(403);
    assert_eq!(
        refused["message"],
        "toys.toys.example \"a\" is forbidden: User \"alice\" cannot get resource \"toys\" in API group \
         \"toys.example\" in the namespace \"default\""
    );
    ask_as(server, Some(UserInfo::anonymous()), "GET", "/apis/toys.example/v1").send().await.expect(403);
    assert!(backend.asked().is_empty());
    grant(&running, "alice", &["toys"], &["get"]).await;
    ask_as(server, alice(), "GET", &format!("{TOYS}/a")).send().await.expect(200);
    ask_as(server, alice(), "GET", TOYS).send().await.expect(403);
    ask_as(server, alice(), "PATCH", &format!("{TOYS}/a")).send().await.expect(403);
    ask_as(server, alice(), "GET", &format!("{TOYS}/a/connect")).send().await.expect(403);
    assert_eq!(backend.asked().len(), 1);
    running.stop.cancel();
}

/// Asks for another protocol over a real connection; gives the answer's head and the connection.
async fn upgrade(running: &Running, user: &str, path: &str) -> (String, impl AsyncReadExt + AsyncWriteExt + Unpin) {
    let identity = running.pki.client(user, user, &[]).unwrap();
    let tls = running.pki.client_config(&identity).unwrap();
    let stream = tokio::net::TcpStream::connect(running.address).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let mut stream = tokio_rustls::TlsConnector::from(tls).connect(name, stream).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: shout\r\nx-remote-user: root\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    (String::from_utf8(head).unwrap(), stream)
}

#[tokio::test]
async fn an_upgrade_is_passed_on_only_for_whoever_may() {
    let (running, backend) = with_toys().await;
    let path = format!("{TOYS}/a/connect");
    let (head, mut stream) = upgrade(&running, "alice", &path).await;
    assert!(head.starts_with("HTTP/1.1 403"), "{head}");
    // The connection is still ours: what follows on it is a request like any other.
    stream.write_all(b"GET /apis/toys.example/v1/toys HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut rest = vec![0; 4096];
    let mut seen = String::new();
    while !seen.contains("cannot list resource") {
        let count = stream.read(&mut rest).await.unwrap();
        assert!(count > 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&rest[..count]));
    }
    assert!(backend.asked().is_empty(), "a refused upgrade never reaches the server behind");

    grant(&running, "bob", &["toys/connect"], &["get"]).await;
    let (head, mut stream) = upgrade(&running, "bob", &path).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert!(head.to_lowercase().contains("upgrade: shout"), "{head}");
    for word in ["hello", "again"] {
        stream.write_all(word.as_bytes()).await.unwrap();
        let mut heard = [0; 5];
        stream.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard.as_slice(), word.to_uppercase().as_bytes());
    }
    let asked = backend.asked();
    assert_eq!(asked[0].headers.get_all("x-remote-user").iter().collect::<Vec<_>>(), ["bob"]);
    assert_eq!(asked[0].headers["x-forwarded-for"], "127.0.0.1");
    running.stop.cancel();
}

#[tokio::test]
async fn proxies_and_users_have_authorities_of_their_own() {
    let (running, backend) = with_toys().await;
    let front_proxy = running.pki.front_proxy().unwrap();
    assert_ne!(front_proxy.ca_pem, running.pki.ca_pem());
    // The proxy's certificate opens no door here.
    let as_user = berth_api::kubeconfig::Credentials::Certificate(&front_proxy.identity);
    let client = running.client(as_user).await;
    assert!(client.apiserver_version().await.is_err());
    // And a user's none there.
    let admin = running.pki.client("admin", "admin", &["system:masters"]).unwrap();
    let bundle = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, &backend.ca_bundle).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    use rustls::pki_types::pem::PemObject;
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(&bundle).unwrap()).unwrap();
    let chain = vec![rustls::pki_types::CertificateDer::from_pem_slice(admin.certificate_pem.as_bytes()).unwrap()];
    let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(admin.key_pem.as_bytes()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", backend.port)).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("toys.default.svc").unwrap();
    let before = backend.shown().len();
    let connected = tokio_rustls::TlsConnector::from(std::sync::Arc::new(tls)).connect(name, stream).await;
    if let Ok(mut stream) = connected {
        let mut answer = [0];
        assert!(!matches!(stream.read(&mut answer).await, Ok(1..)), "the backend lets nobody else in");
    }
    assert_eq!(backend.shown().len(), before);
    running.stop.cancel();
}

#[tokio::test]
async fn what_servers_need_to_know_users_is_published() {
    let running = crate::tls::running().await;
    let server = &running.server;
    let path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";
    let data = get(server, path).await.expect(200)["data"].clone();
    assert_eq!(data["client-ca-file"], running.pki.ca_pem());
    assert_eq!(data["requestheader-client-ca-file"], running.pki.front_proxy().unwrap().ca_pem);
    for (key, value) in [
        ("requestheader-allowed-names", r#"["front-proxy-client"]"#),
        ("requestheader-username-headers", r#"["X-Remote-User"]"#),
        ("requestheader-group-headers", r#"["X-Remote-Group"]"#),
        ("requestheader-extra-headers-prefix", r#"["X-Remote-Extra-"]"#),
    ] {
        assert_eq!(data[key], value, "{key}");
    }
    let manager = || Some(UserInfo::new("system:kube-controller-manager", &[]));
    ask_as(server, manager(), "GET", path).send().await.expect(200);
    ask_as(server, manager(), "DELETE", path).send().await.expect(403);
    ask_as(server, Some(UserInfo::new("alice", &[])), "GET", path).send().await.expect(403);
    let role =
        "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/roles/extension-apiserver-authentication-reader";
    let role: Value = get(server, role).await.expect(200);
    assert_eq!(role["rules"][0]["resourceNames"], json!(["extension-apiserver-authentication"]));
    running.stop.cancel();
}
