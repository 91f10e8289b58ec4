//! Runs the target that `BERTH_FUZZ_TARGET` names under libFuzzer.

#![no_main]

use std::sync::OnceLock;

static TARGET: OnceLock<berth_fuzz::Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        let name = std::env::var("BERTH_FUZZ_TARGET").unwrap_or_default();
        let known = || berth_fuzz::TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ");
        let run = berth_fuzz::target(&name).unwrap_or_else(|| panic!("BERTH_FUZZ_TARGET is one of: {}", known()));
        TARGET.get_or_init(|| run);
    },
    |bytes: &[u8]| {
        if let Some(run) = TARGET.get() {
            run(bytes);
        }
    }
);
