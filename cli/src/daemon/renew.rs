//! The certificates that a cluster makes for itself, made anew while it runs, long before their end.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use berth_api::pki::{Identity, Pki, PkiError};
use tokio_util::sync::CancellationToken;

use super::process::chain;
use super::reload::Reloading;

/// How often the certificates are looked at: they are made anew when they have months left.
const LOOK: Duration = Duration::from_secs(6 * 3600);

type Make = dyn Fn(&Pki) -> Result<Identity, PkiError> + Send + Sync;

/// A certificate that is in use, and how it is had: the kept one, or a new one when that is close to its end.
pub(crate) struct Kept {
    showing: Arc<Reloading>,
    make: Box<Make>,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

impl Kept {
    pub(crate) fn new(
        showing: Arc<Reloading>,
        make: impl Fn(&Pki) -> Result<Identity, PkiError> + Send + Sync + 'static,
    ) -> Self {
        Self { showing, make: Box::new(make) }
    }

    fn renew(&self, pki: &Pki) -> Result<(), String> {
        let identity = (self.make)(pki).map_err(|error| chain(&error))?;
        self.showing.replace(&identity.certificate_pem, &identity.key_pem).map_err(|failure| failure.message)
    }
}

/// Keeps certificates of the authority in `dir` fresh until told to stop.
pub(crate) async fn keep(dir: PathBuf, kept: Vec<Kept>, stop: CancellationToken) {
    let kept = Arc::new(kept);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let (dir, kept) = (dir.clone(), Arc::clone(&kept));
        let done = tokio::task::spawn_blocking(move || {
            let pki = Pki::open(&dir).map_err(|error| chain(&error))?;
            kept.iter().try_for_each(|kept| kept.renew(&pki))
        });
        if let Ok(Err(error)) = done.await {
            tracing::error!(error, "could not make the cluster's certificates anew");
        }
    }
}
