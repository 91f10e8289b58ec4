//! The authority that the controllers sign certificates with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use berth_identity::csr::Authority;

use crate::failure::{Failure, Outcome};

/// Options about signing, under kube-controller-manager's names.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SigningArgs {
    /// The authority's certificate (PEM): with it approved requests for certificates are signed
    #[arg(long, value_name = "FILE", requires = "cluster_signing_key_file")]
    cluster_signing_cert_file: Option<PathBuf>,
    /// The authority's key (PEM)
    #[arg(long, value_name = "FILE", requires = "cluster_signing_cert_file")]
    cluster_signing_key_file: Option<PathBuf>,
}

impl SigningArgs {
    /// The authority, if one was named.
    ///
    /// # Errors
    /// When it cannot be used.
    pub(crate) fn authority(&self) -> Outcome<Option<Arc<Authority>>> {
        match (&self.cluster_signing_cert_file, &self.cluster_signing_key_file) {
            (Some(certificate), Some(key)) => open(certificate, key).map(Some),
            _ => Ok(None),
        }
    }
}

/// Opens an authority.
///
/// # Errors
/// When a file cannot be read, or the two do not belong together.
pub(crate) fn open(certificate: &Path, key: &Path) -> Outcome<Arc<Authority>> {
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|e| Failure::new(format!("could not read {}: {e}", path.display())))
    };
    let authority = Authority::open(&read(certificate)?, &read(key)?);
    let authority = authority.map_err(|e| Failure::new(format!("could not use {}: {e}", certificate.display())))?;
    Ok(Arc::new(authority))
}
