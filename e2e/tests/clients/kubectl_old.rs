//! kubectl 1.20: legacy discovery, OpenAPI v2 as protobuf, JSON bodies. What it knows still works.

use berth_e2e::{Cluster, example, items, until};
use serde_json::json;

use crate::typed::Typed;

fn widget(name: &str, spec: &str) -> String {
    format!(
        "---\n{{apiVersion: demo.example.com/v1, kind: Widget, metadata: {{name: {name}, labels: {{app: shop}}}}, spec: {spec}}}"
    )
}

#[test]
fn it_applies_changes_and_compares() {
    let cluster = Cluster::up();
    let k = Typed::old_kubectl(&cluster);
    k.define_widgets();

    k.with("apply -f -", &widget("gear", "{color: red, note: first}"))
        .ok()
        .says("widget.demo.example.com/gear created");
    k.with("apply -f -", &widget("gear", "{color: red, note: first}")).ok().says("gear unchanged");
    k.with("apply -f -", &widget("gear", "{color: green}")).ok().says("gear configured");
    assert!(k.ok("get wd gear -o json").json()["spec"]["note"].is_null());
    // This one checks by itself, by the schema that it read.
    k.with("apply -f -", &widget("odd", "{color: red, colour: red}"))
        .code(1)
        .complains("error: error validating \"STDIN\": error validating data: ValidationError(Widget.spec): unknown field \"colour\"");
    k.with("apply -f -", &widget("odd", "{size: 3}")).code(1).complains("missing required field \"color\"");
    k.with("apply -f -", &widget("bad", "{color: pink}")).code(1).complains("spec.color: Unsupported value: \"pink\"");
    k.with("apply --server-side -f -", &widget("served", "{color: red}")).ok().says("served serverside-applied");
    k.with("apply --server-side --field-manager=painter -f -", &widget("served", "{color: blue}"))
        .code(1)
        .complains("Apply failed with 1 conflict: conflict with \"kubectl\": .spec.color");
    k.with("apply --server-side --field-manager=painter --force-conflicts -f -", &widget("served", "{color: blue}"))
        .ok();
    k.with("diff -f -", &widget("gear", "{color: red}")).code(1).says("-  color: green").says("+  color: red");
    k.with("diff -f -", &widget("gear", "{color: green}")).code(0);
    k.with("create -f -", &widget("gear", "{color: red}")).code(1).complains("(AlreadyExists)");
    let read = k.ok("get wd gear -o yaml").out;
    k.with("replace -f -", &read.replace("color: green", "color: red")).ok().says("gear replaced");
    k.with("replace -f -", &read.replace("color: green", "color: blue"))
        .code(1)
        .complains("the object has been modified");
    k.with_env("EDITOR", "sed -i 's/color: red/color: green/'", "edit wd gear").ok().says("gear edited");
    k.ok("patch wd gear --type=merge -p '{\"spec\":{\"size\":5}}'").says("gear patched");
    k.ok("patch wd gear --type=json -p '[{\"op\":\"test\",\"path\":\"/spec/size\",\"value\":5},{\"op\":\"remove\",\"path\":\"/spec/size\"}]'");
    k.ok("create configmap words --from-literal=a=b");
    k.ok("patch configmap words -p '{\"data\":{\"c\":\"d\"}}'").says("configmap/words patched");
    assert_eq!(k.ok("get cm words -o json").json()["data"], json!({"a": "b", "c": "d"}));
    let prune = "apply --prune -l app=shop --prune-whitelist=demo.example.com/v1/Widget -f -";
    k.ok("delete wd --all");
    k.with(prune, &widget("one", "{color: green}")).ok().says("widget.demo.example.com/one created");
    k.with(prune, &widget("two", "{color: green}")).ok().says("widget.demo.example.com/one pruned");
    cluster.purge();
}

#[test]
fn it_reads_watches_explains_and_deletes() {
    let cluster = Cluster::up();
    let k = Typed::old_kubectl(&cluster);
    k.define_widgets();
    k.with("apply -f -", &widget("a", "{color: red, size: 30}")).ok();
    k.with("apply -f -", &widget("b", "{color: blue, size: 4, note: nice}")).ok();

    k.ok("get wd").says("COLOR").says("blue");
    k.ok("get wd -o wide").says("NOTE").says("nice");
    assert_eq!(k.text("get wd -o jsonpath='{.items[*].spec.size}'"), "30 4");
    k.ok("get wd -o custom-columns=WHO:.metadata.name").says("WHO");
    let sorted = k.ok("get wd --sort-by=.spec.size -o name");
    assert_eq!(sorted.lines(), ["widget.demo.example.com/b", "widget.demo.example.com/a"]);
    assert_eq!(items(&k.ok("get wd --chunk-size=1 -o json").json()).len(), 2);
    k.ok("get wd --field-selector=spec.color=red -o name").says("/a");
    let mut watch = k.follow("get wd -w");
    watch.wait_line("the second widget", |line| line.starts_with('b'));
    k.ok("scale wd/a --replicas=7").says("a scaled");
    k.ok("label wd a team=web").says("labeled");
    k.ok("annotate wd a note=x").says("annotated");
    k.ok("patch wd a --type=merge -p '{\"spec\":{\"size\":77}}'");
    watch.wait_line("the change", |line| line.starts_with('a') && line.contains("77"));
    k.ok("describe wd a").says("Name:         a").says("API Version:  demo.example.com/v1").says("Events:");
    k.ok("explain widget.spec")
        .says("KIND:     Widget")
        .says("color\t<string> -required-")
        .says("The colour that a person sees.");
    k.ok("explain widget --recursive").says("proto\t<string>");
    k.ok("explain configmap.data").says("<map[string]string>");
    k.ok("api-resources").says("widgets").says("services");
    k.ok("api-versions").says("demo.example.com/v1");
    k.ok("cluster-info").says("Kubernetes control plane");
    k.ok("version").says("Server Version");
    k.ok("get --raw /readyz").says("ok");
    let mut proxy = k.follow("proxy --port=0");
    proxy.wait_line("the proxy", |line| line.contains("Starting to serve on"));

    k.ok(&format!("apply -f {}", example("hello.yaml")));
    k.ok("wait --for=condition=Ready service/hello --timeout=60s").says("condition met");
    k.until("get events", |run| run.out.contains("Started"));
    k.ok("describe service hello").says("Events:").says("hello-");

    k.ok("create role reader --verb=get --resource=configmaps").says("created");
    k.ok("create rolebinding readers --role=reader --user=ann").says("created");
    k.ok("create clusterrolebinding all --clusterrole=view --user=bob").says("created");
    k.ok("create serviceaccount bot").says("created");
    k.ok("create secret generic key --from-literal=a=b").says("created");
    k.ok("create namespace team").says("created");
    k.ok("create quota small --hard=count/secrets=5").says("created");
    until("the rule to be in force", || match k.run("auth can-i get configmaps --as=ann") {
        run if run.code == 0 => Ok(()),
        run => Err(run.to_string()),
    });
    k.run("auth can-i get secrets --as=ann").code(1).says("no");
    k.ok("auth can-i --list").says("*.*");

    k.ok("delete wd a --cascade=foreground").says("\"a\" deleted");
    k.ok("delete wd b --cascade=orphan").says("\"b\" deleted");
    k.ok("delete service hello --cascade=background").says("\"hello\" deleted");
    k.ok("delete namespace team").says("\"team\" deleted");
    k.fails("get wd a").complains("Error from server (NotFound): widgets.demo.example.com \"a\" not found");
    cluster.purge();
}
