//! The long run without tools: `cargo run -p berth-fuzz --example hunt -- TARGET MUTATIONS [FIRST_ROUND]`.
//!
//! Each input runs on a stack as small as a test's. What panics is written to `fuzz/findings/TARGET`, what takes long
//! is told. When a stack overflows the process ends: `HUNT_TRACE=1` keeps the last input in `fuzz/findings/last`.

// In tools of ours a failed unwrap is a message to us.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;
use std::time::{Duration, Instant};

use berth_fuzz::mutate::{Random, mutate};
use berth_fuzz::{TARGETS, Target};

/// What takes longer than this in a debug build, for inputs of a few KiB, is worth a look.
const SLOW: Duration = Duration::from_millis(400);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted = arguments.first().map_or("", String::as_str);
    let count: usize = arguments.get(1).map_or(10_000, |text| text.parse().unwrap());
    let first: u64 = arguments.get(2).map_or(1000, |text| text.parse().unwrap());
    for (name, run) in TARGETS.iter().filter(|(name, _)| wanted == "all" || *name == wanted) {
        let (name, run) = (name.to_string(), *run);
        let hunt = std::thread::Builder::new().stack_size(2 << 20).name(name.clone());
        hunt.spawn(move || hunted(&name, run, count, first)).unwrap().join().unwrap();
    }
}

fn hunted(name: &str, run: Target, count: usize, first: u64) {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut inputs: Vec<(String, Vec<u8>)> = std::fs::read_dir(top.join("corpus").join(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap()))
        .collect();
    inputs.sort();
    let all: Vec<Vec<u8>> = inputs.iter().map(|(_, bytes)| bytes.clone()).collect();
    let small: Vec<_> = inputs.iter().filter(|(_, bytes)| bytes.len() < 4096).collect();
    let findings = top.join("findings").join(name);
    let trace = std::env::var_os("HUNT_TRACE").is_some();
    std::fs::create_dir_all(&findings).unwrap();
    let begin = Instant::now();
    let (mut found, mut slowest) = (0, Duration::ZERO);
    for n in 0..count {
        let (file, bytes) = small[n % small.len()];
        let round = first + (n / small.len()) as u64;
        let bytes = mutate(bytes, &all, &mut Random::new(file, round));
        if trace {
            std::fs::write(top.join("findings/last"), &bytes).unwrap();
        }
        let started = Instant::now();
        let outcome = std::panic::catch_unwind(|| run(&bytes));
        slowest = slowest.max(started.elapsed());
        if started.elapsed() > SLOW {
            println!("{name}: {file} round {round} took {:?} ({} bytes)", started.elapsed(), bytes.len());
            std::fs::write(findings.join(format!("slow-{file}-{round}")), &bytes).unwrap();
        }
        if outcome.is_err() {
            found += 1;
            std::fs::write(findings.join(format!("{file}-{round}")), &bytes).unwrap();
            if found >= 5 {
                break;
            }
        }
    }
    println!("{name}: {count} in {:?}, {found} findings, slowest {slowest:?}", begin.elapsed());
}
