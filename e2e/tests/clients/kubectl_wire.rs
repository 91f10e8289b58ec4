//! A current kubectl as a plain pipe: proxy, raw requests, warnings, and how it is told of what the server lacks.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use berth_e2e::Cluster;

use crate::typed::Typed;

/// What is answered to a plain request without credentials, as curl sends it to the proxy.
fn fetch(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn proxy_hands_requests_on_with_the_users_name() {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);
    k.define_widgets();
    let mut proxy = k.follow("proxy --port=0 --reject-methods=^DELETE$");
    let line = proxy.wait_line("the proxy", |line| line.contains("Starting to serve on"));
    let address = line.rsplit(' ').next().unwrap();

    let versions = fetch(address, "/api");
    assert!(versions.starts_with("HTTP/1.1 200") && versions.contains("\"APIVersions\""), "{versions}");
    let widgets = fetch(address, "/apis/demo.example.com/v1/widgets");
    assert!(widgets.contains("\"WidgetList\"") && widgets.contains("\"items\":[]"), "{widgets}");
    let missing = fetch(address, "/api/v1/namespaces/default/configmaps/nobody");
    assert!(missing.starts_with("HTTP/1.1 404") && missing.contains("\"reason\":\"NotFound\""), "{missing}");
    assert!(fetch(address, "/readyz").ends_with("ok"));
    cluster.purge();
}

#[test]
fn raw_requests_make_read_change_and_remove() {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);
    k.define_widgets();
    let widgets = "/apis/demo.example.com/v1/namespaces/default/widgets";
    let file = cluster.path("gear.json");
    let gear = |color: &str| {
        let text = format!(
            "{{\"apiVersion\":\"demo.example.com/v1\",\"kind\":\"Widget\",\"metadata\":{{\"name\":\"gear\"}},\"spec\":{{\"color\":\"{color}\"}}}}"
        );
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    };
    k.ok(&format!("create --raw {widgets} -f {}", gear("red"))).says("\"generation\":1");
    let made = k.ok(&format!("get --raw {widgets}/gear")).json();
    assert_eq!(made["spec"]["color"], "red");
    k.fails(&format!("replace --raw {widgets}/gear -f {}", gear("green")))
        .complains("metadata.resourceVersion: Invalid value: 0: must be specified for an update");
    let mut green = made;
    green["spec"]["color"] = "green".into();
    std::fs::write(&file, green.to_string()).unwrap();
    k.ok(&format!("replace --raw {widgets}/gear -f {}", file.display())).says("\"generation\":2");
    k.ok(&format!("get --raw {widgets}?limit=1")).says("\"resourceVersion\"");
    k.ok(&format!("delete --raw {widgets}/gear")).says("\"status\":\"Success\"");
    k.fails(&format!("get --raw {widgets}/gear"))
        .complains("Error from server (NotFound): widgets.demo.example.com \"gear\" not found");
    k.ok("get --raw /metrics").says("# TYPE ");
    k.ok("get --raw /openapi/v3").says("apis/demo.example.com/v1");
    k.ok("get --raw /openapi/v2").says("com.example.demo.v1.Widget");
    k.ok("get --raw /.well-known/openid-configuration").says("\"jwks_uri\"");
    k.ok("get --raw /openid/v1/jwks").says("\"kty\"");
    k.ok("get --raw /version").says("\"gitVersion\"");
    cluster.purge();
}

#[test]
fn what_the_server_says_beside_the_answer_is_shown() {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);
    k.define_widgets();
    let old = "{apiVersion: demo.example.com/v1alpha1, kind: Widget, metadata: {name: old}, spec: {color: red}}";
    let warning = "Warning: demo.example.com/v1alpha1 Widget goes away; use demo.example.com/v1";
    k.with("create -f -", old).ok().says("old created").complains(warning);
    k.with("apply --server-side --warnings-as-errors -f -", old)
        .code(1)
        .complains(warning)
        .complains("error: 1 warning received");
    k.with("create --validate=warn -f -", "{apiVersion: v1, kind: ConfigMap, metadata: {name: w}, dato: {a: b}}")
        .ok()
        .complains("Warning: unknown field \"dato\"");
    k.with("create --validate=ignore -f -", "{apiVersion: v1, kind: ConfigMap, metadata: {name: i}, dato: {a: b}}")
        .ok();
    k.with("create -f -", "{apiVersion: v1, kind: ConfigMap, metadata: {name: s}, dato: {a: b}}")
        .code(1)
        .complains("strict decoding error: unknown field \"dato\"");
    k.with("create -f -", "{apiVersion: nobody.example.com/v1, kind: Thing, metadata: {name: x}}")
        .code(1)
        .complains("no matches for kind \"Thing\" in version \"nobody.example.com/v1\"")
        .complains("ensure CRDs are installed first");
    // kubectl says itself that an unknown server or a bad token is one.
    k.fails("get wd --token=nonsense --kubeconfig=/dev/null").complains("onnection refused");
    cluster.purge();
}
