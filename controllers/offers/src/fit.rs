//! Whether a node fits a shape: facts about the node first, then what is booked on it.
//!
//! [`Obstacle`] borrows, because a big cluster is asked millions of times and mostly only for yes or no.

use std::collections::BTreeMap;

use crate::cluster::Slot;
use crate::compile::{Compiled, Rule, Test};
use crate::counts::{ByValue, Counts, field};
use crate::explain::Reason;
use crate::model::{AffinityTerm, Effect, Expression, ExpressionOperator, Node, Protocol, Taint};
use crate::ports;

/// The first thing that stands against a node.
enum Obstacle<'a> {
    NotReady,
    Cordoned,
    Taint(&'a Taint),
    Selector(&'a str, &'a str),
    Affinity,
    Rule(&'a Rule),
    Short,
    PortTwice(u16),
    PortTaken(u16, Protocol),
    PortsShort(u32),
}

/// What does not change while a run books: readiness, taints, labels, attributes.
pub(crate) fn fits_node(compiled: &Compiled, slot: &Slot) -> bool {
    slot.node.as_ref().is_some_and(|node| against_node(compiled, node).is_none())
}

/// What changes while a run books, but GROUP_BY: once it says no, it says no for the rest of the run.
pub(crate) fn fits_bookings(compiled: &Compiled, slot: &Slot, counts: &Counts) -> bool {
    against_rules(compiled, slot, counts, false).or_else(|| against_bookings(compiled, slot)).is_none()
}

/// Everything, with the reason; `None` when the node fits.
pub(crate) fn why_not(compiled: &Compiled, slot: &Slot, counts: &Counts) -> Option<Reason> {
    let node = slot.node.as_ref()?;
    let obstacle = against_node(compiled, node)
        .or_else(|| against_rules(compiled, slot, counts, true))
        .or_else(|| against_bookings(compiled, slot))?;
    Some(match obstacle {
        Obstacle::NotReady => Reason::NotReady,
        Obstacle::Cordoned => Reason::Cordoned,
        Obstacle::Taint(Taint { key, value, .. }) if value.is_empty() => Reason::Taint(key.clone()),
        Obstacle::Taint(Taint { key, value, .. }) => Reason::Taint(format!("{key}={value}")),
        Obstacle::Selector(key, value) => Reason::Selector(format!("{key}={value}")),
        Obstacle::Affinity => Reason::Affinity,
        Obstacle::Rule(rule) => Reason::Constraint(rule_text(rule, slot)),
        Obstacle::Short => Reason::Short(shortages(compiled, slot)),
        Obstacle::PortTwice(port) => Reason::PortTwice(port),
        Obstacle::PortTaken(port, protocol) => Reason::PortTaken(port, protocol),
        Obstacle::PortsShort(count) => Reason::PortsShort(count),
    })
}

/// Taints that make the node a second choice.
pub(crate) fn soft_taints(compiled: &Compiled, node: &Node) -> u32 {
    let soft = |taint: &&Taint| taint.effect == Effect::PreferNoSchedule && !is_tolerated(compiled, taint);
    node.taints.iter().filter(soft).count() as u32
}

/// Whether GROUP_BY lets a task stand on this value (Marathon's rule: a value without tasks always; one with
/// tasks when enough values are in use and no used value has fewer).
pub(crate) fn group_is_open(by_value: &ByValue, value: &str, values_min: usize) -> bool {
    let Some(here) = by_value.get(value).filter(|count| **count > 0) else { return true };
    let used = by_value.values().filter(|count| **count > 0);
    by_value.len() >= values_min && used.min().is_none_or(|least| here == least)
}

fn is_tolerated(compiled: &Compiled, taint: &Taint) -> bool {
    compiled.shape.tolerations.iter().any(|toleration| toleration.covers(taint))
}

fn against_node<'a>(compiled: &'a Compiled, node: &'a Node) -> Option<Obstacle<'a>> {
    if !node.ready {
        return Some(Obstacle::NotReady);
    }
    if node.unschedulable {
        return Some(Obstacle::Cordoned);
    }
    let mut hard = node.taints.iter().filter(|taint| taint.effect != Effect::PreferNoSchedule);
    if let Some(taint) = hard.find(|taint| !is_tolerated(compiled, taint)) {
        return Some(Obstacle::Taint(taint));
    }
    let shape = &compiled.shape;
    if let Some((key, value)) = missing_selector(&shape.node_selector, node) {
        return Some(Obstacle::Selector(key, value));
    }
    if !shape.affinity.is_empty() && !shape.affinity.iter().any(|term| holds(term, node)) {
        return Some(Obstacle::Affinity);
    }
    let plain = |rule: &&Rule| match (&rule.test, node.field(&rule.field)) {
        (Test::Wrong(_), _) => true,
        (Test::Unlike(regex), Some(value)) => regex.is_match(value),
        (Test::Unlike(_), None) => false,
        (_, None) => true,
        (Test::Like(regex), Some(value)) => !regex.is_match(value),
        (Test::Is(wanted), Some(value)) => !is_same(wanted, value),
        (Test::Cluster(Some(wanted)), Some(value)) => wanted != value,
        _ => false,
    };
    compiled.rules.iter().find(plain).map(Obstacle::Rule)
}

fn missing_selector<'a>(selector: &'a BTreeMap<String, String>, node: &Node) -> Option<(&'a str, &'a str)> {
    let mut pairs = selector.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    pairs.find(|(key, value)| node.field(key) != Some(value))
}

/// Text, or two numbers that are equal (`1` and `1.0`).
fn is_same(wanted: &str, value: &str) -> bool {
    wanted == value || matches!((wanted.parse::<f64>(), value.parse::<f64>()), (Ok(a), Ok(b)) if a == b)
}

fn holds(term: &AffinityTerm, node: &Node) -> bool {
    !term.0.is_empty() && term.0.iter().all(|expression| expression_holds(expression, node.field(&expression.key)))
}

fn expression_holds(expression: &Expression, value: Option<&str>) -> bool {
    let is_listed = |value| expression.values.iter().any(|listed| listed == value);
    let number = |text: &str| text.parse::<i64>().ok();
    let bound = expression.values.first().and_then(|text| number(text));
    match expression.operator {
        ExpressionOperator::In => value.is_some_and(is_listed),
        ExpressionOperator::NotIn => !value.is_some_and(is_listed),
        ExpressionOperator::Exists => value.is_some(),
        ExpressionOperator::DoesNotExist => value.is_none(),
        ExpressionOperator::Gt => matches!((value.and_then(number), bound), (Some(v), Some(b)) if v > b),
        ExpressionOperator::Lt => matches!((value.and_then(number), bound), (Some(v), Some(b)) if v < b),
    }
}

fn against_rules<'a>(compiled: &'a Compiled, slot: &Slot, counts: &Counts, groups_too: bool) -> Option<Obstacle<'a>> {
    let blocked = |rule: &&Rule| {
        if !rule.test.counts() || (rule.test.may_open() && !groups_too) {
            return false;
        }
        let Some(value) = field(slot, &rule.field) else { return true };
        let Some(by_value) = counts.of(&compiled.shape.owner, &rule.field) else { return false };
        let here = by_value.get(value).copied().unwrap_or(0);
        match &rule.test {
            Test::Unique => here > 0,
            Test::MaxPer(most) => here >= *most,
            Test::Cluster(_) => here == 0 && by_value.values().any(|count| *count > 0),
            Test::GroupBy { values_min } => !group_is_open(by_value, value, *values_min),
            _ => false,
        }
    };
    compiled.rules.iter().find(blocked).map(Obstacle::Rule)
}

fn against_bookings<'a>(compiled: &Compiled, slot: &Slot) -> Option<Obstacle<'a>> {
    if compiled.requests.iter().any(|(resource, asked)| missing(slot, *resource, *asked) > 0) {
        return Some(Obstacle::Short);
    }
    if let Some(port) = compiled.port_twice {
        return Some(Obstacle::PortTwice(port));
    }
    let fixed = compiled.shape.ports.iter().filter_map(|wish| Some((wish.protocol, wish.fixed?)));
    if let Some((protocol, port)) = fixed.into_iter().find(|port| slot.ports.contains_key(port)) {
        return Some(Obstacle::PortTaken(port, protocol));
    }
    ports::shortage(compiled, slot).map(Obstacle::PortsShort)
}

/// How much of a resource is missing, in thousandths; zero or less when enough is free.
fn missing(slot: &Slot, resource: Option<usize>, asked: i64) -> i128 {
    let total = resource.and_then(|at| slot.total.get(at)).copied().unwrap_or(0);
    let held = resource.and_then(|at| slot.held.get(at)).copied().unwrap_or(0);
    held + i128::from(asked) - i128::from(total)
}

fn shortages(compiled: &Compiled, slot: &Slot) -> Vec<(String, i128)> {
    let asked = compiled.request_names().zip(&compiled.requests);
    let short = asked.map(|(name, (resource, asked))| (name.to_owned(), missing(slot, *resource, *asked)));
    short.filter(|(_, milli)| *milli > 0).collect()
}

fn rule_text(rule: &Rule, slot: &Slot) -> String {
    let why = match (&rule.test, field(slot, &rule.field)) {
        (Test::Wrong(why), _) => why.as_str(),
        (_, None) => "the node does not have it",
        (Test::Unique | Test::MaxPer(_), _) => "a task of the same owner holds it",
        (Test::Cluster(_), _) => "the owner's tasks stand elsewhere",
        (Test::GroupBy { .. }, _) => "others are due first",
        (Test::Like(_) | Test::Unlike(_) | Test::Is(_), _) => "not met",
    };
    format!("{}: {why}", rule.text)
}
