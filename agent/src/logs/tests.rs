//! Reading logs as the runtime writes them.

use std::fs;
use std::io::Write;

use super::*;

struct Log(tempfile::TempDir);

impl Log {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, time: u64, text: &str) {
        let path = self.0.path().join(name);
        let open = |path: std::path::PathBuf| fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        let offset = fs::metadata(&path).map(|m| m.len()).unwrap_or(0);
        let mut index = open(self.0.path().join(format!("{name}.idx")));
        index.write_all(&offset.to_le_bytes()).unwrap();
        index.write_all(&time.to_le_bytes()).unwrap();
        open(path).write_all(text.as_bytes()).unwrap();
    }

    fn rotate(&self, name: &str) {
        for generation in (0..5).rev() {
            let file = |g: u32| if g == 0 { name.to_owned() } else { format!("{name}.{g}") };
            for suffix in ["", ".idx"] {
                let from = self.0.path().join(file(generation) + suffix);
                if from.exists() {
                    fs::rename(from, self.0.path().join(file(generation + 1) + suffix)).unwrap();
                }
            }
        }
    }

    fn open(&self, options: Options) -> Merged {
        Merged::open(self.0.path(), &options)
    }
}

fn read(merged: &mut Merged, ended: bool) -> String {
    let mut text = String::new();
    loop {
        let batch = merged.next_batch(ended).unwrap();
        if batch.is_empty() {
            return text;
        }
        batch.iter().for_each(|line| text.push_str(&String::from_utf8_lossy(&line.text)));
    }
}

#[test]
fn streams_are_merged_by_time() {
    let log = Log::new();
    log.write("stdout", 1, "a\n");
    log.write("stderr", 2, "B\n");
    log.write("stdout", 3, "c\nd\n");
    log.write("stderr", 4, "E\n");
    let mut merged = log.open(Options::default());
    let times: Vec<u64> = merged.next_batch(false).unwrap().iter().map(|l| l.time).collect();
    assert_eq!(times, [1, 2, 3, 3, 4]);
    assert_eq!(read(&mut log.open(Options::default()), false), "a\nB\nc\nd\nE\n");
}

#[test]
fn a_line_without_newline_waits_for_its_end() {
    let log = Log::new();
    log.write("stdout", 1, "half");
    let mut merged = log.open(Options::default());
    assert_eq!(read(&mut merged, false), "");
    log.write("stdout", 2, " whole\nlast");
    assert_eq!(read(&mut merged, false), "half whole\n");
    assert_eq!(read(&mut merged, true), "last");
}

#[test]
fn following_goes_on_across_rotation() {
    let log = Log::new();
    let mut merged = log.open(Options::default());
    assert_eq!(read(&mut merged, false), "");
    log.write("stdout", 1, "1\n");
    assert_eq!(read(&mut merged, false), "1\n");
    log.write("stdout", 2, "2\n");
    log.rotate("stdout");
    log.write("stdout", 3, "3\n");
    log.rotate("stdout");
    log.write("stdout", 4, "4\n");
    assert_eq!(read(&mut merged, false), "2\n3\n4\n");
    assert_eq!(read(&mut log.open(Options::default()), false), "1\n2\n3\n4\n");
}

#[test]
fn the_tail_counts_both_streams_and_rotated_files() {
    let log = Log::new();
    for time in 0..10 {
        log.write("stdout", time * 2 + 1, &format!("o{time}\n"));
        log.write("stderr", time * 2 + 2, &format!("e{time}\n"));
        if time == 7 {
            log.rotate("stdout");
        }
    }
    let tail = |lines| read(&mut log.open(Options { tail: Some(lines), ..Options::default() }), false);
    assert_eq!(tail(3), "e8\no9\ne9\n");
    assert_eq!(tail(0), "");
    assert_eq!(tail(7), "e6\no7\ne7\no8\ne8\no9\ne9\n");
    assert_eq!(tail(1000).lines().count(), 20);
    let mut merged = log.open(Options { tail: Some(1), ..Options::default() });
    assert_eq!(read(&mut merged, false), "e9\n");
    log.write("stdout", 99, "new\n");
    assert_eq!(read(&mut merged, false), "new\n");
}

#[test]
fn since_leaves_older_lines_out() {
    let log = Log::new();
    log.write("stdout", 10, "old\n");
    log.write("stdout", 20, "new\n");
    assert_eq!(read(&mut log.open(Options { since: Some(15), ..Options::default() }), false), "new\n");
}

#[test]
fn last_words_are_the_end_of_both_streams() {
    let log = Log::new();
    assert_eq!(last_words(log.0.path()), None);
    for n in 1..=20 {
        log.write("stderr", n, &format!("line {n}\n"));
    }
    log.write("stdout", 30, "panic: no more");
    let words = last_words(log.0.path()).unwrap();
    assert!(words.ends_with("line 20\npanic: no more"), "{words}");
    assert!(!words.contains("line 10\n"));
    log.write("stderr", 40, &"x".repeat(5000));
    assert!(last_words(log.0.path()).unwrap().len() <= 2048);
}

#[tokio::test]
async fn a_change_wakes_a_follower() {
    let log = Log::new();
    let changes = Changes::watch(log.0.path()).unwrap();
    log.write("stdout", 1, "x\n");
    changes.changed().await.unwrap();
}

#[test]
fn a_link_or_a_pipe_in_the_place_of_a_log_shows_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "of the node\n").unwrap();
    let own = dir.path().join("web");
    std::fs::create_dir(&own).unwrap();
    std::os::unix::fs::symlink(&secret, own.join("stdout")).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, own.join("stderr"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert_eq!(last_words(&own), None);
    std::fs::rename(&secret, dir.path().join("stdout")).unwrap();
    std::os::unix::fs::symlink(dir.path(), dir.path().join("link")).unwrap();
    assert_eq!(last_words(&dir.path().join("link")), None);
    assert_eq!(last_words(dir.path()).as_deref(), Some("of the node"));
}
