//! A row: everything the server needs to know of one version of one kind. No kind has handlers of its own.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use berth_schema::Structural;
use berth_schema::openapi::KindDoc;
use berth_schema::patch::BuiltinLists;
use berth_schema::table::Columns;
use berth_store::cache::Cache;
use serde_json::Value;

use super::crd::Conversion;
use super::form::Form;
use super::reviews::Answer;
use super::strategy::Strategy;
use crate::request::Verb;
use crate::status::Named;

/// The JSON paths of a scale subresource, as pointers such as `/spec/replicas`.
#[derive(Clone, Debug)]
pub(crate) struct ScalePaths {
    pub spec_replicas: String,
    pub status_replicas: String,
    pub label_selector: Option<String>,
}

/// What names an object may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameRule {
    /// A DNS subdomain of at most 253 characters.
    Subdomain,
    /// A DNS label of at most 63 characters.
    Label,
    /// Anything that can stand between two slashes of a path.
    PathSegment,
}

/// Where kinds differ in the rules of reading and writing. The default is that of custom resources.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub name: NameRule,
    /// The most characters of a name, where children's names are made from it.
    pub name_chars_max: usize,
    /// `metadata.generation` is kept.
    pub generation: bool,
    /// A PUT without resourceVersion overwrites.
    pub unconditional_update: bool,
    /// A PUT of an absent object creates it.
    pub create_on_update: bool,
    /// A DELETE answers with the object instead of a Status.
    pub returns_deleted: bool,
    /// A body may leave out apiVersion and kind.
    pub kind_optional: bool,
    /// Objects vanish this long after their last write.
    pub ttl: Option<Duration>,
    /// Collections can be deleted as a whole.
    pub delete_collection: bool,
    /// A write of the status takes along labels, annotations, finalizers and owners.
    pub status_takes_metadata: bool,
    /// Objects are answered and not stored.
    pub create_only: bool,
}

impl Rules {
    /// The rules of custom resources, and of our own kinds.
    pub(crate) const CUSTOM: Self = Self {
        name: NameRule::Subdomain,
        name_chars_max: 253,
        generation: true,
        unconditional_update: false,
        create_on_update: false,
        returns_deleted: false,
        kind_optional: false,
        ttl: None,
        delete_collection: true,
        status_takes_metadata: false,
        create_only: false,
    };

    /// The rules of most core kinds.
    pub(crate) const CORE: Self =
        Self { generation: false, unconditional_update: true, kind_optional: true, ..Self::CUSTOM };
}

/// Where objects are kept: shared by all versions of a kind.
#[derive(Debug)]
pub(crate) struct Storage {
    /// `/registry/{group or core}/{plural}/`
    pub prefix: String,
    /// `apiVersion` of the stored form.
    pub api_version: String,
    pub cache: Arc<Cache>,
}

/// What a stored definition has been through. Kinds that ship with the binary have the default.
#[derive(Debug, Default)]
pub(crate) struct Life {
    pub form: Form,
    /// The webhook between its versions.
    pub conversion: Option<Conversion>,
    /// All versions, served or not, as objects name them; empty for kinds that ship with the binary.
    pub api_versions: Vec<String>,
}

/// One version of one kind.
#[derive(Debug)]
pub(crate) struct Resource {
    /// Empty for the core group.
    pub group: String,
    pub version: String,
    pub kind: String,
    pub list_kind: String,
    pub plural: String,
    pub singular: String,
    pub short_names: Vec<String>,
    pub categories: Vec<String>,
    pub namespaced: bool,
    /// The `openAPIV3Schema`.
    pub schema: LazySchema,
    /// `additionalPrinterColumns`.
    pub printer_columns: Value,
    pub has_status: bool,
    pub scale: Option<ScalePaths>,
    /// Further subresources: `log`, `exec`, `finalize`.
    pub other_subresources: &'static [(&'static str, &'static [&'static str])],
    /// Dotted paths that field selectors may use, besides name and namespace.
    pub selectable: Vec<String>,
    /// Ships with the binary and is not described by a stored definition.
    pub built_in: bool,
    pub rules: Rules,
    pub strategy: &'static Strategy,
    /// Answers a POST instead of storing it.
    pub answer: Option<Answer>,
    /// A warning for each request to this version, when it is deprecated.
    pub deprecation: Option<String>,
    /// A definition that is being deleted takes no new objects.
    pub terminating: bool,
    pub storage: Arc<Storage>,
    pub life: Life,
    pub compiled: OnceLock<Structural>,
    pub columns: OnceLock<Columns>,
}

/// A schema that is made when it is first looked at: start-up does not wait for what nobody asks.
#[derive(Debug)]
pub(crate) struct LazySchema {
    value: OnceLock<Arc<Value>>,
    make: Option<fn() -> Value>,
}

impl LazySchema {
    pub(crate) fn later(make: fn() -> Value) -> Self {
        Self { value: OnceLock::new(), make: Some(make) }
    }

    pub(crate) fn ready(value: Value) -> Self {
        let cell = OnceLock::new();
        cell.get_or_init(|| Arc::new(value));
        Self { value: cell, make: None }
    }

    pub(crate) fn get(&self) -> &Arc<Value> {
        self.value.get_or_init(|| Arc::new(self.make.map_or(Value::Bool(true), |make| make())))
    }
}

impl Resource {
    /// `group/version`, or the version alone for the core group.
    pub(crate) fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// As errors name it.
    pub(crate) fn named(&self) -> Named<'_> {
        Named { group: &self.group, plural: &self.plural }
    }

    /// The compiled schema.
    pub(crate) fn structural(&self) -> &Structural {
        self.compiled.get_or_init(|| {
            if self.built_in {
                return Structural::compile_builtin(self.schema.get());
            }
            // Definitions are checked before they get a row, and a test compiles every built-in schema.
            Structural::compile_accepted(self.schema.get())
        })
    }

    /// The compiled printer columns.
    pub(crate) fn columns(&self) -> &Columns {
        self.columns.get_or_init(|| {
            Columns::compile(&self.printer_columns).unwrap_or_else(|error| {
                tracing::error!(kind = %self.kind, error, "printer columns do not compile; printing name and age");
                Columns::compile(&Value::Null).expect("no columns always compile")
            })
        })
    }

    /// Whether reads give the stored bytes as they are.
    pub(crate) fn is_stored_version(&self) -> bool {
        self.storage.api_version == self.api_version()
    }

    /// How strategic merge patches merge this kind's lists; `None` when they are not taken.
    pub(crate) fn strategic(&self) -> Option<BuiltinLists> {
        self.built_in.then(|| BuiltinLists::of(&self.group, &self.kind)).flatten()
    }

    pub(crate) fn supports(&self, verb: Verb) -> bool {
        match verb {
            Verb::Create => true,
            _ if self.rules.create_only => false,
            Verb::DeleteCollection => self.rules.delete_collection,
            _ => true,
        }
    }

    /// An object in its stored form, as this version shows it.
    pub(crate) fn to_request_version(&self, object: &mut Value) {
        object["apiVersion"] = self.api_version().into();
        if let Some(shape) = &self.strategy.shape {
            (shape.from_stored)(object);
        }
    }

    /// An object of this version, in its stored form.
    pub(crate) fn to_stored_version(&self, object: &mut Value) {
        object["apiVersion"] = self.storage.api_version.clone().into();
        if let Some(shape) = &self.strategy.shape {
            (shape.to_stored)(object);
        }
    }

    /// The verbs as discovery lists them.
    pub(crate) fn verbs(&self) -> Vec<&'static str> {
        [
            Verb::Create,
            Verb::Delete,
            Verb::DeleteCollection,
            Verb::Get,
            Verb::List,
            Verb::Patch,
            Verb::Update,
            Verb::Watch,
        ]
        .into_iter()
        .filter(|verb| self.supports(*verb))
        .map(Verb::as_str)
        .collect()
    }

    /// The store's key of an object.
    pub(crate) fn key(&self, namespace: Option<&str>, name: &str) -> String {
        match namespace {
            Some(ns) if self.namespaced => format!("{}{ns}/{name}", self.storage.prefix),
            _ => format!("{}{name}", self.storage.prefix),
        }
    }

    /// What the OpenAPI documents need to know.
    pub(crate) fn kind_doc(&self) -> KindDoc {
        KindDoc {
            group: self.group.clone(),
            version: self.version.clone(),
            kind: self.kind.clone(),
            list_kind: self.list_kind.clone(),
            plural: self.plural.clone(),
            singular: self.singular.clone(),
            namespaced: self.namespaced,
            schema: Arc::clone(self.schema.get()),
            status: self.has_status,
            scale: self.scale.is_some(),
            strategic: self.strategic().is_some(),
            verbs: self.verbs().into_iter().map(str::to_owned).collect(),
        }
    }
}

/// `group/version`, or the version alone for the core group.
pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// The prefix that a kind's objects are stored under.
pub(crate) fn storage_prefix(group: &str, plural: &str) -> String {
    let group = if group.is_empty() { "core" } else { group };
    format!("/registry/{group}/{plural}/")
}
