//! Fresh certificates while the agent runs: at a point between 70 and 90 % of a certificate's life a new one is asked
//! for, in the node's own name. New handshakes show it; nothing is restarted, and no task notices.

use std::sync::Arc;
use std::time::Duration;

use berth_client::Session;
use berth_identity::csr::Issued;
use tokio_util::sync::CancellationToken;

use super::home::{Home, Purpose};
use super::{Who, ask, now};
use crate::daemon::reload::Reloading;
use crate::failure::{Failure, Outcome};

/// A pause after a certificate could not be had: the old one has days or months left.
const RETRY: Duration = Duration::from_secs(60);
/// The clock is looked at again at least this often: a machine may sleep, or have its clock set.
const LOOK: Duration = Duration::from_secs(600);
/// How long one try may take. A request that waits for a person is found again by the next.
const TRY_WITHIN: Duration = Duration::from_secs(300);

/// What is kept fresh.
#[derive(Debug)]
pub(crate) struct Rotation {
    pub(crate) home: Home,
    pub(crate) who: Who,
    pub(crate) session: Session,
    /// What the node shows to the API server; `None` when its kubeconfig holds no certificate.
    pub(crate) client: Option<Arc<Reloading>>,
    /// What the agent's server shows.
    pub(crate) serving: Arc<Reloading>,
}

impl Rotation {
    /// Keeps the certificates fresh until told to stop.
    pub(crate) async fn keep(self, stop: CancellationToken) {
        loop {
            let left = self.due().saturating_sub(now());
            let pause = if left > 0 {
                Duration::from_secs(left.unsigned_abs()).min(LOOK)
            } else {
                match self.renew().await {
                    Ok(()) => RETRY,
                    Err(failure) => {
                        tracing::warn!(error = failure.message, "could not get a new certificate: trying again");
                        RETRY
                    }
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// When the next certificate is due, in seconds since 1970.
    fn due(&self) -> i64 {
        self.client_due().into_iter().chain([self.serving_due()]).min().unwrap_or(i64::MAX)
    }

    fn client_due(&self) -> Option<i64> {
        self.client.as_ref()?;
        let kept = self.home.client(&self.who.user(), now()).and_then(|kept| Issued::parse(&kept.certificate_pem));
        Some(kept.map_or(0, |kept| kept.renew_at()))
    }

    fn serving_due(&self) -> i64 {
        let kept = self.home.serving(now()).and_then(|kept| Issued::parse(&kept.certificate_pem));
        match kept {
            // The node has another address than at its last start.
            Some(kept) if !self.who.names.iter().all(|name| kept.names.contains(name)) => 0,
            Some(kept) => kept.renew_at(),
            None => 0,
        }
    }

    /// Gets what is due, and shows it.
    ///
    /// # Errors
    /// When the cluster gives none in time; what there is stays in use.
    async fn renew(&self) -> Outcome<()> {
        let (mut said, now) = (String::new(), now());
        let mut say = |text: &str| text.clone_into(&mut said);
        if let Some(showing) = &self.client
            && self.client_due().is_some_and(|due| due <= now)
        {
            let issued = ask(&self.session, &self.home, &self.who, Purpose::Client, TRY_WITHIN, &mut say).await?;
            self.home.write_client(self.session.server(), &self.home.ca_pem()?, &self.who.user(), &issued)?;
            showing.replace(&issued.certificate_pem, &issued.key_pem)?;
            self.home.forget_pending(Purpose::Client);
            told("client", &issued.certificate_pem)?;
        }
        if self.serving_due() <= now {
            let issued = ask(&self.session, &self.home, &self.who, Purpose::Serving, TRY_WITHIN, &mut say).await?;
            self.home.write_serving(&issued)?;
            self.serving.replace(&issued.certificate_pem, &issued.key_pem)?;
            self.home.forget_pending(Purpose::Serving);
            told("serving", &issued.certificate_pem)?;
        }
        Ok(())
    }
}

/// Logs a new certificate; one that would be due at once is an error, so that nobody asks in a circle.
fn told(purpose: &str, certificate_pem: &str) -> Outcome<()> {
    let issued = Issued::parse(certificate_pem).filter(|issued| issued.renew_at() > now());
    let issued = issued.ok_or_else(|| Failure::new(format!("the new {purpose} certificate has no time left")))?;
    tracing::info!(purpose, not_after = issued.not_after, "a new certificate is in use");
    Ok(())
}

#[cfg(test)]
mod tests {
    use berth_api::pki::{Identity, Pki};
    use berth_api::{ApiServer, Config, UserInfo};
    use berth_controllers::Options;
    use berth_identity::csr::{self, NODES};

    use super::*;
    use crate::daemon::signing;

    /// A certificate whose time is nearly over.
    fn old(authority: &csr::Authority, who: &Who, usage: &str, names: &[String]) -> Identity {
        let key_pem = csr::new_key().unwrap();
        let request = csr::make(&key_pem, &who.user(), &[NODES], names).unwrap();
        let usages = ["digital signature".to_owned(), usage.to_owned()];
        let request = csr::Request::parse(&request).unwrap();
        // Begun nine minutes ago, for ten.
        let certificate_pem = authority.sign(&request, &usages, 600, now() - 540).unwrap();
        Identity { certificate_pem, key_pem }
    }

    #[tokio::test]
    async fn old_certificates_are_replaced_while_they_are_in_use() {
        let dir = std::env::temp_dir().join(format!("berth-rotate-{}", std::process::id()));
        let pki = Pki::open(&dir.join("pki")).unwrap();
        let authority = signing::open(&dir.join("pki/ca.crt"), &dir.join("pki/ca.key")).unwrap();
        let server = ApiServer::open(Config::default()).await.unwrap();
        let stop = CancellationToken::new();
        let mut options = Options::new("test", stop.clone());
        options.authority = Some(Arc::clone(&authority));
        let controllers = berth_controllers::run(server.client(UserInfo::controllers()), options).await.unwrap();

        let who = Who { node: "n1".to_owned(), names: vec!["n1".to_owned(), "127.0.0.1".to_owned()] };
        let home = Home::new(&dir.join("certs"));
        let client = old(&authority, &who, "client auth", &[]);
        home.write_client("https://127.0.0.1:1", pki.ca_pem(), &who.user(), &client).unwrap();
        let serving = old(&authority, &who, "server auth", &who.names);
        home.write_serving(&serving).unwrap();
        let session = Session::from_client(server.client(UserInfo::node("n1")), "https://127.0.0.1:1");
        let rotation = Rotation {
            client: Some(Reloading::new(&client.certificate_pem, &client.key_pem).unwrap()),
            serving: Reloading::new(&serving.certificate_pem, &serving.key_pem).unwrap(),
            home: home.clone(),
            who: who.clone(),
            session,
        };
        assert!(rotation.due() <= now());
        rotation.renew().await.unwrap();
        assert!(rotation.due() > now() + 24 * 3600, "a year's worth of time");
        assert_ne!(home.client_of(&who).unwrap().certificate_pem, client.certificate_pem);
        assert_ne!(home.serving(now()).unwrap().key_pem, serving.key_pem);

        // Another address needs another certificate.
        let moved = Rotation { who: Who { names: vec!["n1".to_owned(), "127.0.0.2".to_owned()], ..who }, ..rotation };
        assert_eq!(moved.due(), 0);
        moved.renew().await.unwrap();
        assert!(moved.due() > now());
        stop.cancel();
        controllers.stopped().await;
        server.stop();
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
