//! `authorizer` in expressions: may the user of the request, or a service account, do this?

use berth_access::{Attributes as Wanted, Resource};
use berth_cel::value;

use crate::authn::UserInfo;
use crate::authz;
use crate::inner::Inner;
use crate::write::Write;

/// Groups of every service account, and of those of one namespace.
const ACCOUNTS: &str = "system:serviceaccounts";

/// Answers for the user of one request.
pub(crate) struct Authorizer<'a> {
    server: &'a Inner,
    user: &'a UserInfo,
}

impl<'a> Authorizer<'a> {
    pub(crate) fn of(w: &Write<'a>) -> Self {
        Self { server: w.server, user: w.user }
    }
}

impl value::Authorizer for Authorizer<'_> {
    fn check(&self, attributes: &value::Attributes) -> value::Decision {
        let account = attributes.service_account.as_ref().map(|(namespace, name)| {
            let group = format!("{ACCOUNTS}:{namespace}");
            UserInfo::new(format!("system:serviceaccount:{namespace}:{name}"), &[ACCOUNTS, &group])
        });
        let user = account.as_ref().unwrap_or(self.user);
        let wanted = if attributes.resource_request {
            Wanted::Resource(Resource {
                verb: &attributes.verb,
                group: &attributes.group,
                resource: &attributes.resource,
                subresource: &attributes.subresource,
                namespace: &attributes.namespace,
                name: &attributes.name,
                fields: &[],
            })
        } else {
            Wanted::Path { verb: &attributes.verb, path: &attributes.path }
        };
        let decision = authz::decide(self.server, user, &wanted);
        value::Decision { allowed: decision.allowed, reason: decision.reason.to_string(), error: None }
    }
}
