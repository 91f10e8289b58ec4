//! All errors of one object at once, by the schemas that ship with this binary.
//!
//! The server's server-side apply stops at the first field whose type is wrong (as Kubernetes' does). Once it has
//! refused an object of one of our kinds, the same schema tells here what else is wrong with it.

use berth_schema::Structural;
use serde_json::Value;

use crate::manifest::{Document, Problem};

/// What the schema says about the object; nothing for kinds that are not ours.
pub(crate) fn problems(document: &Document) -> Vec<Problem> {
    if document.api_version() != berth_types::API_VERSION {
        return vec![];
    }
    let Some(crd) = berth_types::crds::all().into_iter().find(|c| c.spec.names.kind == document.kind()) else {
        return vec![];
    };
    let Ok(crd) = serde_json::to_value(&crd) else { return vec![] };
    let Ok(schema) = Structural::compile(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]) else { return vec![] };
    let mut object: Value = document.object.clone();
    let unknown = schema.prune(&mut object);
    schema.default(&mut object);
    let wrong = schema.validate(&object, None);
    let unknown = unknown.into_iter().map(|field| {
        let meant = field.suggestion.map(|s| format!(", did you mean {s:?}?")).unwrap_or_default();
        document.problem(&field.path, format!("unknown field{meant}"))
    });
    let wrong = wrong.into_iter().filter(|e| e.field != "<nil>").map(|e| document.problem(&e.field, tidy(&e.field, &e.detail)));
    unknown.chain(wrong).collect()
}

/// `Invalid value: "string": spec.replicas in body must be …` names the field twice; once is enough.
fn tidy(field: &str, detail: &str) -> String {
    detail.replace(&format!("{field} in body "), "")
}

/// Adds what the server did not say; where both speak of a field the server's words stay.
pub(crate) fn complete(document: &Document, said: Vec<Problem>) -> Vec<Problem> {
    let more = problems(document);
    let new = more.into_iter().filter(|m| !said.iter().any(|s| s.field == m.field)).collect::<Vec<_>>();
    said.into_iter().chain(new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_of_a_broken_manifest_is_told() {
        let text = "apiVersion: berth.dev/v1\nkind: Service\nmetadata:\n  name: bad\nspec:\n  replcas: 3\n  replicas: many\n  template:\n    spec:\n      containers:\n      - name: Web_1\n        shel: sleep 1\n        ports: [{hostPort: 99999}]\n";
        let document = crate::manifest::read("bad.yaml", text, &mut vec![]).remove(0);
        let mut told: Vec<String> = problems(&document).iter().map(ToString::to_string).collect();
        told.sort();
        let starts = [
            "bad.yaml:11: spec.template.spec.containers[0].name: ",
            "bad.yaml:12: spec.template.spec.containers[0].shel: unknown field, did you mean \"shell\"?",
            "bad.yaml:13: spec.template.spec.containers[0].ports[0].hostPort: ",
            "bad.yaml:6: spec.replcas: unknown field, did you mean \"replicas\"?",
            "bad.yaml:7: spec.replicas: ",
        ];
        assert_eq!(told.len(), starts.len(), "{told:#?}");
        for (told, start) in told.iter().zip(starts) {
            assert!(told.starts_with(start), "{told}\n{start}");
        }
    }
}
