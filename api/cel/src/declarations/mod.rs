//! The signatures of all functions: the standard library, cel-go's extensions that Kubernetes turns on, and
//! Kubernetes' own libraries.
//!
//! The tables are text, one overload a line: `id: name(arg, arg) -> result` for a global function and
//! `id: .name(receiver, arg) -> result` for a member. Single capitals are type parameters. The ids are upstream's;
//! checked calls carry them ([`crate::ast::Call::overloads`]), and the cost estimator and the library are keyed by
//! them or by the function's name.

mod extensions;
mod kubernetes;
mod signature;
mod standard;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use crate::types::Type;

/// One way to call a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Overload {
    pub id: &'static str,
    /// True for `receiver.name(..)`; the receiver is the first of `args`.
    pub member: bool,
    pub args: Vec<Type>,
    pub result: Type,
    /// The type parameters in `args` and `result`.
    pub params: Vec<Arc<str>>,
}

/// A function: its name and the overloads, in the order in which they are tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    pub name: &'static str,
    pub overloads: Vec<Overload>,
}

/// The function of a name, if there is one.
#[must_use]
pub fn function(name: &str) -> Option<&'static Function> {
    table().get(name)
}

/// Every declared function, in no order.
pub fn functions() -> impl Iterator<Item = &'static Function> {
    table().values()
}

fn table() -> &'static HashMap<&'static str, Function> {
    static TABLE: OnceLock<HashMap<&'static str, Function>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut functions: HashMap<&'static str, Function> = HashMap::new();
        let tables = [standard::OPERATORS, standard::CONVERSIONS, standard::FUNCTIONS, extensions::TABLE];
        let lines = tables.into_iter().chain(kubernetes::TABLES).flat_map(str::lines).map(str::trim);
        for line in lines.filter(|line| !line.is_empty()) {
            // A line that does not read is left out; a unit test sees to it that there is none.
            if let Some((name, overload)) = signature::parse(line) {
                functions.entry(name).or_insert(Function { name, overloads: Vec::new() }).overloads.push(overload);
            }
        }
        functions
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_line_of_the_tables_is_a_signature_with_an_id_of_its_own() {
        let tables = [standard::OPERATORS, standard::CONVERSIONS, standard::FUNCTIONS, extensions::TABLE];
        let mut seen = HashSet::new();
        for line in tables.into_iter().chain(kubernetes::TABLES).flat_map(str::lines).map(str::trim) {
            if line.is_empty() {
                continue;
            }
            let (_, overload) = signature::parse(line).unwrap_or_else(|| panic!("not a signature: {line}"));
            assert!(seen.insert(overload.id), "declared twice: {line}");
        }
        assert!(seen.len() > 250, "{}", seen.len());
    }
}
