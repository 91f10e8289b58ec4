//! A current kubectl keeps manifests in force: apply by the client and by the server, diff, create, replace, edit, patch.

use berth_e2e::{Cluster, example};
use serde_json::json;

use crate::typed::Typed;

fn widget(name: &str, spec: &str) -> String {
    format!("{{apiVersion: demo.example.com/v1, kind: Widget, metadata: {{name: {name}}}, spec: {spec}}}")
}

#[test]
fn apply_of_the_client_creates_changes_and_removes_what_left_the_manifest() {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);
    k.define_widgets();

    k.with("apply -f -", &widget("gear", "{color: red, note: first, params: {a: x, b: z}}"))
        .ok()
        .says("widget.demo.example.com/gear created");
    let made = k.ok("get widget gear -o json").json();
    assert_eq!(made["spec"]["size"], 3, "the default is filled in");
    assert!(made["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"].is_string());
    k.with("apply -f -", &widget("gear", "{color: red, note: first, params: {a: x, b: z}}"))
        .ok()
        .says("gear unchanged");
    k.with("apply -f -", &widget("gear", "{color: green, params: {a: x}}")).ok().says("gear configured");
    let changed = k.ok("get widget gear -o json").json();
    assert_eq!(changed["spec"]["color"], "green");
    assert!(changed["spec"]["note"].is_null(), "what left the manifest leaves the object");
    assert_eq!(changed["spec"]["params"], json!({"a": "x"}));
    assert_eq!(changed["metadata"]["generation"], 2);
    // A list of a custom kind is sent each time: kubectl says configured, and nothing is written.
    k.with("apply -f -", &widget("list", "{color: red, ports: [{name: http, port: 80}]}")).ok();
    let version = k.text("get wd list -o jsonpath={.metadata.resourceVersion}");
    k.with("apply -f -", &widget("list", "{color: red, ports: [{name: http, port: 80}]}")).ok().says("list");
    assert_eq!(k.text("get wd list -o jsonpath={.metadata.resourceVersion}"), version);

    let settings =
        |data: &str| format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: settings}}, data: {data}}}");
    k.with("apply -f -", &settings("{a: one, b: two}")).ok().says("configmap/settings created");
    k.ok("patch configmap settings -p '{\"data\":{\"other\":\"mine\"}}'");
    k.with("apply -f -", &settings("{a: one}")).ok().says("configmap/settings configured");
    assert_eq!(k.ok("get cm settings -o json").json()["data"], json!({"a": "one", "other": "mine"}));
    k.with("apply -f -", &settings("{a: one}")).ok().says("configmap/settings unchanged");

    k.ok(&format!("apply -f {}", example("hello.yaml"))).says("service.berth.dev/hello created");
    cluster.wait_service("hello", 3);
    k.with(
        "apply -f -",
        &std::fs::read_to_string(example("hello.yaml")).unwrap().replace("replicas: 3", "replicas: 1"),
    )
    .ok()
    .says("service.berth.dev/hello configured");
    cluster.wait_service("hello", 1);
    k.ok(&format!("delete -f {}", example("hello.yaml"))).says("service.berth.dev \"hello\" deleted");

    k.with("apply -f - --dry-run=server", &widget("dry", "{color: red}")).ok().says("dry created (server dry run)");
    k.fails("get wd dry").complains("Error from server (NotFound): widgets.demo.example.com \"dry\" not found");
    k.with("apply -f -", &widget("bad", "{color: pink, size: 0}"))
        .code(1)
        .complains("The Widget \"bad\" is invalid:")
        .complains(
            "spec.color: Unsupported value: \"pink\": supported values: \"red\", \"green\", \"blue\", \"locked\"",
        )
        .complains("spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1");
    k.with("apply -f -", &widget("big", "{color: red, size: 101}"))
        .code(1)
        .complains("spec.size: Forbidden: size must be <= 100");
    k.with("apply -f -", &widget("odd", "{color: red, colour: red}"))
        .code(1)
        .complains("strict decoding error: unknown field \"spec.colour\"");
    k.with("apply --validate=warn -f -", &widget("odd", "{color: red, colour: red}"))
        .ok()
        .says("odd created")
        .complains("Warning: unknown field \"spec.colour\"");
    k.with("apply -f -", &widget("fixed", "{color: red, immutable: a}")).ok();
    k.with("apply -f -", &widget("fixed", "{color: red, immutable: b}"))
        .code(1)
        .complains("spec.immutable: Invalid value: ")
        .complains("is immutable");
    cluster.purge();
}

#[test]
fn apply_of_the_server_knows_who_owns_what() {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);
    k.define_widgets();

    k.with("apply --server-side -f -", &widget("gear", "{color: red, params: {a: x}}"))
        .ok()
        .says("widget.demo.example.com/gear serverside-applied");
    let version = k.text("get wd gear -o jsonpath={.metadata.resourceVersion}");
    k.with("apply --server-side -f -", &widget("gear", "{color: red, params: {a: x}}")).ok().says("serverside-applied");
    assert_eq!(k.text("get wd gear -o jsonpath={.metadata.resourceVersion}"), version, "nothing changed: no write");

    k.with("apply --server-side --field-manager=painter -f -", &widget("gear", "{color: blue}"))
        .code(1)
        .complains("error: Apply failed with 1 conflict: conflict with \"kubectl\": .spec.color")
        .complains("Please review the fields above--they currently have other managers.")
        .complains("--force-conflicts");
    k.with(
        "apply --server-side --field-manager=painter --force-conflicts -f -",
        &widget("gear", "{color: blue, size: 7}"),
    )
    .ok();
    let gear = k.ok("get wd gear -o json --show-managed-fields").json();
    let managers: Vec<_> = gear["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["manager"].as_str().unwrap(), entry["operation"].as_str().unwrap(), &entry["fieldsV1"]))
        .collect();
    assert!(
        managers.contains(&("painter", "Apply", &json!({"f:spec": {"f:color": {}, "f:size": {}}}))),
        "{managers:?}"
    );
    assert!(managers.contains(&("kubectl", "Apply", &json!({"f:spec": {"f:params": {"f:a": {}}}}))), "{managers:?}");
    // The painter gives its size back: the default returns.
    k.with("apply --server-side --field-manager=painter -f -", &widget("gear", "{color: blue}")).ok();
    assert_eq!(k.ok("get wd gear -o json").json()["spec"]["size"], 3);

    // Each owns its entries of a list by key, and of a set by value.
    let one = "{color: blue, ports: [{name: http, port: 80}], tags: [a]}";
    k.with("apply --server-side --field-manager=one -f -", &widget("gear", one)).ok();
    let two = "{color: blue, ports: [{name: admin, port: 81}], tags: [b]}";
    k.with("apply --server-side --field-manager=two -f -", &widget("gear", two)).ok();
    let spec = k.ok("get wd gear -o json").json()["spec"].clone();
    assert_eq!(spec["ports"].as_array().unwrap().len(), 2, "{spec}");
    assert_eq!(spec["tags"], json!(["a", "b"]));
    k.with("apply --server-side --field-manager=one -f -", &widget("gear", "{color: blue}")).ok();
    let spec = k.ok("get wd gear -o json").json()["spec"].clone();
    assert_eq!(spec["ports"], json!([{"name": "admin", "port": 81, "proto": "TCP"}]));
    assert_eq!(spec["tags"], json!(["b"]));

    // What kubectl applied by itself before, it still owns when the server applies.
    k.with("apply -f -", &widget("moved", "{color: red, note: old}")).ok();
    k.with("apply --server-side -f -", &widget("moved", "{color: red}")).ok().says("moved serverside-applied");
    assert!(k.ok("get wd moved -o json").json()["spec"]["note"].is_null());

    let secret = "{apiVersion: v1, kind: Secret, metadata: {name: key}, stringData: {word: open}}";
    k.with("apply --server-side -f -", secret).ok().says("secret/key serverside-applied");
    assert_eq!(k.text("get secret key -o jsonpath={.data.word}"), "b3Blbg==");
    k.ok(&format!("apply --server-side -f {}", example("pair.yaml"))).says("service.berth.dev/pair serverside-applied");
    cluster.wait_service("pair", 1);
    k.with("apply --server-side --dry-run=server -f -", &widget("gear", "{color: green}"))
        .code(1)
        .complains("conflicts with \"painter\":\n- .spec.color");
    k.with("apply --server-side --force-conflicts --dry-run=server -f -", &widget("gear", "{color: green}")).ok();
    assert_eq!(k.text("get wd gear -o jsonpath={.spec.color}"), "blue");
    k.ok("apply view-last-applied widget/moved").says("color: red");
    cluster.purge();
}

#[test]
fn diff_create_replace_and_edit_show_and_make_the_difference() {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);
    k.define_widgets();

    k.with("diff -f -", &widget("gear", "{color: red}")).code(1).says("+  color: red").says("+  size: 3");
    k.with("create -f -", &widget("gear", "{color: red}")).ok().says("widget.demo.example.com/gear created");
    k.with("create -f -", &widget("gear", "{color: red}"))
        .code(1)
        .complains("Error from server (AlreadyExists): error when creating \"STDIN\": widgets.demo.example.com \"gear\" already exists");
    k.with(
        "create -f -",
        "{apiVersion: demo.example.com/v1, kind: Widget, metadata: {generateName: gear-}, spec: {color: red}}",
    )
    .ok()
    .says("widget.demo.example.com/gear-");
    k.with("apply -f -", &widget("gear", "{color: red}")).ok().complains("Warning: resource widgets/gear is missing");
    k.with("diff -f -", &widget("gear", "{color: red}")).code(0);
    for mode in ["", "--server-side"] {
        k.with(&format!("diff {mode} --force-conflicts={} -f -", !mode.is_empty()), &widget("gear", "{color: blue}"))
            .code(1)
            .says("-  color: red")
            .says("+  color: blue");
    }
    assert_eq!(k.text("get wd gear -o jsonpath={.spec.color}"), "red", "a diff changes nothing");

    let read = k.ok("get wd gear -o yaml").out;
    k.with("replace -f -", &read.replace("color: red", "color: green")).ok().says("gear replaced");
    assert_eq!(k.text("get wd gear -o jsonpath={.spec.color}"), "green");
    k.with("replace -f -", &read.replace("color: red", "color: blue"))
        .code(1)
        .complains("Error from server (Conflict): error when replacing \"STDIN\": Operation cannot be fulfilled on")
        .complains("the object has been modified; please apply your changes to the latest version and try again");
    k.with("replace -f -", &widget("nobody", "{color: red}")).code(1).complains("(NotFound)");
    let uid = k.text("get wd gear -o jsonpath={.metadata.uid}");
    k.with("replace --force -f -", &widget("gear", "{color: red}")).ok().says("\"gear\" deleted").says("gear replaced");
    assert_ne!(k.text("get wd gear -o jsonpath={.metadata.uid}"), uid, "by force means anew");

    k.with_env("EDITOR", "sed -i 's/color: red/color: green/'", "edit widget gear").ok().says("gear edited");
    assert_eq!(k.text("get wd gear -o jsonpath={.spec.color}"), "green");
    k.with_env("EDITOR", "true", "edit widget gear").ok().complains("Edit cancelled, no changes made.");
    let refused = k.with_env("EDITOR", "sed -i 's/color: green/color: pink/'", "edit widget gear");
    let refused = refused.code(1).complains("widgets.demo.example.com \"gear\" is invalid");
    // What was typed is not lost: the copy says why it was refused.
    let copy = refused.err.split('"').find(|word| word.ends_with(".yaml")).unwrap();
    let copy = std::fs::read_to_string(copy).unwrap();
    assert!(copy.contains("# * spec.color: Unsupported value: \"pink\"") && copy.contains("color: pink"), "{copy}");
    k.with_env("EDITOR", "sed -i s/hello/bye/", "edit configmap nobody").code(1).complains("not found");
    k.ok("create configmap words --from-literal=word=hello");
    k.with_env("EDITOR", "sed -i s/hello/bye/", "edit configmap words").ok().says("configmap/words edited");
    assert_eq!(k.text("get cm words -o jsonpath={.data.word}"), "bye");
    k.ok("patch wd gear --subresource=status --type=merge -p '{\"status\":{\"phase\":\"Old\"}}'");
    k.with_env("EDITOR", "sed -i 's/phase: Old/phase: New/'", "edit wd gear --subresource=status")
        .ok()
        .says("gear edited");
    assert_eq!(k.text("get wd gear -o jsonpath={.status.phase}"), "New");
    cluster.purge();
}

#[test]
fn patch_speaks_all_three_languages() {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);
    k.define_widgets();
    k.with("apply -f -", &widget("gear", "{color: red, size: 3, params: {a: x}, ports: [{name: http, port: 80}]}"))
        .ok();

    k.ok("patch widget gear --type=merge -p '{\"spec\":{\"size\":5,\"params\":{\"a\":null,\"b\":\"y\"}}}'")
        .says("gear patched");
    k.ok("patch widget gear --type=merge -p '{\"spec\":{\"size\":5}}'").says("gear patched (no change)");
    let json_patch = r#"[{"op":"test","path":"/spec/size","value":5},{"op":"replace","path":"/spec/size","value":6},{"op":"add","path":"/spec/ports/-","value":{"name":"admin"}}]"#;
    k.ok(&format!("patch wd gear --type=json -p '{json_patch}'")).says("gear patched");
    let spec = k.ok("get wd gear -o json").json()["spec"].clone();
    assert_eq!(spec["size"], 6);
    assert_eq!(spec["params"], json!({"b": "y"}));
    assert_eq!(spec["ports"][1], json!({"name": "admin", "proto": "TCP"}));
    k.fails(&format!("patch wd gear --type=json -p '{json_patch}'"))
        .complains("The request is invalid: the server rejected our request due to an error in our request");
    k.fails("patch wd gear -p '{\"spec\":{\"size\":9}}'").complains("error: application/strategic-merge-patch+json is not supported by demo.example.com/v1, Kind=Widget: the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml");
    k.fails("patch wd gear --type=merge -p '{\"spec\":{\"size\":0}}'")
        .complains("should be greater than or equal to 1");

    k.ok("patch wd gear --subresource=status --type=merge -p '{\"status\":{\"replicas\":1},\"spec\":{\"size\":99}}'");
    let gear = k.ok("get wd gear -o json").json();
    assert_eq!(gear["status"]["replicas"], 1);
    assert_eq!(gear["spec"]["size"], 6, "the status subresource leaves the spec alone");
    k.ok("get wd gear --subresource=status -o yaml").says("replicas: 1");

    // A kind that kubectl knows takes strategic patches: secrets of an account are merged by name.
    k.ok("create serviceaccount bot");
    k.ok("patch serviceaccount bot -p '{\"secrets\":[{\"name\":\"one\"}]}'").says("serviceaccount/bot patched");
    k.ok("patch serviceaccount bot -p '{\"secrets\":[{\"name\":\"two\"}]}'");
    let names = k.text("get sa bot -o jsonpath={.secrets[*].name}");
    assert!(names.contains("one") && names.contains("two"), "{names}");
    k.ok("patch serviceaccount bot -p '{\"secrets\":[{\"$patch\":\"delete\",\"name\":\"one\"}]}'");
    assert_eq!(k.text("get sa bot -o jsonpath={.secrets[*].name}"), "two");
    k.ok("patch wd gear --type=merge --dry-run=server -p '{\"spec\":{\"size\":50}}' -o jsonpath={.spec.size}")
        .says("50");
    assert_eq!(k.text("get wd gear -o jsonpath={.spec.size}"), "6");
    cluster.purge();
}
