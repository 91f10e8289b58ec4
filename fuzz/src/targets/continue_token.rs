//! Continue tokens: what is read is the same when it is written and read again.

use berth_api::fuzzing::{continue_token, make_continue_token};

use crate::input;

pub(crate) fn run(bytes: &[u8]) {
    let Some(text) = input::text(bytes) else { return };
    for namespaced in [true, false] {
        if let Ok((revision, (namespace, name))) = continue_token(text, namespaced) {
            let again = make_continue_token(revision, &namespace, &name);
            // A place without a name is no place of an object: it only has to be harmless.
            if namespace.is_empty() || !name.is_empty() {
                assert_eq!(continue_token(&again, namespaced), Ok((revision, (namespace, name))));
            }
        }
    }
    let plain = |c: char| c != '/' && c != '\0';
    let name: String = text.chars().filter(|c| plain(*c)).collect();
    if !name.is_empty() {
        let token = make_continue_token(7, "default", &name);
        assert_eq!(continue_token(&token, true), Ok((7, ("default".to_owned(), name))));
    }
}
