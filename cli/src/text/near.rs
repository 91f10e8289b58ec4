//! "Did you mean": the nearest of a list of names.

/// The candidate nearest to what was typed, if one is near enough to be meant.
pub(crate) fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    // One slip for short words, two or three for long ones.
    let allowed = (typed.chars().count() / 3).clamp(1, 3);
    // Who typed only the start of a word (three letters or more) meant the shortest such word.
    let is_start = |c: &str| typed.len() > 2 && c.starts_with(&typed);
    let score = |c: &str| if is_start(c) { 0 } else { distance(&typed, c) };
    let scored = candidates.into_iter().map(|c| (score(&c.to_lowercase()), c));
    scored.filter(|(d, _)| *d <= allowed).min_by_key(|(d, c)| (*d, c.len())).map(|(_, c)| c)
}

/// Edits (insert, delete, replace, swap neighbours) between two words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_understood_and_strangers_are_not() {
        let known = ["services", "tasks", "jobs", "nodes"];
        assert_eq!(nearest("serivces", known), Some("services"));
        assert_eq!(nearest("Taks", known), Some("tasks"));
        assert_eq!(nearest("volumeattachments", known), None);
        assert_eq!(distance("replcas", "replicas"), 1);
        assert_eq!(distance("ab", "ba"), 1);
    }
}
