//! Writing a kubeconfig: one cluster, one user, one context.

use std::fmt::Write;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::pki::Identity;

/// How a kubeconfig's user proves who it is.
#[derive(Clone, Copy, Debug)]
pub enum Credentials<'a> {
    Certificate(&'a Identity),
    Token(&'a str),
}

/// The text of a kubeconfig for `server` (such as `https://127.0.0.1:7443`).
pub fn text(server: &str, ca_pem: &str, user: &str, credentials: Credentials<'_>) -> String {
    let data = |pem: &str| STANDARD.encode(pem);
    // JSON's form of a text is YAML's too: a name may hold what YAML means something by.
    let user = serde_json::Value::from(user);
    let mut out = String::new();
    let _ = write!(
        out,
        "apiVersion: v1\nkind: Config\ncurrent-context: berth\nclusters:\n- name: berth\n  cluster:\n    server: {server}\n    \
         certificate-authority-data: {}\ncontexts:\n- name: berth\n  context: {{cluster: berth, user: {user}}}\n\
         users:\n- name: {user}\n  user:\n",
        data(ca_pem)
    );
    match credentials {
        Credentials::Certificate(identity) => {
            let _ = write!(
                out,
                "    client-certificate-data: {}\n    client-key-data: {}\n",
                data(&identity.certificate_pem),
                data(&identity.key_pem)
            );
        }
        Credentials::Token(token) => {
            let _ = writeln!(out, "    token: {token}");
        }
    }
    out
}

/// Writes a kubeconfig that only its owner can read, whole or not at all.
///
/// # Errors
/// What the file system says.
pub fn write(path: &Path, text: &str) -> std::io::Result<()> {
    crate::files::write_private(path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_yaml_with_everything_in_it() {
        let text = text("https://127.0.0.1:7443", "CA", "admin", Credentials::Token("abc"));
        let value: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(value["clusters"][0]["cluster"]["certificate-authority-data"], "Q0E=");
        assert_eq!(value["contexts"][0]["context"]["user"], "admin");
        assert_eq!(value["users"][0]["user"]["token"], "abc");
    }
}
