//! The deepest expressions that parse can be checked, estimated and evaluated on a worker's stack, and dropped.

use berth_cel::cost::estimate;
use berth_cel::env::{DeclType, Env};
use berth_cel::{Activation, Budget, Program, compile};

/// What tokio's workers and the threads of tests have.
const STACK_BYTES: usize = 2 * 1024 * 1024;

/// Largest expression of a family that is not refused for its depth: `make` builds the one of a size.
fn deepest(make: impl Fn(usize) -> String, env: &Env) -> (usize, String) {
    let fits = |size: usize| compile(&make(size), env).is_ok();
    let mut size = 256;
    while size > 1 && !fits(size) {
        size -= 1;
    }
    (size, make(size))
}

/// A name, and how an expression of a depth is written.
type Family = (&'static str, fn(usize) -> String);

#[test]
fn the_deepest_expressions_fit_the_stack() {
    let families: [Family; 8] = [
        ("lists", |n| format!("{}1{}", "[".repeat(n), "]".repeat(n))),
        ("parentheses", |n| format!("{}1{}", "(".repeat(n), ")".repeat(n))),
        ("ternaries", |n| format!("{}1", "true ? 1 : ".repeat(n))),
        ("sums", |n| format!("1{}", " + 1".repeat(n))),
        ("nested sums", |n| format!("{}1{}", "1 + (".repeat(n), ")".repeat(n))),
        ("calls", |n| format!("{}1{}", "dyn(".repeat(n), ")".repeat(n))),
        ("macros", |n| {
            let heads: String = (0..n).map(|depth| format!("[1].all(x{depth}, ")).collect();
            format!("{heads}true{}", ")".repeat(n))
        }),
        ("bindings", |n| {
            let heads: String = (0..n).map(|depth| format!("cel.bind(x{depth}, 1, ")).collect();
            format!("{heads}x0{}", ")".repeat(n))
        }),
    ];
    let work = move || {
        let env = Env::new().with("self", DeclType::Dyn);
        for (name, make) in families {
            let (size, source) = deepest(make, &env);
            assert!(size >= 40, "{name} only nest {size} deep");
            let checked = compile(&source, &env).expect("fits");
            let _ = estimate(&checked, &env);
            let program = Program::new(&checked).unwrap_or_else(|error| panic!("{name}: {error}"));
            let result = program.eval(&Activation::new(), &mut Budget::default());
            assert!(result.is_ok(), "{name}: {result:?}");
        }
    };
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(work).expect("a thread");
    thread.join().expect("no panic");
}
