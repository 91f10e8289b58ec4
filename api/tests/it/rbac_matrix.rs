//! Every served route, with every verb, asked by everybody: what the table `rbac_matrix.tsv` says, and nothing else.
//!
//! The routes come from discovery, so a new route without a line in the table fails here. `UPDATE_GOLDEN=1` writes the
//! table anew: each changed line is a decision about who may do what, to be read like code.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use berth_api::{ApiServer, UserInfo};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::support::*;

/// Tests run in the folder of their package.
const TABLE: &str = "tests/it/rbac_matrix.tsv";
/// Requests that are under way at a time: enough to keep the cores busy, and few enough for the server's own limits.
const AT_ONCE: usize = 16;
/// The namespace in which admin, edit and view are bound.
const NAMESPACE: &str = "shop";

/// Everybody who asks, by the name of their column.
fn everybody() -> Vec<(&'static str, Option<UserInfo>)> {
    vec![
        ("superuser", Some(UserInfo::new("root", &["superusers"]))),
        ("admin", Some(UserInfo::new("ada", &[]))),
        ("edit", Some(UserInfo::new("eve", &[]))),
        ("view", Some(UserInfo::new("vic", &[]))),
        ("agent", Some(UserInfo::node("n1"))),
        ("controllers", Some(UserInfo::controllers())),
        ("stranger", Some(UserInfo::new("sam", &[]))),
        ("anonymous", None),
    ]
}

/// One line of the table.
struct Line {
    /// `group resource scope verb`, or `- path - get`.
    label: String,
    method: &'static str,
    path: String,
}

async fn prepared() -> ApiServer {
    let server = server().await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    post(&server, "/api/v1/namespaces", &namespace).await.expect(201);
    for (user, role) in [("ada", "admin"), ("eve", "edit"), ("vic", "view")] {
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}],
        });
        let path = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/rolebindings");
        post(&server, &path, &binding).await.expect(201);
    }
    server
}

/// Every route and verb that discovery tells of.
async fn lines(server: &ApiServer) -> Vec<Line> {
    let mut versions = vec!["/api/v1".to_owned()];
    let groups = get(server, "/apis").await.expect(200);
    for group in groups["groups"].as_array().unwrap() {
        for version in group["versions"].as_array().unwrap() {
            versions.push(format!("/apis/{}", version["groupVersion"].as_str().unwrap()));
        }
    }
    let mut all = Vec::new();
    for base in versions {
        let list = get(server, &base).await.expect(200);
        for resource in list["resources"].as_array().unwrap() {
            of_resource(&base, resource, &mut all);
        }
    }
    let root = get(server, "/").await.expect(200);
    let served = root["paths"].as_array().unwrap().iter().map(|path| path.as_str().unwrap().to_owned());
    let more = ["/", "/version/", "/livez/ping", "/openid/v1/jwks", "/.well-known/openid-configuration", "/debug"];
    let paths: BTreeSet<String> = served.chain(more.map(str::to_owned)).collect();
    for path in paths {
        all.push(Line { label: format!("-\t{path}\t-\tget"), method: "GET", path: path.clone() });
    }
    all.sort_by(|a, b| a.label.cmp(&b.label));
    all
}

fn of_resource(base: &str, resource: &Value, all: &mut Vec<Line>) {
    let full = resource["name"].as_str().unwrap();
    let (plural, sub) = full.split_once('/').map_or((full, None), |(plural, sub)| (plural, Some(sub)));
    let namespaced = resource["namespaced"].as_bool().unwrap();
    let group_version = base.trim_start_matches("/apis/").trim_start_matches('/');
    for verb in resource["verbs"].as_array().unwrap() {
        let verb = verb.as_str().unwrap();
        let scopes: &[&str] = match (namespaced, verb) {
            (true, "list" | "watch") => &["all", "namespace"],
            (true, _) => &["namespace"],
            (false, _) => &["cluster"],
        };
        for scope in scopes {
            let collection = match *scope {
                "namespace" => format!("{base}/namespaces/{NAMESPACE}/{plural}"),
                _ => format!("{base}/{plural}"),
            };
            // A namespace counts as lying in itself: asked is about the one where people have rights.
            let name = if full.starts_with("namespaces") { NAMESPACE } else { "nobody" };
            let named = match sub {
                Some(sub) => format!("{collection}/{name}/{sub}"),
                None => format!("{collection}/{name}"),
            };
            let (method, path) = match verb {
                "get" => ("GET", named),
                "list" => ("GET", format!("{collection}?limit=1")),
                "watch" => ("GET", format!("{collection}?watch=1&timeoutSeconds=1")),
                "create" if sub.is_some() => ("POST", format!("{named}?dryRun=All")),
                "create" => ("POST", format!("{collection}?dryRun=All")),
                "update" => ("PUT", format!("{named}?dryRun=All")),
                "patch" => ("PATCH", format!("{named}?dryRun=All")),
                "delete" => ("DELETE", format!("{named}?dryRun=All")),
                "deletecollection" => ("DELETE", format!("{collection}?dryRun=All")),
                other => panic!("{full} has a verb that no method stands for: {other}"),
            };
            let label = format!("{group_version}\t{full}\t{scope}\t{verb}");
            all.push(Line { label, method, path });
        }
    }
}

/// Whether the server lets somebody pass. What becomes of the request then is no matter of rights.
async fn passes(server: &ApiServer, user: Option<UserInfo>, line: &Line) -> bool {
    let content = if line.method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let asked = ask_as(server, user, line.method, &line.path).header("content-type", content);
    let asked = if matches!(line.method, "POST" | "PUT" | "PATCH") { asked.body("{}") } else { asked };
    let response = asked.response().await;
    if response.status() != 403 {
        // Not read: a watch would go on.
        return true;
    }
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    let status: Value = serde_json::from_slice(&body).unwrap();
    // A rule about the object itself (the default role stays, an agent makes its own node only) speaks otherwise.
    !status["message"].as_str().unwrap().contains("forbidden: User \"")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_lets_pass_whom_the_table_says() {
    let server = prepared().await;
    let lines = lines(&server).await;
    let rows = futures::stream::iter(&lines).map(|line| {
        let server = &server;
        async move {
            let mut row = line.label.clone();
            for (_, user) in everybody() {
                row.push_str(if passes(server, user, line).await { "\t+" } else { "\t-" });
            }
            row
        }
    });
    let rows: Vec<String> = rows.buffered(AT_ONCE).collect().await;
    let mut found =
        String::from("# Who may do what, on every served route: + may, - is refused. Compared by rbac_matrix.rs.\n");
    let columns: Vec<&str> = everybody().iter().map(|(name, _)| *name).collect();
    writeln!(found, "# version\tresource\tscope\tverb\t{}", columns.join("\t")).unwrap();
    for row in &rows {
        writeln!(found, "{row}").unwrap();
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(TABLE, &found).unwrap();
    }
    let table = std::fs::read_to_string(TABLE).unwrap_or_default();
    let (table, found): (BTreeSet<&str>, BTreeSet<&str>) = (table.lines().collect(), found.lines().collect());
    let (gone, new): (Vec<_>, Vec<_>) = (table.difference(&found).collect(), found.difference(&table).collect());
    assert!(
        gone.is_empty() && new.is_empty(),
        "the table says\n{gone:#?}\nthe server does\n{new:#?}\nUPDATE_GOLDEN=1 writes the table anew; read every changed line"
    );
}
