//! A current kubectl removes what is there: cascades, finalizers, selectors, force, and whole namespaces.

use berth_e2e::{Cluster, example, until};

use crate::typed::Typed;

fn widget(name: &str) -> String {
    format!(
        "{{apiVersion: demo.example.com/v1, kind: Widget, metadata: {{name: {name}, labels: {{group: x}}}}, spec: {{color: red}}}}"
    )
}

/// A widget, and a configmap that belongs to it.
fn family(k: &Typed<'_>, name: &str) {
    k.with("apply -f -", &widget(name)).ok();
    let uid = k.text(&format!("get wd {name} -o jsonpath={{.metadata.uid}}"));
    let child = format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}-child, ownerReferences: \
         [{{apiVersion: demo.example.com/v1, kind: Widget, name: {name}, uid: {uid}, blockOwnerDeletion: true}}]}}}}"
    );
    k.with("create -f -", &child).ok();
}

#[test]
fn delete_takes_children_along_or_leaves_them() {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);
    k.define_widgets();

    family(&k, "a");
    k.ok("delete widget a").says("widget.demo.example.com \"a\" deleted from default namespace");
    k.until("get configmap a-child --ignore-not-found", |run| run.code == 0 && run.out.is_empty());
    family(&k, "b");
    k.ok("delete widget b --cascade=orphan").says("deleted");
    k.until("get configmap b-child -o jsonpath={.metadata.ownerReferences}", |run| run.code == 0 && run.out.is_empty());
    family(&k, "c");
    k.ok("delete widget c --cascade=foreground").says("deleted");
    k.fails("get configmap c-child").complains("(NotFound)");
    k.fails("delete widget zzz").complains("Error from server (NotFound): widgets.demo.example.com \"zzz\" not found");
    k.ok("delete widget zzz --ignore-not-found");

    // A child with a finalizer holds a parent that goes in the foreground.
    family(&k, "d");
    k.ok("patch configmap d-child --type=merge -p '{\"metadata\":{\"finalizers\":[\"demo.example.com/hold\"]}}'");
    k.ok("delete widget d --cascade=foreground --wait=false");
    k.until("get configmap d-child -o jsonpath={.metadata.deletionTimestamp}", |run| !run.out.is_empty());
    k.ok("get widget d -o jsonpath={.metadata.finalizers}").says("foregroundDeletion");
    k.ok("patch configmap d-child --type=merge -p '{\"metadata\":{\"finalizers\":null}}'");
    k.ok("wait --for=delete widget/d --timeout=30s");

    for name in ["e", "f", "g"] {
        k.with("apply -f -", &widget(name)).ok();
    }
    k.ok("delete wd e --dry-run=server").says("\"e\" deleted").says("(server dry run)");
    k.ok("get wd e");
    k.ok("delete wd e --now").says("deleted");
    k.ok("delete wd -l group=x").says("\"f\" deleted").says("\"g\" deleted");
    k.with("apply -f -", &widget("h")).ok();
    k.ok("delete wd --all -o name").says("widget.demo.example.com/h");
    k.with("apply -f -", &widget("i")).ok();
    let collection = "/apis/demo.example.com/v1/namespaces/default/widgets";
    k.ok(&format!("delete --raw {collection}?labelSelector=group%3Dx")).says("\"kind\":\"WidgetList\"");
    k.ok("get wd").complains("No resources found in default namespace.");
    cluster.purge();
}

#[test]
fn a_finalizer_holds_an_object_until_it_is_taken_off() {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);
    k.define_widgets();
    k.with("apply -f -", &widget("held")).ok();
    k.ok("patch wd held --type=merge -p '{\"metadata\":{\"finalizers\":[\"demo.example.com/hold\"]}}'");

    k.fails("delete wd held --timeout=1s").complains("error: timed out waiting for the condition on widgets/held");
    k.ok("get wd held -o jsonpath={.metadata.deletionTimestamp}").says("T");
    k.ok("delete wd held --force --wait=false").complains("Warning: Immediate deletion does not wait for confirmation");
    k.ok("get wd held");
    k.fails("patch wd held --type=merge -p '{\"metadata\":{\"finalizers\":[\"demo.example.com/hold\",\"demo.example.com/more\"]}}'")
        .complains("metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted");
    let mut gone = k.command("wait --for=delete wd/held --timeout=60s").spawn().unwrap();
    k.ok("patch wd held --type=json -p '[{\"op\":\"remove\",\"path\":\"/metadata/finalizers\"}]'").says("patched");
    assert!(gone.wait().unwrap().success());
    k.fails("get wd held").complains("(NotFound)");
    cluster.purge();
}

#[test]
fn a_namespace_and_a_definition_go_with_all_that_is_in_them() {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);
    k.define_widgets();
    k.ok("create namespace team");
    k.ok(&format!("apply -n team -f {}", example("pair.yaml")));
    k.with("apply -n team -f -", &widget("gear")).ok();
    k.with("apply -n team -f -", &widget("held")).ok();
    k.ok("patch wd held -n team --type=merge -p '{\"metadata\":{\"finalizers\":[\"demo.example.com/hold\"]}}'");
    k.ok("wait --for=condition=Ready service/pair -n team --timeout=60s");

    k.ok("delete namespace team --wait=false").says("namespace \"team\" deleted");
    k.until(
        "get namespace team -o jsonpath='{.status.conditions[?(@.type==\"NamespaceFinalizersRemaining\")].message}'",
        |run| run.out.contains("demo.example.com/hold in 1 resource instances"),
    );
    k.ok("get namespaces").says("Terminating");
    k.with("create -n team -f -", &widget("late"))
        .code(1)
        .complains("Error from server (Forbidden)")
        .complains("because it is being terminated");
    k.ok("patch wd held -n team --type=merge -p '{\"metadata\":{\"finalizers\":null}}'");
    k.ok("wait --for=delete namespace/team --timeout=60s");
    k.ok("get services.berth.dev,tasks,widgets,secrets -A").complains("No resources found");
    k.fails("delete namespace default").complains(
        "Error from server (Forbidden): namespaces \"default\" is forbidden: this namespace may not be deleted",
    );

    k.with("apply -f -", &widget("last")).ok();
    k.ok("delete crd widgets.demo.example.com")
        .says("customresourcedefinition.apiextensions.k8s.io \"widgets.demo.example.com\" deleted");
    until("the kind to be unknown", || {
        let raw = k.run("get --raw /apis/demo.example.com/v1/widgets");
        if raw.code == 1 && raw.err.contains("(NotFound)") { Ok(()) } else { Err(raw.to_string()) }
    });
    cluster.purge();
}
