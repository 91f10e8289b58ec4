//! Audit policies: a policy that is taken says the same of a request each time.

use berth_api::fuzzing::audit_policy;

use crate::input;

const USUAL: [&str; 4] = ["/api/v1/namespaces/default/secrets/a", "/apis/berth.dev/v1/services", "/healthz", "/"];

pub(crate) fn run(bytes: &[u8]) {
    let Some([policy, paths]) = input::parts::<2>(bytes) else { return };
    let paths: Vec<&str> = USUAL.into_iter().chain(paths.lines()).collect();
    match audit_policy(policy, &paths) {
        Ok(levels) => assert_eq!(Ok(levels), audit_policy(policy, &paths)),
        Err(why) => assert!(why.len() <= 64 * policy.len() + 1024, "an error does not grow with the input"),
    }
}
