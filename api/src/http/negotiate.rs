//! Content negotiation: which format and which shape an answer takes.

use crate::status::ApiError;

/// The format of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    Yaml,
}

/// The shape of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The object as it is.
    Object,
    /// Rows and columns for people.
    Table { beta: bool },
    /// Only the metadata.
    Metadata,
    /// Only the metadata of each item.
    MetadataList,
}

/// What an Accept header settles on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub media: Media,
    pub shape: Shape,
}

impl Accepted {
    pub(crate) const JSON: Self = Self { media: Media::Json, shape: Shape::Object };
}

/// One entry of an Accept header.
pub(super) struct Entry<'a> {
    pub media: &'a str,
    pub quality: f32,
    params: Vec<(&'a str, &'a str)>,
}

impl Entry<'_> {
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| *v)
    }
}

/// The entries of an Accept header, the best first; the order counts among equals.
pub(super) fn entries(header: &str) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry<'_>> = header
        .split(',')
        .filter_map(|part| {
            let mut pieces = part.split(';').map(str::trim);
            let media = pieces.next().filter(|m| !m.is_empty())?;
            let params: Vec<(&str, &str)> =
                pieces.filter_map(|p| p.split_once('=')).map(|(n, v)| (n.trim(), v.trim().trim_matches('"'))).collect();
            let quality = params.iter().find(|(n, _)| *n == "q").and_then(|(_, v)| v.parse().ok()).unwrap_or(1.0);
            Some(Entry { media, quality, params })
        })
        .collect();
    entries.sort_by(|a, b| b.quality.total_cmp(&a.quality));
    entries
}

/// What a request for objects accepts.
///
/// # Errors
/// 406 when nothing that we can give is accepted.
pub(super) fn accepted(header: Option<&str>, watch: bool) -> Result<Accepted, ApiError> {
    let header = header.unwrap_or_default().trim();
    if header.is_empty() {
        return Ok(Accepted::JSON);
    }
    for entry in entries(header).iter().filter(|e| e.quality > 0.0) {
        let media = match entry.media.to_ascii_lowercase().as_str() {
            "application/json" | "application/*" | "*/*" => Media::Json,
            "application/yaml" | "application/x-yaml" | "text/yaml" if !watch => Media::Yaml,
            _ => continue,
        };
        let meta_group = entry.param("g").is_none_or(|g| g == "meta.k8s.io");
        let shape = match (entry.param("as"), entry.param("v")) {
            (None, _) => Shape::Object,
            (Some("Table"), Some("v1")) if meta_group => Shape::Table { beta: false },
            (Some("Table"), Some("v1beta1")) if meta_group => Shape::Table { beta: true },
            (Some("PartialObjectMetadata"), Some("v1" | "v1beta1")) if meta_group => Shape::Metadata,
            (Some("PartialObjectMetadataList"), Some("v1" | "v1beta1")) if meta_group => Shape::MetadataList,
            _ => continue,
        };
        return Ok(Accepted { media, shape });
    }
    let yaml = if watch { "" } else { ", application/yaml" };
    Err(ApiError::not_acceptable(format!("only the following media types are accepted: application/json{yaml}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: &str, media: Media, shape: Shape) {
        assert_eq!(accepted(Some(header), false).unwrap(), Accepted { media, shape }, "{header}");
    }

    #[test]
    fn what_clients_really_send() {
        check("", Media::Json, Shape::Object);
        check("*/*", Media::Json, Shape::Object);
        check("application/vnd.kubernetes.protobuf,application/json", Media::Json, Shape::Object);
        check("application/json;q=0.1, application/yaml;q=0.9", Media::Yaml, Shape::Object);
        check(
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
            Media::Json,
            Shape::Table { beta: false },
        );
        check("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", Media::Json, Shape::MetadataList);
        check("application/json;stream=watch", Media::Json, Shape::Object);
    }

    #[test]
    fn what_cannot_be_given_is_406() {
        for header in
            ["text/html", "application/json;as=Bogus;v=v1;g=meta.k8s.io", "application/vnd.kubernetes.protobuf"]
        {
            assert_eq!(accepted(Some(header), false).unwrap_err().code(), 406, "{header}");
        }
        assert_eq!(accepted(Some("application/yaml"), true).unwrap_err().code(), 406);
    }
}
