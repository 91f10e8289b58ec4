//! Whom to trust: `kube-public/cluster-info` is read over a connection that nobody vouches for, and believed only when
//! the token's signature and the authority's hash fit. Everything else goes over verified TLS.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use berth_client::kube;
use berth_client::{Session, Target};
use berth_identity::bootstrap::{BootstrapToken, ca_hash, ca_hash_matches, verify_detached};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;

use crate::failure::{Failure, Outcome};

const CLUSTER_INFO: &str = "/api/v1/namespaces/kube-public/configmaps/cluster-info";

/// The cluster's authority (PEM).
///
/// # Errors
/// When the cluster is not the one that the token and the hash speak of.
pub(super) async fn authority(
    server: &str,
    token: &BootstrapToken,
    hashes: &[String],
    ca_file: Option<&Path>,
) -> Outcome<String> {
    if let Some(path) = ca_file {
        let pem = std::fs::read_to_string(path)
            .map_err(|e| Failure::new(format!("could not read {}: {e}", path.display())))?;
        certificates(&pem)
            .filter(|all| !all.is_empty())
            .ok_or_else(|| Failure::new(format!("{} holds no certificate in PEM form", path.display())))?;
        return Ok(pem);
    }
    if hashes.is_empty() {
        return Err(Failure::usage(
            "joining takes the hash of the cluster's authority: --ca-hash sha256:…, or --ca-file",
        )
        .hint("`berth token create` prints the whole command"));
    }
    let mut config = config(server)?;
    // Nothing secret is sent over this connection, and nothing is believed that comes over it unchecked.
    config.accept_invalid_certs = true;
    let info = connect(server, config)?.get(CLUSTER_INFO).await.map_err(|error| match error.code() {
        401 | 403 | 404 => Failure::new(format!("{server} tells nothing about its cluster: {error}"))
            .hint("name its authority with --ca-file FILE, or ask its administrator"),
        _ => error.into(),
    })?;
    check(&info, token, hashes)
}

/// The authority in `cluster-info`, if it is to be believed.
fn check(info: &Value, token: &BootstrapToken, hashes: &[String]) -> Outcome<String> {
    let broken = || Failure::new("the cluster's kube-public/cluster-info cannot be read");
    let content = info["data"]["kubeconfig"].as_str().ok_or_else(broken)?;
    let Some(signature) = info["data"][format!("jws-kubeconfig-{}", token.id)].as_str() else {
        return Err(Failure::new(format!(
            "the cluster does not know the token {}.…: it is wrong, or its time is over",
            token.id
        ))
        .hint("make another one where you administer the cluster: berth token create")
        .hint("the cluster's controllers must run: they sign with new tokens"));
    };
    if !verify_detached(content, signature, token) {
        return Err(Failure::new(format!("the cluster's description is not signed with the token {}.…", token.id))
            .hint("the token's second half is wrong, or this is not the cluster that gave it"));
    }
    let file: Value = serde_saphyr::from_str(content).map_err(|_| broken())?;
    let data = file["clusters"][0]["cluster"]["certificate-authority-data"].as_str().ok_or_else(broken)?;
    let pem = STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(broken)?;
    let all = certificates(&pem).filter(|all| !all.is_empty()).ok_or_else(broken)?;
    // Each of a bundle must be named: one that is not would be trusted for nothing.
    for certificate in &all {
        if !ca_hash_matches(certificate, hashes) {
            let found = ca_hash(certificate).unwrap_or_default();
            return Err(Failure::new(format!("the cluster's authority is {found}, which --ca-hash does not name"))
                .hint("this is another cluster than the one that you mean, or somebody is in between"));
        }
    }
    Ok(pem)
}

/// A connection to the true cluster, in the name of the token's bearer.
///
/// # Errors
/// When the authority cannot be used.
pub(super) fn bearer(server: &str, ca_pem: &str, token: &BootstrapToken) -> Outcome<Session> {
    let mut config = config(server)?;
    let roots = certificates(ca_pem).unwrap_or_default();
    config.root_cert = Some(roots.iter().map(|certificate| certificate.to_vec()).collect());
    config.auth_info.token = Some(token.reveal().into());
    connect(server, config)
}

fn config(server: &str) -> Outcome<kube::Config> {
    let url = server.parse().map_err(|_| Failure::usage(format!("{server} is no address")))?;
    let mut config = kube::Config::new(url);
    config.default_retry = false;
    Ok(config)
}

fn connect(server: &str, config: kube::Config) -> Outcome<Session> {
    let target = Target {
        config,
        server: server.to_owned(),
        namespace: "default".to_owned(),
        path: "the command line".into(),
        context: String::new(),
    };
    Ok(Session::connect(&target)?)
}

/// The certificates of a PEM text; `None` when one is broken.
fn certificates(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>().ok()
}

#[cfg(test)]
mod tests {
    use berth_api::pki::Pki;
    use berth_identity::bootstrap::sign_detached;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cluster_is_believed_when_token_and_hash_fit() {
        let dir = std::env::temp_dir().join(format!("berth-discover-{}", std::process::id()));
        let pem = Pki::open(&dir).unwrap().ca_pem().to_owned();
        std::fs::remove_dir_all(&dir).unwrap();
        let token = BootstrapToken::parse("abcdef.0123456789abcdef").unwrap();
        let content =
            json!({"clusters": [{"cluster": {"certificate-authority-data": STANDARD.encode(&pem)}}]}).to_string();
        let info = |jws: &str| json!({"data": {"kubeconfig": content, "jws-kubeconfig-abcdef": jws}});
        let good = info(&sign_detached(&content, &token));
        let hash = ca_hash(&certificates(&pem).unwrap()[0]).unwrap();
        assert_eq!(check(&good, &token, std::slice::from_ref(&hash)).unwrap(), pem);
        let said = |info: &Value, token: &BootstrapToken, hash: &str| {
            check(info, token, &[hash.to_owned()]).unwrap_err().message
        };
        let other = format!("sha256:{}", "0".repeat(64));
        assert!(said(&good, &token, &other).starts_with(&format!("the cluster's authority is {hash}")));
        let liar = BootstrapToken::parse("abcdef.0123456789abcdee").unwrap();
        assert!(said(&good, &liar, &hash).contains("not signed with the token abcdef.…"));
        assert!(said(&info("x..y"), &token, &hash).contains("not signed"));
        let stranger = BootstrapToken::parse("fedcba.0123456789abcdef").unwrap();
        assert!(said(&good, &stranger, &hash).contains("does not know the token fedcba.…"));
        assert!(said(&json!({}), &token, &hash).contains("cannot be read"));
    }
}
