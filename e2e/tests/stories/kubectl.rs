//! kubectl 1.20 works on our kinds, with the kubeconfig that `berth up` wrote.

use berth_e2e::{Cluster, example, items, kubectl_bin, until};

#[test]
fn kubectl_gets_describes_applies_watches_and_deletes() {
    let cluster = Cluster::up();
    cluster.kubectl(&["api-resources"]).ok().says("services").says("berth.dev").says("customresourcedefinitions");
    cluster.kubectl(&["api-versions"]).ok().says("berth.dev/v1").says("apiextensions.k8s.io/v1");
    cluster.kubectl(&["apply", "-f", &example("hello.yaml")]).ok().says("created");
    cluster.wait_service("hello", 3);
    cluster.kubectl(&["apply", "-f", &example("hello.yaml")]).ok().says("hello");
    cluster.kubectl(&["get", "services"]).ok().says("hello").says("DESIRED");
    cluster.kubectl(&["get", "tasks", "-o", "wide"]).ok().says("NODE");
    cluster.kubectl(&["get", "service", "hello", "-o", "yaml"]).ok().says("readyReplicas: 3");
    cluster.kubectl(&["describe", "service", "hello"]).ok().says("Name:").says("hello").says("Events:");
    cluster.kubectl(&["explain", "service.spec.replicas"]).ok().says("How many tasks to keep running");
    let mut watch = cluster.follow(&kubectl_bin(), &["get", "services", "-w"]);
    watch.wait_line("the service in the watch", |line| line.contains("hello"));
    cluster.kubectl(&["scale", "services.berth.dev/hello", "--replicas=4"]).ok();
    watch.wait_line("four in the watch", |line| line.contains("hello") && line.matches('4').count() >= 2);
    cluster.wait_service("hello", 4);
    cluster.kubectl(&["label", "service", "hello", "team=web"]).ok();
    let list = cluster.kubectl(&["get", "services", "-l", "team=web", "-o", "json"]).ok();
    assert_eq!(items(&list.json()).len(), 1);
    cluster.kubectl(&["patch", "service", "hello", "--type=merge", "-p", r#"{"spec":{"replicas":2}}"#]).ok();
    cluster.wait_service("hello", 2);
    cluster.kubectl(&["create", "configmap", "settings", "--from-literal=a=b"]).ok();
    cluster.kubectl(&["get", "configmap", "settings", "-o", "jsonpath={.data.a}"]).ok().says("b");
    cluster.kubectl(&["create", "namespace", "team"]).ok();
    cluster.kubectl(&["get", "namespaces"]).ok().says("team").says("Active");
    cluster.kubectl(&["delete", "namespace", "team"]).ok();
    cluster.kubectl(&["apply", "--server-side", "-f", &example("pair.yaml")]).ok();
    cluster.wait_service("pair", 1);
    cluster.kubectl(&["wait", "--for=condition=Ready", "services.berth.dev/pair", "--timeout=30s"]).ok();
    cluster.kubectl(&["delete", "-f", &example("hello.yaml")]).ok().says("deleted");
    until("the tasks to be gone", || {
        let tasks = cluster.kubectl(&["get", "tasks", "-l", "berth.dev/service=hello", "-o", "name"]).ok();
        if tasks.out.trim().is_empty() { Ok(()) } else { Err(tasks.out) }
    });
    cluster.purge();
}

#[test]
fn a_kind_posted_at_run_time_is_served_at_once() {
    let cluster = Cluster::up();
    cluster.apply(
        r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.demo.example.com}
spec:
  group: demo.example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, shortNames: [wd]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    additionalPrinterColumns: [{name: Color, type: string, jsonPath: .spec.color}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [color]
            properties:
              color: {type: string, enum: [red, green]}
              size: {type: integer, default: 3}
"#,
    );
    cluster.kubectl(&["wait", "--for=condition=Established", "crd/widgets.demo.example.com", "--timeout=20s"]).ok();
    cluster.apply("{apiVersion: demo.example.com/v1, kind: Widget, metadata: {name: w}, spec: {color: red}}");
    cluster.kubectl(&["get", "wd"]).ok().says("COLOR").says("red");
    assert_eq!(cluster.get("widget", "w")["spec"]["size"], 3);
    let bad = cluster.berth_stdin(
        &["apply", "--no-wait", "-f", "-"],
        "{apiVersion: demo.example.com/v1, kind: Widget, metadata: {name: x}, spec: {color: blue}}",
    );
    bad.code(1).complains("spec.color").complains("red");
    cluster.kubectl(&["delete", "crd", "widgets.demo.example.com"]).ok();
    until("the kind to be gone", || {
        let get = cluster.kubectl(&["get", "--raw", "/apis/demo.example.com/v1/widgets"]);
        if get.code != 0 { Ok(()) } else { Err(get.out) }
    });
    cluster.purge();
}
