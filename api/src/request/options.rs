//! The options of reads and writes, checked as Kubernetes checks them.

use serde_json::Value;

use super::Query;
use crate::status::ApiError;

/// How a `resourceVersion` is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RevisionMatch {
    Exact,
    NotOlderThan,
}

/// Options of list, watch, deletecollection.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListOptions {
    pub label_selector: Option<String>,
    pub field_selector: Option<String>,
    /// `None` means no limit.
    pub limit: Option<usize>,
    pub continue_token: Option<String>,
    /// `None` when not given; zero means "any".
    pub revision: Option<u64>,
    pub revision_match: Option<RevisionMatch>,
    pub allow_bookmarks: bool,
    pub timeout_seconds: Option<u64>,
    pub send_initial_events: Option<bool>,
}

impl ListOptions {
    /// Reads and checks the options of a list (`watch` false) or a watch.
    ///
    /// # Errors
    /// 400 for values that cannot be parsed, 422 for combinations that are not allowed.
    pub(crate) fn parse(query: &Query, watch: bool) -> Result<Self, ApiError> {
        let limit = match query.filled("limit") {
            None => None,
            Some(text) => usize::try_from(integer("limit", text)?).ok().filter(|n| *n > 0),
        };
        let timeout_seconds = match query.filled("timeoutSeconds") {
            None => None,
            Some(text) => u64::try_from(integer("timeoutSeconds", text)?).ok().filter(|n| *n > 0),
        };
        let revision = query.filled("resourceVersion").map(parse_revision).transpose()?;
        let revision_match = match query.filled("resourceVersionMatch") {
            None => None,
            Some("Exact") => Some(RevisionMatch::Exact),
            Some("NotOlderThan") => Some(RevisionMatch::NotOlderThan),
            Some(other) => {
                let message =
                    format!("Unsupported value: {other:?}: supported values: \"Exact\", \"NotOlderThan\", \"\"");
                return Err(list_option("resourceVersionMatch", "FieldValueNotSupported", message));
            }
        };
        let options = Self {
            label_selector: query.filled("labelSelector").map(str::to_owned),
            field_selector: query.filled("fieldSelector").map(str::to_owned),
            limit,
            continue_token: query.filled("continue").map(str::to_owned),
            revision,
            revision_match,
            allow_bookmarks: query.flag("allowWatchBookmarks"),
            timeout_seconds,
            send_initial_events: query.filled("sendInitialEvents").map(|v| !matches!(v, "false" | "0")),
        };
        if watch {
            options.check_watch()?
        } else {
            options.check_list()?
        }
        Ok(options)
    }

    fn check_watch(&self) -> Result<(), ApiError> {
        let forbid =
            |field: &str, why: &str| Err(list_option(field, "FieldValueForbidden", format!("Forbidden: {why}")));
        match (self.send_initial_events, self.revision_match) {
            (Some(_), Some(RevisionMatch::NotOlderThan)) | (None, None) => Ok(()),
            (Some(_), None) => forbid(
                "resourceVersionMatch",
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ),
            (Some(_), Some(RevisionMatch::Exact)) => forbid(
                "resourceVersionMatch",
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ),
            (None, Some(_)) => forbid(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ),
        }
    }

    fn check_list(&self) -> Result<(), ApiError> {
        let forbid =
            |field: &str, why: &str| Err(list_option(field, "FieldValueForbidden", format!("Forbidden: {why}")));
        if self.send_initial_events.is_some() {
            return forbid("sendInitialEvents", "sendInitialEvents is forbidden for list");
        }
        if self.continue_token.is_some() && self.revision.is_some_and(|r| r != 0) {
            return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
        }
        match self.revision_match {
            None => Ok(()),
            Some(_) if self.continue_token.is_some() => {
                forbid("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")
            }
            Some(_) if self.revision.is_none() => {
                forbid("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided")
            }
            Some(RevisionMatch::Exact) if self.revision == Some(0) => {
                forbid("resourceVersionMatch", "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"")
            }
            Some(_) => Ok(()),
        }
    }
}

fn list_option(field: &str, reason: &'static str, message: String) -> ApiError {
    ApiError::invalid_option("ListOptions", field, reason, message)
}

fn integer(name: &str, text: &str) -> Result<i64, ApiError> {
    text.parse().map_err(|_| {
        ApiError::bad_request(format!("parameter {name}: strconv.ParseInt: parsing {text:?}: invalid syntax"))
    })
}

/// Reads a `resourceVersion` of a read.
///
/// # Errors
/// 400 unless it is a whole number.
pub(crate) fn parse_revision(text: &str) -> Result<u64, ApiError> {
    text.parse().map_err(|_| {
        ApiError::bad_request(format!(
            "invalid resource version: resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
        ))
    })
}

/// What happens to fields that the schema does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    #[default]
    Warn,
    Strict,
}

/// Options of create, update and patch.
#[derive(Clone, Debug, Default)]
pub(crate) struct WriteOptions {
    pub dry_run: bool,
    /// The manager that the changed fields are booked under.
    pub field_manager: String,
    /// Whether it was named in the query rather than taken from the User-Agent.
    pub field_manager_given: bool,
    pub field_validation: FieldValidation,
    /// Whether the query says so, rather than the default.
    pub field_validation_given: bool,
    pub force: bool,
    /// Of a delete, for those who are asked whether it may be.
    pub delete: Option<DeleteOptions>,
}

/// The most bytes that a field manager's name may have.
const FIELD_MANAGER_BYTES_MAX: usize = 128;

impl WriteOptions {
    /// Reads and checks the options; `kind` is the option type that errors name, such as `CreateOptions`.
    ///
    /// # Errors
    /// 422 for a value that is not allowed.
    pub(crate) fn parse(query: &Query, kind: &str, user_agent: &str) -> Result<Self, ApiError> {
        let dry_run = parse_dry_run(kind, query.all("dryRun"))?;
        let field_validation = match query.get("fieldValidation") {
            None | Some("" | "Warn") => FieldValidation::Warn,
            Some("Ignore") => FieldValidation::Ignore,
            Some("Strict") => FieldValidation::Strict,
            Some(other) => {
                let message =
                    format!("Unsupported value: {other:?}: supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"");
                return Err(ApiError::invalid_option(kind, "fieldValidation", "FieldValueNotSupported", message));
            }
        };
        let given = query.filled("fieldManager");
        if let Some(manager) = given {
            if manager.len() > FIELD_MANAGER_BYTES_MAX {
                let message = format!("Too long: may not be more than {FIELD_MANAGER_BYTES_MAX} bytes");
                return Err(ApiError::invalid_option(kind, "fieldManager", "FieldValueTooLong", message));
            }
            if manager.chars().any(char::is_control) {
                let message = format!("Invalid value: {manager:?}: should only contain printable characters");
                return Err(ApiError::invalid_option(kind, "fieldManager", "FieldValueInvalid", message));
            }
        }
        Ok(Self {
            dry_run,
            field_manager: given.map_or_else(|| manager_of(user_agent), str::to_owned),
            field_manager_given: given.is_some(),
            field_validation,
            field_validation_given: query.filled("fieldValidation").is_some(),
            force: query.flag("force"),
            delete: None,
        })
    }
}

/// The manager's name when none is given: the User-Agent up to its first `/`.
fn manager_of(user_agent: &str) -> String {
    let name: String = user_agent.split('/').next().unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
    let end =
        name.char_indices().map(|(i, c)| i + c.len_utf8()).take_while(|end| *end <= FIELD_MANAGER_BYTES_MAX).last();
    match end {
        None | Some(0) => "unknown".to_owned(),
        Some(end) => name[..end].to_owned(),
    }
}

fn parse_dry_run<'a>(kind: &str, values: impl Iterator<Item = &'a str>) -> Result<bool, ApiError> {
    let mut dry_run = false;
    for value in values.filter(|v| !v.is_empty()) {
        if value != "All" {
            let message = format!("Unsupported value: [{value:?}]: supported values: \"All\"");
            return Err(ApiError::invalid_option(kind, "dryRun", "FieldValueNotSupported", message));
        }
        dry_run = true;
    }
    Ok(dry_run)
}

/// What becomes of the objects that an object owns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Propagation {
    #[default]
    Background,
    Foreground,
    Orphan,
}

/// What must be true of an object for it to be deleted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Preconditions {
    pub uid: Option<String>,
    pub revision: Option<String>,
}

/// Options of delete and deletecollection.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteOptions {
    pub dry_run: bool,
    pub propagation: Option<Propagation>,
    pub preconditions: Preconditions,
    pub grace_seconds: Option<i64>,
}

impl DeleteOptions {
    /// Reads the options from the query and, where given, the body; the body wins.
    ///
    /// # Errors
    /// 400 for a body that is not DeleteOptions, 422 for values that are not allowed.
    pub(crate) fn parse(query: &Query, body: Option<&Value>) -> Result<Self, ApiError> {
        const KIND: &str = "DeleteOptions";
        let body = match body {
            None | Some(Value::Null) => None,
            Some(Value::Object(map)) => Some(map),
            Some(_) => return Err(ApiError::bad_request("the body of a delete must be DeleteOptions")),
        };
        if let Some(kind) = body.and_then(|b| b.get("kind")).and_then(Value::as_str)
            && kind != KIND
        {
            return Err(ApiError::bad_request(format!("the body of a delete must be DeleteOptions, not {kind:?}")));
        }
        let field = |name: &str| body.and_then(|b| b.get(name)).filter(|v| !v.is_null());
        let text = |name: &str| -> Result<Option<String>, ApiError> {
            match field(name) {
                None => Ok(query.filled(name).map(str::to_owned)),
                Some(Value::String(text)) => Ok(Some(text.clone()).filter(|t| !t.is_empty())),
                Some(_) => Err(ApiError::bad_request(format!("DeleteOptions.{name} must be a string"))),
            }
        };
        let in_body: Vec<&str> = match field("dryRun") {
            Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let dry_run = parse_dry_run(KIND, in_body.into_iter().chain(query.all("dryRun")))?;
        let orphan = match field("orphanDependents") {
            Some(value) => value.as_bool(),
            None => query.filled("orphanDependents").map(|v| v == "true" || v == "1"),
        };
        let policy = text("propagationPolicy")?;
        if orphan.is_some() && policy.is_some() {
            let message = "Invalid value: orphanDependents and deletionPropagation cannot be both set".to_owned();
            return Err(ApiError::invalid_option(KIND, "propagationPolicy", "FieldValueInvalid", message));
        }
        let propagation = match (policy.as_deref(), orphan) {
            (Some("Background"), _) | (None, Some(false)) => Some(Propagation::Background),
            (Some("Foreground"), _) => Some(Propagation::Foreground),
            (Some("Orphan"), _) | (None, Some(true)) => Some(Propagation::Orphan),
            (None, None) => None,
            (Some(other), _) => {
                let message = format!(
                    "Unsupported value: {other:?}: supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
                );
                return Err(ApiError::invalid_option(KIND, "propagationPolicy", "FieldValueNotSupported", message));
            }
        };
        let conditions = field("preconditions").and_then(Value::as_object);
        let condition = |name: &str| conditions.and_then(|c| c.get(name)).and_then(Value::as_str).map(str::to_owned);
        let grace_seconds = match field("gracePeriodSeconds") {
            Some(value) => value.as_i64(),
            None => query.filled("gracePeriodSeconds").map(|t| integer("gracePeriodSeconds", t)).transpose()?,
        };
        Ok(Self {
            dry_run,
            propagation,
            preconditions: Preconditions { uid: condition("uid"), revision: condition("resourceVersion") },
            grace_seconds,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn list_code(query: &str, watch: bool) -> u16 {
        ListOptions::parse(&Query::parse(Some(query)), watch).map_or_else(|e| e.code(), |_| 200)
    }

    #[test]
    fn the_matrix_of_list_options() {
        for (query, code) in [
            ("", 200),
            ("limit=-1", 200),
            ("limit=abc", 400),
            ("resourceVersion=abc", 400),
            ("continue=x&resourceVersion=5", 400),
            ("continue=x&resourceVersion=0", 200),
            ("resourceVersionMatch=Exact", 422),
            ("resourceVersion=0&resourceVersionMatch=Exact", 422),
            ("resourceVersion=5&resourceVersionMatch=Exact", 200),
            ("resourceVersion=5&resourceVersionMatch=Bogus", 422),
            ("sendInitialEvents=true", 422),
        ] {
            assert_eq!(list_code(query, false), code, "{query}");
        }
    }

    #[test]
    fn the_matrix_of_watch_options() {
        for (query, code) in [
            ("", 200),
            ("resourceVersionMatch=NotOlderThan", 422),
            ("sendInitialEvents=true", 422),
            ("sendInitialEvents=true&resourceVersionMatch=NotOlderThan", 200),
        ] {
            assert_eq!(list_code(query, true), code, "{query}");
        }
    }

    #[test]
    fn the_manager_is_the_user_agent_up_to_the_slash() {
        assert_eq!(manager_of("mytool/1.2"), "mytool");
        assert_eq!(manager_of(""), "unknown");
    }

    #[test]
    fn delete_options_come_from_body_or_query() {
        let parse = |query: &str, body: Value| DeleteOptions::parse(&Query::parse(Some(query)), Some(&body));
        assert_eq!(parse("", serde_json::json!({})).unwrap().propagation, None);
        let given = parse("propagationPolicy=Orphan", serde_json::json!({"propagationPolicy": "Foreground"})).unwrap();
        assert_eq!(given.propagation, Some(Propagation::Foreground));
        assert_eq!(parse("propagationPolicy=Bogus", serde_json::json!({})).unwrap_err().code(), 422);
        assert!(parse("", serde_json::json!({"dryRun": ["All"]})).unwrap().dry_run);
    }
}
