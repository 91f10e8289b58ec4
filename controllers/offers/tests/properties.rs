//! What placement promises, over random clusters and tasks.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use berth_offers::{
    Booking, Cluster, Constraint, Decision, Node, Operator, Pending, PortWish, Protocol, Ranges, Resources, Role, Shape,
};
use proptest::prelude::*;

fn node(index: usize, cpu: i64, memory: i64, ports: u16, rack: u8, is_cordoned: bool) -> Node {
    Node {
        name: format!("n{index}"),
        total: Resources::from_milli([("cpu", cpu), ("memory", memory)]),
        ports: Ranges::new([(1000, 1000 + ports)]),
        attributes: BTreeMap::from([("rack".to_owned(), format!("r{rack}"))]),
        unschedulable: is_cordoned,
        ready: true,
        ..Node::default()
    }
}

fn any_nodes() -> impl Strategy<Value = Vec<Node>> {
    let one = (0..4000i64, 0..8000i64, 0..4u16, 0..3u8, prop::bool::weighted(0.1));
    prop::collection::vec(one, 0..7).prop_map(|all| {
        let each = all.into_iter().enumerate();
        each.map(|(i, (cpu, memory, ports, rack, cordoned))| node(i, cpu, memory, ports, rack, cordoned)).collect()
    })
}

fn any_wish() -> impl Strategy<Value = PortWish> {
    let fixed = prop_oneof![3 => Just(None), 1 => (998..1004u16).prop_map(Some)];
    let protocol = prop_oneof![3 => Just(Protocol::Tcp), 1 => Just(Protocol::Udp)];
    (fixed, protocol).prop_map(|(fixed, protocol)| PortWish { fixed, protocol })
}

fn any_constraint() -> impl Strategy<Value = Constraint> {
    let field = prop_oneof![Just("rack"), Just("hostname")];
    let rule = prop_oneof![
        Just((Operator::Unique, None)),
        Just((Operator::Cluster, None)),
        Just((Operator::GroupBy, None)),
        Just((Operator::GroupBy, Some("2"))),
        Just((Operator::MaxPer, Some("2"))),
        Just((Operator::Like, Some("r[01]|n.*"))),
        Just((Operator::Unlike, Some("r0"))),
    ];
    (field, rule).prop_map(|(field, (operator, value))| Constraint {
        field: field.to_owned(),
        operator,
        value: value.map(str::to_owned),
    })
}

fn any_shape() -> impl Strategy<Value = Arc<Shape>> {
    (
        prop_oneof![Just("a"), Just("b"), Just("c")],
        prop_oneof![2 => Just("default"), 2 => Just("eng"), 1 => Just("eng.web"), 1 => Just("unknown")],
        0..3i32,
        (0..1500i64, 0..3000i64),
        prop::collection::vec(any_wish(), 0..3),
        prop::collection::vec(any_constraint(), 0..2),
    )
        .prop_map(|(owner, role, priority, (cpu, memory), ports, constraints)| {
            Arc::new(Shape {
                owner: owner.to_owned(),
                role: role.to_owned(),
                priority,
                requests: Resources::from_milli([("cpu", cpu), ("memory", memory)]),
                ports,
                constraints,
                ..Shape::default()
            })
        })
}

fn any_tasks() -> impl Strategy<Value = Vec<Pending>> {
    prop::collection::vec((any_shape(), 1..6usize), 0..6).prop_map(|groups| {
        let each = groups.into_iter().enumerate().flat_map(|(g, (shape, count))| {
            (0..count).map(move |i| Pending { task: format!("t{g}-{i}"), order: g as u64, shape: shape.clone() })
        });
        each.collect()
    })
}

fn cluster(nodes: &[Node], eng_cpu_max: i64) -> Cluster {
    let mut cluster = Cluster::new();
    nodes.iter().for_each(|node| cluster.set_node(node.clone()));
    cluster.set_role("eng", Role { weight: 2, limits: Resources::from_milli([("cpu", eng_cpu_max)]) });
    cluster.set_role("eng.web", Role::default());
    cluster
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_booked_twice_and_no_limit_is_passed(
        nodes in any_nodes(), first in any_tasks(), second in any_tasks(), limit in 0..6000i64, offset in 0..9u32,
    ) {
        let mut book = cluster(&nodes, limit);
        book.place(&first, offset);
        prop_assert_eq!(book.overbooked(), []);
        let ended: Vec<String> = book.bookings().map(|(task, _)| task.to_owned()).filter(|t| t.ends_with('0')).collect();
        ended.iter().for_each(|task| { book.release(task); });
        let second: Vec<_> = second.into_iter().map(|t| Pending { task: format!("again-{}", t.task), ..t }).collect();
        book.place(&second, offset);
        prop_assert_eq!(book.overbooked(), []);
    }

    #[test]
    fn every_task_is_decided_once_and_what_is_left_over_fits_nowhere(
        nodes in any_nodes(), tasks in any_tasks(), limit in 0..6000i64,
    ) {
        let mut book = cluster(&nodes, limit);
        let decisions = book.place(&tasks, 0);
        prop_assert_eq!(decisions.len(), tasks.len());
        let shapes: HashMap<_, _> = tasks.iter().map(|t| (t.task.as_str(), &t.shape)).collect();
        for decision in &decisions {
            let Decision::Unplaceable { task, explanation } = decision else { continue };
            prop_assert!(explanation.role.is_some() || explanation.fitting == 0, "{task}: {explanation}");
            let counted: u32 = explanation.reasons.iter().map(|r| r.nodes).sum();
            prop_assert_eq!(counted + explanation.fitting, explanation.nodes);
            prop_assert_eq!(&book.explain(shapes[task.as_str()]), explanation.as_ref());
        }
    }

    #[test]
    fn the_order_of_the_tasks_handed_in_changes_nothing(
        nodes in any_nodes(), tasks in any_tasks(), limit in 0..6000i64, turn in 0..20usize,
    ) {
        let mut turned = tasks.clone();
        let by = turn % turned.len().max(1);
        turned.rotate_left(by);
        let (mut a, mut b) = (cluster(&nodes, limit), cluster(&nodes, limit));
        prop_assert_eq!(a.place(&tasks, 3), b.place(&turned, 3));
    }

    #[test]
    fn a_book_kept_in_step_equals_one_rebuilt_from_the_facts(
        nodes in any_nodes(), tasks in any_tasks(), later in any_shape(), limit in 0..6000i64, gone in 0..7usize,
    ) {
        let mut kept = cluster(&nodes, limit);
        kept.place(&tasks, 0);
        kept.remove_node(&format!("n{gone}"));
        let some: Vec<String> = kept.bookings().map(|(t, _)| t.to_owned()).filter(|t| t.ends_with('1')).collect();
        some.iter().for_each(|task| { kept.release(task); });

        let left: Vec<Node> = nodes.iter().filter(|n| n.name != format!("n{gone}")).cloned().collect();
        let mut rebuilt = cluster(&left, limit);
        let facts: Vec<(String, Booking)> = kept.bookings().map(|(t, b)| (t.to_owned(), b.clone())).collect();
        facts.into_iter().for_each(|(task, booking)| rebuilt.book(task, booking));

        prop_assert_eq!(kept.role_allocated("eng"), rebuilt.role_allocated("eng"));
        prop_assert_eq!(kept.overbooked(), rebuilt.overbooked());
        prop_assert_eq!(kept.explain(&later), rebuilt.explain(&later));
    }

    #[test]
    fn two_equal_roles_stay_within_one_task_of_each_other(slots in 0..12i64, first in 0..12usize, second in 0..12usize) {
        let shape = |role: &str| Arc::new(Shape {
            owner: role.to_owned(), role: role.to_owned(),
            requests: Resources::from_milli([("cpu", 1000)]), ..Shape::default()
        });
        let tasks = |role: &'static str, count: usize| {
            let shape = shape(role);
            (0..count).map(move |i| Pending { task: format!("{role}{i}"), order: 0, shape: shape.clone() })
        };
        let mut book = Cluster::new();
        book.set_node(node(0, slots * 1000, 0, 0, 0, false));
        book.set_role("a", Role::default());
        book.set_role("b", Role::default());
        let all: Vec<_> = tasks("a", first).chain(tasks("b", second)).collect();
        book.place(&all, 0);
        let held = |role: &str| book.role_allocated(role).amount("cpu").0 / 1000;
        let (a, b) = (held("a"), held("b"));
        prop_assert_eq!(a + b, slots.min(first as i64 + second as i64));
        prop_assert!((a - b).abs() <= 1 || a == first as i64 || b == second as i64, "{a} and {b}");
    }
}

#[test]
fn weighted_roles_share_as_worked_out_by_hand() {
    // 10 cores in 5 nodes, tasks of 1 core, weights 1 and 2: 3.33 to 6.67, a task apart at most.
    let mut book = Cluster::new();
    (0..5).for_each(|i| book.set_node(node(i, 2000, 0, 0, 0, false)));
    book.set_role("a", Role::default());
    book.set_role("b", Role { weight: 2, ..Role::default() });
    let requests = Resources::from_milli([("cpu", 1000)]);
    let pending: Vec<_> = ["a", "b"]
        .into_iter()
        .flat_map(|role| {
            let shape = Shape { role: role.into(), requests: requests.clone(), ..Shape::default() };
            let shape = Arc::new(shape);
            (0..10).map(move |i| Pending { task: format!("{role}{i}"), order: 0, shape: shape.clone() })
        })
        .collect();
    book.place(&pending, 0);
    assert_eq!(book.role_allocated("a"), Resources::from_milli([("cpu", 4000)]));
    assert_eq!(book.role_allocated("b"), Resources::from_milli([("cpu", 6000)]));
}

#[test]
fn tasks_of_one_owner_spread_over_nodes_and_then_over_the_emptiest() {
    let mut book = Cluster::new();
    (0..3).for_each(|i| book.set_node(node(i, 4000, 0, 0, 0, false)));
    let other = Shape { role: "default".into(), requests: Resources::from_milli([("cpu", 2000)]), ..Shape::default() };
    book.book("other", Booking { node: "n0".into(), shape: Arc::new(other), ports: vec![] });
    let shape = Shape {
        owner: "web".into(),
        role: "default".into(),
        requests: Resources::from_milli([("cpu", 100)]),
        ..Shape::default()
    };
    let shape = Arc::new(shape);
    let pending: Vec<_> = (0..4).map(|i| Pending { task: format!("t{i}"), order: i, shape: shape.clone() }).collect();
    let nodes: Vec<String> = book
        .place(&pending, 0)
        .into_iter()
        .map(|decision| match decision {
            Decision::Bind { node, .. } => node,
            Decision::Unplaceable { explanation, .. } => explanation.to_string(),
        })
        .collect();
    assert_eq!(nodes, ["n1", "n2", "n0", "n1"]);
}

#[test]
fn an_explanation_counts_each_node_once() {
    let mut book = Cluster::new();
    book.set_node(node(0, 500, 1 << 40, 0, 0, false));
    book.set_node(node(1, 100, 1 << 40, 0, 0, false));
    book.set_node(node(2, 4000, 1 << 40, 0, 0, true));
    let shape = Shape { role: "default".into(), requests: Resources::from_milli([("cpu", 1000)]), ..Shape::default() };
    assert_eq!(book.explain(&Arc::new(shape)).to_string(), "0 of 3 nodes fit: 2: cpu short by 500m; 1: cordoned");
}
