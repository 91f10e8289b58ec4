//! "Did you mean": the nearest of the names that are known.

/// The longest name that is compared: longer ones are not typing errors, and the work stays bounded.
const NAME_BYTES_MAX: usize = 64;

/// The known name that was probably meant, if one is near enough: the same but for case, or about a third of
/// the letters wrong at most.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let limit = (name.chars().count() / 3).max(1);
    known
        .filter(|k| k.len() <= NAME_BYTES_MAX)
        .map(|k| (if k.eq_ignore_ascii_case(name) { 0 } else { distance(name, k) }, k))
        .filter(|(distance, k)| *distance <= limit && *distance < k.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

/// Edits between two words: insert, delete, replace, and swap of neighbours count one each.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replace = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_find_their_word_and_strangers_none() {
        let known = ["replicas", "template", "update", "backoff"];
        let near = |word| nearest(word, known.into_iter());
        assert_eq!(near("replcas"), Some("replicas"));
        assert_eq!(near("Replicas"), Some("replicas"));
        assert_eq!(near("tempalte"), Some("template"));
        assert_eq!(near("instances"), None);
        assert_eq!(near("x"), None);
    }
}
