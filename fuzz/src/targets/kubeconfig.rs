//! Kubeconfigs: those that we write say what we meant, whatever the user's name; those that we read are taken or not.

use berth_api::kubeconfig::{Credentials, text};
use berth_client::kube::config::Kubeconfig;

use crate::input;

pub(crate) fn run(bytes: &[u8]) {
    let Some(given) = input::text(bytes) else { return };
    let _ = Kubeconfig::from_yaml(given);
    // A name is one line; what it may hold else is the identity provider's choice.
    let user: String = given.chars().filter(|c| !c.is_control()).take(200).collect();
    let written = text("https://127.0.0.1:7443", "CA", &user, Credentials::Token("abc"));
    let read = Kubeconfig::from_yaml(&written).expect("what we write is read");
    assert_eq!(read.auth_infos.len(), 1);
    assert_eq!(read.auth_infos[0].name, user);
    assert_eq!(read.contexts[0].context.as_ref().and_then(|c| c.user.as_deref()), Some(user.as_str()));
}
