//! The signers that every cluster has, and what each of them grants.

use super::{NODE_PREFIX, NODES, Request};

/// Client certificates for people and programs.
pub const KUBE_APISERVER_CLIENT: &str = "kubernetes.io/kube-apiserver-client";
/// Client certificates of agents, approved by the cluster itself.
pub const KUBELET_CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";
/// Serving certificates of agents.
pub const KUBELET_SERVING: &str = "kubernetes.io/kubelet-serving";

/// The usages that a request may name: upstream's list, in its order of an error message.
pub const USAGES: &[&str] = &[
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

/// A signer refuses a request; upstream's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotGranted(String);

fn refuse(why: &str) -> Result<(), NotGranted> {
    Err(NotGranted(why.to_owned()))
}

/// Whether a known signer grants a request with these usages.
///
/// # Errors
/// Why not.
pub fn check_signer(signer: &str, request: &Request, usages: &[String]) -> Result<(), NotGranted> {
    if request.names.others > 0 {
        return refuse("subjectAltNames of other kinds than DNS, email, IP and URI are not allowed");
    }
    match signer {
        KUBE_APISERVER_CLIENT => client_usages(usages),
        KUBELET_CLIENT => {
            node_organization(request)?;
            no_names(request, true)?;
            node_name(request)?;
            exactly(usages, ["client auth", "digital signature", "key encipherment"])
        }
        KUBELET_SERVING => {
            node_organization(request)?;
            if request.names.dns.is_empty() && request.names.ips.is_empty() {
                return refuse("DNS or IP subjectAltName is required");
            }
            no_names(request, false)?;
            exactly(usages, ["digital signature", "key encipherment", "server auth"])?;
            node_name(request)
        }
        other => Err(NotGranted(format!("unrecognized signerName: {other:?}"))),
    }
}

fn node_organization(request: &Request) -> Result<(), NotGranted> {
    if request.organizations == [NODES] { Ok(()) } else { refuse("subject organization is not system:nodes") }
}

fn node_name(request: &Request) -> Result<(), NotGranted> {
    match request.common_name.strip_prefix(NODE_PREFIX) {
        Some(name) if !name.is_empty() => Ok(()),
        _ => refuse("subject common name does not begin with system:node:"),
    }
}

fn no_names(request: &Request, at_all: bool) -> Result<(), NotGranted> {
    let names = &request.names;
    if at_all && !names.dns.is_empty() {
        return refuse("DNS subjectAltNames are not allowed");
    }
    if !names.emails.is_empty() {
        return refuse("Email subjectAltNames are not allowed");
    }
    if at_all && !names.ips.is_empty() {
        return refuse("IP subjectAltNames are not allowed");
    }
    if !names.uris.is_empty() {
        return refuse("URI subjectAltNames are not allowed");
    }
    Ok(())
}

/// All of `wanted`, where "key encipherment" may be left out (only RSA keys encipher), and nothing else.
fn exactly(usages: &[String], wanted: [&str; 3]) -> Result<(), NotGranted> {
    let asked = |usage: &str| usages.iter().any(|u| u == usage);
    let all = wanted.iter().all(|usage| *usage == "key encipherment" || asked(usage));
    if all && usages.iter().all(|usage| wanted.contains(&usage.as_str())) {
        return Ok(());
    }
    Err(NotGranted(format!("usages did not match [{}]", wanted.join(" "))))
}

fn client_usages(usages: &[String]) -> Result<(), NotGranted> {
    for usage in usages {
        if !["digital signature", "key encipherment", "client auth"].contains(&usage.as_str()) {
            return Err(NotGranted(format!("invalid usage for client certificate: {usage}")));
        }
    }
    if usages.iter().any(|usage| usage == "client auth") {
        return Ok(());
    }
    refuse("missing required usage for client certificate: client auth")
}

/// Whether a text names a signer: a domain with a dot, a slash, and a path of names.
pub fn is_signer_name(text: &str) -> bool {
    let Some((domain, path)) = text.split_once('/') else { return false };
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let label = |part: &str| {
        !part.is_empty()
            && part.len() <= 63
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(inner)
    };
    let name = |part: &str| !part.is_empty() && part.split('.').all(label);
    domain.contains('.') && name(domain) && path.split('/').all(name) && text.len() <= 571
}
