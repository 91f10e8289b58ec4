//! What it costs to check everything: the same creates with schema, rules, policy, RBAC and audit, and without any.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::alone::Alone;
use crate::load::{self, Connection, Target};
use crate::report::{Report, median, ms, of};

/// How long each round of load takes.
const ROUND: Duration = Duration::from_secs(2);
/// Rounds of each side, interleaved.
const ROUNDS: u64 = 3;
/// Clients, as in the published figures of other servers.
const CLIENTS: usize = 32;
/// Objects that are applied again and again: as many as a repository of manifests may have.
const APPLIED: u64 = 1_000;

const WIDGETS: &str = "/apis/bench.berth.dev/v1/namespaces/default/widgets";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const POLICIES: &str = "/apis/admissionregistration.k8s.io/v1";
const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";

/// About 0.6 KB.
fn widget(name: &str) -> Value {
    json!({"apiVersion": "bench.berth.dev/v1", "kind": "Widget",
        "metadata": {"name": name, "labels": {"app": "bench", "tier": "load"}},
        "spec": {"color": "red", "size": 5, "note": "x".repeat(320), "ports": [
            {"name": "http", "port": 8080}, {"name": "admin", "port": 9090, "protocol": "UDP"}],
            "selector": {"disk": "ssd", "zone": "a"}}})
}

/// The kind, with defaults and three rules, or with nothing but a name.
fn definition(checked: bool) -> Value {
    let schema = if checked {
        json!({"type": "object", "properties": {"spec": {
            "type": "object", "required": ["color"],
            "x-kubernetes-validations": [
                {"rule": "self.size <= self.limit", "message": "size must not be above limit"},
                {"rule": "!has(self.ports) || self.ports.all(p, p.port > 0)"},
                {"rule": "self.color == 'red' || has(self.note)"}],
            "properties": {
                "color": {"type": "string", "enum": ["red", "green", "blue"], "maxLength": 10},
                "size": {"type": "integer", "minimum": 0, "default": 1},
                "limit": {"type": "integer", "default": 100},
                "paused": {"type": "boolean", "default": false},
                "note": {"type": "string", "maxLength": 1000},
                "selector": {"type": "object", "maxProperties": 20, "additionalProperties": {"type": "string"}},
                "ports": {"type": "array", "maxItems": 20, "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {"type": "object", "required": ["name", "port"], "properties": {
                        "name": {"type": "string", "maxLength": 60}, "port": {"type": "integer", "maximum": 65535},
                        "protocol": {"type": "string", "default": "TCP"}}}}}}}})
    } else {
        json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
    };
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.bench.berth.dev"},
        "spec": {"group": "bench.berth.dev", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]}})
}

/// A server that knows the kind.
async fn server(checked: bool) -> anyhow::Result<Alone> {
    let server = Alone::start(|cluster| {
        let log = cluster.path("audit.log").display().to_string();
        // The policy that an operator gets who names only a file: Metadata, one line a request.
        if checked { vec!["--audit-log-path".into(), log] } else { vec![] }
    })
    .await?;
    server.post(DEFINITIONS, &definition(checked)).await?;
    let path = format!("{DEFINITIONS}/widgets.bench.berth.dev");
    for _ in 0..500 {
        let found = server.get(&path).await?;
        let conditions = found["status"]["conditions"].as_array().cloned().unwrap_or_default();
        if conditions.iter().any(|c| c["type"] == "Established" && c["status"] == "True") {
            return Ok(server);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("the definition is not established")
}

/// A service account that may do what the load does, and a policy that judges it.
async fn restrict(server: &Alone) -> anyhow::Result<Target> {
    let rules = json!([{"apiGroups": ["bench.berth.dev"], "resources": ["widgets"],
        "verbs": ["get", "list", "create", "patch"]}]);
    let name = json!({"name": "bench"});
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": name,
        "rules": rules});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": name,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "bench"},
        "subjects": [{"kind": "ServiceAccount", "name": "bench", "namespace": "default"}]});
    let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": name, "spec": {
            "matchConstraints": {"resourceRules": [{"apiGroups": ["bench.berth.dev"], "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"], "resources": ["widgets"]}]},
            "validations": [{"expression": "object.spec.size < 50", "message": "too large"}]}});
    let bound = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": name, "spec": {"policyName": "bench", "validationActions": ["Deny"]}});
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": name});
    server.post(ACCOUNTS, &account).await?;
    server.post(&format!("{RBAC}/clusterroles"), &role).await?;
    server.post(&format!("{RBAC}/namespaces/default/rolebindings"), &binding).await?;
    server.post(&format!("{POLICIES}/validatingadmissionpolicies"), &policy).await?;
    server.post(&format!("{POLICIES}/validatingadmissionpolicybindings"), &bound).await?;
    let asked = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    let token = server.post(&format!("{ACCOUNTS}/bench/token"), &asked).await?;
    let token = token["status"]["token"].as_str().unwrap_or_default().to_owned();
    let target = Target { address: server.admin.address.clone(), token };
    refused(&target, json!({"size": 60}), "too large").await?;
    refused(&target, json!({"limit": 1}), "size must not be above limit").await?;
    Ok(target)
}

/// Checks are on: a measurement of nothing would be fast.
async fn refused(target: &Target, change: Value, why: &str) -> anyhow::Result<()> {
    let mut object = widget("refused");
    for (field, value) in change.as_object().into_iter().flatten() {
        object["spec"][field] = value.clone();
    }
    let mut connection = Connection::open(target).await?;
    let answer = connection.send("POST", WIDGETS, "application/json", object.to_string().into()).await;
    let told = answer.err().map(|error| error.to_string()).unwrap_or_default();
    anyhow::ensure!(told.contains(why), "the object must be refused with {why:?}: {told}");
    Ok(())
}

/// Creates, applies of what is there already, and reads by a service account.
pub(crate) async fn run(report: &mut Report) -> anyhow::Result<()> {
    let (checked, plain) = (server(true).await?, server(false).await?);
    let account = restrict(&checked).await?;
    let (mut with, mut without, mut latencies) = (vec![], vec![], vec![]);
    for round in 0..ROUNDS {
        let create = move |n| ("POST", WIDGETS.to_owned(), Bytes::from(widget(&format!("r{round}-{n}")).to_string()));
        without.push(load::run(&plain.admin, CLIENTS, ROUND, create).await?.per_second);
        let outcome = load::run(&account, CLIENTS, ROUND, create).await?;
        with.push(outcome.per_second);
        latencies.push(outcome.p50);
    }
    let (a, b) = (median(&mut with), median(&mut without));
    report.add(
        &format!(
            "creates with defaults, 3 rules, a policy, RBAC and audit, {} B, {CLIENTS} clients, TLS",
            widget("r0-100").to_string().len()
        ),
        format!("{a:.0}/s = {}, p50 {}", of(a, b), ms(crate::report::percentile(&mut latencies, 50))),
        format!("the same with none of them {b:.0}/s"),
        "at least 60 %",
    );
    let lines = std::fs::read_to_string(checked.path("audit.log"))?.lines().count();
    anyhow::ensure!(lines > 0, "nothing was recorded");
    steady(report, &checked, &account).await?;
    reads(report, &checked, &account).await
}

/// Every object's revision, and the store's.
async fn revisions(server: &Alone) -> anyhow::Result<(Vec<String>, String)> {
    let list = server.get(&format!("{WIDGETS}?labelSelector=tier%3Dsteady")).await?;
    let of = |value: &Value| value["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
    Ok((list["items"].as_array().into_iter().flatten().map(of).collect(), of(&list)))
}

/// The steady state of GitOps: manifests are applied, and nothing has changed.
async fn steady(report: &mut Report, server: &Alone, account: &Target) -> anyhow::Result<()> {
    let path = |n: u64| format!("{WIDGETS}/s-{}?fieldManager=bench", n % APPLIED);
    let manifest = |n: u64| {
        let mut object = widget(&format!("s-{}", n % APPLIED));
        object["metadata"]["labels"]["tier"] = "steady".into();
        Bytes::from(object.to_string())
    };
    let mut connection = Connection::open(account).await?;
    for n in 0..APPLIED {
        connection.send("PATCH", &path(n), "application/apply-patch+yaml", manifest(n)).await?;
    }
    let before = revisions(server).await?;
    let (mut rates, mut latencies) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        let outcome = load::run(account, CLIENTS, ROUND, move |n| ("PATCH", path(n), manifest(n))).await?;
        rates.push(outcome.per_second);
        latencies.push(outcome.p50);
    }
    let after = revisions(server).await?;
    anyhow::ensure!(before.0.len() as u64 == APPLIED && before.0 == after.0, "an apply of the same wrote something");
    report.add(
        &format!("server-side applies that change nothing, {APPLIED} objects, {CLIENTS} clients, TLS, all checks on"),
        format!("{:.0}/s, p50 {}", median(&mut rates), ms(crate::report::percentile(&mut latencies, 50))),
        format!("revisions before and after: {} and {}", before.1, after.1),
        "at least 8,000/s and no write",
    );
    Ok(())
}

/// GET by a token that must be verified and a role that must be found, against the admin's.
async fn reads(report: &mut Report, server: &Alone, account: &Target) -> anyhow::Result<()> {
    let get = |n: u64| ("GET", format!("{WIDGETS}/s-{}", n % APPLIED), Bytes::new());
    let (mut theirs, mut admins) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        admins.push(load::run(&server.admin, CLIENTS, ROUND, get).await?.per_second);
        theirs.push(load::run(account, CLIENTS, ROUND, get).await?.per_second);
    }
    let (a, b) = (median(&mut theirs), median(&mut admins));
    report.add(
        &format!("GET by a service account's token with RBAC and audit, {CLIENTS} clients, TLS"),
        format!("{a:.0}/s = {}", of(a, b)),
        format!("the admin's token {b:.0}/s"),
        "at least 41,000/s (10 times kube-apiserver)",
    );
    Ok(())
}
