//! People log in: with a password of the cluster's own, at an OpenID provider, with a password of a directory. What
//! they may do then follows from their groups.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use berth_e2e::{Cluster, Run, client_text, kill, node_bin, node_modules, slapd_root, until};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rustix::process::Signal;

const PASSWORD: &str = "correct horse battery";

/// A server that the story started; gone with it.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            kill(self.0.id(), Signal::TERM);
            let _ = self.0.wait();
        }
    }
}

/// A person's kubeconfig: at first it knows the cluster, and nobody.
struct Person<'a> {
    cluster: &'a Cluster,
    file: PathBuf,
}

impl<'a> Person<'a> {
    fn new(cluster: &'a Cluster) -> Self {
        let file = cluster.path("person.kubeconfig");
        let text = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
        let (known, _) = text.split_once("users:\n").unwrap();
        std::fs::write(&file, format!("{known}users: []\n")).unwrap();
        Self { cluster, file }
    }

    fn berth(&self, arguments: &[&str]) -> Run {
        let file = self.file.display().to_string();
        self.cluster.berth(&[&["--kubeconfig", file.as_str()], arguments].concat())
    }

    fn login(&self, user: &str, password: &str, more: &[&str]) -> Run {
        let file = self.file.display().to_string();
        let line = ["--kubeconfig", &file, "login", "--user", user, "--password-stdin"];
        self.cluster.berth_stdin(&[&line, more].concat(), password)
    }
}

/// An authority, and a certificate of it for loopback; as files.
struct Certificates {
    ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Certificates {
    fn make(cluster: &Cluster) -> Self {
        let file = |name: &str, text: String| {
            let path = cluster.path(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Of another name than what it signs, or that would pass for signed by itself.
        params.distinguished_name.push(DnType::CommonName, "an authority of others");
        let ca_key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&ca_key).unwrap();
        let issuer = Issuer::new(params, ca_key);
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::IpAddress("127.0.0.1".parse().unwrap())];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        Self {
            ca: file("other-ca.crt", ca.pem()),
            certificate: file("other.crt", certificate.pem()),
            key: file("other.key", key.serialize_pem()),
        }
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Lets a group read and write in the default namespace.
fn let_group_edit(cluster: &Cluster, group: &str) {
    cluster.apply(&format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata:\n  name: people\n  namespace: default\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}}\n\
         subjects:\n- {{apiGroup: rbac.authorization.k8s.io, kind: Group, name: \"{group}\"}}\n"
    ));
}

#[test]
fn a_user_of_the_cluster_logs_in_and_may_what_the_group_may() {
    let cluster = Cluster::up();
    let data = text(&cluster.data_dir());
    let add = ["user", "add", "ann", "--group", "dev", "--password-stdin", "--data-dir", &data];
    cluster.berth_stdin(&add, PASSWORD).ok();
    cluster.berth(&["user", "list", "--data-dir", &data]).ok().says("ann");
    let ann = Person::new(&cluster);
    // The server looks at its users every few seconds.
    until("the login", || match ann.login("ann", PASSWORD, &[]) {
        run if run.code == 0 => Ok(()),
        run => Err(run.to_string()),
    });
    ann.login("ann", "wrong", &[]).code(4).complains("wrong user name or password");
    ann.login("nobody", PASSWORD, &[]).code(4).complains("wrong user name or password");
    let who = ann.berth(&["auth", "whoami"]).ok();
    assert!(who.out.contains("ann") && who.out.contains("dev"), "{who}");
    ann.berth(&["auth", "can-i", "create", "services"]).code(1).says("no");
    ann.berth(&["get", "services"]).code(4);

    let_group_edit(&cluster, "dev");
    ann.berth(&["auth", "can-i", "create", "services"]).ok().says("yes");
    ann.berth(&["auth", "can-i", "create", "services", "-n", "kube-system"]).code(1);
    ann.berth(&["auth", "can-i", "get", "/metrics"]).code(1);
    ann.berth(&["auth", "can-i", "--list"]).ok().says("services.berth.dev");
    ann.berth(&["get", "services"]).ok();
    cluster.berth(&["auth", "can-i", "delete", "services", "--as", "ann", "--as-group", "dev"]).ok();
    ann.berth(&["get", "services", "--as", "bob"]).code(4).complains("cannot impersonate");

    // Service accounts have tokens, too.
    let token = cluster.berth(&["create", "token", "default", "--duration", "10m"]).ok().out;
    assert_eq!(token.trim().split('.').count(), 3);
    cluster.berth(&["create", "token", "nobody"]).code(3);

    // Another password ends what was begun with the old one.
    let change = ["user", "passwd", "ann", "--password-stdin", "--data-dir", &data];
    cluster.berth_stdin(&change, "another horse").ok();
    until("the session to end", || match ann.berth(&["get", "services"]) {
        run if run.code == 4 && run.err.contains("Unauthorized") => Ok(()),
        run => Err(run.to_string()),
    });
    ann.berth(&["logout"]).ok().complains("logged out");
    assert!(!std::fs::read_to_string(&ann.file).unwrap().contains("token"));
    cluster.berth(&["user", "remove", "ann", "--data-dir", &data]).ok();
    cluster.purge();
}

#[test]
fn somebody_of_an_openid_provider_logs_in_with_a_browser() {
    let cluster = Cluster::prepare();
    let certificates = Certificates::make(&cluster);
    let program = cluster.path("provider.mjs");
    std::fs::write(&program, client_text("js/provider.mjs")).unwrap();
    std::os::unix::fs::symlink(node_modules().canonicalize().unwrap(), cluster.path("node_modules")).unwrap();
    let (certificate, key) = (text(&certificates.certificate), text(&certificates.key));
    let mut command = Command::new(node_bin());
    command.arg(&program).args([&certificate, &key, "zoe", "dev", "ops"]).stdin(Stdio::null());
    let mut provider = Server(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut lines = BufReader::new(provider.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let issuer = lines.find(|line| line.starts_with("https://")).expect("the provider listens");
    let ca = text(&certificates.ca);
    let mut cluster = cluster.with(&[
        "--oidc-issuer-url",
        &issuer,
        "--oidc-client-id=berth",
        "--oidc-username-prefix=id:",
        "--oidc-groups-claim=groups",
        "--oidc-groups-prefix=id:",
        "--oidc-ca-file",
        &ca,
    ]);
    cluster.start();
    let zoe = Person::new(&cluster);
    let file = text(&zoe.file);
    let line = ["--kubeconfig", &file, "login", "--oidc", "--oidc-issuer-url", &issuer, "--oidc-client-id", "berth"];
    let mut command = cluster.command(
        &berth_e2e::berth_bin(),
        &[&line[..], &["--oidc-extra-scope", "groups", "--oidc-ca-file", &ca]].concat(),
    );
    let mut login = Server(command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    let mut said = BufReader::new(login.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    let address = said.find(|line| line.trim().starts_with("https://")).expect("an address for a browser");
    // The browser: it keeps cookies and goes where it is sent.
    let jar = text(&cluster.path("cookies"));
    let browser = ["-sS", "-L", "--cacert", &ca, "-c", &jar, "-b", &jar, address.trim()];
    cluster.run(Path::new("curl"), &browser, None).ok().says("You are logged in");
    let rest: Vec<String> = said.collect();
    assert!(login.0.wait().unwrap().success(), "{rest:?}");
    let who = zoe.berth(&["auth", "whoami"]).ok();
    assert!(who.out.contains("id:zoe") && who.out.contains("id:ops"), "{who}");
    zoe.berth(&["auth", "can-i", "create", "services"]).code(1);
    let_group_edit(&cluster, "id:dev");
    zoe.berth(&["auth", "can-i", "create", "services"]).ok();
    drop(provider);
    zoe.berth(&["get", "services"]).ok();
    cluster.purge();
}

/// OpenLDAP with two people and a group, unprivileged, on a port of its own.
fn directory(cluster: &Cluster, certificates: &Certificates) -> (Server, String) {
    let (root, dir) = (slapd_root().canonicalize().unwrap(), cluster.path("ldap"));
    std::fs::create_dir_all(dir.join("db")).unwrap();
    let (root, place) = (root.display(), dir.display());
    let mut config = String::new();
    for schema in ["core", "cosine", "inetorgperson"] {
        config.push_str(&format!("include {root}/etc/ldap/schema/{schema}.schema\n"));
    }
    let (ca, certificate, key) =
        (certificates.ca.display(), certificates.certificate.display(), certificates.key.display());
    config.push_str(&format!(
        "modulepath {root}/usr/lib/ldap\nmoduleload back_mdb\npidfile {place}/pid\n\
         TLSCACertificateFile {ca}\nTLSCertificateFile {certificate}\nTLSCertificateKeyFile {key}\n\
         database mdb\nmaxsize 16777216\nsuffix dc=example,dc=org\ndirectory {place}/db\n\
         access to attrs=userPassword by anonymous auth by * none\naccess to * by * read\n"
    ));
    std::fs::write(dir.join("slapd.conf"), config).unwrap();
    let entries = format!(
        "dn: dc=example,dc=org\nobjectClass: domain\ndc: example\n\n\
         dn: uid=lea,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: lea\ncn: Lea\nsn: L\nuserPassword: {PASSWORD}\n\n\
         dn: cn=dev,dc=example,dc=org\nobjectClass: groupOfNames\ncn: dev\nmember: uid=lea,dc=example,dc=org\n"
    );
    let libraries = format!("{root}/usr/lib/x86_64-linux-gnu:{root}/lib/x86_64-linux-gnu");
    let slapd = |arguments: &[&str]| {
        let mut command = Command::new(format!("{root}/usr/sbin/slapd"));
        command.env("LD_LIBRARY_PATH", &libraries).args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let conf = text(&dir.join("slapd.conf"));
    let mut add = slapd(&["-T", "add", "-f", &conf]).stdin(Stdio::piped()).spawn().unwrap();
    add.stdin.take().unwrap().write_all(entries.as_bytes()).unwrap();
    assert!(add.wait().unwrap().success(), "slapadd");
    // The last of the ports that this cluster's tasks could have.
    let port = cluster.task_ports().rsplit('-').next().unwrap().to_owned();
    let url = format!("ldaps://127.0.0.1:{port}");
    let server = Server(slapd(&["-d", "0", "-f", &conf, "-h", &url]).stdin(Stdio::null()).spawn().unwrap());
    until("the directory to listen", || {
        std::net::TcpStream::connect(format!("127.0.0.1:{port}")).map(drop).map_err(|error| error.to_string())
    });
    (server, url)
}

#[test]
fn somebody_of_a_directory_logs_in_with_the_password_there() {
    let cluster = Cluster::prepare();
    let certificates = Certificates::make(&cluster);
    let (directory, url) = directory(&cluster, &certificates);
    let config = cluster.path("ldap.yaml");
    let ca = text(&certificates.ca);
    std::fs::write(
        &config,
        format!(
            "url: {url}\ncaFile: {ca}\nuser: {{base: 'dc=example,dc=org', filter: '(uid={{username}})'}}\n\
             usernamePrefix: 'ldap:'\ngroupsPrefix: 'ldap:'\n\
             groups: {{base: 'dc=example,dc=org', filter: '(member={{dn}})'}}\n"
        ),
    )
    .unwrap();
    let mut cluster = cluster.with(&["--ldap-config", &text(&config)]);
    cluster.start();
    let lea = Person::new(&cluster);
    lea.login("lea", PASSWORD, &["--ldap"]).ok().complains("logged in");
    lea.login("lea", "wrong", &["--ldap"]).code(4).complains("wrong user name or password");
    lea.login("*", PASSWORD, &["--ldap"]).code(4);
    lea.login("lea", "", &["--ldap"]).code(1);
    let who = lea.berth(&["auth", "whoami"]).ok();
    assert!(who.out.contains("ldap:lea") && who.out.contains("ldap:dev"), "{who}");
    lea.berth(&["auth", "can-i", "get", "services"]).code(1);
    let_group_edit(&cluster, "ldap:dev");
    lea.berth(&["get", "services"]).ok();
    drop(directory);
    lea.login("lea", PASSWORD, &["--ldap"]).code(1).complains("the directory could not be asked");
    lea.berth(&["get", "services"]).ok();
    cluster.purge();
}
