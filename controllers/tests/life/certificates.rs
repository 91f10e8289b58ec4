//! How a machine joins: with a bootstrap token it gets a certificate, once.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use berth_api::{ApiServer, Config, UserInfo};
use berth_controllers::certificates::parts;
use berth_identity::csr::Authority;
use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::{Value, json};

use crate::harness::Cluster;

const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const SECRETS: &str = "/api/v1/namespaces/kube-system/secrets";

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Authority::open(&certificate.pem(), &key.serialize_pem()).unwrap()
}

fn request(name: &str, node: &str) -> Value {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, format!("system:node:{node}"));
    params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
    let key = KeyPair::generate().unwrap();
    let pem = params.serialize_request(&key).unwrap().pem().unwrap();
    json!({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name},
        "spec": {
            "request": STANDARD.encode(pem), "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
            "usages": ["client auth", "digital signature"],
        },
    })
}

fn token(id: &str, expiration: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": format!("bootstrap-token-{id}")},
        "type": "bootstrap.kubernetes.io/token",
        "stringData": {
            "token-id": id, "token-secret": "0123456789abcdef", "expiration": expiration,
            "usage-bootstrap-authentication": "true", "usage-bootstrap-signing": "true",
        },
    })
}

async fn cluster() -> Cluster {
    let config = Config {
        root_ca: Some("authority".to_owned()),
        public_url: Some("https://127.0.0.1:7443".to_owned()),
        ..Config::default()
    };
    Cluster::with_authority(ApiServer::open(config).await.unwrap(), parts, authority()).await
}

#[tokio::test]
async fn a_token_brings_one_node_into_the_cluster() {
    let cluster = cluster().await;
    cluster.create(SECRETS, token("abcdef", "2099-01-01T00:00:00Z")).await;
    let bearer = cluster.server.client(UserInfo::new("system:bootstrap:abcdef", &["system:bootstrappers"]));
    cluster.create_as(&bearer, REQUESTS, request("first", "n1")).await;
    let issued = |request: &Value| request["status"]["certificate"].is_string();
    cluster.until(&format!("{REQUESTS}/first"), "signed", issued).await;
    let secret = cluster.get(&format!("{SECRETS}/bootstrap-token-abcdef")).await.unwrap();
    assert_eq!(secret["metadata"]["annotations"]["berth.dev/bootstrap-token-used-by"], "n1");

    // The same node may ask again; another may not.
    cluster.create_as(&bearer, REQUESTS, request("second", "n2")).await;
    cluster.create_as(&bearer, REQUESTS, request("again", "n1")).await;
    cluster.until(&format!("{REQUESTS}/again"), "signed", issued).await;
    let second = cluster.get(&format!("{REQUESTS}/second")).await.unwrap();
    assert!(second["status"]["conditions"].is_null(), "{second}");

    let node = cluster.server.client(UserInfo::node("n1"));
    cluster.create_as(&node, REQUESTS, request("renewal", "n1")).await;
    cluster.until(&format!("{REQUESTS}/renewal"), "signed", issued).await;
}

#[tokio::test]
async fn tokens_sign_what_the_cluster_says_and_go_when_their_time_is_over() {
    let cluster = cluster().await;
    let info = "/api/v1/namespaces/kube-public/configmaps/cluster-info";
    cluster.create(SECRETS, token("abcdef", "2099-01-01T00:00:00Z")).await;
    let signed = cluster.until(info, "signed", |info| info["data"]["jws-kubeconfig-abcdef"].is_string()).await;
    let token_half = berth_identity::bootstrap::BootstrapToken::parse("abcdef.0123456789abcdef").unwrap();
    let text = |key: &str| signed["data"][key].as_str().unwrap().to_owned();
    assert!(berth_identity::bootstrap::verify_detached(
        &text("kubeconfig"),
        &text("jws-kubeconfig-abcdef"),
        &token_half
    ));
    cluster.create(SECRETS, token("expire", "2020-01-01T00:00:00Z")).await;
    cluster.until_gone(&format!("{SECRETS}/bootstrap-token-expire")).await;
    cluster.delete(&format!("{SECRETS}/bootstrap-token-abcdef"), "Background").await;
    cluster.until(info, "without the signature", |info| info["data"]["jws-kubeconfig-abcdef"].is_null()).await;
}
