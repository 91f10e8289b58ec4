//! Which ports a task gets on a node.

use crate::cluster::Slot;
use crate::compile::Compiled;
use crate::model::Protocol;

/// How many free ports are missing, or `None` when there are enough.
pub(crate) fn shortage(compiled: &Compiled, slot: &Slot) -> Option<u32> {
    if compiled.any_ports == 0 {
        return None;
    }
    let ports = &slot.node.as_ref()?.ports;
    // Even if all that is taken lay in the range and were of one protocol, enough would be left: the usual case.
    let taken = slot.ports.len() + compiled.shape.ports.len();
    if ports.count() as usize > taken {
        return None;
    }
    let given = allot(compiled, slot, 0).map_or_else(|given| given, |all| all.len());
    let missing = compiled.shape.ports.len() - given;
    (missing > 0).then_some(missing as u32)
}

/// The ports that the task gets, in the order of its wishes: the fixed ones as asked, the others from the node's
/// range, starting after the last one given (at first: at `offset` from the range's begin) so that a port which
/// was just freed rests. The caller has made sure that the fixed ones are free.
///
/// # Errors
/// How many could be given, when not all could.
pub(crate) fn allot(compiled: &Compiled, slot: &Slot, offset: u32) -> Result<Vec<(Protocol, u16)>, usize> {
    let wishes = &compiled.shape.ports;
    let fixed = wishes.iter().filter_map(|wish| Some((wish.protocol, wish.fixed?)));
    let mut given: Vec<(Protocol, u16)> = fixed.collect();
    if compiled.any_ports == 0 {
        return Ok(given);
    }
    let Some(node) = &slot.node else { return Err(given.len()) };
    let Some(start) = slot.next_port.or_else(|| node.ports.nth_cyclic(offset)) else { return Err(given.len()) };
    // A walk a protocol: a port that TCP cannot have may still be free for UDP.
    let mut walks = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp].map(|_| node.ports.cycle_from(start));
    let mut any = Vec::with_capacity(compiled.any_ports as usize);
    for protocol in wishes.iter().filter(|wish| wish.fixed.is_none()).map(|wish| wish.protocol) {
        let is_free = |port: &u16| !slot.ports.contains_key(&(protocol, *port)) && !given.contains(&(protocol, *port));
        let Some(port) = walks[protocol as usize].find(is_free) else { return Err(given.len()) };
        given.push((protocol, port));
        any.push(port);
    }
    let mut any = any.into_iter();
    let in_order = wishes.iter().map(|wish| {
        let port = wish.fixed.or_else(|| any.next()).expect("one port was found for every wish without a number");
        (wish.protocol, port)
    });
    Ok(in_order.collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cluster::{Booking, Cluster};
    use crate::model::{Node, PortWish, Shape};
    use crate::place::{Decision, Pending};
    use crate::ranges::Ranges;

    fn cluster(ports: Ranges) -> Cluster {
        let mut cluster = Cluster::new();
        cluster.set_node(Node { name: "n".into(), ready: true, ports, ..Node::default() });
        cluster
    }

    fn task(ports: &[PortWish]) -> Arc<Shape> {
        Arc::new(Shape { role: "default".into(), ports: ports.to_vec(), ..Shape::default() })
    }

    fn place(cluster: &mut Cluster, name: &str, shape: &Arc<Shape>, offset: u32) -> Vec<u16> {
        let pending = [Pending { task: name.to_owned(), order: 0, shape: shape.clone() }];
        match cluster.place(&pending, offset).remove(0) {
            Decision::Bind { ports, .. } => ports.into_iter().map(|(_, port)| port).collect(),
            Decision::Unplaceable { .. } => vec![],
        }
    }

    const ANY: PortWish = PortWish { fixed: None, protocol: Protocol::Tcp };

    #[test]
    fn ports_start_at_the_offset_and_move_on_so_that_a_freed_one_rests() {
        let mut cluster = cluster(Ranges::new([(100, 104)]));
        let shape = task(&[ANY]);
        assert_eq!(place(&mut cluster, "a", &shape, 2), [102]);
        cluster.release("a");
        assert_eq!(place(&mut cluster, "b", &shape, 2), [103]);
        assert_eq!(place(&mut cluster, "c", &shape, 2), [104]);
        assert_eq!(place(&mut cluster, "d", &shape, 2), [100]);
    }

    #[test]
    fn fixed_and_any_ports_keep_their_order_and_do_not_meet() {
        let mut cluster = cluster(Ranges::new([(100, 102)]));
        let fixed = PortWish { fixed: Some(100), protocol: Protocol::Tcp };
        assert_eq!(place(&mut cluster, "a", &task(&[ANY, fixed, ANY]), 0), [101, 100, 102]);
        assert_eq!(cluster.explain(&task(&[ANY])).to_string(), "0 of 1 nodes fit: 1: free ports short by 1");
        assert_eq!(cluster.explain(&task(&[fixed])).to_string(), "0 of 1 nodes fit: 1: port 100 taken");
    }

    #[test]
    fn a_udp_port_is_another_port() {
        let mut cluster = cluster(Ranges::new([(100, 100)]));
        let udp = PortWish { fixed: None, protocol: Protocol::Udp };
        let ports = vec![(Protocol::Tcp, 100)];
        cluster.book("x", Booking { node: "n".into(), shape: task(&[ANY]), ports });
        assert_eq!(place(&mut cluster, "a", &task(&[udp]), 0), [100]);
        assert_eq!(place(&mut cluster, "b", &task(&[udp]), 0), [0u16; 0]);
    }

    #[test]
    fn a_task_that_asks_for_a_port_twice_is_told_so() {
        let fixed = PortWish { fixed: Some(80), protocol: Protocol::Tcp };
        let why = cluster(Ranges::default()).explain(&task(&[fixed, fixed])).to_string();
        assert_eq!(why, "0 of 1 nodes fit: 1: port 80 is asked for twice by the task itself");
    }
}
