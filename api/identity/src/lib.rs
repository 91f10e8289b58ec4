//! Who somebody is: JWS, service account and OIDC tokens, passwords, LDAP, bootstrap tokens, signing requests.
//!
//! Nothing here knows of the API server: clocks, keys, files and objects are handed in, and what comes out is a
//! [`Subject`] or an error whose text never holds a secret.

mod der;
mod files;
pub mod jws;
mod random;
pub mod service_account;
pub mod session;
mod subject;

pub use subject::{EXTRA_CREDENTIAL_ID, Subject};
