//! Expressions of configurations, checked when they are written: one that does not compile is refused.

use berth_schema::FieldError;
use serde_json::{Value, json};

use super::{Declared, Environment, Expression, Returns};

/// Finds the expressions of a webhook configuration or a policy that do not compile. What was there before is not
/// looked at again: what was accepted once stays acceptable.
pub(crate) fn check(plural: &str, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut found = Checker { old: old.map(known).unwrap_or_default(), errors: Vec::new() };
    match plural {
        "validatingwebhookconfigurations" | "mutatingwebhookconfigurations" => found.webhooks(object),
        "validatingadmissionpolicies" => found.policy(object, false),
        "mutatingadmissionpolicies" => found.policy(object, true),
        _ => {}
    }
    found.errors
}

/// The texts of an object's expressions.
fn known(object: &Value) -> Vec<String> {
    let mut texts = Vec::new();
    gather(object, &mut texts);
    texts
}

fn gather(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (field, value) in map {
                match value.as_str() {
                    Some(text) if field.to_lowercase().ends_with("expression") => texts.push(text.to_owned()),
                    _ => gather(value, texts),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, texts)),
        _ => {}
    }
}

struct Checker {
    old: Vec<String>,
    errors: Vec<FieldError>,
}

impl Checker {
    fn expression(&mut self, field: String, value: &Value, environment: &Environment, returns: Returns) {
        let Some(text) = value.as_str().filter(|text| !text.trim().is_empty()) else { return };
        if self.old.iter().any(|known| known == text) {
            return;
        }
        if let Err(why) = Expression::compile(text, environment, returns) {
            self.errors.push(FieldError::invalid(field, &json!(text), &why));
        }
    }

    fn conditions(&mut self, field: &str, conditions: &Value, environment: &Environment) {
        for (index, condition) in conditions.as_array().into_iter().flatten().enumerate() {
            let field = format!("{field}.matchConditions[{index}].expression");
            self.expression(field, &condition["expression"], environment, Returns::Bool);
        }
    }

    fn webhooks(&mut self, object: &Value) {
        let environment = Environment::new(Declared { authorizer: true, ..Declared::default() });
        for (index, webhook) in object["webhooks"].as_array().into_iter().flatten().enumerate() {
            self.conditions(&format!("webhooks[{index}]"), &webhook["matchConditions"], &environment);
        }
    }

    fn policy(&mut self, object: &Value, patches: bool) {
        let spec = &object["spec"];
        let params = spec["paramKind"].is_object();
        let declared = Declared { params, authorizer: true, patches };
        let plain = Environment::new(Declared { patches: false, ..declared });
        self.conditions("spec", &spec["matchConditions"], &plain);
        let mut environment = Environment::new(declared);
        let mut messages = Environment::new(Declared { params, ..Declared::default() });
        for (index, variable) in spec["variables"].as_array().into_iter().flatten().enumerate() {
            let text = variable["expression"].as_str().unwrap_or_default();
            let name = format!("variables.{}", variable["name"].as_str().unwrap_or_default());
            match Expression::compile(text, &environment, Returns::Any) {
                Ok(expression) => {
                    environment.declare_variable(&name, expression.output());
                    messages.declare_variable(&name, expression.output());
                }
                Err(why) => {
                    let field = format!("spec.variables[{index}].expression");
                    self.errors.push(FieldError::invalid(field, &json!(text), &why));
                    // One mistake is told once, not again wherever the variable is used.
                    environment.declare_variable(&name, &berth_cel::types::Type::Dyn);
                    messages.declare_variable(&name, &berth_cel::types::Type::Dyn);
                }
            }
        }
        for (index, validation) in spec["validations"].as_array().into_iter().flatten().enumerate() {
            let field = format!("spec.validations[{index}]");
            self.expression(format!("{field}.expression"), &validation["expression"], &environment, Returns::Bool);
            let message = &validation["messageExpression"];
            self.expression(format!("{field}.messageExpression"), message, &messages, Returns::Text);
        }
        for (index, annotation) in spec["auditAnnotations"].as_array().into_iter().flatten().enumerate() {
            let field = format!("spec.auditAnnotations[{index}].valueExpression");
            self.expression(field, &annotation["valueExpression"], &environment, Returns::TextOrNull);
        }
        for (index, mutation) in spec["mutations"].as_array().into_iter().flatten().enumerate() {
            let field = format!("spec.mutations[{index}]");
            let apply = &mutation["applyConfiguration"]["expression"];
            self.expression(format!("{field}.applyConfiguration.expression"), apply, &environment, Returns::Object);
            let patch = &mutation["jsonPatch"]["expression"];
            self.expression(format!("{field}.jsonPatch.expression"), patch, &environment, Returns::Patches);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_that_do_not_compile_are_told_with_their_place() {
        let policy = json!({"spec": {
            "matchConditions": [{"name": "a", "expression": "object.metadata.name"}],
            "variables": [{"name": "n", "expression": "object.spec.size"}, {"name": "m", "expression": "variables.n + "}],
            "validations": [{"expression": "variables.n < 5"}, {"expression": "variables.n <"},
                {"expression": "params.x", "messageExpression": "1"}, {"expression": "authorizer.requestResource.check('get').allowed()"}],
            "auditAnnotations": [{"key": "k", "valueExpression": "1"}],
        }});
        let fields: Vec<String> =
            check("validatingadmissionpolicies", &policy, None).into_iter().map(|e| e.field).collect();
        assert_eq!(
            fields,
            [
                "spec.matchConditions[0].expression",
                "spec.variables[1].expression",
                "spec.validations[1].expression",
                "spec.validations[2].expression",
                "spec.validations[2].messageExpression",
                "spec.auditAnnotations[0].valueExpression",
            ]
        );
        let again = check("validatingadmissionpolicies", &policy, Some(&policy));
        assert_eq!(again.len(), 1, "variables are compiled all the same: {again:?}");
    }

    #[test]
    fn mutations_come_to_objects_or_patches() {
        let of =
            |mutation: Value| check("mutatingadmissionpolicies", &json!({"spec": {"mutations": [mutation]}}), None);
        assert_eq!(of(json!({"applyConfiguration": {"expression": "Object{spec: Object.spec{note: 'x'}}"}})), []);
        assert_eq!(of(json!({"jsonPatch": {"expression": "[JSONPatch{op: 'add', path: '/a', value: 1}]"}})), []);
        let wrong = of(json!({"applyConfiguration": {"expression": "{'a': 1}"}}));
        assert!(wrong[0].detail.contains("must evaluate to Object"), "{wrong:?}");
        assert_eq!(of(json!({"jsonPatch": {"expression": "'x'"}})).len(), 1);
    }
}
