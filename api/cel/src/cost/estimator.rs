//! Walks the tree and adds up.

use std::collections::HashMap;

use super::{Range, SizeOracle, Step, extension, library, standard};
use crate::Checked;
use crate::ast::{
    ACCUMULATOR, Bind, Call, Comprehension, Element, Entry, Expr, ExprId, ExprKind, Ident, Literal, Slot,
};
use crate::types::Type;

/// Base costs of making things (cel-go's `common` package).
pub(super) const MAKE_LIST: u64 = 10;
const MAKE_MAP: u64 = 30;
const MAKE_OBJECT: u64 = 40;

/// Sizes of the parts of a list or map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entries {
    is_list: bool,
    key: Range,
    value: Range,
}

impl Entries {
    fn or(self, other: Self) -> Self {
        Self { is_list: self.is_list, key: self.key.or(other.key), value: self.value.or(other.value) }
    }
}

/// What is known about a variable of a macro.
struct Local {
    path: Vec<Step>,
    size: Option<Range>,
    entries: Option<Entries>,
}

/// A receiver or an argument, as cost functions see it.
pub(super) struct Node<'e> {
    pub expr: &'e Expr,
    pub path: Vec<Step>,
    pub of: &'e Type,
    size: Option<Range>,
}

impl Node<'_> {
    pub(super) fn size(&self) -> Range {
        self.size.unwrap_or(Range::UNKNOWN)
    }

    /// The value of a literal that is a count.
    pub(super) fn count(&self) -> Option<u64> {
        match &self.expr.kind {
            ExprKind::Literal(Literal::Int(value)) => u64::try_from(*value).ok(),
            _ => None,
        }
    }
}

/// What a call costs, without its arguments, and how large its result is when the call says so.
pub(super) struct CallCost {
    pub cost: Range,
    pub result: Option<Range>,
}

impl CallCost {
    pub(super) fn of(cost: Range) -> Self {
        Self { cost, result: None }
    }

    pub(super) fn with_result(cost: Range, result: Range) -> Self {
        Self { cost, result: Some(result) }
    }
}

pub(super) struct Estimator<'e> {
    checked: &'e Checked,
    sizes: &'e dyn SizeOracle,
    locals: Vec<Local>,
    paths: HashMap<ExprId, Vec<Step>>,
    known_sizes: HashMap<ExprId, Range>,
    known_entries: HashMap<ExprId, Entries>,
}

impl<'e> Estimator<'e> {
    pub(super) fn new(checked: &'e Checked, sizes: &'e dyn SizeOracle) -> Self {
        let (locals, paths) = (Vec::new(), HashMap::new());
        Self { checked, sizes, locals, paths, known_sizes: HashMap::new(), known_entries: HashMap::new() }
    }

    pub(super) fn cost(&mut self, expr: &'e Expr) -> Range {
        match &expr.kind {
            ExprKind::Literal(_) => Range::ZERO,
            ExprKind::Ident(ident) => self.ident(expr, ident),
            ExprKind::Select(select) => {
                let operand = self.cost(&select.operand);
                if select.test_only {
                    return operand;
                }
                if select.optional {
                    return operand.plus(Range::ONE);
                }
                let mut path = self.path(&select.operand);
                if !path.is_empty() {
                    path.push(Step::Field(select.field.clone()));
                    self.paths.insert(expr.id, path);
                }
                match self.checked.type_of(select.operand.id) {
                    Type::Map(..) | Type::Object(_) => operand.plus(Range::ONE),
                    _ => operand,
                }
            }
            ExprKind::Call(call) => self.call(expr, call),
            ExprKind::List(elements) => self.list(expr, elements),
            ExprKind::Map(entries) => self.map(expr, entries),
            ExprKind::Struct(object) => {
                let parts = object.fields.iter().map(|field| self.cost(&field.value));
                parts.fold(Range::exactly(MAKE_OBJECT), Range::plus)
            }
            ExprKind::Comprehension(fold) => self.fold(expr, fold),
            ExprKind::Bind(bind) => self.bind(expr, bind),
        }
    }

    fn ident(&mut self, expr: &'e Expr, ident: &Ident) -> Range {
        if let Slot::Variable(_) = ident.slot {
            self.paths.insert(expr.id, vec![Step::Variable(ident.name.clone())]);
        }
        Range::ONE
    }

    fn list(&mut self, expr: &'e Expr, elements: &'e [Element]) -> Range {
        let mut sum = Range::exactly(MAKE_LIST);
        let mut value = if elements.is_empty() { Range::ZERO } else { Range::EMPTY };
        for element in elements {
            sum = sum.plus(self.cost(&element.value));
            value = value.or(self.size_or_unknown(&element.value));
        }
        self.known_entries.insert(expr.id, Entries { is_list: true, key: Range::ONE, value });
        sum
    }

    fn map(&mut self, expr: &'e Expr, entries: &'e [Entry]) -> Range {
        let mut sum = Range::exactly(MAKE_MAP);
        let none = if entries.is_empty() { Range::ZERO } else { Range::EMPTY };
        let mut sizes = Entries { is_list: false, key: none, value: none };
        for entry in entries {
            sum = sum.plus(self.cost(&entry.key)).plus(self.cost(&entry.value));
            sizes.key = sizes.key.or(self.size_or_unknown(&entry.key));
            sizes.value = sizes.value.or(self.size_or_unknown(&entry.value));
        }
        self.known_entries.insert(expr.id, sizes);
        sum
    }

    fn fold(&mut self, expr: &'e Expr, fold: &'e Comprehension) -> Range {
        let mut sum = self.cost(&fold.range).plus(self.cost(&fold.init));
        let scope = self.locals.len();
        let accu = self.local(&fold.init);
        self.locals.push(accu);
        self.push_iterated(fold);
        let each = self.cost(&fold.condition).plus(self.cost(&fold.step));
        // Before the variables go out of scope: the sizes that the step names depend on them.
        let step_entries = self.entries(&fold.step);
        self.locals.truncate(scope + 1);
        sum = sum.plus(self.cost(&fold.result));
        self.locals.truncate(scope);
        let count = self.size_or_unknown(&fold.range);
        match &fold.init.kind {
            ExprKind::Literal(_) => {
                if let Some(size) = self.size(&fold.init) {
                    self.known_sizes.insert(expr.id, size);
                }
            }
            ExprKind::List(_) | ExprKind::Map(_) => {
                self.known_sizes.insert(expr.id, count);
                if let Some(entries) = step_entries {
                    self.known_entries.insert(expr.id, entries);
                }
            }
            _ => {}
        }
        sum.plus(count.times(each))
    }

    /// The variables of a fold: elements or keys, or both parts of entries.
    fn push_iterated(&mut self, fold: &'e Comprehension) {
        let entries = self.entries(&fold.range);
        let path = self.path(&fold.range);
        let is_list = match entries {
            Some(entries) => entries.is_list,
            None => matches!(self.checked.type_of(fold.range.id), Type::List(_)),
        };
        let (key, value) = if is_list { (Step::Indices, Step::Items) } else { (Step::Keys, Step::Values) };
        let local = |step: Step, size: Option<Range>| {
            let mut path = path.clone();
            if !path.is_empty() {
                path.push(step);
            }
            Local { path, size, entries: None }
        };
        let key = local(key, entries.map(|entries| entries.key));
        let value = local(value, entries.map(|entries| entries.value));
        match (&fold.iter_var2, is_list) {
            (Some(_), _) => self.locals.extend([key, value]),
            (None, true) => self.locals.push(value),
            (None, false) => self.locals.push(key),
        }
    }

    fn bind(&mut self, expr: &'e Expr, bind: &'e Bind) -> Range {
        // Upstream binds by a fold over an empty list, and pays for the list.
        let sum = Range::exactly(MAKE_LIST).plus(self.cost(&bind.init));
        let local = self.local(&bind.init);
        self.locals.push(local);
        let sum = sum.plus(self.cost(&bind.body));
        self.copy_sizes(expr, &bind.body);
        self.locals.pop();
        sum
    }

    fn call(&mut self, expr: &'e Expr, call: &'e Call) -> Range {
        if call.function.as_ref() == "dyn" && call.args.len() == 1 {
            let cost = self.cost(&call.args[0]);
            self.copy_sizes(expr, &call.args[0]);
            return cost.plus(Range::ONE);
        }
        let costs: Vec<Range> = call.args.iter().map(|arg| self.cost(arg)).collect();
        let args: Vec<Node<'e>> = call.args.iter().map(|arg| self.node(arg)).collect();
        let target_cost = call.target.as_ref().map_or(Range::ZERO, |target| self.cost(target));
        let target = call.target.as_ref().map(|target| self.node(target));
        let mut sum = Range::EMPTY;
        let mut result: Option<Range> = None;
        for overload in &call.overloads {
            let cost = self.overload(expr, call, overload, target.as_ref(), &args, &costs);
            sum = sum.or(cost.cost);
            result = match (result, cost.result) {
                (Some(known), Some(more)) => Some(known.or(more)),
                (known, more) => known.or(more),
            };
            let step = match *overload {
                "index_list" => Some(Step::Items),
                "index_map" => Some(Step::Values),
                _ => None,
            };
            if let (Some(step), Some(container)) = (step, call.args.first()) {
                result = self.entries(container).map(|entries| entries.value);
                let mut path = self.path(container);
                if !path.is_empty() {
                    path.push(step);
                    self.paths.insert(expr.id, path);
                }
            }
            result = result.or_else(|| self.size(expr));
        }
        if call.overloads.is_empty() {
            return Range::ZERO;
        }
        if let Some(result) = result {
            self.known_sizes.insert(expr.id, result);
        }
        target_cost.plus(sum)
    }

    /// One overload's cost with its arguments'.
    fn overload(
        &mut self,
        expr: &'e Expr,
        call: &Call,
        overload: &str,
        target: Option<&Node<'e>>,
        args: &[Node<'e>],
        costs: &[Range],
    ) -> CallCost {
        let all = costs.iter().copied().fold(Range::ZERO, Range::plus);
        let special = extension::cost(overload, target, args)
            .or_else(|| library::cost(self.sizes, &call.function, overload, target, args))
            .or_else(|| standard::cost(overload, target, args));
        if let Some(mut known) = special {
            known.cost = known.cost.plus(all);
            if matches!(overload, "add_list" | "add_string" | "add_bytes") {
                self.union_entries(expr, args);
            }
            return known;
        }
        match (overload, args, costs) {
            // The right side may not be needed.
            ("logical_and" | "logical_or", _, [left, right]) => {
                CallCost::of(Range { min: left.min, max: left.plus(*right).max })
            }
            ("conditional", [_, yes, no], [condition, yes_cost, no_cost]) => {
                let size = yes.size().or(no.size());
                self.union_entries(expr, &args[1..]);
                CallCost::with_result(condition.plus(yes_cost.or(*no_cost)), size)
            }
            _ => CallCost::of(Range::ONE.plus(all)),
        }
    }

    /// The entries of either of two lists or maps.
    fn union_entries(&mut self, expr: &Expr, parts: &[Node<'e>]) {
        let [first, second] = parts else { return };
        if let (Some(first), Some(second)) = (self.entries(first.expr), self.entries(second.expr)) {
            self.known_entries.insert(expr.id, first.or(second));
        }
    }

    fn node(&self, expr: &'e Expr) -> Node<'e> {
        let mut path = self.path(expr);
        if matches!(&expr.kind, ExprKind::Ident(ident) if ident.name.as_ref() == ACCUMULATOR) {
            path.clear();
        }
        Node { expr, path, of: self.checked.type_of(expr.id), size: self.size(expr) }
    }

    fn local(&self, expr: &Expr) -> Local {
        Local { path: self.path(expr), size: self.size(expr), entries: self.entries(expr) }
    }

    fn local_of(&self, expr: &Expr) -> Option<&Local> {
        match &expr.kind {
            ExprKind::Ident(Ident { slot: Slot::Local(index), .. }) => self.locals.get(*index as usize),
            _ => None,
        }
    }

    fn path(&self, expr: &Expr) -> Vec<Step> {
        match self.local_of(expr) {
            Some(local) => local.path.clone(),
            None => self.paths.get(&expr.id).cloned().unwrap_or_default(),
        }
    }

    fn copy_sizes(&mut self, to: &Expr, from: &Expr) {
        if let Some(size) = self.size(from) {
            self.known_sizes.insert(to.id, size);
        }
        if let Some(entries) = self.entries(from) {
            self.known_entries.insert(to.id, entries);
        }
    }

    fn entries(&self, expr: &Expr) -> Option<Entries> {
        let known = self.known_entries.get(&expr.id).copied();
        known.or_else(|| self.local_of(expr).and_then(|local| local.entries))
    }

    fn size_or_unknown(&self, expr: &Expr) -> Range {
        self.size(expr).unwrap_or(Range::UNKNOWN)
    }

    /// What is known about the size of a value: from its making, its text, the declarations, its type.
    fn size(&self, expr: &Expr) -> Option<Range> {
        if let Some(known) = self.known_sizes.get(&expr.id) {
            return Some(*known);
        }
        if let Some(size) = literal_size(&expr.kind) {
            return Some(Range::exactly(size));
        }
        let path = self.path(expr);
        if let Some(size) = if path.is_empty() { None } else { self.sizes.size(&path) } {
            return Some(size);
        }
        if is_scalar(self.checked.type_of(expr.id)) {
            return Some(Range::ONE);
        }
        self.local_of(expr).and_then(|local| local.size)
    }
}

fn literal_size(kind: &ExprKind) -> Option<u64> {
    let size = match kind {
        ExprKind::Literal(Literal::String(text)) => text.chars().count(),
        ExprKind::Literal(Literal::Bytes(bytes)) => bytes.len(),
        ExprKind::Literal(_) => 1,
        ExprKind::List(elements) => elements.len(),
        ExprKind::Map(entries) => entries.len(),
        _ => return None,
    };
    Some(size as u64)
}

fn is_scalar(of: &Type) -> bool {
    match of {
        Type::Bool | Type::Double | Type::Duration | Type::Int | Type::Timestamp | Type::Uint => true,
        Type::Optional(value) => is_scalar(value),
        _ => false,
    }
}
