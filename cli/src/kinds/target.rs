//! The forms in which objects are named on a command line: `KIND`, `KIND NAME…`, `KIND/NAME…`, `KIND,KIND`.

use crate::failure::{Failure, Outcome};

/// What the arguments name, before kinds are looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Targets {
    /// Kinds whose objects are all meant.
    pub(crate) kinds: Vec<String>,
    /// Single objects: kind and name.
    pub(crate) objects: Vec<(String, String)>,
}

/// Reads the arguments.
///
/// # Errors
/// When forms are mixed in a way that says nothing clear.
pub(crate) fn parse(arguments: &[String]) -> Outcome<Targets> {
    let Some(first) = arguments.first() else { return Ok(Targets::default()) };
    if arguments.iter().any(|a| a.contains('/')) {
        let objects: Outcome<Vec<_>> = arguments
            .iter()
            .map(|argument| match argument.split_once('/') {
                Some((kind, name)) if !kind.is_empty() && !name.is_empty() && !name.contains('/') => {
                    Ok((kind.to_owned(), name.to_owned()))
                }
                _ => Err(Failure::usage(format!("{argument:?} is not KIND/NAME, as the others are"))),
            })
            .collect();
        return Ok(Targets { kinds: vec![], objects: objects? });
    }
    let kinds: Vec<String> = first.split(',').filter(|k| !k.is_empty()).map(ToOwned::to_owned).collect();
    let names = &arguments[1..];
    if names.is_empty() {
        return Ok(Targets { kinds, objects: vec![] });
    }
    let [kind] = kinds.as_slice() else {
        return Err(Failure::usage("names need one kind: KIND NAME…, or KIND/NAME for several kinds"));
    };
    let objects = names.iter().map(|name| (kind.clone(), name.clone())).collect();
    Ok(Targets { kinds: vec![], objects })
}

/// For commands about one object.
///
/// # Errors
/// When the arguments name none, or several.
pub(crate) fn parse_one(arguments: &[String], usage: &str) -> Outcome<(String, String)> {
    let targets = parse(arguments)?;
    match targets.objects.as_slice() {
        [one] => Ok(one.clone()),
        _ => Err(Failure::usage(format!("name one object: {usage}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').filter(|w| !w.is_empty()).map(ToOwned::to_owned).collect()
    }

    #[test]
    fn all_forms_are_read() {
        let objects = |text: &str| parse(&words(text)).unwrap().objects;
        let pair = |kind: &str, name: &str| (kind.to_owned(), name.to_owned());
        assert_eq!(parse(&words("svc,tasks")).unwrap().kinds, ["svc", "tasks"]);
        assert_eq!(objects("svc a b"), [pair("svc", "a"), pair("svc", "b")]);
        assert_eq!(objects("svc/a task/b"), [pair("svc", "a"), pair("task", "b")]);
        assert_eq!(parse_one(&words("svc/a"), "").unwrap(), pair("svc", "a"));
    }

    #[test]
    fn unclear_forms_are_usage_errors() {
        for text in ["svc/a b", "svc,task a", "svc/", "/a", "a/b/c"] {
            assert_eq!(parse(&words(text)).unwrap_err().code, 2, "{text}");
        }
        assert_eq!(parse_one(&words("svc"), "berth why KIND NAME").unwrap_err().code, 2);
    }
}
