//! Tokens and sets of keys: nothing made of noise is believed, and claims survive being signed.

use std::sync::OnceLock;

use berth_identity::jws::{Compact, parse_set, print_set, sign};
use berth_identity::service_account::{Issuer, KeySet};
use berth_identity::session;

use crate::input;

const NOW: i64 = 1_800_000_000;

pub(crate) fn run(bytes: &[u8]) {
    static KEYS: OnceLock<KeySet> = OnceLock::new();
    let keys = KEYS.get_or_init(|| KeySet::in_memory().unwrap());
    if let Ok(set) = parse_set(bytes) {
        let printed = print_set(&set).to_string();
        assert_eq!(parse_set(printed.as_bytes()).map(|again| again.len()), Ok(set.len()));
    }
    let Some(text) = input::text(bytes) else { return };
    assert!(Issuer::new("https://berth").verify(keys, text, &[], NOW).is_err());
    assert!(session::verify(keys, text, NOW).is_err());
    if let Ok(compact) = Compact::parse(text) {
        assert!(compact.verify(keys.verifying()).is_err());
        let _ = compact.unverified_claims();
        assert!(!format!("{compact:?}").contains(text), "a token is not printed");
    }
    let Some(claims) = input::json(text).filter(|_| text.len() < 1024) else { return };
    let token = sign(keys.signing(), &claims).unwrap();
    let read = Compact::parse(&token).unwrap();
    assert_eq!(read.unverified_claims(), Some(claims));
    assert!(read.verify(keys.verifying()).is_ok());
    // Claims of a stranger's choice under our own key: refused or taken, never a panic.
    let _ = Issuer::new("https://berth").verify(keys, &token, &[], NOW);
    let _ = session::verify(keys, &token, NOW);
}
