//! Label and field selectors of a request, as a filter of the watch cache.

use std::borrow::Cow;
use std::sync::Arc;

use berth_schema::selector::{FieldSelector, LabelSelector};
use berth_store::cache::{Entry, Filter};

use crate::registry::Resource;
use crate::status::ApiError;

/// The filter of a list or watch, and whether it selects (counts are then unknown).
pub(super) fn filter(
    resource: &Resource,
    namespace: Option<&str>,
    labels: Option<&str>,
    fields: Option<&str>,
) -> Result<(Filter, bool), ApiError> {
    let labels = labels.map(LabelSelector::parse).transpose().map_err(|e| ApiError::bad_request(e.to_string()))?;
    let fields = fields.map(FieldSelector::parse).transpose().map_err(|e| ApiError::bad_request(e.to_string()))?;
    let labels = labels.filter(|selector| !selector.is_empty());
    let fields = fields.filter(|selector| !selector.is_empty());
    let mut filter = Filter { namespace: namespace.map(str::to_owned), ..Filter::default() };
    let selects = labels.is_some() || fields.is_some();
    if let Some(fields) = &fields {
        for term in &fields.terms {
            check_field(resource, &term.path)?;
        }
        filter.name = fields.exact("metadata.name").map(str::to_owned);
        // One indexed field with one value: such a watcher is woken by its own events only.
        filter.field = resource.selectable.iter().find_map(|path| {
            let value = fields.exact(path).filter(|v| !v.is_empty())?;
            if (resource.strategy.field_instead)(path).is_some() {
                return None;
            }
            Some(((resource.strategy.stored_field)(path).to_owned(), value.to_owned()))
        });
    }
    let (stored_field, field_instead) = (resource.strategy.stored_field, resource.strategy.field_instead);
    if selects {
        filter.predicate = Some(Arc::new(move |entry: &Entry| {
            labels.as_ref().is_none_or(|selector| selector.matches(|key| entry.label(key)))
                && fields.as_ref().is_none_or(|selector| {
                    selector.matches(|path| {
                        Some(Cow::Borrowed(match path {
                            "metadata.name" => entry.name(),
                            "metadata.namespace" => entry.namespace(),
                            other => match (entry.field(stored_field(other)), field_instead(other)) {
                                ("", Some(instead)) => entry.field(instead),
                                (value, _) => value,
                            },
                        }))
                    })
                })
        }));
    }
    Ok((filter, selects))
}

fn check_field(resource: &Resource, path: &str) -> Result<(), ApiError> {
    let known = path == "metadata.name"
        || path == "metadata.namespace" && resource.namespaced
        || resource.selectable.iter().any(|field| field == path);
    if known {
        return Ok(());
    }
    Err(ApiError::bad_request(if resource.built_in {
        format!("{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
    } else {
        format!("field label not supported: {path}")
    }))
}
