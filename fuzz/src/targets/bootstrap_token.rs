//! Bootstrap tokens and the Secrets that hold them: nothing made of noise is believed.

use std::sync::OnceLock;

use berth_identity::bootstrap::{BootstrapToken, Usage, ca_hash, check, verify_detached};
use berth_identity::service_account::split_username;

use crate::input;

pub(crate) fn run(bytes: &[u8]) {
    static OTHER: OnceLock<BootstrapToken> = OnceLock::new();
    let other = OTHER.get_or_init(|| BootstrapToken::generate().unwrap());
    let _ = ca_hash(bytes);
    let Some([token, secret]) = input::parts::<2>(bytes) else { return };
    assert!(!verify_detached("content", token, other));
    if let Some((namespace, name)) = split_username(token) {
        assert_eq!(berth_identity::service_account::username(namespace, name), token);
    }
    let secret = input::json(secret).unwrap_or_default();
    assert!(check(other, &secret, Usage::Authentication, 0).is_err(), "a secret that nobody knows");
    let Some(token) = BootstrapToken::parse(token) else { return };
    assert_eq!(BootstrapToken::parse(&token.reveal()).map(|again| again.reveal()), Some(token.reveal()));
    assert!(!format!("{token:?}").contains(token.reveal_secret()), "a secret is not printed");
    if let Ok(subject) =
        check(&token, &secret, Usage::Signing, 0).or_else(|_| check(&token, &secret, Usage::Authentication, 0))
    {
        assert!(format!("{subject:?}").contains(&token.id));
    }
}
