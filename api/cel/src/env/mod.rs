//! What an expression may refer to: variables, and the objects whose fields it may read or make.

mod decl;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use decl::{DeclField, DeclType, ObjectDecl};

use crate::types::{Type, opaque};

/// The declarations an expression is checked against. Functions are always all of [`crate::declarations`].
///
/// Cloning is cheap enough to make one environment per rule from a common one.
#[derive(Clone, Debug, Default)]
pub struct Env {
    variables: BTreeMap<Arc<str>, DeclType>,
    objects: BTreeMap<Arc<str>, Arc<ObjectDecl>>,
    /// Root names of objects that may have any field, see [`Env::open_object`].
    open: Vec<Arc<str>>,
}

impl Env {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares a variable, and every object within its type. A second declaration of a name replaces the first; but
    /// an object without fields is a reference to the known object of its name, if there is one.
    ///
    /// The name may be dotted.
    #[must_use]
    pub fn with(mut self, name: &str, decl: DeclType) -> Self {
        self.declare(name, decl);
        self
    }

    /// See [`Env::with`].
    pub fn declare(&mut self, name: &str, decl: DeclType) {
        self.learn(&decl);
        self.variables.insert(name.into(), decl);
    }

    /// Declares an object that expressions may make: `JSONPatch{op: "add"}`.
    pub fn declare_object(&mut self, object: Arc<ObjectDecl>) {
        self.learn(&DeclType::Object(object));
    }

    /// Lets expressions make objects of this name, and of every name below it, with any fields: with `Object`, both
    /// `Object{spec: ..}` and `Object.spec.template{..}`. The fields are dynamic.
    pub fn open_object(&mut self, root: &str) {
        self.open.push(root.into());
    }

    fn learn(&mut self, decl: &DeclType) {
        match decl {
            DeclType::List { elem, .. } => self.learn(elem),
            DeclType::Map { key, value, .. } => {
                self.learn(key);
                self.learn(value);
            }
            DeclType::Optional(value) => self.learn(value),
            // Only the name of something known: the type of another expression, say.
            DeclType::Object(object) if object.fields.is_empty() && self.has_object(&object.name) => {}
            DeclType::Object(object) => {
                let known = self.objects.insert(Arc::clone(&object.name), Arc::clone(object));
                if known.is_some_and(|known| Arc::ptr_eq(&known, object)) {
                    return;
                }
                for field in object.fields.values() {
                    self.learn(&field.decl);
                }
            }
            _ => {}
        }
    }

    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&DeclType> {
        self.variables.get(name)
    }

    /// Whether objects of this name are known.
    pub(crate) fn has_object(&self, name: &str) -> bool {
        self.objects.contains_key(name) || self.is_open(name)
    }

    fn is_open(&self, name: &str) -> bool {
        self.open
            .iter()
            .any(|root| name.strip_prefix(root.as_ref()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    }

    /// The type of a field of an object.
    pub(crate) fn field(&self, object: &str, field: &str) -> Option<Type> {
        match self.objects.get(object) {
            Some(object) => object.fields.get(field).map(|field| field.decl.as_type()),
            None => self.is_open(object).then_some(Type::Dyn),
        }
    }

    /// The type that a name stands for, when it is the name of a type.
    pub(crate) fn type_named(&self, name: &str) -> Option<Type> {
        let opaques = [
            opaque::QUANTITY,
            opaque::IP,
            opaque::CIDR,
            opaque::URL,
            opaque::SEMVER,
            opaque::FORMAT,
            opaque::AUTHORIZER,
            opaque::PATH_CHECK,
            opaque::GROUP_CHECK,
            opaque::RESOURCE_CHECK,
            opaque::DECISION,
        ];
        Some(match name {
            "bool" => Type::Bool,
            "bytes" => Type::Bytes,
            "double" => Type::Double,
            "dyn" => Type::Dyn,
            "google.protobuf.Duration" => Type::Duration,
            "google.protobuf.Timestamp" => Type::Timestamp,
            "int" => Type::Int,
            "list" => Type::list(Type::Dyn),
            "map" => Type::map(Type::Dyn, Type::Dyn),
            "null_type" => Type::Null,
            "optional_type" => Type::optional(Type::Dyn),
            "string" => Type::String,
            "type" => Type::type_of(Type::Dyn),
            "uint" => Type::Uint,
            _ if self.has_object(name) => Type::object(name),
            _ => Type::Opaque(opaques.into_iter().find(|known| *known == name)?),
        })
    }
}
