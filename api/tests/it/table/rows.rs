//! The table in `docs/compatibility.md` speaks of tests that there are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where a name of a test points to: `life/x::y` and `clients/x::y` beside the tests of this crate.
const PLACES: &[(&str, &str)] =
    &[("life/", "controllers/tests/life"), ("clients/", "e2e/tests/clients"), ("stories/", "e2e/tests/stories")];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn file_of(module: &str) -> PathBuf {
    for (prefix, place) in PLACES {
        if let Some(name) = module.strip_prefix(prefix) {
            return repository().join(place).join(format!("{name}.rs"));
        }
    }
    repository().join("api/tests/it").join(format!("{module}.rs"))
}

#[test]
fn every_row_of_the_table_names_tests_that_there_are() {
    let text = fs::read_to_string(repository().join("docs/compatibility.md")).unwrap();
    let mut sources: BTreeMap<PathBuf, String> = BTreeMap::new();
    let (mut wrong, mut count) = (vec![], 0);
    let is_row =
        |line: &&str| line.strip_prefix("| C").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    for line in text.lines().filter(is_row) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        count += 1;
        let [id, behaviour, state, tests, why] = cells[..] else {
            wrong.push(format!("five cells a row: {line}"));
            continue;
        };
        if id != format!("C{count:03}") || behaviour.is_empty() {
            wrong.push(format!("{id}: the rows are numbered from C001 on"));
        }
        match state {
            "pass" => {}
            "partial" | "absent" if !why.is_empty() => {}
            _ => wrong.push(format!("{id}: {state:?} needs a reason, or is no state")),
        }
        if tests.is_empty() && state != "absent" {
            wrong.push(format!("{id}: no test"));
        }
        for name in tests.split('`').skip(1).step_by(2) {
            let Some((module, function)) = name.split_once("::") else {
                wrong.push(format!("{id}: {name} is no module::test"));
                continue;
            };
            let file = file_of(module);
            let source = sources.entry(file.clone()).or_insert_with(|| fs::read_to_string(&file).unwrap_or_default());
            if !source.contains(&format!("fn {function}(")) {
                wrong.push(format!("{id}: {name} is not in {}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 169, "{count} rows");
}
