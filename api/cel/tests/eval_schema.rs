//! Rules on a custom resource, from its schema: what the checker declares and what the evaluator reads go together.

mod eval_support;

use berth_cel::env::Env;
use berth_cel::value::Shape;
use berth_cel::{Activation, Budget, Value, schema};
use eval_support::{link, print};
use serde_json::{Value as Json, json};

fn schema() -> Json {
    let port = json!({"type": "object", "required": ["port"], "properties": {
        "name": {"type": "string"}, "port": {"type": "integer"}, "weight": {"type": "number"}}});
    let spec = json!({"type": "object", "properties": {
        "replicas": {"type": "integer"}, "max": {"type": "integer"}, "mode": {"type": "string"},
        "at": {"type": "string", "format": "date-time"}, "span": {"type": "string", "format": "duration"},
        "ports": {"type": "array", "items": port, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port"]},
        "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "limits": {"type": "object", "additionalProperties": {"x-kubernetes-int-or-string": true}},
        "template": {"type": "object", "x-kubernetes-embedded-resource": true,
            "x-kubernetes-preserve-unknown-fields": true},
        "node-name": {"type": "string", "nullable": true},
    }});
    json!({"type": "object", "properties": {"spec": spec, "status": {"type": "object"}}})
}

fn object(replicas: i64) -> Json {
    json!({"apiVersion": "a/v1", "kind": "A", "metadata": {"name": "web-1", "uid": "u"}, "spec": {
        "replicas": replicas, "max": 5, "mode": "Rolling", "at": "2024-06-01T12:00:00Z", "span": "1h",
        "ports": [{"name": "http", "port": 80, "weight": 1}, {"name": "https", "port": 443, "weight": 2.5}],
        "tags": ["a", "b"], "limits": {"cpu": "500m", "count": 3}, "node-name": null,
        "template": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": {}},
    }})
}

#[test]
fn rules_see_the_object_as_the_schema_declares_it() {
    let schema = schema();
    let shape = Shape::from_schema(&schema, true);
    let decl = schema::declare(&schema, "selfType", true).expect("an object");
    let env = Env::new().with("self", decl.clone()).with("oldSelf", decl);
    let (new, old) = (object(3), object(2));
    let table = [
        ("self.spec.replicas <= self.spec.max", "true"),
        ("self.spec.replicas - oldSelf.spec.replicas == 1", "true"),
        ("self.metadata.name.startsWith('web-') && self.kind == 'A'", "true"),
        ("self.spec.ports.all(p, p.port in [80, 443] && p.weight >= 1.0)", "true"),
        ("self.spec.ports.map(p, p.port).sum()", "523"),
        ("self.spec.ports.map(p, p.weight).max()", "2.5"),
        ("self.spec.ports == oldSelf.spec.ports && self.spec.tags == ['b', 'a']", "true"),
        ("quantity(self.spec.limits['cpu']).isLessThan(quantity('1')) && self.spec.limits['count'] == 3", "true"),
        ("self.spec.limits.all(k, k.size() > 1)", "true"),
        ("self.spec.at + self.spec.span == timestamp('2024-06-01T13:00:00Z')", "true"),
        ("has(self.spec.node__dash__name)", "false"),
        ("self.spec.node__dash__name == ''", "error: no such key: node__dash__name"),
        ("has(self.status)", "false"),
        ("self.spec.template.metadata.name == 'pod' && self.spec.template.kind == 'Pod'", "true"),
        ("self.spec.?mode.orValue('x') + self.spec.?node__dash__name.orValue('y')", "\"Rollingy\""),
        ("'%s runs %d'.format([self.metadata.name, self.spec.replicas])", "\"web-1 runs 3\""),
    ];
    for (source, expected) in table {
        let program = match link(source, &env) {
            Ok(program) => program,
            // Kubernetes wants literals of one type
            Err(error) if source.contains("format") => {
                assert!(error.contains("expected type"), "{error}");
                continue;
            }
            Err(error) => panic!("{source}: {error}"),
        };
        let mut activation = Activation::new();
        activation.bind_shaped("self", &new, &shape).bind_shaped("oldSelf", &old, &shape);
        let got = match program.eval(&activation, &mut Budget::default()) {
            Ok(value) => print(&value),
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(got, expected, "{source}");
    }
}

#[test]
fn an_absent_old_value_is_an_empty_optional() {
    let env = Env::new()
        .with("self", berth_cel::env::DeclType::Int)
        .with("oldSelf", berth_cel::env::DeclType::Optional(berth_cel::env::DeclType::Int.into()));
    let program = link("oldSelf.optMap(o, self >= o).orValue(true)", &env).expect("compiles");
    let cases = [(Value::NONE, true), (Value::some(Value::Int(2)), true), (Value::some(Value::Int(9)), false)];
    for (old, expected) in cases {
        let mut activation = Activation::new();
        activation.bind("self", 3).bind("oldSelf", old);
        let result = program.eval(&activation, &mut Budget::default());
        assert_eq!(result.map(|value| value.as_bool()), Ok(Some(expected)));
    }
}

#[test]
fn programs_are_shared_between_threads() {
    let env = Env::new().with("self", berth_cel::env::DeclType::Dyn);
    let program = link("self.list.all(x, string(x).matches('^[0-9]+$'))", &env).expect("compiles");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let data = json!({"list": [1, 2, 3]});
                let mut activation = Activation::new();
                activation.bind_json("self", &data);
                let result = program.eval(&activation, &mut Budget::default());
                assert_eq!(result.map(|value| value.as_bool()), Ok(Some(true)));
            });
        }
    });
}
