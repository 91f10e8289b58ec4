//! Generated files that are checked in, so that a change of the API is a change that a person reads.
//! `make crds` renews them.

// In tests a failed unwrap is a failed test.
#![allow(clippy::unwrap_used)]

use std::fs;

use berth_e2e::repository;

#[test]
fn definitions_in_manifests_are_those_of_the_types() {
    let directory = repository().join("manifests/crds");
    let renew = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut names = vec![];
    for crd in berth_types::crds::all() {
        let name = format!("{}.yaml", crd.spec.names.plural);
        let value = serde_json::to_value(&crd).unwrap();
        let text = serde_saphyr::to_string(&value).unwrap();
        let path = directory.join(&name);
        if renew {
            fs::write(&path, &text).unwrap();
        }
        let current = fs::read_to_string(&path).unwrap_or_default();
        assert!(current == text, "{} is not what the types say: make crds", path.display());
        names.push(name);
    }
    let strangers: Vec<_> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !names.contains(name))
        .collect();
    assert!(strangers.is_empty(), "no kind makes {strangers:?}");
}
