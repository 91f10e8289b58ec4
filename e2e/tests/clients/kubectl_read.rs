//! A current kubectl shows what is there: get in all its forms, watches, describe, explain, discovery, events.

use berth_e2e::{Cluster, example, items};

use crate::typed::Typed;

/// Three widgets, a running service and what makes them differ.
fn stock(k: &Typed<'_>) {
    k.define_widgets();
    for (name, spec) in [
        ("a", "{color: red, size: 30}"),
        ("b", "{color: blue, size: 4, note: 'nice one'}"),
        ("c", "{color: red, size: 100}"),
    ] {
        let widget = format!(
            "{{apiVersion: demo.example.com/v1, kind: Widget, metadata: {{name: {name}, labels: {{is: {name}}}}}, spec: {spec}}}"
        );
        k.with("apply -f -", &widget).ok();
    }
}

#[test]
fn get_prints_tables_objects_paths_and_columns() {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);
    stock(&k);

    let table = k.ok("get widgets");
    let lines: Vec<Vec<&str>> = table.lines().iter().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NAME", "COLOR", "SIZE", "READY", "AGE"], "{table}");
    assert_eq!(lines[1][..3], ["a", "red", "30"], "{table}");
    assert_eq!(lines.len(), 4, "{table}");
    k.ok("get wd -o wide").says("NOTE").says("nice one");
    k.ok("get wd b --show-labels").says("LABELS").says("is=b");
    k.ok("get wd -L is").says("IS");
    assert!(!k.ok("get wd --no-headers").out.contains("NAME"));
    assert_eq!(
        k.ok("get wd -o name").lines(),
        ["widget.demo.example.com/a", "widget.demo.example.com/b", "widget.demo.example.com/c"]
    );
    assert_eq!(k.text("get wd -o jsonpath='{range .items[*]}{.metadata.name}={.spec.size};{end}'"), "a=30;b=4;c=100;");
    assert_eq!(k.text("get wd b -o jsonpath={.spec.note}"), "nice one");
    assert_eq!(k.text("get wd -o go-template='{{range .items}}{{.spec.color}} {{end}}'"), "red blue red");
    let columns = k.ok("get wd -o custom-columns=WHO:.metadata.name,HOW:.spec.size");
    assert_eq!(columns.lines()[0].split_whitespace().collect::<Vec<_>>(), ["WHO", "HOW"]);
    assert_eq!(columns.lines()[3].split_whitespace().collect::<Vec<_>>(), ["c", "100"]);
    let sorted = k.ok("get wd --sort-by=.spec.size");
    let order: Vec<_> =
        sorted.lines()[1..].iter().map(|line| line.split_whitespace().next().unwrap().to_owned()).collect();
    assert_eq!(order, ["b", "a", "c"], "{sorted}");
    assert_eq!(k.ok("get wd --chunk-size=1 -o name").lines().len(), 3);
    assert_eq!(items(&k.ok("get wd --chunk-size=2 -o json").json()).len(), 3);
    assert_eq!(k.ok("get wd -l is=b -o name").lines(), ["widget.demo.example.com/b"]);
    assert_eq!(k.ok("get wd -l 'is in (a,c),is!=c' -o name").lines(), ["widget.demo.example.com/a"]);
    assert_eq!(k.ok("get wd --field-selector=spec.color=red -o name").lines().len(), 2);
    assert_eq!(k.ok("get wd --field-selector=metadata.name!=a -o name").lines().len(), 2);
    k.fails("get wd --field-selector=spec.size=4").complains("field label not supported: spec.size");
    k.ok("get wd a c -o yaml").says("kind: List").says("name: a").says("name: c");
    k.ok("get widget/a configmap/kube-root-ca.crt -o name").says("widget.demo.example.com/a");
    k.ok("get all").says("widget.demo.example.com/a").says("widget.demo.example.com/c");
    k.ok("get demo -A").says("NAMESPACE").says("default");
    k.ok("get wd -n kube-system").complains("No resources found in kube-system namespace.");
    k.fails("get wd zzz").complains("Error from server (NotFound): widgets.demo.example.com \"zzz\" not found");
    assert!(k.ok("get wd zzz --ignore-not-found").out.is_empty());
    k.fails("get gadgets").complains("error: the server doesn't have a resource type \"gadgets\"");
    k.ok("get widgets.v1alpha1.demo.example.com a")
        .says("red")
        .complains("Warning: demo.example.com/v1alpha1 Widget goes away; use demo.example.com/v1");
    k.ok("get namespaces").says("STATUS").says("kube-system").says("Active");
    k.ok("get secrets,configmaps -A -o wide").says("kube-root-ca.crt");
    k.ok("get serviceaccounts -A").says("default");
    k.ok("get nodes.berth.dev").says("True");
    cluster.purge();
}

#[test]
fn watches_describe_and_events_tell_what_happens() {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);
    stock(&k);

    let mut watch = k.follow("get wd -w --output-watch-events");
    watch.wait_line("the third widget", |line| line.contains("ADDED") && line.contains("100"));
    let mut only = k.follow("get wd -l is=a --watch-only -o jsonpath='{.metadata.name}:{.spec.size}{\"\\n\"}'");
    k.ok("patch wd b --type=merge -p '{\"spec\":{\"size\":44}}'");
    watch.wait_line("the change", |line| line.contains("MODIFIED") && line.contains("44"));
    k.ok("delete wd b");
    watch.wait_line("the end", |line| line.contains("DELETED") && line.contains('b'));
    // Only the watch tells when the other watch began: change until it is seen.
    let mut size = 50;
    k.until("get wd a -o jsonpath={.spec.size}", |_| {
        size += 1;
        k.ok(&format!("patch wd a --type=merge -p '{{\"spec\":{{\"size\":{}}}}}'", 50 + size % 50));
        only.lines().iter().any(|line| line.starts_with("a:"))
    });
    assert!(only.lines().iter().all(|line| line.starts_with("a:")));

    k.ok(&format!("apply -f {}", example("hello.yaml")));
    cluster.wait_service("hello", 3);
    k.ok("describe service hello")
        .says("Name:         hello")
        .says("API Version:  berth.dev/v1")
        .says("Replicas:  3")
        .says("Events:");
    k.until("describe tasks -l berth.dev/service=hello", |run| run.out.contains("Started"));
    k.ok("describe wd a").says("Kind:         Widget").says("Color:").says("red").says("Events:");
    k.ok("describe namespace default").says("Name:").says("Status:       Active").says("No resource quota.");
    k.ok("create configmap words --from-literal=word=hello");
    k.ok("describe configmap words").says("Data\n====").says("word:\n----\nhello");
    k.ok("create secret generic key --from-literal=word=hello");
    let secret = k.ok("describe secret key").says("word:  5 bytes");
    assert!(!secret.out.contains("hello"));
    k.ok("describe serviceaccount default").says("Name:                default");
    k.fails("describe wd zzz").complains("(NotFound)");

    k.until("events", |run| run.out.contains("LAST SEEN") && run.out.contains("Started"));
    k.ok("events --types=Normal -A").says("NAMESPACE");
    let tasks = cluster.live_tasks("berth.dev/service=hello");
    let task = berth_e2e::name_of(&tasks[0]);
    k.until(&format!("events --for=task/{task}"), |run| run.out.contains(task));
    k.ok("get events --sort-by=.metadata.creationTimestamp").says("REASON").says("Started");
    k.ok("get events.v1.events.k8s.io").says("Started");
    k.ok(&format!("get events --field-selector=involvedObject.name={task}")).says(task);
    cluster.purge();
}

#[test]
fn explain_and_discovery_say_what_kinds_there_are() {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);
    k.define_widgets();

    k.ok("explain widget")
        .says("GROUP:      demo.example.com")
        .says("KIND:       Widget")
        .says("A widget is a thing for stories.");
    k.ok("explain widget.spec")
        .says("FIELD: spec <Object>")
        .says("color\t<string> -required-")
        .says("enum: red, green, blue, locked")
        .says("The colour that a person sees.")
        .says("ports\t<[]Object>");
    k.ok("explain widget.spec.ports.name").says("FIELD: name <string>").says("Name of the port.");
    k.ok("explain wd.spec.size --output=plaintext-openapiv2")
        .says("FIELD:    size <integer>")
        .says("How big it is, in thumbs.");
    k.ok("explain widget --recursive").says("color\t<string> -required-").says("proto\t<string>");
    k.ok("explain widget --recursive --output=plaintext-openapiv2").says("proto\t<string>");
    k.fails("explain widget.spec.colour").complains("error: field \"colour\" does not exist");
    k.ok("explain widget --api-version=demo.example.com/v1alpha1").says("VERSION:    v1alpha1");
    k.ok("explain service.spec.replicas").says("How many tasks to keep running");
    k.ok("explain services.berth.dev.spec --output=plaintext-openapiv2").says("KIND:     Service").says("replicas");
    k.ok("explain configmap.immutable").says("<boolean>").says("Immutable, if set to true");
    k.ok("explain namespace.metadata.ownerReferences").says("-required-");
    k.ok("explain clusterrole.rules.verbs").says("<[]string>");

    let resources = k.ok("api-resources");
    for line in [
        "NAME SHORTNAMES APIVERSION NAMESPACED KIND",
        "configmaps cm v1 true ConfigMap",
        "namespaces ns v1 false Namespace",
        "secrets v1 true Secret",
        "serviceaccounts sa v1 true ServiceAccount",
        "resourcequotas quota v1 true ResourceQuota",
        "limitranges limits v1 true LimitRange",
        "customresourcedefinitions crd,crds apiextensions.k8s.io/v1 false CustomResourceDefinition",
        "apiservices apiregistration.k8s.io/v1 false APIService",
        "validatingwebhookconfigurations admissionregistration.k8s.io/v1 false ValidatingWebhookConfiguration",
        "mutatingwebhookconfigurations admissionregistration.k8s.io/v1 false MutatingWebhookConfiguration",
        "validatingadmissionpolicies admissionregistration.k8s.io/v1 false ValidatingAdmissionPolicy",
        "selfsubjectreviews authentication.k8s.io/v1 false SelfSubjectReview",
        "tokenreviews authentication.k8s.io/v1 false TokenReview",
        "selfsubjectaccessreviews authorization.k8s.io/v1 false SelfSubjectAccessReview",
        "localsubjectaccessreviews authorization.k8s.io/v1 true LocalSubjectAccessReview",
        "certificatesigningrequests csr certificates.k8s.io/v1 false CertificateSigningRequest",
        "leases coordination.k8s.io/v1 true Lease",
        "events ev events.k8s.io/v1 true Event",
        "flowschemas flowcontrol.apiserver.k8s.io/v1 false FlowSchema",
        "clusterrolebindings rbac.authorization.k8s.io/v1 false ClusterRoleBinding",
        "services svc berth.dev/v1 true Service",
        "widgets wd demo.example.com/v1 true Widget",
    ] {
        let found = resources.lines().iter().any(|have| have.split_whitespace().eq(line.split(' ')));
        assert!(found, "no line {line:?}\n{resources}");
    }
    k.ok("api-resources --api-group=demo.example.com -o wide")
        .says("VERBS")
        .says("create,delete,deletecollection,get,list,patch,update,watch")
        .says("all,demo");
    assert_eq!(k.ok("api-resources --categories=demo -o name").lines(), ["widgets.demo.example.com"]);
    let versions = k.ok("api-versions");
    for version in [
        "v1",
        "berth.dev/v1",
        "demo.example.com/v1",
        "demo.example.com/v1alpha1",
        "apiextensions.k8s.io/v1",
        "rbac.authorization.k8s.io/v1",
    ] {
        assert!(versions.lines().contains(&version), "{versions}");
    }
    let address = format!("https://{}", cluster.api_address());
    k.ok("cluster-info").says("Kubernetes control plane").says(&address);
    k.ok("version").says("Client Version:").says("Server Version: v1.");
    k.ok("get --raw /readyz").says("ok");
    k.ok("get --raw /apis/demo.example.com/v1").says("\"APIResourceList\"").says("widgets/scale");
    k.fails("get --raw /apis/nobody.example.com/v1").complains("(NotFound)");
    cluster.purge();
}
