//! Every kept input again, and mutations of it: the same ones each time.

// In tests a failed unwrap is a failed test.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use berth_fuzz::mutate::{Random, mutate};
use berth_fuzz::{TARGETS, target};

/// Mutations of each target, over all of its files: what a debug build does in about a second.
const MUTATIONS: usize = 600;

fn files(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// Says what was read when the target panicked.
struct Told<'a>(&'a Path, &'a [u8], usize);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(path, bytes, round) = self;
            eprintln!("{} (mutation {round}): {:?}", path.display(), String::from_utf8_lossy(bytes));
        }
    }
}

fn replay(name: &str) {
    let run = target(name).unwrap();
    let files = files(name);
    assert!(files.len() >= 8, "{name} has {} inputs only", files.len());
    for (path, bytes) in &files {
        let _told = Told(path, bytes, 0);
        run(bytes);
    }
    let all: Vec<Vec<u8>> = files.iter().map(|(_, bytes)| bytes.clone()).collect();
    // Large inputs are there for what they cost themselves.
    let small: Vec<_> = files.iter().filter(|(_, bytes)| bytes.len() < 4096).collect();
    for round in 1..=MUTATIONS / small.len().max(1) {
        for (path, bytes) in &small {
            let seed = path.file_name().unwrap().to_string_lossy();
            let bytes = mutate(bytes, &all, &mut Random::new(&seed, round as u64));
            let _told = Told(path, &bytes, round);
            run(&bytes);
        }
    }
}

/// One test a target, so that they run side by side and a failure names its target.
macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*

        #[test]
        fn every_target_is_replayed() {
            let replayed = [$(stringify!($name)),*];
            assert_eq!(replayed.as_slice(), TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        }
    };
}

targets! {
    admission_answer apply audit_policy bootstrap_token cel continue_token csr der field_selector fields_v1 flow_schema
    identity_config json_body json_patch jsonpath jws kubeconfig label_selector ldap merge_patch openapi path
    protobuf_body quantity query schema strategic_patch yaml_body
}
