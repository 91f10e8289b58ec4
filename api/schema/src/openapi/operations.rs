//! What can be called: paths and operations, in a neutral form that v2 and v3 print their own way.

use serde_json::{Value, json};

use super::KindDoc;
use super::names::{DELETE_OPTIONS, PATCH, SCALE, STATUS, kind_name, list_name};

/// One method on one path.
pub(super) struct Operation {
    pub(super) method: &'static str,
    /// `x-kubernetes-action`
    pub(super) action: &'static str,
    pub(super) id: String,
    pub(super) description: String,
    /// Names of query parameters.
    pub(super) query: Vec<&'static str>,
    /// Name of the body's schema.
    pub(super) body: Option<String>,
    pub(super) consumes: Vec<&'static str>,
    /// Name of the answer's schema.
    pub(super) answer: String,
    /// Kind of the operation, when it is not the resource's.
    pub(super) gvk: Option<Value>,
}

pub(super) struct PathDoc {
    pub(super) path: String,
    /// Names of path parameters.
    pub(super) parameters: Vec<&'static str>,
    pub(super) operations: Vec<Operation>,
}

const LIST_QUERY: &[&str] = &[
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
    "watch",
];
const WRITE_QUERY: &[&str] = &["dryRun", "fieldManager", "fieldValidation"];
const PATCH_QUERY: &[&str] = &["dryRun", "fieldManager", "fieldValidation", "force"];
const DELETE_QUERY: &[&str] = &["dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy"];

/// The JSON type of a query parameter, and what it does.
pub(super) fn query_parameter(name: &str) -> (&'static str, &'static str) {
    match name {
        "allowWatchBookmarks" => ("boolean", "Send BOOKMARK events on a watch."),
        "sendInitialEvents" => ("boolean", "Begin a watch with the current state."),
        "watch" => ("boolean", "Watch for changes instead of listing."),
        "limit" => ("integer", "The largest number of items in one answer."),
        "timeoutSeconds" => ("integer", "End the call after this time."),
        "gracePeriodSeconds" => ("integer", "Seconds that the object has to end."),
        "force" => ("boolean", "Take over fields that other managers own. Only for apply."),
        "orphanDependents" => ("boolean", "Deprecated: use propagationPolicy."),
        "continue" => ("string", "Go on with a list where the last answer ended."),
        "fieldSelector" => ("string", "Restrict to objects with these fields."),
        "labelSelector" => ("string", "Restrict to objects with these labels."),
        "resourceVersion" => ("string", "The state to read."),
        "resourceVersionMatch" => ("string", "How resourceVersion is meant: Exact or NotOlderThan."),
        "dryRun" => ("string", "All: do everything but persist."),
        "fieldManager" => ("string", "The name under which the fields are owned."),
        "fieldValidation" => ("string", "What to do about unknown fields: Ignore, Warn or Strict."),
        "propagationPolicy" => ("string", "Orphan, Background or Foreground."),
        _ => ("string", ""),
    }
}

/// `/apis/{group}/{version}` or `/api/{version}`.
fn base(doc: &KindDoc) -> String {
    if doc.group.is_empty() { format!("/api/{}", doc.version) } else { format!("/apis/{}/{}", doc.group, doc.version) }
}

pub(super) fn of(doc: &KindDoc) -> Vec<PathDoc> {
    let base = base(doc);
    let plural = &doc.plural;
    let (collection, scope): (String, Vec<&'static str>) = if doc.namespaced {
        (format!("{base}/namespaces/{{namespace}}/{plural}"), vec!["namespace"])
    } else {
        (format!("{base}/{plural}"), Vec::new())
    };
    let mut named = scope.clone();
    named.push("name");
    let maker = Maker { doc };
    let item = format!("{collection}/{{name}}");
    let mut paths = vec![
        PathDoc { path: collection, parameters: scope, operations: maker.collection() },
        PathDoc { path: item.clone(), parameters: named.clone(), operations: maker.item("") },
    ];
    if doc.namespaced && maker.can("list") {
        let operations = vec![maker.list("ForAllNamespaces")];
        paths.push(PathDoc { path: format!("{base}/{plural}"), parameters: Vec::new(), operations });
    }
    for (wanted, name) in [(doc.status, "status"), (doc.scale, "scale")] {
        if wanted {
            let path = format!("{item}/{name}");
            paths.push(PathDoc { path, parameters: named.clone(), operations: maker.item(name) });
        }
    }
    paths.retain(|path| !path.operations.is_empty());
    paths
}

struct Maker<'d> {
    doc: &'d KindDoc,
}

impl Maker<'_> {
    fn can(&self, verb: &str) -> bool {
        self.doc.verbs.iter().any(|v| v == verb)
    }

    fn id(&self, verb: &str, tail: &str) -> String {
        let scope = if self.doc.namespaced { "Namespaced" } else { "" };
        let group: String = self.doc.group.split('.').map(capital).collect();
        format!("{verb}{group}{}{scope}{}{tail}", capital(&self.doc.version), self.doc.kind)
    }

    fn operation(&self, method: &'static str, action: &'static str, verb: &str, tail: &str) -> Operation {
        Operation {
            method,
            action,
            id: self.id(verb, tail),
            description: format!(
                "{verb} {} {}",
                if action == "list" { "objects of kind" } else { "the specified" },
                self.doc.kind
            ),
            query: vec!["pretty"],
            body: None,
            consumes: Vec::new(),
            answer: kind_name(self.doc),
            gvk: None,
        }
    }

    fn list(&self, tail: &str) -> Operation {
        let mut list = self.operation("get", "list", "list", tail);
        list.query.extend(LIST_QUERY);
        list.answer = list_name(self.doc);
        list
    }

    fn collection(&self) -> Vec<Operation> {
        let mut found = Vec::new();
        if self.can("list") {
            found.push(self.list(""));
        }
        if self.can("create") {
            let mut create = self.operation("post", "post", "create", "");
            create.query.extend(WRITE_QUERY);
            create.body = Some(kind_name(self.doc));
            create.consumes = vec!["application/json", "application/yaml"];
            found.push(create);
        }
        if self.can("deletecollection") {
            let mut delete = self.operation("delete", "deletecollection", "deleteCollection", "");
            delete.query.extend(LIST_QUERY);
            delete.query.extend(DELETE_QUERY);
            delete.body = Some(DELETE_OPTIONS.to_owned());
            delete.consumes = vec!["application/json"];
            delete.answer = STATUS.to_owned();
            found.push(delete);
        }
        found
    }

    /// The operations on one object; `sub` is empty or the name of a subresource.
    fn item(&self, sub: &str) -> Vec<Operation> {
        let tail = capital(sub);
        let schema = if sub == "scale" { SCALE.to_owned() } else { kind_name(self.doc) };
        let gvk = (sub == "scale").then(|| json!({"group": "autoscaling", "kind": "Scale", "version": "v1"}));
        let mut found = Vec::new();
        let mut push = |mut operation: Operation| {
            if operation.method != "delete" {
                operation.answer = schema.clone();
            }
            operation.gvk = gvk.clone();
            found.push(operation);
        };
        if self.can("get") {
            push(self.operation("get", "get", "read", &tail));
        }
        if self.can("update") {
            let mut put = self.operation("put", "put", "replace", &tail);
            put.query.extend(WRITE_QUERY);
            put.body = Some(schema.clone());
            put.consumes = vec!["application/json", "application/yaml"];
            push(put);
        }
        if self.can("patch") {
            let mut patch = self.operation("patch", "patch", "patch", &tail);
            patch.query.extend(PATCH_QUERY);
            patch.body = Some(PATCH.to_owned());
            patch.consumes =
                vec!["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"];
            if self.doc.strategic {
                patch.consumes.push("application/strategic-merge-patch+json");
            }
            push(patch);
        }
        if self.can("delete") && sub.is_empty() {
            let mut delete = self.operation("delete", "delete", "delete", "");
            delete.query.extend(DELETE_QUERY);
            delete.body = Some(DELETE_OPTIONS.to_owned());
            delete.consumes = vec!["application/json"];
            delete.answer = STATUS.to_owned();
            push(delete);
        }
        found
    }
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(chars).collect()
}
