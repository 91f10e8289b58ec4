//! Label selectors: what is read is read again from how it is written.

use berth_schema::selector::{LabelSelector, Operator, Requirement};

use crate::input;

pub(crate) fn run(bytes: &[u8]) {
    let Some(text) = input::text(bytes) else { return };
    match LabelSelector::parse(text) {
        Ok(selector) => {
            let again = selector.requirements.iter().map(written).collect::<Vec<_>>().join(",");
            assert_eq!(LabelSelector::parse(&again).as_ref(), Ok(&selector));
            let _ = selector.matches(|_| None);
            let _ = selector.matches(|_| Some("7"));
        }
        Err(why) => assert!(why.0.len() <= 8 * text.len() + 512, "{} bytes", why.0.len()),
    }
    if let Some(value) = input::json(text) {
        let _ = LabelSelector::from_json(&value);
    }
}

fn written(requirement: &Requirement) -> String {
    let Requirement { key, operator, values } = requirement;
    let list = values.join(",");
    match operator {
        Operator::In => format!("{key} in ({list})"),
        Operator::NotIn => format!("{key} notin ({list})"),
        Operator::Exists => key.clone(),
        Operator::DoesNotExist => format!("!{key}"),
        Operator::GreaterThan => format!("{key}>{list}"),
        Operator::LessThan => format!("{key}<{list}"),
    }
}
