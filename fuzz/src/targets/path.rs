//! Paths: what is read is read again from how it is written, and no part of it breaks out of its place.

use berth_api::fuzzing::{Place, path};

use crate::input;

pub(crate) fn run(bytes: &[u8]) {
    let Some(text) = input::text(bytes) else { return };
    match path(text) {
        Ok(Some(place)) => {
            let parts = [Some(&place.group), Some(&place.plural), place.namespace.as_ref(), place.name.as_ref()];
            for part in parts.into_iter().flatten() {
                assert!(!part.contains(['/', '\0']), "{part:?} breaks out of its place in a key");
            }
            for name in [place.namespace.as_ref(), place.name.as_ref()].into_iter().flatten() {
                assert!(!name.is_empty() && name != "." && name != "..", "{name:?}");
            }
            if !place.is_deep {
                assert_eq!(path(&written(&place)), Ok(Some(place)));
            }
        }
        Ok(None) => {}
        Err((code, why)) => {
            assert!(matches!(code, 400 | 404), "{code}");
            assert!(why.len() <= 12 * text.len() + 256);
        }
    }
}

fn written(place: &Place) -> String {
    let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let mut out = match place.group.as_str() {
        "" => "/api".to_owned(),
        group => format!("/apis/{}", encoded(group)),
    };
    out.push_str(&format!("/{}", encoded(&place.version)));
    if place.watch_prefix {
        out.push_str("/watch");
    }
    // A namespace is its own place in the core group.
    let is_namespace = place.group.is_empty() && place.plural == "namespaces";
    if let (Some(namespace), false) = (&place.namespace, is_namespace && place.namespace == place.name) {
        out.push_str(&format!("/namespaces/{}", encoded(namespace)));
    }
    out.push_str(&format!("/{}", if is_namespace { "namespaces".to_owned() } else { encoded(&place.plural) }));
    if let Some(name) = &place.name {
        out.push_str(&format!("/{}", encoded(name)));
    }
    if let Some(subresource) = &place.subresource {
        out.push_str(&format!("/{}", if is_namespace { subresource.clone() } else { encoded(subresource) }));
    }
    out
}
