//! Expressions: parsed, checked, estimated and run within their budget; twice the same.

use berth_cel::env::{DeclType, Env};
use berth_cel::{Activation, Budget, Program, compile, cost};

use crate::input;

/// What one evaluation may cost here: a tenth of the server's, so that a run is short.
const COST_MAX: u64 = 100_000;

struct NoSizes;

impl cost::SizeOracle for NoSizes {
    fn size(&self, _: &[cost::Step]) -> Option<cost::Range> {
        None
    }
}

pub(crate) fn run(bytes: &[u8]) {
    let Some([source, data]) = input::parts::<2>(bytes) else { return };
    let typed = DeclType::object(
        "Widget",
        [("name", DeclType::string()), ("items", DeclType::list(DeclType::string())), ("size", DeclType::Int)],
    );
    let env = Env::new().with("self", DeclType::Dyn).with("typed", typed).with("old", DeclType::Dyn);
    let checked = match compile(source, &env) {
        Ok(checked) => checked,
        Err(issues) => {
            // Each issue shows its line, and there are few.
            let told = issues.to_string().len();
            assert!(told <= 256 * (source.len() + 64), "{told} bytes of errors for {} of source", source.len());
            return;
        }
    };
    let estimate = cost::estimate(&checked, &NoSizes);
    assert!(estimate.min <= estimate.max);
    let Ok(program) = Program::new(&checked) else { return };
    let data = input::json(data).unwrap_or_default();
    let mut activation = Activation::new();
    activation.bind_json("self", &data);
    let run = || {
        let mut budget = Budget::new(COST_MAX, COST_MAX);
        let (value, cost) = program.eval_with_cost(&activation, &mut budget);
        assert!(cost <= COST_MAX || value.is_err(), "it cost {cost}");
        (value.map(|value| value.to_json().ok()).map_err(|error| error.to_string()), cost)
    };
    let first = run();
    assert_eq!(first, run(), "an expression has one value");
    if let Err(why) = first.0 {
        assert!(why.len() <= 4 * (source.len() + bytes.len()) + 4096, "{} bytes of error", why.len());
    }
}
