//! Fresh certificates while the agent runs: at a point between 70 and 90 % of a certificate's life a new one is asked
//! for, in the node's own name. New handshakes show it; nothing is restarted, and no task notices.

use std::sync::Arc;
use std::time::Duration;

use berth_client::Session;
use berth_identity::csr::Issued;
use tokio_util::sync::CancellationToken;

use super::home::{Home, Purpose};
use super::{Who, client, new_serving, now};
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
            let issued = client(&self.session, &self.home, &self.who, TRY_WITHIN, &mut say).await?;
            self.home.write_client(self.session.server(), &self.home.ca_pem()?, &self.who.user(), &issued)?;
            showing.replace(&issued.certificate_pem, &issued.key_pem)?;
            self.home.forget_pending(Purpose::Client);
            told("client", &issued.certificate_pem)?;
        }
        if self.serving_due() <= now {
            let issued = new_serving(&self.session, &self.home, &self.who, TRY_WITHIN, &mut say).await?;
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
