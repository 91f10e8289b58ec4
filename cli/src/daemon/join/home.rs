//! The certs directory of a node: `node.kubeconfig`, `ca.crt`, `tls.crt`, `tls.key`, and keys whose certificates are
//! still awaited.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use berth_api::kubeconfig::{self, Credentials};
use berth_api::pki::Identity;
use berth_identity::csr::{self, Issued};
use serde_json::Value;

use crate::daemon::certs::NODE_KUBECONFIG;
use crate::failure::{Failure, Outcome};

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be the node at the API.
    Client,
    /// The agent's own server.
    Serving,
}

impl Purpose {
    fn pending(self) -> &'static str {
        match self {
            Self::Client => "node.key.pending",
            Self::Serving => "tls.key.pending",
        }
    }
}

/// The directory.
#[derive(Clone, Debug)]
pub(crate) struct Home(PathBuf);

impl Home {
    pub(crate) fn new(dir: &Path) -> Self {
        Self(dir.to_owned())
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.0.join(NODE_KUBECONFIG)
    }

    /// The authority that the node trusts.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn ca_pem(&self) -> Outcome<String> {
        self.read("ca.crt")
    }

    /// The client certificate of the kubeconfig, when it is `user`'s and good at `now`.
    pub(crate) fn client(&self, user: &str, now: i64) -> Option<Identity> {
        let text = std::fs::read_to_string(self.kubeconfig()).ok()?;
        let file: Value = serde_saphyr::from_str(&text).ok()?;
        let data = |field: &str| {
            let bytes = STANDARD.decode(file["users"][0]["user"][field].as_str()?).ok()?;
            String::from_utf8(bytes).ok()
        };
        let kept = Identity { certificate_pem: data("client-certificate-data")?, key_pem: data("client-key-data")? };
        (is_good(&kept, now)?.common_name == user).then_some(kept)
    }

    /// The same for a node, now.
    pub(crate) fn client_of(&self, who: &super::Who) -> Option<Identity> {
        self.client(&who.user(), super::now())
    }

    /// The serving certificate, when it is good at `now`.
    pub(crate) fn serving(&self, now: i64) -> Option<Identity> {
        let read = |name: &str| std::fs::read_to_string(self.0.join(name)).ok();
        let kept = Identity { certificate_pem: read("tls.crt")?, key_pem: read("tls.key")? };
        is_good(&kept, now)?;
        Some(kept)
    }

    /// The key that a certificate is asked for: a new one, or the one that a try before this one began with.
    ///
    /// # Errors
    /// When it cannot be made or kept.
    pub(crate) fn pending_key(&self, purpose: Purpose) -> Outcome<String> {
        let path = self.0.join(purpose.pending());
        if let Ok(key) = std::fs::read_to_string(&path)
            && csr::request_name(&key, "").is_some()
        {
            return Ok(key);
        }
        let key = csr::new_key().map_err(|e| Failure::new(e.to_string()))?;
        self.write(purpose.pending(), &key)?;
        Ok(key)
    }

    /// The key has its certificate, or will get none.
    pub(crate) fn forget_pending(&self, purpose: Purpose) {
        // One that stays is asked for again, and gives the same certificate: harmless.
        let _ = std::fs::remove_file(self.0.join(purpose.pending()));
    }

    /// Keeps who the node is, and whom it trusts. The kubeconfig comes last: with it everything is there.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn write_client(&self, server: &str, ca_pem: &str, user: &str, issued: &Identity) -> Outcome<()> {
        self.write("ca.crt", ca_pem)?;
        self.write(NODE_KUBECONFIG, &kubeconfig::text(server, ca_pem, user, Credentials::Certificate(issued)))
    }

    /// Keeps the serving certificate. A crash between the two leaves a pair that does not fit and is made again.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn write_serving(&self, issued: &Identity) -> Outcome<()> {
        self.write("tls.key", &issued.key_pem)?;
        self.write("tls.crt", &issued.certificate_pem)
    }

    fn read(&self, name: &str) -> Outcome<String> {
        let path = self.0.join(name);
        std::fs::read_to_string(&path).map_err(|e| {
            Failure::new(format!("could not read {}: {e}", path.display()))
                .hint("join a cluster: berth agent --join https://HOST:7443 --token-file FILE --ca-hash sha256:…")
                .hint(format!(
                    "or make it where the API server runs: berth certs issue node NAME --out {}",
                    self.0.display()
                ))
        })
    }

    fn write(&self, name: &str, text: &str) -> Outcome<()> {
        let path = self.0.join(name);
        let failed = |e: std::io::Error| {
            Failure::new(format!("could not write {}: {e}", path.display()))
                .hint("choose another place with --certs DIR")
        };
        std::fs::create_dir_all(&self.0).map_err(failed)?;
        kubeconfig::write(&path, text).map_err(failed)
    }
}

fn is_good(kept: &Identity, now: i64) -> Option<Issued> {
    let issued = Issued::parse(&kept.certificate_pem)?;
    (issued.is_valid_at(now) && issued.is_of_key(&kept.key_pem)).then_some(issued)
}

#[cfg(test)]
mod tests {
    use berth_api::pki::Pki;

    use super::*;

    #[test]
    fn only_a_certificate_that_fits_counts() {
        let dir = std::env::temp_dir().join(format!("berth-home-{}", std::process::id()));
        let (home, pki) = (Home::new(&dir.join("certs")), Pki::open(&dir.join("pki")).unwrap());
        let now = super::super::now();
        assert!(home.client("system:node:n1", now).is_none());
        let key = home.pending_key(Purpose::Client).unwrap();
        assert_eq!(home.pending_key(Purpose::Client).unwrap(), key, "a try goes on with its key");
        home.forget_pending(Purpose::Client);
        assert_ne!(home.pending_key(Purpose::Client).unwrap(), key);
        let issued = pki.node("n1", &["n1".to_owned()]).unwrap();
        home.write_client("https://127.0.0.1:1", pki.ca_pem(), "system:node:n1", &issued).unwrap();
        assert_eq!(home.client("system:node:n1", now).unwrap().certificate_pem, issued.certificate_pem);
        assert!(home.client("system:node:n2", now).is_none(), "another node's");
        assert!(home.client("system:node:n1", i64::MAX).is_none(), "too old");
        home.write_serving(&issued).unwrap();
        assert!(home.serving(now).is_some());
        std::fs::write(dir.join("certs/tls.key"), &key).unwrap();
        assert!(home.serving(now).is_none(), "another key's");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
