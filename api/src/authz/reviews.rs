//! Questions about rights: may I, may they, what may I at all. Answered by what answers requests.

use berth_access::{Attributes, FieldTerm, Resource, quoted};
use berth_schema::FieldError;
use futures::FutureExt;
use k8s_openapi::api::authorization::v1::{
    LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview,
};
use serde_json::{Map, Value, json};

use super::{Decision, asker, decide};
use crate::authn::UserInfo;
use crate::http::Call;
use crate::registry::ReviewKind;
use crate::registry::core::schema_of;
use crate::status::ApiError;
use crate::write::causes;

/// Kinds that are asked and answered, and never stored.
pub(crate) const REVIEWS: &[ReviewKind] = &[
    ReviewKind {
        answer: |call, review| async move { access(call, review, Whose::Own) }.boxed(),
        ..kind("SelfSubjectAccessReview", "selfsubjectaccessreviews", schema_of::<SelfSubjectAccessReview>)
    },
    ReviewKind {
        answer: |call, review| async move { access(call, review, Whose::Given) }.boxed(),
        ..kind("SubjectAccessReview", "subjectaccessreviews", schema_of::<SubjectAccessReview>)
    },
    ReviewKind {
        namespaced: true,
        answer: |call, review| async move { access(call, review, Whose::GivenHere) }.boxed(),
        ..kind("LocalSubjectAccessReview", "localsubjectaccessreviews", schema_of::<LocalSubjectAccessReview>)
    },
    ReviewKind {
        answer: |call, review| async move { rules(call, review) }.boxed(),
        ..kind("SelfSubjectRulesReview", "selfsubjectrulesreviews", schema_of::<SelfSubjectRulesReview>)
    },
];

const fn kind(kind: &'static str, plural: &'static str, schema: fn() -> Value) -> ReviewKind {
    ReviewKind {
        group: "authorization.k8s.io",
        version: "v1",
        kind,
        plural,
        namespaced: false,
        schema,
        answer: |call, review| async move { access(call, review, Whose::Own) }.boxed(),
    }
}

/// Whose rights a review asks about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Those of whoever asks.
    Own,
    /// Those of the user in the review.
    Given,
    /// The same, in the review's own namespace.
    GivenHere,
}

fn access(call: &Call<'_>, mut review: Value, whose: Whose) -> Result<Value, ApiError> {
    let errors = problems(&review, whose);
    if !errors.is_empty() {
        return Err(ApiError::invalid(&call.resource.group, &call.resource.kind, "", causes(errors)));
    }
    let spec = &review["spec"];
    let given;
    let user = match whose {
        Whose::Own => call.user,
        Whose::Given | Whose::GivenHere => {
            given = given_user(spec);
            &given
        }
    };
    let mut ignored = Vec::new();
    let decision = match spec.get("resourceAttributes").filter(|attributes| attributes.is_object()) {
        Some(wanted) => {
            let fields = Fields::of(&wanted["fieldSelector"], &mut ignored);
            check_label_selector(&wanted["labelSelector"], &mut ignored);
            let of = |field| text(wanted, field);
            let wanted = Resource {
                verb: of("verb"),
                group: of("group"),
                resource: of("resource"),
                subresource: of("subresource"),
                namespace: of("namespace"),
                name: of("name"),
                fields: &fields.terms(),
            };
            decide(call.server, user, &Attributes::Resource(wanted))
        }
        None => {
            let wanted = &spec["nonResourceAttributes"];
            decide(call.server, user, &Attributes::Path { verb: text(wanted, "verb"), path: text(wanted, "path") })
        }
    };
    review["status"] = status(&decision, &ignored);
    Ok(review)
}

fn status(decision: &Decision, ignored: &[String]) -> Value {
    let mut status = Map::new();
    status.insert("allowed".into(), decision.allowed.into());
    if !decision.reason.is_empty() {
        status.insert("reason".into(), decision.reason.as_ref().into());
    }
    if !ignored.is_empty() {
        status.insert("evaluationError".into(), ignored.join("; ").into());
    }
    Value::Object(status)
}

/// The user of a review. Groups are taken as they are given: nobody is added to `system:authenticated`.
fn given_user(spec: &Value) -> UserInfo {
    let strings = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    UserInfo {
        name: text(spec, "user").to_owned(),
        uid: text(spec, "uid").to_owned(),
        groups: strings(&spec["groups"]),
        extra: spec["extra"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, values)| (key.clone(), strings(values)))
            .collect(),
    }
}

fn problems(review: &Value, whose: Whose) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let spec = &review["spec"];
    let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    if resource.is_object() && path.is_object() {
        let why = "cannot be specified in combination with resourceAttributes";
        errors.push(FieldError::invalid("spec.nonResourceAttributes", path, why));
    }
    if !resource.is_object() && !path.is_object() {
        let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        errors.push(FieldError::invalid("spec.resourceAttributes", &json!("null"), why));
    }
    if resource.is_object() {
        selector_problems(&resource["fieldSelector"], "spec.resourceAttributes.fieldSelector", &mut errors);
        selector_problems(&resource["labelSelector"], "spec.resourceAttributes.labelSelector", &mut errors);
    }
    if whose != Whose::Own && text(spec, "user").is_empty() && spec["groups"].as_array().is_none_or(Vec::is_empty) {
        errors.push(FieldError::invalid("spec.user", &json!(""), "at least one of user or group must be specified"));
    }
    let local = whose == Whose::GivenHere;
    let is_set = |(field, value): (&String, &Value)| {
        field != "managedFields" && !(local && field == "namespace") && !value.is_null() && *value != json!("")
    };
    if review["metadata"].as_object().into_iter().flatten().any(is_set) {
        let why = if local { "must be empty except for namespace" } else { "must be empty" };
        errors.push(FieldError::invalid("metadata", &review["metadata"], why));
    }
    if local && resource.is_object() && text(resource, "namespace") != text(&review["metadata"], "namespace") {
        let given = json!(text(resource, "namespace"));
        errors.push(FieldError::invalid("spec.resourceAttributes.namespace", &given, "must match metadata.namespace"));
    }
    if local && path.is_object() {
        let why = "disallowed on this kind of request";
        errors.push(FieldError::invalid("spec.nonResourceAttributes", path, why));
    }
    errors
}

fn selector_problems(selector: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if !selector.is_object() {
        return;
    }
    let raw = text(selector, "rawSelector");
    let has_requirements = selector["requirements"].as_array().is_some_and(|list| !list.is_empty());
    if !raw.is_empty() && has_requirements {
        let why = "may not specified at the same time as requirements";
        errors.push(FieldError::invalid(format!("{path}.rawSelector"), &json!(raw), why));
    }
    if raw.is_empty() && !has_requirements {
        let why = format!("when {path} is specified, requirements or rawSelector is required");
        errors.push(FieldError::required(format!("{path}.requirements"), &why));
    }
}

/// The terms of a review's field selector. One that cannot be used is left out, which asks about more, and told.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn of(selector: &Value, ignored: &mut Vec<String>) -> Self {
        let mut terms = Vec::new();
        let mut broken = false;
        for term in text(selector, "rawSelector").split(',').filter(|term| !term.is_empty()) {
            match term.split_once('=') {
                Some((path, _)) if path.ends_with('!') => {}
                Some((path, value)) => {
                    terms.push((path.to_owned(), value.strip_prefix('=').unwrap_or(value).to_owned()));
                }
                None => broken = true,
            }
        }
        for requirement in selector["requirements"].as_array().into_iter().flatten() {
            let values = requirement["values"].as_array().map_or(&[][..], Vec::as_slice);
            match (text(requirement, "operator"), values) {
                ("In", [Value::String(value)]) => terms.push((text(requirement, "key").to_owned(), value.clone())),
                ("NotIn", [Value::String(_)]) => {}
                _ => broken = true,
            }
        }
        if broken {
            ignored.push(ignored_because("fieldSelector", !terms.is_empty()));
        }
        Self(terms)
    }

    fn terms(&self) -> Vec<FieldTerm<'_>> {
        self.0.iter().map(|(path, value)| FieldTerm { path, value }).collect()
    }
}

/// No rule asks for labels; a selector that cannot be read is told all the same.
fn check_label_selector(selector: &Value, ignored: &mut Vec<String>) {
    let is_known = |requirement: &Value| {
        let has_values = requirement["values"].as_array().is_some_and(|values| !values.is_empty());
        match text(requirement, "operator") {
            "In" | "NotIn" => has_values,
            "Exists" | "DoesNotExist" => !has_values,
            _ => false,
        }
    };
    let all = selector["requirements"].as_array().map_or(&[][..], Vec::as_slice);
    let known = all.iter().filter(|requirement| is_known(requirement)).count();
    if known < all.len() {
        ignored.push(ignored_because("labelSelector", known > 0));
    }
}

fn ignored_because(selector: &str, partially: bool) -> String {
    let how = if partially { "partially ignored" } else { "ignored" };
    format!("spec.resourceAttributes.{selector} {how} due to parse error")
}

/// Everything that whoever asks may do in a namespace.
fn rules(call: &Call<'_>, mut review: Value) -> Result<Value, ApiError> {
    let namespace = text(&review["spec"], "namespace");
    if namespace.is_empty() {
        return Err(ApiError::bad_request("no namespace on request"));
    }
    let rows = call.server.registry.rows();
    let asker = asker(call.user);
    let scoped = call.server.access.rules_for(&rows, &asker, namespace);
    let (mut resources, mut paths) = (Vec::new(), Vec::new());
    for rule in &scoped.rules {
        if !rule.resources.is_empty() {
            let mut of_resources = rule.clone();
            of_resources.non_resource_urls.clear();
            resources.push(json!(of_resources));
        }
        if !rule.non_resource_urls.is_empty() {
            paths.push(json!({"verbs": rule.verbs, "nonResourceURLs": rule.non_resource_urls}));
        }
    }
    let mut status = json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false});
    let mut problems = scoped.problems;
    if let Some(node) = berth_access::node::node_of(&asker) {
        // What an agent may do follows from what is bound to its node: no list of rules can say it.
        status["incomplete"] = true.into();
        problems.push(format!("the rights of node {} follow from its tasks and are not listed", quoted(node)));
    }
    if !problems.is_empty() {
        status["evaluationError"] = problems.join(", ").into();
    }
    review["status"] = status;
    Ok(review)
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(spec: Value, whose: Whose) -> Vec<String> {
        let review = json!({"metadata": {"namespace": "a"}, "spec": spec});
        let review = if whose == Whose::GivenHere { review } else { json!({"metadata": {}, "spec": review["spec"]}) };
        problems(&review, whose).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_review_asks_about_exactly_one_thing() {
        let none = errors(json!({}), Whose::Own);
        assert_eq!(
            none,
            [
                r#"spec.resourceAttributes: Invalid value: "null": exactly one of nonResourceAttributes or resourceAttributes must be specified"#
            ]
        );
        let both = errors(json!({"resourceAttributes": {}, "nonResourceAttributes": {"path": "/"}}), Whose::Own);
        assert_eq!(
            both,
            [
                r#"spec.nonResourceAttributes: Invalid value: {"path":"/"}: cannot be specified in combination with resourceAttributes"#
            ]
        );
        assert!(errors(json!({"resourceAttributes": {}}), Whose::Own).is_empty());
        assert!(errors(json!({"resourceAttributes": {}}), Whose::Given)[0].contains("at least one of user or group"));
    }

    #[test]
    fn a_local_review_stays_in_its_namespace() {
        let found = errors(json!({"user": "u", "resourceAttributes": {"namespace": "b"}}), Whose::GivenHere);
        assert_eq!(found, [r#"spec.resourceAttributes.namespace: Invalid value: "b": must match metadata.namespace"#]);
        let found = errors(json!({"user": "u", "nonResourceAttributes": {"path": "/"}}), Whose::GivenHere);
        assert!(found[0].ends_with("disallowed on this kind of request"));
    }

    #[test]
    fn selectors_that_cannot_be_used_are_told() {
        let mut ignored = Vec::new();
        let selector = json!({"requirements": [
            {"key": "spec.nodeName", "operator": "In", "values": ["n1"]}, {"key": "x", "operator": "Exists"},
        ]});
        let fields = Fields::of(&selector, &mut ignored);
        assert_eq!(fields.terms(), [FieldTerm { path: "spec.nodeName", value: "n1" }]);
        assert_eq!(ignored, ["spec.resourceAttributes.fieldSelector partially ignored due to parse error"]);
    }
}
