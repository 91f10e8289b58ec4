//! Logins against a directory that runs here: TLS from the first byte, a few people, and one that sends nonsense.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::der::{self, Reader};

const ALICE: &str = "uid=alice,ou=people,dc=x";

/// What the directory does.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Proper,
    /// Claims that gigabytes follow.
    Endless,
}

fn result(tag: u8, code: i64) -> Vec<u8> {
    let empty = der::tlv(der::OCTET_STRING, &[]);
    der::constructed(tag, &[&der::integer(der::ENUMERATED, code), &empty, &empty])
}

fn entry(dn: &str, attribute: &str, values: &[&str]) -> Vec<u8> {
    let text = |t: &str| der::tlv(der::OCTET_STRING, t.as_bytes());
    let set: Vec<u8> = values.iter().flat_map(|v| text(v)).collect();
    let pair = der::constructed(der::SEQUENCE, &[&text(attribute), &der::tlv(der::SET, &set)]);
    der::constructed(0x64, &[&text(dn), &der::tlv(der::SEQUENCE, &pair)])
}

/// The answers to one request.
fn answers(tag: u8, operation: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = Reader::new(operation);
    if tag == 0x60 {
        reader.int(der::INTEGER).unwrap();
        let dn = String::from_utf8(reader.expect(der::OCTET_STRING).unwrap().to_vec()).unwrap();
        let password = reader.expect(0x80).unwrap();
        let good = matches!((dn.as_str(), password), (ALICE, b"wonderland") | ("cn=reader", b"reading"));
        return vec![result(0x61, if good { 0 } else { 49 })];
    }
    let base = String::from_utf8(reader.expect(der::OCTET_STRING).unwrap().to_vec()).unwrap();
    let whole = String::from_utf8_lossy(operation).into_owned();
    let mut all = Vec::new();
    if base == ALICE {
        all.push(entry(ALICE, "memberOf", &["cn=dev,ou=groups,dc=x", "cn=system:masters,ou=groups"]));
    } else if base == "ou=groups,dc=x" && whole.contains(ALICE) {
        all.push(entry("cn=ops,ou=groups,dc=x", "cn", &["ops"]));
    } else if base == "ou=people,dc=x" {
        if whole.contains("alice") || whole.contains("twins") {
            all.push(entry(ALICE, "x", &[]));
        }
        if whole.contains("twins") {
            all.push(entry("uid=other", "x", &[]));
        }
    }
    all.push(result(0x65, 0));
    all
}

/// A directory on the loopback; its port and its authority in PEM form.
async fn directory(manner: Manner, start_tls: bool) -> (u16, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (pem, key) = (made.cert.pem(), made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(made.cert.der().to_vec())], PrivateKeyDer::try_from(key).unwrap())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let acceptor = TlsAcceptor::from(Arc::new(config.clone()));
            tokio::spawn(async move {
                if start_tls {
                    let mut buffer = [0u8; 512];
                    let _ = tcp.read(&mut buffer).await;
                    let ok = der::constructed(der::SEQUENCE, &[&der::integer(2, 1), &result(0x78, 0)]);
                    let _ = tcp.write_all(&ok).await;
                }
                let Ok(mut stream) = acceptor.accept(tcp).await else { return };
                let mut buffer = Vec::new();
                loop {
                    while let Ok(Some((_, content, rest))) = der::split(&buffer) {
                        let (id, tag, operation) = message::read(content).unwrap();
                        if tag == 0x42 {
                            return;
                        }
                        let mut out: Vec<u8> = Vec::new();
                        if manner == Manner::Endless {
                            out.extend([0x30, 0x84, 0x7f, 0xff, 0xff, 0xff]);
                            out.resize(3 * 1024 * 1024, 0);
                        } else {
                            for answer in answers(tag, operation) {
                                out.extend(der::constructed(der::SEQUENCE, &[&der::integer(2, id), &answer]));
                            }
                        }
                        let rest = rest.to_vec();
                        if stream.write_all(&out).await.is_err() {
                            return;
                        }
                        buffer = rest;
                    }
                    match stream.read_buf(&mut buffer).await {
                        Ok(0) | Err(_) => return,
                        Ok(_) => {}
                    }
                }
            });
        }
    });
    (port, pem)
}

async fn asked(manner: Manner, start_tls: bool, rest: &str) -> (Directory, tempfile::TempDir) {
    let (port, pem) = directory(manner, start_tls).await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ca.pem"), pem).unwrap();
    crate::files::write_private(&dir.path().join("password"), b"reading\n").unwrap();
    let scheme = if start_tls { "ldap" } else { "ldaps" };
    let place = dir.path().display();
    let text = format!(
        "url: {scheme}://localhost:{port}\nstartTLS: {start_tls}\ncaFile: {place}/ca.pem\n{}",
        rest.replace("DIR", &place.to_string())
    );
    (Directory::new(Config::parse(&text).unwrap()).unwrap(), dir)
}

const TEMPLATE: &str = "user:\n  bindDNTemplate: 'uid={username},ou=people,dc=x'\n\
                        groups:\n  memberAttribute: memberOf\ngroupsPrefix: ''\n";
const SEARCH: &str = "user:\n  base: ou=people,dc=x\n  filter: '(uid={username})'\n  bindDN: cn=reader\n  \
                      bindPasswordFile: DIR/password\n\
                      groups:\n  base: ou=groups,dc=x\n  filter: '(member={dn})'\ngroupsPrefix: 'ldap:'\n";

#[tokio::test]
async fn a_user_binds_by_a_template_and_gets_the_groups_of_the_entry() {
    for start_tls in [false, true] {
        let (directory, _dir) = asked(Manner::Proper, start_tls, TEMPLATE).await;
        let subject = directory.login("alice", "wonderland").await.unwrap();
        assert_eq!((subject.name.as_str(), subject.uid.as_str()), ("alice", ALICE));
        assert_eq!(subject.groups, ["dev"], "the system's own groups are not a directory's to give");
        assert!(matches!(directory.login("alice", "wrong").await, Err(LdapError::Wrong)));
        assert!(matches!(directory.login("alice", "").await, Err(LdapError::Wrong)));
        assert!(matches!(directory.login("alice,ou=people,dc=x", "wonderland").await, Err(LdapError::Wrong)));
    }
}

#[tokio::test]
async fn a_user_is_searched_for_and_found_in_groups() {
    let (directory, _dir) = asked(Manner::Proper, false, SEARCH).await;
    assert_eq!(directory.login("alice", "wonderland").await.unwrap().groups, ["ldap:ops"]);
    assert!(matches!(directory.login("bob", "wonderland").await, Err(LdapError::Wrong)));
    assert!(matches!(directory.login("twins", "wonderland").await, Err(LdapError::Ambiguous(2))));
    assert!(matches!(directory.login("*", "wonderland").await, Err(LdapError::Wrong)));
}

#[tokio::test]
async fn a_directory_that_sends_too_much_is_left() {
    let (directory, _dir) = asked(Manner::Endless, false, TEMPLATE).await;
    let error = directory.login("alice", "wonderland").await.unwrap_err();
    assert!(matches!(error, LdapError::Unavailable(ClientError::Malformed)), "{error:?}");
}

#[tokio::test]
async fn a_directory_with_another_authority_is_not_told_the_password() {
    let (_, other) = directory(Manner::Proper, false).await;
    let (port, _) = directory(Manner::Proper, false).await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ca.pem"), other).unwrap();
    let text = format!("url: ldaps://localhost:{port}\ncaFile: {}/ca.pem\n{TEMPLATE}", dir.path().display());
    let directory = Directory::new(Config::parse(&text).unwrap()).unwrap();
    let error = directory.login("alice", "wonderland").await.unwrap_err();
    assert!(!format!("{error:?}").contains("wonderland"));
    assert!(matches!(error, LdapError::Unavailable(ClientError::Io(_))), "{error:?}");
}

#[test]
fn configurations_that_would_send_passwords_in_the_clear_are_refused() {
    let said = |text: &str| Config::parse(text).unwrap_err().to_string();
    assert!(said(&format!("url: ldap://localhost\n{TEMPLATE}")).contains("over TLS only"));
    assert!(said(&format!("url: http://localhost\n{TEMPLATE}")).contains("ldaps://"));
    assert!(said("url: ldaps://localhost\nuser:\n  bindDNTemplate: uid=x\n").contains("{username}"));
    assert!(said("url: ldaps://localhost\nuser:\n  base: x\n  filter: '(uid={username}'\n").contains("parenthesis"));
}
