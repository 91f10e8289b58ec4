//! What an expression over a write is given.

use std::sync::OnceLock;

use berth_cel::value::{Attributes as Check, Check as Checker, Shape};
use berth_cel::{Activation, Value as Cel};
use serde_json::{Value, json};

use super::{Authorizer, Expression};
use crate::admission::attributes::{Attributes, kind_of, options, user_info};
use crate::admission::hooks::Objects;
use crate::admission::matching::Matched;
use crate::admission::versions::{Shown, is_other};
use crate::write::Write;

/// The values of the variables. Borrowed by activations.
#[derive(Debug)]
pub(crate) struct Input {
    pub object: Value,
    pub old: Value,
    pub request: Value,
    /// Null for what lies in no namespace.
    pub namespace: Value,
    check: Check,
}

/// The `request` of expressions: that of a review, without its objects.
fn request_of(w: &Write<'_>, a: &Attributes, matched: &Matched, objects: Objects<'_>) -> Value {
    let given = objects.object.or(objects.old);
    let request_kind = given.map_or(Value::Null, kind_of);
    let mut kind = request_kind.clone();
    if is_other(w, a, matched) {
        kind["version"] = matched.version.as_str().into();
    }
    let resource =
        |version: &str| json!({"group": w.resource.group, "version": version, "resource": w.resource.plural});
    let mut user = user_info(w);
    for (field, none) in [("uid", json!("")), ("extra", json!({}))] {
        if user[field].is_null() {
            user[field] = none;
        }
    }
    json!({
        "kind": kind,
        "resource": resource(&matched.version),
        "subResource": a.subresource,
        "requestKind": request_kind,
        "requestResource": resource(&w.resource.version),
        "requestSubResource": a.subresource,
        "name": a.name,
        "namespace": a.namespace,
        "operation": a.operation.as_str(),
        "userInfo": user,
        "dryRun": a.dry_run,
        "options": options(w, a.operation),
    })
}

impl Input {
    pub(crate) fn of(
        w: &Write<'_>,
        a: &Attributes,
        matched: &Matched,
        objects: Objects<'_>,
        shown: Shown,
        namespace: Value,
    ) -> Self {
        let check = Check {
            group: w.resource.group.clone(),
            resource: w.resource.plural.clone(),
            subresource: a.subresource.clone(),
            namespace: a.namespace.clone(),
            name: a.name.clone(),
            ..Check::default()
        };
        Self { request: request_of(w, a, matched, objects), object: shown.object, old: shown.old, namespace, check }
    }

    /// Everything bound to its name. `variables` are evaluated when they are first looked at.
    pub(crate) fn activation<'a>(
        &'a self,
        params: Option<&'a Value>,
        authorizer: Option<&'a Authorizer<'a>>,
        variables: &'a [(String, Expression)],
    ) -> Activation<'a> {
        let mut activation = Activation::new();
        for (name, value) in [("object", &self.object), ("oldObject", &self.old)] {
            activation.bind_json(name, value);
        }
        activation.bind_json("request", &self.request);
        if self.namespace.is_null() {
            activation.bind("namespaceObject", Cel::Null);
        } else {
            activation.bind_shaped("namespaceObject", &self.namespace, namespace_shape());
        }
        match params {
            Some(params) => activation.bind_json("params", params),
            None => activation.bind("params", Cel::Null),
        };
        if let Some(authorizer) = authorizer {
            activation.bind("authorizer", Checker::authorizer(authorizer));
            activation.bind("authorizer.requestResource", Checker::resource(authorizer, self.check.clone()));
        }
        for (name, expression) in variables {
            activation.bind_lazy(name, expression.program());
        }
        activation
    }
}

/// The types of a Namespace's fields: its times are times to expressions.
fn namespace_shape() -> &'static Shape {
    static SHAPE: OnceLock<Shape> = OnceLock::new();
    SHAPE.get_or_init(|| {
        let text = json!({"type": "string"});
        let time = json!({"type": "string", "format": "date-time"});
        let number = json!({"type": "integer"});
        let texts = json!({"type": "array", "items": text});
        let map = json!({"type": "object", "additionalProperties": text});
        let object = |properties: Value| json!({"type": "object", "properties": properties});
        let condition = object(json!({"status": text, "type": text, "lastTransitionTime": time, "message": text,
            "reason": text}));
        let schema = object(json!({
            "metadata": object(json!({"name": text, "generateName": text, "namespace": text, "labels": map,
                "annotations": map, "UID": text, "uid": text, "creationTimestamp": time,
                "deletionGracePeriodSeconds": number, "deletionTimestamp": time, "generation": number,
                "resourceVersion": text, "finalizers": texts})),
            "spec": object(json!({"finalizers": texts})),
            "status": object(json!({"phase": text, "conditions": {"type": "array", "items": condition}})),
        }));
        Shape::from_schema(&schema, false)
    })
}
