//! Who somebody is: JWS, service account and OIDC tokens, passwords, LDAP, bootstrap tokens, signing requests.
//!
//! Nothing here knows of the API server: clocks, keys, files and objects are handed in, and what comes out is a
//! [`Subject`] or an error whose text never holds a secret.

pub mod bootstrap;
pub mod csr;
mod der;
pub mod files;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod jws;
pub mod ldap;
pub mod oidc;
pub mod password;
mod random;
pub mod service_account;
pub mod session;
mod subject;
mod trust;

pub use subject::{EXTRA_CREDENTIAL_ID, Subject};
