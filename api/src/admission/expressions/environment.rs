//! The variables of expressions over a write, as kube-apiserver declares them.

use std::collections::BTreeMap;
use std::sync::Arc;

use berth_cel::env::{DeclType, Env, ObjectDecl};
use berth_cel::types::{Type, opaque};

/// Which variables there are besides `object`, `oldObject`, `request` and `namespaceObject`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Declared {
    pub params: bool,
    pub authorizer: bool,
    /// Expressions may make `Object{…}` and `JSONPatch{…}`.
    pub patches: bool,
}

/// What expressions are compiled against.
#[derive(Clone, Debug)]
pub(crate) struct Environment(Env);

impl Environment {
    pub(crate) fn new(declared: Declared) -> Self {
        let mut env = Env::new()
            .with("object", DeclType::Dyn)
            .with("oldObject", DeclType::Dyn)
            .with("namespaceObject", namespace())
            .with("request", request());
        if declared.params {
            env.declare("params", DeclType::Dyn);
        }
        if declared.authorizer {
            env.declare("authorizer", DeclType::Opaque(opaque::AUTHORIZER));
            env.declare("authorizer.requestResource", DeclType::Opaque(opaque::RESOURCE_CHECK));
        }
        if declared.patches {
            let text = DeclType::string;
            let patch = DeclType::object(
                "JSONPatch",
                [("op", text()), ("path", text()), ("from", text()), ("value", DeclType::Dyn)],
            );
            if let DeclType::Object(patch) = patch {
                env.declare_object(patch);
            }
            env.open_object("Object");
        }
        Self(env)
    }

    pub(super) fn env(&self) -> &Env {
        &self.0
    }

    /// Declares a variable of a policy by its full name, `variables.x`.
    pub(crate) fn declare_variable(&mut self, name: &str, output: &Type) {
        self.0.declare(name, decl_of(output));
    }

    /// Declares what objects look like, for checks of types.
    pub(crate) fn declare_typed(&mut self, name: &str, decl: DeclType) {
        self.0.declare(name, decl);
    }
}

/// A type as a declaration without bounds.
fn decl_of(output: &Type) -> DeclType {
    match output {
        Type::Null => DeclType::Null,
        Type::Bool => DeclType::Bool,
        Type::Int => DeclType::Int,
        Type::Uint => DeclType::Uint,
        Type::Double => DeclType::Double,
        Type::String => DeclType::string(),
        Type::Timestamp => DeclType::Timestamp,
        Type::Duration => DeclType::Duration,
        Type::List(elem) => DeclType::list(decl_of(elem)),
        Type::Map(key, value) if **key == Type::String => DeclType::map(decl_of(value)),
        Type::Optional(value) => DeclType::Optional(Arc::new(decl_of(value))),
        Type::Opaque(name) => DeclType::Opaque(name),
        Type::Object(name) => {
            // The environment knows the fields of what it declares by this name already.
            DeclType::Object(Arc::new(ObjectDecl { name: Arc::clone(name), fields: BTreeMap::new() }))
        }
        _ => DeclType::Dyn,
    }
}

fn texts() -> DeclType {
    DeclType::list(DeclType::string())
}

fn request() -> DeclType {
    let text = DeclType::string;
    let kind =
        || DeclType::object("kubernetes.GroupVersionKind", [("group", text()), ("version", text()), ("kind", text())]);
    let resource = || {
        let fields = [("group", text()), ("version", text()), ("resource", text())];
        DeclType::object("kubernetes.GroupVersionResource", fields)
    };
    let user = DeclType::object(
        "kubernetes.UserInfo",
        [("username", text()), ("uid", text()), ("groups", texts()), ("extra", DeclType::map(texts()))],
    );
    DeclType::object(
        "kubernetes.AdmissionRequest",
        [
            ("kind", kind()),
            ("resource", resource()),
            ("subResource", text()),
            ("requestKind", kind()),
            ("requestResource", resource()),
            ("requestSubResource", text()),
            ("name", text()),
            ("namespace", text()),
            ("operation", text()),
            ("userInfo", user),
            ("dryRun", DeclType::Bool),
            ("options", DeclType::Dyn),
        ],
    )
}

fn namespace() -> DeclType {
    let text = DeclType::string;
    let metadata = DeclType::object(
        "kubernetes.NamespaceMetadata",
        [
            ("name", text()),
            ("generateName", text()),
            ("namespace", text()),
            ("labels", DeclType::map(text())),
            ("annotations", DeclType::map(text())),
            ("UID", text()),
            ("creationTimestamp", DeclType::Timestamp),
            ("deletionGracePeriodSeconds", DeclType::Int),
            ("deletionTimestamp", DeclType::Timestamp),
            ("generation", DeclType::Int),
            ("resourceVersion", text()),
            ("finalizers", texts()),
        ],
    );
    let condition = DeclType::object(
        "kubernetes.NamespaceCondition",
        [
            ("status", text()),
            ("type", text()),
            ("lastTransitionTime", DeclType::Timestamp),
            ("message", text()),
            ("reason", text()),
        ],
    );
    let spec = DeclType::object("kubernetes.NamespaceSpec", [("finalizers", texts())]);
    let status =
        DeclType::object("kubernetes.NamespaceStatus", [("conditions", DeclType::list(condition)), ("phase", text())]);
    DeclType::object("kubernetes.Namespace", [("metadata", metadata), ("spec", spec), ("status", status)])
}
