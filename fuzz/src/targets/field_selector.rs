//! Field selectors: what is read is read again from how it is written.

use berth_schema::selector::FieldSelector;

use crate::input;

pub(crate) fn run(bytes: &[u8]) {
    let Some(text) = input::text(bytes) else { return };
    match FieldSelector::parse(text) {
        Ok(selector) => {
            assert!(selector.terms.len() <= text.len());
            assert_eq!(FieldSelector::parse(&written(&selector)).as_ref(), Ok(&selector));
            let all = selector.matches(|path| selector.exact(path).map(Into::into));
            let demands = |path: &str| selector.terms.iter().filter(|term| term.path == path).count();
            if selector.terms.iter().all(|term| !term.negated && demands(&term.path) == 1) {
                assert!(all, "the values that it asks for match");
            }
        }
        Err(why) => assert!(why.0.len() <= 2 * text.len() + 256),
    }
}

fn written(selector: &FieldSelector) -> String {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
    let term = |term: &berth_schema::selector::FieldTerm| {
        format!("{}{}{}", term.path, if term.negated { "!=" } else { "=" }, escaped(&term.value))
    };
    selector.terms.iter().map(term).collect::<Vec<_>>().join(",")
}
