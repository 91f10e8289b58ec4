//! From the server's words to problems with a file and a line.

use berth_client::{ClientError, Status};

use crate::manifest::{Document, Problem};

/// Managers behind our own verbs: the same person at the same keyboard, so apply takes their fields over.
const OWN_VERBS: [&str; 7] =
    ["berth-scale", "berth-rollout", "berth-label", "berth-annotate", "berth-patch", "berth-create", "berth-cordon"];

/// What a refusal says about a manifest.
pub(crate) fn of(document: &Document, error: &ClientError) -> Vec<Problem> {
    let Some(status) = error.status() else { return vec![document.problem("", error.to_string())] };
    if let Some(details) = status.details.as_ref().filter(|d| status.code == 404 && d.kind == "namespaces") {
        let name = &details.name;
        let message =
            format!("there is no namespace {name:?}; add a Namespace object to the manifests, or choose another one");
        return vec![document.problem("metadata.namespace", message)];
    }
    let undeclared: Vec<Problem> =
        status.message.split(", ").filter_map(|part| unknown_field(document, part)).collect();
    if !undeclared.is_empty() {
        return undeclared;
    }
    let mut problems: Vec<Problem> = status.warnings.iter().filter_map(|w| unknown_field(document, w)).collect();
    let causes: Vec<_> = status.causes().iter().filter(|c| c.field != "<nil>").collect();
    problems.extend(causes.iter().map(|cause| {
        if cause.reason == "FieldManagerConflict" {
            let manager = manager(&cause.message).unwrap_or("somebody else");
            return document
                .problem(&cause.field, format!("is managed by {manager:?}; --force-conflicts takes it over"));
        }
        document.problem(&cause.field, tidy(&cause.field, &cause.message))
    }));
    if causes.is_empty() {
        // `… .spec.ports: duplicate entries for key …`: a path before its message.
        problems.push(match leading_path(&status.message) {
            Some((path, message)) => document.problem(path, message),
            None => document.problem("", status.message.clone()),
        });
    }
    problems
}

/// `Invalid value: "string": spec.replicas in body must be …` names the field twice; once is enough.
fn tidy(field: &str, message: &str) -> String {
    message.replace(&format!("{field} in body "), "")
}

/// A warning or error about a field that the kind does not have.
pub(crate) fn unknown_field(document: &Document, text: &str) -> Option<Problem> {
    if let Some(at) = text.find("unknown field \"") {
        let rest = &text[at + "unknown field \"".len()..];
        let (path, rest) = rest.split_once('"')?;
        return Some(document.problem(path, format!("unknown field{}", suggestion(rest))));
    }
    let (before, rest) = text.split_once(": field not declared in schema")?;
    let path = before.rsplit(' ').next()?;
    Some(document.problem(path, format!("unknown field{}", suggestion(rest))))
}

fn suggestion(rest: &str) -> String {
    match rest.find("did you mean") {
        Some(at) => format!(", {}", rest[at..].trim_end()),
        None => String::new(),
    }
}

fn leading_path(message: &str) -> Option<(&str, &str)> {
    let at = message.find(" .").map_or_else(|| message.starts_with('.').then_some(0), |at| Some(at + 1))?;
    message[at..].split_once(": ").filter(|(path, _)| !path.contains(' '))
}

/// `conflict with "m" using …` → `m`.
fn manager(message: &str) -> Option<&str> {
    message.split('"').nth(1)
}

/// Whether all that stands against an apply are fields that our own verbs have set.
pub(crate) fn only_own_verbs(status: &Status) -> bool {
    let mut causes = status.causes().iter();
    let own = |message: &str| manager(message).is_some_and(|m| OWN_VERBS.contains(&m));
    !status.causes().is_empty() && causes.all(|c| c.reason == "FieldManagerConflict" && own(&c.message))
}

/// `spec.replicas (set by berth scale)`, for each field.
pub(crate) fn taken_over(status: &Status) -> String {
    let fields = status.causes().iter().map(|cause| {
        let verb = manager(&cause.message).unwrap_or_default().replacen('-', " ", 1);
        format!("{} (set by {verb})", cause.field.trim_start_matches('.'))
    });
    fields.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_client::{Cause, StatusDetails};

    const TEXT: &str =
        "apiVersion: berth.dev/v1\nkind: Service\nmetadata:\n  name: hello\nspec:\n  replcas: 3\n  replicas: x\n";

    fn document() -> Document {
        crate::manifest::read("hello.yaml", TEXT, &mut vec![]).remove(0)
    }

    fn refusal(message: &str, causes: &[(&str, &str, &str)]) -> ClientError {
        let causes = causes
            .iter()
            .map(|(reason, field, message)| Cause {
                reason: (*reason).into(),
                field: (*field).into(),
                message: (*message).into(),
            })
            .collect();
        let details = Some(StatusDetails { causes, ..StatusDetails::default() });
        ClientError::Status(Box::new(Status { message: message.into(), code: 422, details, ..Status::default() }))
    }

    fn told(error: &ClientError) -> Vec<String> {
        of(&document(), error).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn misspelt_fields_have_a_line_and_a_suggestion() {
        let warning = r#"unknown field "spec.replcas", did you mean "replicas"?"#;
        assert_eq!(
            unknown_field(&document(), warning).unwrap().to_string(),
            r#"hello.yaml:6: spec.replcas: unknown field, did you mean "replicas"?"#
        );
        let schema = "failed to create typed patch object (/hello; berth.dev/v1, Kind=Service): .spec.replcas: field not declared in schema";
        assert_eq!(told(&refusal(schema, &[])), ["hello.yaml:6: spec.replcas: unknown field"]);
        assert_eq!(unknown_field(&document(), "spec.x is without effect"), None);
    }

    #[test]
    fn each_cause_is_a_problem() {
        let error = refusal(
            "Service is invalid",
            &[
                ("FieldValueInvalid", "spec.replicas", "Invalid value: \"x\": must be an integer"),
                ("FieldValueRequired", "spec.template", "Required value"),
                ("", "<nil>", "more"),
            ],
        );
        assert_eq!(
            told(&error),
            [
                "hello.yaml:7: spec.replicas: Invalid value: \"x\": must be an integer",
                "hello.yaml:5: spec.template: Required value"
            ]
        );
    }

    #[test]
    fn warnings_of_a_refusal_are_problems_too() {
        let mut error = refusal(
            "Service is invalid",
            &[(
                "FieldValueTypeInvalid",
                "spec.replicas",
                "Invalid value: \"string\": spec.replicas in body must be of type integer: \"string\"",
            )],
        );
        let ClientError::Status(status) = &mut error else { panic!("a status") };
        status.warnings = vec![r#"unknown field "spec.replcas", did you mean "replicas"?"#.into(), "it is late".into()];
        assert_eq!(
            told(&error),
            [
                r#"hello.yaml:6: spec.replcas: unknown field, did you mean "replicas"?"#,
                r#"hello.yaml:7: spec.replicas: Invalid value: "string": must be of type integer: "string""#,
            ]
        );
    }

    #[test]
    fn typed_errors_keep_their_path() {
        let error = refusal(
            "failed to create typed patch object (a/b; c): .spec.replicas: expected numeric (int or float), got string",
            &[],
        );
        assert_eq!(told(&error), ["hello.yaml:7: spec.replicas: expected numeric (int or float), got string"]);
        assert_eq!(told(&refusal("it is late", &[])), ["hello.yaml:1: it is late"]);
    }

    #[test]
    fn conflicts_name_the_manager_and_own_verbs_give_way() {
        let other =
            refusal("m", &[("FieldManagerConflict", ".spec.replicas", "conflict with \"helm\" using berth.dev/v1")]);
        assert_eq!(
            told(&other),
            [r#"hello.yaml:7: spec.replicas: is managed by "helm"; --force-conflicts takes it over"#]
        );
        assert!(!only_own_verbs(other.status().unwrap()));
        let own = refusal(
            "m",
            &[("FieldManagerConflict", ".spec.replicas", "conflict with \"berth-scale\" using berth.dev/v1")],
        );
        assert!(only_own_verbs(own.status().unwrap()));
        assert_eq!(taken_over(own.status().unwrap()), "spec.replicas (set by berth scale)");
    }
}
