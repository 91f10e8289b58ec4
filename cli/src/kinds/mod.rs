//! From what a person types (`svc`, `Services`, `service/hello`) to a served kind.

mod known;
pub(crate) mod target;

use berth_client::{Resource, Session, discovery};

use crate::failure::{Failure, Outcome};
use crate::text::near;

pub(crate) use known::{known, ours};

/// The kinds that this command has met. Ours and the core ones are compiled in, so that a common command costs no
/// request; anything else asks the server once.
#[derive(Debug, Default)]
pub(crate) struct Kinds {
    discovered: Option<Vec<Resource>>,
}

impl Kinds {
    /// The kind that was meant.
    ///
    /// # Errors
    /// When there is none; it tells the nearest.
    pub(crate) async fn resolve(&mut self, session: &Session, typed: &str) -> Outcome<Resource> {
        if let Some(resource) = known().iter().find(|r| is_called(r, typed)) {
            return Ok(resource.clone());
        }
        let all = self.all(session).await?;
        if let Some(resource) = all.iter().find(|r| is_called(r, typed)) {
            return Ok(resource.clone());
        }
        Err(unknown(typed, all))
    }

    /// The kinds of a category, such as `all`, or the one kind that was meant.
    pub(crate) async fn resolve_many(&mut self, session: &Session, typed: &str) -> Outcome<Vec<Resource>> {
        if let Some(resource) = known().iter().find(|r| is_called(r, typed)) {
            return Ok(vec![resource.clone()]);
        }
        let all = self.all(session).await?;
        let members: Vec<Resource> =
            all.iter().filter(|r| r.categories.iter().any(|c| c.eq_ignore_ascii_case(typed))).cloned().collect();
        if !members.is_empty() {
            return Ok(members);
        }
        Ok(vec![self.resolve(session, typed).await?])
    }

    /// The kind of a manifest.
    ///
    /// # Errors
    /// When the server does not serve it.
    pub(crate) async fn of_manifest(&mut self, session: &Session, api_version: &str, kind: &str) -> Outcome<Resource> {
        let is = |r: &&Resource| r.kind == kind && r.api_version() == api_version;
        if let Some(resource) = known().iter().find(is) {
            return Ok(resource.clone());
        }
        let all = self.all(session).await?;
        if let Some(resource) = all.iter().find(is) {
            return Ok(resource.clone());
        }
        // The same kind in another group or version is what a slip looks like most often.
        let elsewhere = known().iter().chain(all).find(|r| r.kind.eq_ignore_ascii_case(kind));
        let names = || known().iter().chain(all).map(|r| r.kind.as_str());
        let meant = match elsewhere {
            Some(r) => Some(format!("{} in {}", r.kind, r.api_version())),
            None => near::nearest(kind, names()).map(ToOwned::to_owned),
        };
        let meant = meant.map(|m| format!(", did you mean {m}?")).unwrap_or_default();
        Err(Failure::new(format!("{kind} in {api_version} is not a kind that this server knows{meant}")))
    }

    /// Everything that the server serves.
    pub(crate) async fn all(&mut self, session: &Session) -> Outcome<&[Resource]> {
        if self.discovered.is_none() {
            let mut all = discovery::discover(session).await?;
            // Ours win over kinds of the same name in other groups; the sort is stable.
            all.sort_by_key(|r| r.group != berth_types::GROUP);
            self.discovered = Some(all);
        }
        Ok(self.discovered.as_deref().unwrap_or_default())
    }

    /// Forgets what was discovered: after a kind was added.
    pub(crate) fn forget(&mut self) {
        self.discovered = None;
    }
}

/// Whether somebody who typed this may mean the kind: plural, singular, kind or short name, with or without group.
fn is_called(resource: &Resource, typed: &str) -> bool {
    let is = |name: &str| name.eq_ignore_ascii_case(typed);
    if is(&resource.plural)
        || is(&resource.singular)
        || is(&resource.kind)
        || resource.short_names.iter().any(|s| is(s))
    {
        return true;
    }
    let Some((name, rest)) = typed.split_once('.') else { return false };
    let names_it = [&resource.plural, &resource.singular, &resource.kind].iter().any(|n| n.eq_ignore_ascii_case(name));
    let versioned = format!("{}.{}", resource.version, resource.group);
    names_it && !resource.group.is_empty() && (rest == resource.group || rest == versioned)
}

fn unknown(typed: &str, all: &[Resource]) -> Failure {
    let names = known().iter().chain(all).flat_map(|r| [r.plural.as_str(), r.singular.as_str()]);
    let failure = Failure::new(format!("the server knows no kind {typed:?}")).code(crate::failure::exit::NOT_FOUND);
    if let Some(ours) = elsewhere_called(typed) {
        return failure.hint(format!("what Kubernetes calls {typed} are {ours} here: berth get {ours}"));
    }
    match near::nearest(typed, names) {
        Some(meant) => failure.hint(format!("did you mean {meant:?}?")),
        None => failure.hint("all kinds are listed by: berth api-resources"),
    }
}

/// Our kind for what Kubernetes users look for.
fn elsewhere_called(typed: &str) -> Option<&'static str> {
    Some(match typed.to_lowercase().as_str() {
        "pod" | "pods" | "po" => "tasks",
        "deployment" | "deployments" | "deploy" | "statefulset" | "statefulsets" | "sts" => "services",
        "cronjob" | "cronjobs" | "cj" => "jobs",
        "replicaset" | "replicasets" | "rs" => "revisions",
        _ => return None,
    })
}

/// `service/hello`: how we print an object. Kinds of other groups carry their group.
pub(crate) fn title(resource: &Resource, name: &str) -> String {
    if resource.group.is_empty() || resource.group == berth_types::GROUP {
        return format!("{}/{name}", resource.singular);
    }
    format!("{}.{}/{name}", resource.singular, resource.group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn meant(typed: &str) -> Option<&'static str> {
        known().iter().find(|r| is_called(r, typed)).map(|r| r.kind.as_str())
    }

    #[test]
    fn every_form_of_a_name_is_understood() {
        for typed in ["svc", "Services", "SERVICE", "service.berth.dev", "services.v1.berth.dev"] {
            assert_eq!(meant(typed), Some("Service"), "{typed}");
        }
        assert_eq!(meant("cm"), Some("ConfigMap"));
        assert_eq!(meant("services.apps"), None);
        assert_eq!(meant("pods"), None);
    }

    #[test]
    fn a_stranger_gets_the_nearest_name() {
        assert_eq!(unknown("serivces", &[]).hints, [r#"did you mean "services"?"#]);
        assert_eq!(unknown("quux", &[]).hints, ["all kinds are listed by: berth api-resources"]);
    }
}
