//! The files that say who may log in: refused with a reason, or taken.

use berth_identity::ldap;
use berth_identity::oidc::{AuthenticationConfiguration, Providers};

use crate::input;

pub(crate) fn run(bytes: &[u8]) {
    let Some(text) = input::text(bytes) else { return };
    if let Ok(config) = ldap::Config::parse(text) {
        let shown = format!("{config:?}");
        assert!(!shown.is_empty());
    }
    if let Ok(config) = AuthenticationConfiguration::parse(text) {
        let first = Providers::new(&config, &[]).map(|providers| providers.is_empty()).map_err(|e| e.to_string());
        let again = Providers::new(&config, &[]).map(|providers| providers.is_empty()).map_err(|e| e.to_string());
        assert_eq!(first, again);
        let issuers: Vec<String> = config.jwt.iter().map(|jwt| jwt.issuer.url.clone()).collect();
        if !issuers.is_empty() {
            assert!(Providers::new(&config, &issuers).is_err(), "an issuer of our own is no provider");
        }
    }
}
