//! A current kubectl removes what left a set of manifests: prune by labels, apply sets, kustomizations.

use std::fs;

use berth_e2e::Cluster;

use crate::typed::Typed;

fn settings(name: &str) -> String {
    format!("---\n{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}, labels: {{app: shop}}}}}}\n")
}

fn widget(name: &str) -> String {
    format!(
        "---\n{{apiVersion: demo.example.com/v1, kind: Widget, metadata: {{name: {name}, labels: {{app: shop}}}}, spec: {{color: red}}}}\n"
    )
}

#[test]
fn prune_by_label_removes_what_is_no_longer_applied() {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);
    k.define_widgets();
    let all = settings("one") + &settings("two") + &widget("gear") + &widget("cog");
    let allowed = "--prune-allowlist=core/v1/ConfigMap --prune-allowlist=demo.example.com/v1/Widget";
    let line = format!("apply --prune -l app=shop {allowed} -f -");
    k.with(&line, &all).ok().says("configmap/two created").says("widget.demo.example.com/cog created");
    k.ok("create configmap mine");
    k.ok("label configmap mine app=shop");

    k.with(&line, &(settings("one") + &widget("gear")))
        .ok()
        .says("configmap/one unchanged")
        .says("configmap/two pruned")
        .says("widget.demo.example.com/cog pruned");
    k.fails("get configmap two").complains("(NotFound)");
    k.ok("get configmap mine");
    k.ok("get widget gear");
    cluster.purge();
}

#[test]
fn an_apply_set_remembers_its_members() {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);
    k.define_widgets();
    let apply = |manifests: &str| {
        let file = cluster.path("set.yaml");
        fs::write(&file, manifests).unwrap();
        k.with_env(
            "KUBECTL_APPLYSET",
            "true",
            &format!("apply -n default --prune --applyset=shop -f {}", file.display()),
        )
    };
    apply(&(settings("one") + &settings("two") + &widget("gear") + &widget("cog")))
        .ok()
        .says("configmap/two created")
        .says("widget.demo.example.com/cog created");
    let parent = k.ok("get secret shop -o json").json();
    let id = parent["metadata"]["labels"]["applyset.kubernetes.io/id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("applyset-"), "{id}");
    assert_eq!(
        parent["metadata"]["annotations"]["applyset.kubernetes.io/contains-group-kinds"],
        "ConfigMap,Widget.demo.example.com"
    );
    let member = k.ok("get wd cog -o json").json();
    assert_eq!(member["metadata"]["labels"]["applyset.kubernetes.io/part-of"], id);

    apply(&(settings("one") + &widget("gear")))
        .ok()
        .says("configmap/two pruned")
        .says("widget.demo.example.com/cog pruned");
    k.fails("get widget cog").complains("(NotFound)");
    apply(&settings("one")).ok().says("widget.demo.example.com/gear pruned");
    let parent = k.ok("get secret shop -o json").json();
    assert_eq!(parent["metadata"]["annotations"]["applyset.kubernetes.io/contains-group-kinds"], "ConfigMap");
    cluster.purge();
}

#[test]
fn a_kustomization_is_applied_and_deleted() {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);
    k.define_widgets();
    let directory = cluster.path("shop");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("widget.yaml"), widget("gear")).unwrap();
    let kustomization = "namePrefix: shop-\nlabels: [{pairs: {env: test}}]\nresources: [widget.yaml]\n\
         configMapGenerator: [{name: words, literals: [a=b]}]\nsecretGenerator: [{name: key, literals: [word=open]}]\n\
         patches: [{target: {kind: Widget}, patch: '[{\"op\": \"replace\", \"path\": \"/spec/color\", \"value\": \"blue\"}]'}]\n";
    fs::write(directory.join("kustomization.yaml"), kustomization).unwrap();
    let directory = directory.display();

    k.ok(&format!("kustomize {directory}")).says("name: shop-gear").says("color: blue");
    k.ok(&format!("apply --dry-run=server -k {directory}")).says("shop-gear created (server dry run)");
    k.ok(&format!("apply -k {directory}"))
        .says("configmap/shop-words-")
        .says("secret/shop-key-")
        .says("shop-gear created");
    assert_eq!(k.text("get wd shop-gear -o jsonpath={.spec.color}/{.metadata.labels.env}"), "blue/test");
    k.ok(&format!("apply -k {directory}")).says("configmap/shop-words-").says("unchanged");
    k.run(&format!("diff -k {directory}")).code(0);
    k.ok(&format!("delete -k {directory}")).says("deleted");
    k.fails("get wd shop-gear").complains("(NotFound)");
    cluster.purge();
}
