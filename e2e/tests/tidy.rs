//! The house rules that a machine can check: which crate may import which, files that say what they are for,
//! test names that are sentences, examples that are of their kind, links that lead somewhere.

// In tests a failed unwrap is a failed test.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use berth_e2e::repository;

/// Each crate's layer; a crate may import lower layers only. See ARCHITECTURE.md.
const LAYERS: &[(&str, u8)] = &[
    ("berth-types", 1),
    ("berth-store", 1),
    ("berth-cel", 0),
    ("berth-schema", 1),
    ("berth-identity", 1),
    ("berth-access", 1),
    ("berth-flow", 1),
    ("berth-offers", 1),
    ("berth-container", 1),
    ("berth-client", 2),
    ("berth-api", 3),
    ("berth-controllers", 3),
    ("berth-agent", 3),
    ("berth", 4),
    // Beside the binary: what it turns on for fuzzing never gets into what ships.
    ("berth-fuzz", 4),
    ("berth-e2e", 5),
];

/// Crates that must not see the API's types: others translate for them.
const WITHOUT_API_TYPES: &[&str] = &[
    "berth-store",
    "berth-cel",
    "berth-schema",
    "berth-identity",
    "berth-access",
    "berth-flow",
    "berth-offers",
    "berth-container",
];

#[test]
fn crates_import_downwards_only() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(repository())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let layers: BTreeMap<_, _> = LAYERS.iter().copied().collect();
    let mut wrong = vec![];
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let layer =
            *layers.get(name).unwrap_or_else(|| panic!("{name} has no layer: add it to LAYERS and to ARCHITECTURE.md"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let target = dependency["name"].as_str().unwrap();
            // What only tests use is no arrow of the product.
            let Some(below) = layers.get(target).filter(|_| dependency["kind"].is_null()) else { continue };
            if *below >= layer {
                wrong.push(format!("{name} (layer {layer}) must not import {target} (layer {below})"));
            }
            if target == "berth-types" && WITHOUT_API_TYPES.contains(&name) {
                wrong.push(format!("{name} must not see the API's types"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_source_file_says_what_it_is_for() {
    let silent: Vec<_> = files("rs")
        .into_iter()
        .filter(|path| !fs::read_to_string(path).unwrap().trim_start().starts_with("//!"))
        .map(|path| path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "no module doc on top of:\n{}", silent.join("\n"));
}

#[test]
fn tests_are_named_by_what_they_claim() {
    let mut wrong = vec![];
    for path in files("rs") {
        let text = fs::read_to_string(&path).unwrap();
        for (index, line) in text.lines().enumerate() {
            if line.trim_start().trim_start_matches("async ").starts_with(concat!("fn ", "test_")) {
                wrong.push(format!("{}:{}: {}", path.display(), index + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "a test's name is a sentence, without a prefix:\n{}", wrong.join("\n"));
}

#[test]
fn nothing_is_left_for_later_in_code() {
    let mut wrong = vec![];
    for path in files("rs") {
        let text = fs::read_to_string(&path).unwrap();
        for marker in [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("dbg", "!(")] {
            if text.contains(marker) {
                wrong.push(format!("{}: {marker}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn examples_are_of_their_kind() {
    for path in files("yaml").into_iter().filter(|path| path.to_string_lossy().contains("manifests/examples")) {
        let text = fs::read_to_string(&path).unwrap();
        let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(&text).unwrap();
        for document in documents {
            let kind = document["kind"].as_str().unwrap().to_owned();
            let parsed = match kind.as_str() {
                "Service" => serde_json::from_value::<berth_types::Service>(document).map(drop),
                "Job" => serde_json::from_value::<berth_types::Job>(document).map(drop),
                other => panic!("{}: teach this test about {other}", path.display()),
            };
            parsed.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
        assert!(text.starts_with("# "), "{} does not say what it shows", path.display());
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut dead = vec![];
    for page in files("md") {
        let text = fs::read_to_string(&page).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            if !page.parent().unwrap().join(target).exists() {
                dead.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

/// The project's files of that ending, without what is built.
fn files(ending: &str) -> Vec<PathBuf> {
    let mut found = vec![];
    walk(&repository(), ending, &mut found);
    assert!(!found.is_empty());
    found
}

fn walk(directory: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if entry.file_type().unwrap().is_dir() {
            if !name.starts_with('.') && name != "target" && name != "node_modules" {
                walk(&path, ending, found);
            }
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
}
