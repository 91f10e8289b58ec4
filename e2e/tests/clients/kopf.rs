//! An operator written with kopf: handlers, timer, daemon, status, events, finalizer, and admission webhooks of its own.

use std::fs;

use berth_e2e::{Cluster, Program, client, python_bin, until};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};

use crate::typed::Typed;

fn widget(name: &str, spec: &str) -> String {
    format!("{{apiVersion: demo.example.com/v1, kind: Widget, metadata: {{name: {name}}}, spec: {spec}}}")
}

/// A certificate as kopf makes them for itself: one that signed itself, as authority and server at once.
fn certify(cluster: &Cluster) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages =
        vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment, KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.self_signed(&key).unwrap();
    fs::write(cluster.path("hook.crt"), certificate.pem()).unwrap();
    fs::write(cluster.path("hook.key"), key.serialize_pem()).unwrap();
}

fn operator(cluster: &Cluster, name: &str) -> Program {
    let program = client("python/widget_operator.py");
    let mut command = cluster.command(&python_bin(), &["-m", "kopf", "run", &program, "--standalone", "-n", "default"]);
    command
        .env("WEBHOOK_CERTIFICATE", cluster.path("hook.crt"))
        .env("WEBHOOK_KEY", cluster.path("hook.key"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUNBUFFERED", "1");
    Program::start(cluster, name, command)
}

/// Waits until the operator has said where its webhooks are.
#[track_caller]
fn wait_hooks(k: &Typed<'_>) {
    for kind in ["mutating", "validating"] {
        let line = format!(
            "get {kind}webhookconfigurations hooks.demo.example.com -o jsonpath='{{.webhooks[*].clientConfig.url}}'"
        );
        k.until(&line, |run| run.out.contains("https://127.0.0.1:"));
    }
}

#[test]
fn an_operator_in_python_admits_handles_and_cleans_up() {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);
    k.define_widgets();
    certify(&cluster);
    let mut kopf = operator(&cluster, "kopf-1");
    wait_hooks(&k);

    // What a webhook says holds from the moment that the server has read where it is.
    until("the webhook to be asked", || {
        let tried = k.with("create --dry-run=server -f -", &widget("probe", "{color: red, note: forbidden}"));
        if tried.err.contains("denied the request") { Ok(()) } else { Err(tried.to_string()) }
    });
    k.with("create -f -", &widget("bad", "{color: red, note: forbidden}"))
        .code(1)
        .complains("admission webhook \"judge.hooks.demo.example.com\" denied the request: ")
        .complains("may not note that");
    k.fails("get wd bad").complains("(NotFound)");
    k.with("create --dry-run=server -f -", &widget("doubt", "{color: red, note: doubtful}"))
        .ok()
        .complains("Warning: that note is doubtful");

    k.with("apply -f -", &widget("gear", "{color: red, params: {mine: kept}}")).ok().says("gear created");
    let gear = k.ok("get wd gear -o json").json();
    assert_eq!(gear["spec"]["params"]["marked"], "yes", "{gear}");
    assert_eq!(gear["spec"]["params"]["mine"], "kept");
    k.until("get wd gear -o jsonpath={.status.phase}/{.status.made.child}/{.status.made.tries}", |run| {
        run.out == "Painted/gear-paint/2"
    });
    assert_eq!(k.text("get configmap gear-paint -o jsonpath={.data.color}"), "red");
    assert_eq!(k.text("get configmap gear-paint -o jsonpath={.metadata.ownerReferences[0].kind}"), "Widget");
    k.until("get wd gear -o jsonpath={.status.ticks}", |run| run.out == "3");
    kopf.wait_log("guard of gear begins");
    k.ok("get wd gear -o jsonpath={.metadata.finalizers}").says("kopf.zalando.org/KopfFinalizerMarker");
    k.until("describe wd gear", |run| run.out.contains("Painted") && run.out.contains("painted it red"));
    k.ok("get events --field-selector=involvedObject.kind=Widget").says("widget/gear").says("painted it red");

    k.ok("patch wd gear --type=merge -p '{\"spec\":{\"color\":\"blue\"}}'");
    k.until("get wd gear -o jsonpath={.status.repainted.from}-{.status.repainted.to}", |run| run.out == "red-blue");
    assert_eq!(k.text("get configmap gear-paint -o jsonpath={.data.color}"), "blue");

    // What changed while nobody looked is handled after the restart.
    assert_eq!(kopf.stop(), Some(0), "{}", kopf.log());
    assert!(kopf.log().contains("guard of gear ends"), "{}", kopf.log());
    k.ok("patch wd gear --type=merge -p '{\"spec\":{\"color\":\"green\"}}'");
    let mut again = operator(&cluster, "kopf-2");
    again.wait_log("found gear again");
    k.until("get wd gear -o jsonpath={.status.repainted.from}-{.status.repainted.to}", |run| run.out == "blue-green");

    k.ok("delete wd gear --timeout=30s").says("deleted");
    again.wait_log("guard of gear ends");
    k.ok("get configmap gear-was-here");
    k.until("get configmap gear-paint --ignore-not-found", |run| run.code == 0 && run.out.is_empty());
    let log = again.log();
    assert!(!log.contains("Traceback") && !log.contains("inconsistencies"), "{log}");
    assert_eq!(again.stop(), Some(0));
    cluster.purge();
}
