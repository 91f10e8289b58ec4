//! Helm 3 and Helm 4 keep a chart in force: our kinds, a definition, roles, hooks, look-ups, waits.

use berth_e2e::{Cluster, client, helm_bin};
use serde_json::Value;

use crate::typed::Typed;

/// The status of each revision, oldest first.
fn history(helm: &Typed<'_>) -> Vec<String> {
    let history = helm.ok("history shop -n mall -o json").json();
    history.as_array().unwrap().iter().map(|one| one["status"].as_str().unwrap().to_owned()).collect()
}

fn life_of_a_chart(major: u8) {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);
    let helm = Typed::new(&cluster, helm_bin(major));
    let chart = client("chart");
    let settings = || k.ok("get configmap shop-settings -n mall -o json").json()["data"].clone();
    k.ok("create namespace mall");
    k.ok("create configmap outside -n mall --from-literal=word=found");

    let installed = helm.ok(&format!("install shop {chart} -n mall --wait --timeout 60s"));
    installed.says("STATUS: deployed").says("REVISION: 1").says("shop sells red things.");
    wait_service(&k, 1);
    assert_eq!(settings()["found"], "found", "look-ups see what is in the cluster");
    assert_eq!(settings()["knows"], "true", "capabilities know our kinds");
    assert_eq!(k.text("get secret shop-key -n mall -o jsonpath={.data.word}"), "b3Blbg==");
    k.ok("get gadget shop-gadget -n mall -o jsonpath={.spec.parts[*].name}").says("wheel bell");
    assert_eq!(
        k.text("get gadget shop-gadget -n mall -o jsonpath='{.metadata.labels.app\\.kubernetes\\.io/managed-by}'"),
        "Helm"
    );
    k.ok("get configmap shop-installed -n mall");
    k.fails("get configmap shop-passing -n mall").complains("(NotFound)");
    k.until("auth can-i list gadgets -n mall --as=system:serviceaccount:mall:shop", |run| run.code == 0);
    helm.fails(&format!("install shop {chart} -n mall")).complains("a name that is still in use");
    helm.ok("list -n mall").says("shop-1.2.3").says("deployed");
    helm.ok("list -A -o json").says("\"name\":\"shop\"");
    helm.ok("status shop -n mall").says("STATUS: deployed");
    helm.ok("get manifest shop -n mall").says("kind: Gadget").says("kind: RoleBinding");
    helm.ok("get notes shop -n mall").says("red things");

    helm.ok(&format!("upgrade shop {chart} -n mall --dry-run=server --set color=green"))
        .says("color: green")
        .says("found: \"found\"");
    assert_eq!(settings()["color"], "red", "a dry run changes nothing");
    let upgraded = helm.ok(&format!("upgrade shop {chart} -n mall --wait --timeout 60s --set replicas=2,color=green"));
    upgraded.says("STATUS: deployed").says("REVISION: 2");
    wait_service(&k, 2);
    assert_eq!(settings()["color"], "green");
    assert_eq!(settings()["onlyRed"], Value::Null, "what left the chart leaves the object");
    assert_eq!(
        k.text("get gadget shop-gadget -n mall -o jsonpath={.spec.parts[*].name}/{.spec.parts[0].count}"),
        "wheel/2"
    );
    assert_eq!(k.text("get configmap shop-upgraded -n mall -o jsonpath={.data.revision}"), "2");
    helm.ok("get values shop -n mall").says("color: green");

    helm.fails(&format!("upgrade shop {chart} -n mall --set color=pink"))
        .complains("UPGRADE FAILED")
        .complains("spec.color: Unsupported value: \"pink\"");
    assert_eq!(history(&helm), ["superseded", "deployed", "failed"]);
    helm.ok("rollback shop 1 -n mall --wait --timeout 60s").says("Rollback was a success!");
    assert_eq!(history(&helm), ["superseded", "superseded", "failed", "deployed"]);
    helm.ok("history shop -n mall").says("Rollback to 1");
    wait_service(&k, 1);
    assert_eq!(settings()["color"], "red");
    assert_eq!(settings()["onlyRed"], "yes");
    k.ok("get gadget shop-gadget -n mall -o jsonpath={.spec.parts[*].name}").says("bell");
    let secrets = k.ok("get secrets -n mall -l owner=helm,name=shop,status=deployed -o json").json();
    assert_eq!(secrets["items"][0]["metadata"]["name"], "sh.helm.release.v1.shop.v4");
    assert_eq!(secrets["items"][0]["type"], "helm.sh/release.v1");

    helm.ok("test shop -n mall").says("TEST SUITE:     shop-check").says("Phase:          Succeeded");
    k.until("get gadget shop-check -n mall -o jsonpath={.metadata.name}", |run| run.out == "shop-check");

    // A stranger's object is not taken over.
    k.ok("create configmap other-settings -n mall");
    helm.fails(&format!("install other {chart} -n mall --skip-crds")).complains(
        "ConfigMap \"other-settings\" in namespace \"mall\" exists and cannot be imported into the current release",
    );

    helm.ok("uninstall shop -n mall --wait --timeout 60s").says("release \"shop\" uninstalled");
    assert_eq!(k.text("get gadgets -n mall -o name"), "gadget.shop.example.com/shop-check", "hooks stay, as Helm says");
    k.ok("get services.berth.dev,roles.rbac.authorization.k8s.io -n mall").complains("No resources found");
    k.ok("get configmap shop-removed -n mall");
    k.ok("get secrets -n mall -l owner=helm").complains("No resources found");
    k.ok("get crd gadgets.shop.example.com -o name").says("gadgets.shop.example.com");
    assert_eq!(helm.ok("list -n mall -o json").json(), Value::Array(vec![]));
    k.ok("delete namespace mall");
    cluster.purge();
}

/// Whether the chart's service has so many tasks that are ready.
#[track_caller]
fn wait_service(k: &Typed<'_>, replicas: u32) {
    k.until("get services.berth.dev shop-web -n mall -o jsonpath={.status.readyReplicas}", |run| {
        run.out == replicas.to_string()
    });
}

#[test]
fn helm_3_installs_upgrades_rolls_back_tests_and_uninstalls() {
    life_of_a_chart(3);
}

#[test]
fn helm_4_installs_upgrades_rolls_back_tests_and_uninstalls() {
    life_of_a_chart(4);
}
