//! Names of a service's revisions and tasks: made from what they are, so that a second try finds the first one.

use berth_types::TaskTemplate;
use sha2::{Digest, Sha256};

/// Letters and digits that cannot be mistaken for one another and spell no words.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// Length of a revision's hash. 27^5 are 14 million; a clash among a service's few revisions is resolved by salt.
const HASH_LEN: usize = 5;

pub use berth_types::names::{ANNOTATION_ACTIVATED_AT, ANNOTATION_FAILURES};

/// The hash of a template: five letters. Other salts give other hashes.
pub fn hash(template: &TaskTemplate, salt: u32) -> String {
    let mut digest = Sha256::new();
    // Field order is the type's, map order is sorted: the text is the same for equal templates.
    digest.update(serde_json::to_vec(template).unwrap_or_default());
    digest.update(salt.to_le_bytes());
    let bytes = digest.finalize();
    bytes.iter().take(HASH_LEN).map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect()
}

/// The name of a revision's object.
pub fn revision(service: &str, hash: &str) -> String {
    format!("{service}-{hash}")
}

/// The name of an instance's task; the first attempt has no number.
pub fn task(service: &str, hash: &str, instance: u32, attempt: u32) -> String {
    if attempt <= 1 { format!("{service}-{hash}-{instance}") } else { format!("{service}-{hash}-{instance}-{attempt}") }
}

/// Which attempt a task's name says it is: 1 when the name is not one of ours.
pub fn attempt(name: &str, service: &str, hash: &str, instance: u32) -> u32 {
    let base = task(service, hash, instance, 1);
    name.strip_prefix(&base).and_then(|rest| rest.strip_prefix('-')).and_then(|n| n.parse().ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_instance_and_attempt() {
        assert_eq!(task("hello", "7f9c4", 0, 1), "hello-7f9c4-0");
        assert_eq!(task("hello", "7f9c4", 0, 2), "hello-7f9c4-0-2");
        assert_eq!(attempt("hello-7f9c4-0-12", "hello", "7f9c4", 0), 12);
        assert_eq!(attempt("hello-7f9c4-0", "hello", "7f9c4", 0), 1);
    }

    #[test]
    fn equal_templates_have_equal_hashes_and_salt_changes_them() {
        let template = TaskTemplate::default();
        assert_eq!(hash(&template, 0), hash(&template.clone(), 0));
        assert_ne!(hash(&template, 0), hash(&template, 1));
        assert_eq!(hash(&template, 0).len(), HASH_LEN);
    }
}
