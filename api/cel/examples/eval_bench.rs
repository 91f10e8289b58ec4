//! Prints the time that an evaluation of typical rules takes. Meaningful in a release build only.

use std::hint::black_box;
use std::io::Write as _;
use std::time::Instant;

use berth_cel::env::{DeclType, Env};
use berth_cel::value::Shape;
use berth_cel::{Activation, Budget, Program, compile};
use serde_json::{Value as Json, json};

const ROUNDS: u32 = 200_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let schema = json!({"type": "object", "properties": {
        "replicas": {"type": "integer"}, "max": {"type": "integer"}, "name": {"type": "string"},
        "mode": {"type": "string"},
        "ports": {"type": "array", "items": {"type": "object", "properties": {
            "name": {"type": "string"}, "port": {"type": "integer"}}}},
    }});
    let ports: Vec<Json> = (0..10).map(|port| json!({"name": format!("p{port}"), "port": 8000 + port})).collect();
    let data = json!({"replicas": 3, "max": 5, "name": "web-frontend", "mode": "Rolling", "ports": ports});
    let shape = Shape::from_schema(&schema, false);
    let rules = [
        "self.replicas <= self.max",
        "self.mode in ['Rolling', 'Recreate', 'Canary'] && has(self.name)",
        "self.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        "self.ports.all(p, p.port > 0 && p.port < 65536)",
        "self.ports.filter(p, p.name.startsWith('p')).map(p, p.port).isSorted()",
    ];
    let env = Env::new().with("self", DeclType::Dyn);
    let mut out = std::io::stdout().lock();
    for rule in rules {
        let checked = compile(rule, &env).map_err(|issues| issues.to_string())?;
        let program = Program::new(&checked)?;
        let start = Instant::now();
        for _ in 0..ROUNDS {
            let mut activation = Activation::new();
            activation.bind_shaped("self", &data, &shape);
            let mut budget = Budget::default();
            black_box(program.eval(&activation, &mut budget)?.as_bool());
        }
        writeln!(out, "{:>8} ns  {rule}", start.elapsed().as_nanos() / u128::from(ROUNDS))?;
    }
    Ok(())
}
