//! Output files, rotation and the index of times.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::harness::{Case, Node, cases};

pub(crate) fn cases() -> Vec<Case> {
    cases![both_streams_are_kept_apart_and_whole, logs_are_rotated_with_their_index, output_of_a_terminal_is_logged]
}

fn both_streams_are_kept_apart_and_whole() {
    let node = Node::new();
    let mut spec = node.shell("a", "seq 1 100000; seq 1 10 >&2");
    spec.log.dir = spec.sandbox.join("logs/main");
    let output = node.run(&spec);
    assert_eq!((output.stdout.lines().count(), output.stderr.lines().count()), (100_000, 10));
    assert_eq!(output.record.log_bytes, (output.stdout.len() + output.stderr.len()) as u64);
}

fn logs_are_rotated_with_their_index() {
    let node = Node::new();
    let begin = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let mut spec = node.shell("a", "for i in 1 2 3 4 5 6 7; do head -c 6000 /dev/zero | tr '\\0' $i; sleep 0.02; done");
    spec.log.max_bytes = 10_000;
    spec.log.max_files = 2;
    node.run(&spec);
    let mut last = begin;
    for name in ["stdout.2", "stdout.1", "stdout"] {
        let text = fs::read(spec.log.dir.join(name)).unwrap();
        assert!(text.len() <= 10_000 && !text.is_empty(), "{name} has {} bytes", text.len());
        let index = fs::read(spec.log.dir.join(format!("{name}.idx"))).unwrap();
        assert!(!index.is_empty() && index.len().is_multiple_of(16));
        let mut offset = 0;
        for (n, record) in index.chunks(16).enumerate() {
            let word = |at: usize| u64::from_le_bytes(record[at..at + 8].try_into().unwrap());
            assert!(if n == 0 { word(0) == 0 } else { word(0) > offset } && word(0) < text.len() as u64);
            assert!(word(8) >= last);
            (offset, last) = (word(0), word(8));
        }
    }
    assert!(!spec.log.dir.join("stdout.3").exists() && !spec.log.dir.join("stdout.3.idx").exists());
}

fn output_of_a_terminal_is_logged() {
    let node = Node::new();
    let mut spec = node.shell("a", "test -t 0 && test -t 1 && tty; echo err >&2");
    spec.tty = true;
    let output = node.run(&spec);
    assert_eq!(output.stdout, "/dev/pts/0\r\nerr\r\n", "{}", output.stderr);
}
