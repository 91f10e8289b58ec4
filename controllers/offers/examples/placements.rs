//! Prints how many placements a second the engine makes: 5,000 nodes, 50,000 tasks of 50 owners in 5 roles.
//! Run it in release; figures of a debug build say nothing.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use berth_offers::{Cluster, Constraint, Decision, Node, Operator, Pending, PortWish, Ranges, Resources, Role, Shape};

const NODES: usize = 5_000;
const OWNERS: usize = 50;
const TASKS: usize = 50_000;
const GIB_MILLI: i64 = (1 << 30) * 1000;

fn cluster() -> Cluster {
    let mut cluster = Cluster::new();
    for i in 0..NODES {
        cluster.set_node(Node {
            name: format!("node-{i:05}"),
            total: Resources::from_milli([("cpu", 32_000), ("memory", 128 * GIB_MILLI)]),
            ports: Ranges::new([(31_000, 32_000)]),
            attributes: BTreeMap::from([("rack".to_owned(), format!("r{}", i % 40))]),
            ready: true,
            ..Node::default()
        });
    }
    (0..5).for_each(|role| cluster.set_role(format!("role-{role}"), Role::default()));
    cluster
}

fn tasks(constraints: &[Constraint]) -> Vec<Pending> {
    let shapes: Vec<_> = (0..OWNERS)
        .map(|owner| {
            Arc::new(Shape {
                owner: format!("service-{owner}"),
                role: format!("role-{}", owner % 5),
                requests: Resources::from_milli([("cpu", 100 + 10 * owner as i64), ("memory", GIB_MILLI / 4)]),
                ports: vec![PortWish::default()],
                constraints: constraints.to_vec(),
                ..Shape::default()
            })
        })
        .collect();
    (0..TASKS).map(|i| Pending { task: format!("t{i}"), order: i as u64, shape: shapes[i % OWNERS].clone() }).collect()
}

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout();
    let rack = |operator, value: Option<&str>| Constraint {
        field: "rack".to_owned(),
        operator,
        value: value.map(str::to_owned),
    };
    let cases = [
        ("plain", vec![]),
        ("GROUP_BY rack", vec![rack(Operator::GroupBy, None)]),
        ("MAX_PER rack 50", vec![rack(Operator::MaxPer, Some("50"))]),
    ];
    for (name, constraints) in cases {
        let (mut cluster, tasks) = (cluster(), tasks(&constraints));
        let start = Instant::now();
        let decisions = cluster.place(&tasks, 0);
        let seconds = start.elapsed().as_secs_f64();
        let placed = decisions.iter().filter(|decision| matches!(decision, Decision::Bind { .. })).count();
        writeln!(out, "{name}: {placed} of {TASKS} placed on {NODES} nodes, {:.0}/s", placed as f64 / seconds)?;
    }
    Ok(())
}
