//! A current kubectl asks who it is and what it may, and acts as others: auth, create token, impersonation, roles.

use berth_e2e::{Cluster, Run, until};

use crate::typed::Typed;

const READER: &str = r"
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: default}
rules:
- {apiGroups: [demo.example.com], resources: [widgets], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: readers, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects:
- {kind: ServiceAccount, name: bot, namespace: default}
- {kind: User, name: ann, apiGroup: rbac.authorization.k8s.io}
";

/// kubectl says yes with exit code 0 and no with exit code 1.
#[track_caller]
fn answers(run: Run, answer: &str) {
    let code = i32::from(answer == "no");
    let run = run.code(code);
    assert_eq!(run.out.lines().next().unwrap_or_default().split(' ').next(), Some(answer), "{run}");
}

#[test]
fn can_i_and_whoami_answer_as_the_rules_say() {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);
    k.define_widgets();
    k.ok("create serviceaccount bot");

    answers(k.run("auth can-i '*' '*' --all-namespaces"), "yes");
    answers(k.run("auth can-i delete widgets"), "yes");
    answers(k.run("auth can-i list widgets --as=ann"), "no");
    k.with("auth reconcile -f -", READER)
        .ok()
        .says("role.rbac.authorization.k8s.io/reader reconciled")
        .says("rolebinding.rbac.authorization.k8s.io/readers reconciled");
    // What a rule allows is known to all soon after it is written.
    until("the rule to be in force", || match k.run("auth can-i list widgets --as=ann") {
        run if run.code == 0 => Ok(()),
        run => Err(run.to_string()),
    });
    answers(k.run("auth can-i list widgets --as=ann"), "yes");
    answers(k.run("auth can-i list widgets --as=ann -n kube-system"), "no");
    answers(k.run("auth can-i delete widgets --as=ann"), "no");
    answers(k.run("auth can-i get widgets --as=system:serviceaccount:default:bot"), "yes");
    answers(k.run("auth can-i get widgets/gear --subresource=status --as=ann"), "no");
    answers(k.run("auth can-i get /healthz --as=ann"), "yes");
    answers(k.run("auth can-i get /metrics --as=ann"), "no");
    k.ok("auth can-i delete widgets --as=ann --as-group=system:masters").says("yes");
    k.run("auth can-i frob gadgets").complains("Warning: the server doesn't have a resource type 'gadgets'");
    let list = k.ok("auth can-i --list --as=ann");
    assert!(
        list.lines().iter().any(|line| line.split_whitespace().eq([
            "widgets.demo.example.com",
            "[]",
            "[]",
            "[get",
            "list",
            "watch]"
        ])),
        "{list}"
    );
    list.says("selfsubjectreviews.authentication.k8s.io").says("[/healthz]");
    k.ok("auth can-i --list").says("*.*").says("[*]");

    k.ok("auth whoami").says("ATTRIBUTE").says("Username").says("system:authenticated");
    k.ok("auth whoami --as=ann --as-group=crew --as-user-extra=reason=test")
        .says("ann")
        .says("crew")
        .says("Extra: reason");
    let who = k.ok("auth whoami --as=system:serviceaccount:default:bot -o json").json();
    assert_eq!(who["status"]["userInfo"]["username"], "system:serviceaccount:default:bot");

    k.with("apply -f -", "{apiVersion: demo.example.com/v1, kind: Widget, metadata: {name: gear}, spec: {color: red}}")
        .ok();
    k.ok("get wd --as=ann").says("gear");
    k.fails("delete wd gear --as=ann")
        .complains("Error from server (Forbidden): widgets.demo.example.com \"gear\" is forbidden: User \"ann\" cannot delete resource \"widgets\" in API group \"demo.example.com\" in the namespace \"default\"");
    k.fails("get secrets --as=ann")
        .complains("User \"ann\" cannot list resource \"secrets\" in API group \"\" in the namespace \"default\"");
    // Nobody hands on more than they have.
    k.ok("create role maker --verb=create,get,update,patch --resource=roles.rbac.authorization.k8s.io");
    k.ok("create rolebinding makers --role=maker --user=ann");
    until("ann to make roles", || match k.run("auth can-i create roles.rbac.authorization.k8s.io --as=ann") {
        run if run.code == 0 => Ok(()),
        run => Err(run.to_string()),
    });
    k.ok("create role mine --verb=get --resource=widgets.demo.example.com --as=ann").says("mine created");
    k.fails("create role more --verb=delete --resource=widgets.demo.example.com --as=ann")
        .complains("user \"ann\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:")
        .complains("{APIGroups:[\"demo.example.com\"], Resources:[\"widgets\"], Verbs:[\"delete\"]}");
    cluster.purge();
}

#[test]
fn a_token_of_an_account_is_that_account_until_it_is_gone() {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);
    k.define_widgets();
    k.ok("create serviceaccount bot");
    k.with("apply -f -", READER).ok();

    let token = k.text("create token bot --duration=1h");
    assert_eq!(token.split('.').count(), 3, "a signed token has three parts");
    let certificate = k.text("config view --raw -o jsonpath='{.clusters[0].cluster.certificate-authority-data}'");
    assert!(!certificate.is_empty(), "the kubeconfig carries the authority's certificate");
    let server = k.text("config view --minify -o jsonpath='{.clusters[0].cluster.server}'");
    // A kubeconfig of its own, as people make one for a machine.
    let file = cluster.path("bot.kubeconfig");
    let authority = cluster.path("ca.crt");
    std::fs::write(&authority, k.text("get cm kube-root-ca.crt -o jsonpath='{.data.ca\\.crt}'")).unwrap();
    let config = format!("--kubeconfig={}", file.display());
    k.ok(&format!(
        "config set-cluster berth --server={server} --certificate-authority={} --embed-certs {config}",
        authority.display()
    ))
    .says("Cluster \"berth\" set.");
    k.ok(&format!("config set-credentials bot --token={token} {config}")).says("User \"bot\" set.");
    k.ok(&format!("config set-context there --cluster=berth --user=bot --namespace=default {config}")).says("created");
    k.ok(&format!("config use-context there {config}")).says("Switched to context \"there\".");
    assert_eq!(k.text(&format!("config current-context {config}")), "there");
    k.ok(&format!("config get-contexts {config}")).says("there").says("bot");
    k.ok(&format!("config view {config}")).says("token: REDACTED");

    k.ok(&format!("auth whoami {config}"))
        .says("system:serviceaccount:default:bot")
        .says("system:serviceaccounts:default")
        .says("authentication.kubernetes.io/credential-id");
    until("the rule to be in force", || match k.run(&format!("get widgets {config}")) {
        run if run.code == 0 => Ok(()),
        run => Err(run.to_string()),
    });
    k.fails(&format!("get configmaps {config}"))
        .complains("User \"system:serviceaccount:default:bot\" cannot list resource \"configmaps\"");
    k.fails("create token nobody").complains("error: failed to create token: serviceaccounts \"nobody\" not found");
    k.fails("create token bot --duration=1m")
        .complains("spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes");

    // A token that is bound to a secret ends with it; an account's, with the account.
    k.ok("create secret generic tie");
    let bound = k.text("create token bot --bound-object-kind=Secret --bound-object-name=tie");
    let bare = cluster.path("none.kubeconfig");
    std::fs::copy(&file, &bare).unwrap();
    let with = |token: &str| k.run(&format!("auth whoami --kubeconfig={} --token={token} --user=''", bare.display()));
    k.ok(&format!("config unset users --kubeconfig={}", bare.display()));
    with(&bound).ok().says("system:serviceaccount:default:bot");
    k.ok("delete secret tie");
    let ended = |token: &str, what: &str| {
        until(what, || match with(token) {
            run if run.code == 1 && run.err.contains("Unauthorized") || run.err.contains("must be logged in") => Ok(()),
            run => Err(run.to_string()),
        });
    };
    ended(&bound, "the bound token to end");
    with(&token).ok();
    k.ok("delete serviceaccount bot");
    ended(&token, "the account's token to end");
    cluster.purge();
}
