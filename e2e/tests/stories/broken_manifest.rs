//! A broken manifest gets every error at once, and nothing is changed.

use berth_e2e::Cluster;

const BROKEN: &str = r#"apiVersion: v1
kind: ConfigMap
metadata: {name: fine}
data: {a: b}
---
apiVersion: berth.dev/v1
kind: Service
metadata:
  name: broken
spec:
  replcas: 3
  replicas: many
  update:
    strategy: Gradual
  template:
    spec:
      containers:
      - name: Web_1
        shell: echo
        command: [echo]
        ports:
        - {name: http, containerPort: 99999}
"#;

#[test]
fn every_error_is_told_with_path_line_and_what_is_allowed() {
    let cluster = Cluster::up();
    let file = cluster.path("broken.yaml");
    std::fs::write(&file, BROKEN).unwrap();
    let run = cluster.berth(&["apply", "-f", &file.display().to_string()]).code(1);
    let line_with = |text: &str| {
        run.err
            .lines()
            .find(|line| line.contains(text))
            .unwrap_or_else(|| panic!("no line about {text}\n{run}"))
            .to_owned()
    };
    let misspelt = line_with("spec.replcas");
    assert!(misspelt.contains("broken.yaml:11") && misspelt.contains("did you mean"), "{misspelt}");
    assert!(misspelt.contains("replicas"), "{misspelt}");
    let wrong_type = line_with("spec.replicas");
    assert!(wrong_type.contains("broken.yaml:12") && wrong_type.contains("integer"), "{wrong_type}");
    let not_allowed = line_with("spec.update.strategy");
    assert!(
        not_allowed.contains(":14") && not_allowed.contains("Rolling") && not_allowed.contains("Recreate"),
        "{not_allowed}"
    );
    assert!(line_with("spec.template.spec.containers[0].name").contains(":18"));
    assert!(line_with("spec.template.spec.containers[0].ports[0].containerPort").contains("65535"));

    let none = cluster.berth(&["get", "configmap", "fine"]);
    assert_ne!(none.code, 0, "the good object beside it was not made either: {none}");
    cluster.purge();
}

#[test]
fn an_unknown_kind_and_a_file_that_is_not_yaml_are_told_with_their_line() {
    let cluster = Cluster::up();
    let run =
        cluster.berth_stdin(&["apply", "-f", "-"], "apiVersion: berth.dev/v1\nkind: Servce\nmetadata: {name: x}\n");
    run.code(1).complains("Servce").complains("Service");
    let run = cluster.berth_stdin(&["apply", "-f", "-"], "apiVersion: v1\nkind: [unclosed\n");
    assert!(
        run.clone().code(1).err.contains(":2") || run.err.contains("line 2") || run.err.contains("line 3"),
        "{run}"
    );
    cluster.purge();
}
