//! A current kubectl changes what is there: labels, annotations, scale, wait, and what it makes by its own words.

use berth_e2e::{Cluster, example, until};
use serde_json::json;

use crate::typed::Typed;

const GEAR: &str =
    "{apiVersion: demo.example.com/v1, kind: Widget, metadata: {name: gear}, spec: {color: red, replicas: 2}}";

#[test]
fn label_annotate_and_scale_change_one_thing_each() {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);
    k.define_widgets();
    k.with("apply -f -", GEAR).ok();

    k.ok("label widget gear team=web tier=front").says("widget.demo.example.com/gear labeled");
    k.fails("label widget gear team=db").complains("error: 'team' already has a value (web), and --overwrite is false");
    k.ok("label widget gear team=db --overwrite").says("labeled");
    k.ok("label widget gear tier-").says("unlabeled");
    assert_eq!(k.ok("get wd gear -o json").json()["metadata"]["labels"], json!({"team": "db"}));
    k.ok("label wd --all seen=yes").says("gear labeled");
    k.ok("label wd gear --list").says("team=db");
    k.fails("label widget gear 'bad key=x'").complains("invalid");
    k.ok("annotate widget gear note='for you'").says("gear annotated");
    k.fails("annotate widget gear note=twice --overwrite --resource-version=1")
        .complains("Error from server (Conflict)");
    cluster.purge();
}

#[test]
fn scale_and_wait_meet_the_status() {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);
    k.define_widgets();
    k.with("apply -f -", GEAR).ok();

    k.ok("scale widget/gear --replicas=5").says("widget.demo.example.com/gear scaled");
    assert_eq!(k.text("get wd gear -o jsonpath={.spec.replicas}"), "5");
    k.ok("scale widget/gear --current-replicas=5 --replicas=4").says("scaled");
    k.fails("scale widget/gear --current-replicas=5 --replicas=3").complains("Expected replicas to be 5, was 4");
    assert_eq!(k.text("get wd gear --subresource=scale -o jsonpath={.spec.replicas}"), "4");
    k.fails("scale configmap/kube-root-ca.crt --replicas=2").complains("(NotFound)");
    k.ok(&format!("apply -f {}", example("hello.yaml")));
    k.ok("wait --for=condition=Ready service/hello --timeout=60s").says("service.berth.dev/hello condition met");
    k.ok("scale service/hello --replicas=1").says("service.berth.dev/hello scaled");
    k.ok("wait --for=jsonpath={.status.readyReplicas}=1 service/hello --timeout=60s").says("condition met");
    cluster.wait_service("hello", 1);

    let mut ready = k.command("wait --for=condition=Ready wd/gear --timeout=60s").spawn().unwrap();
    let status = r#"{"status":{"conditions":[{"type":"Ready","status":"True"}],"phase":"Done"}}"#;
    k.ok(&format!("patch wd gear --subresource=status --type=merge -p '{status}'"));
    assert!(ready.wait().unwrap().success());
    k.ok("wait --for=jsonpath={.status.phase}=Done wd/gear --timeout=20s").says("gear condition met");
    k.fails("wait --for=condition=Ready=False wd/gear --timeout=1s")
        .complains("timed out waiting for the condition on widgets/gear");
    let mut created = k.command("wait --for=create wd/later --timeout=60s").spawn().unwrap();
    k.with("apply -f -", &GEAR.replace("gear", "later")).ok();
    assert!(created.wait().unwrap().success());
    let mut deleted = k.command("wait --for=delete wd/later --timeout=60s").spawn().unwrap();
    k.ok("delete wd later --wait=false").says("deleted");
    assert!(deleted.wait().unwrap().success());
    k.fails("rollout status widget/gear")
        .complains("error: no kind \"Widget\" is registered for version \"demo.example.com/v1\"");
    cluster.purge();
}

#[test]
fn create_makes_the_kinds_it_has_words_for() {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);

    k.ok("create namespace team").says("namespace/team created");
    k.fails("create namespace team").complains("Error from server (AlreadyExists): namespaces \"team\" already exists");
    // A new namespace has its account and the certificate to trust, without anybody's doing.
    until("the namespace to be furnished", || {
        let found = k.run("get serviceaccount/default configmap/kube-root-ca.crt -n team -o name");
        if found.code == 0 { Ok(()) } else { Err(found.to_string()) }
    });
    k.ok("get configmap kube-root-ca.crt -n team -o jsonpath='{.data.ca\\.crt}'").says("BEGIN CERTIFICATE");
    k.ok("create configmap words --from-literal=a=b -n team").says("configmap/words created");
    let file = cluster.path("ten.bin");
    std::fs::write(&file, [0_u8, 255, 1, 2]).unwrap();
    k.ok(&format!("create configmap raw --from-file={}", file.display()));
    assert_eq!(k.text("get cm raw -o jsonpath='{.binaryData.ten\\.bin}'"), "AP8BAg==");
    k.ok("create secret generic key --from-literal=word=open").says("secret/key created");
    assert_eq!(k.ok("get secret key -o json").json()["type"], "Opaque");
    k.ok("create secret docker-registry pull --docker-server=here --docker-username=me --docker-password=it");
    assert_eq!(k.text("get secret pull -o jsonpath={.type}"), "kubernetes.io/dockerconfigjson");
    k.ok("create serviceaccount bot").says("serviceaccount/bot created");
    k.ok("create role reader --verb=get,list --resource=configmaps --resource-name=words")
        .says("role.rbac.authorization.k8s.io/reader created");
    k.ok("create rolebinding readers --role=reader --serviceaccount=default:bot --user=ann").says("readers created");
    k.ok("create clusterrole prober --verb=get --non-resource-url=/metrics").says("prober created");
    k.ok("create clusterrole sum --aggregation-rule=add-to-sum=yes").says("sum created");
    k.ok("create clusterrolebinding probers --clusterrole=prober --group=probers").says("probers created");
    k.ok("describe role.rbac.authorization.k8s.io reader").says("configmaps").says("[words]").says("[get list]");
    k.ok("describe rolebinding readers").says("ServiceAccount  bot").says("User            ann");
    k.ok("create quota small --hard=count/configmaps=3 -n team").says("resourcequota/small created");
    k.until("describe quota small -n team", |run| {
        run.lines().iter().any(|line| line.split_whitespace().eq(["count/configmaps", "2", "3"]))
    });
    k.ok("create configmap third -n team");
    k.fails("create configmap fourth -n team")
        .complains("error: failed to create configmap: configmaps \"fourth\" is forbidden: exceeded quota: small, requested: count/configmaps=1, used: count/configmaps=3, limited: count/configmaps=3");
    k.ok("create configmap words --from-literal=a=c --dry-run=client -o yaml").says("a: c");
    k.ok("create configmap dry --from-literal=a=c --dry-run=server -o name").says("configmap/dry");
    k.fails("get configmap dry").complains("(NotFound)");
    k.fails("create configmap Bad_Name").complains("a lowercase RFC 1123 subdomain must consist of");
    cluster.purge();
}
