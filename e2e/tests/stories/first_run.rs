//! One command starts a cluster, tells how to use it, and finds everything again.

use berth_e2e::{Cluster, until};

#[test]
fn up_prints_a_checklist_with_times_then_how_to_go_on() {
    let mut cluster = Cluster::up();
    let log = until("the next commands", || {
        let log = cluster.log();
        if log.contains("berth apply -f") { Ok(log) } else { Err(log) }
    });
    for part in ["store", "API", "controllers", "node"] {
        let line = log.lines().find(|line| line.to_lowercase().contains(&part.to_lowercase()));
        let line = line.unwrap_or_else(|| panic!("no line about {part}:\n{log}"));
        let has_time = line.split_whitespace().any(|word| {
            word.strip_suffix('s').is_some_and(|number| number.trim_end_matches('m').parse::<f64>().is_ok())
        });
        assert!(has_time, "no time in {line:?}");
    }
    assert!(log.contains(&format!("https://{}", cluster.api_address())), "{log}");
    assert!(log.contains(&cluster.kubeconfig().display().to_string()), "{log}");
    assert_eq!(cluster.stop(), Some(0), "Ctrl-C is a clean end:\n{}", cluster.log());
    cluster.purge();
}

#[test]
fn a_stopped_cluster_finds_everything_as_it_was() {
    let mut cluster = Cluster::up();
    cluster.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: kept}, data: {a: b}}");
    let before = cluster.get("configmap", "kept");
    assert_eq!(cluster.stop(), Some(0));
    cluster.start();
    assert_eq!(cluster.get("configmap", "kept"), before);
    cluster.purge();
}

#[test]
fn health_and_version_need_no_credentials_and_nothing_else_is_given_without() {
    let cluster = Cluster::up();
    let curl = |path: &str| {
        let url = format!("https://{}{path}", cluster.api_address());
        let out = cluster.command("curl".as_ref(), &["-sk", "-w", "\n%{http_code}", &url]).output().unwrap();
        String::from_utf8(out.stdout).unwrap()
    };
    for path in ["/livez", "/readyz", "/version"] {
        assert!(curl(path).ends_with("\n200"), "{path}: {}", curl(path));
    }
    assert!(curl("/readyz?verbose").contains("[+]"), "{}", curl("/readyz?verbose"));
    for path in ["/api", "/apis/berth.dev/v1/services", "/metrics", "/openapi/v2"] {
        let answer = curl(path);
        assert!(answer.ends_with("\n401") || answer.ends_with("\n403"), "{path}: {answer}");
        assert!(answer.contains("\"kind\":\"Status\"") || answer.contains("\"kind\": \"Status\""), "{answer}");
    }
    cluster.purge();
}

#[test]
fn metrics_speak_prometheus() {
    let cluster = Cluster::up();
    let metrics = cluster.kubectl(&["get", "--raw", "/metrics"]).ok();
    assert!(metrics.out.contains("# TYPE "), "{metrics}");
    assert!(metrics.out.contains("berth_"), "{metrics}");
    cluster.purge();
}
