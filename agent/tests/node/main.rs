//! A whole node: the agent with the native containerizer against a real API server in the same process.
//!
//! One executable is the test runner and, with `__shim`, the helper that holds containers; so the harness is our
//! own. It needs root for namespaces and cgroups, and says so instead of failing without.

// In tests a failed unwrap is a failed test.
#![allow(clippy::unwrap_used)]
// This executable is its own test runner: what it finds goes to standard output.
#![allow(clippy::print_stdout)]

mod cases;
mod cluster;

type Case = (&'static str, fn() -> futures::future::BoxFuture<'static, ()>);

macro_rules! case {
    ($name:ident) => {
        (stringify!($name), || Box::pin(cases::$name()))
    };
}

const CASES: &[Case] = &[
    case!(a_task_runs_answers_logs_and_exec_and_leaves_nothing),
    case!(an_agent_that_dies_loses_nothing),
    case!(a_failure_has_its_code_its_reason_and_its_last_words),
    case!(memory_over_the_limit_is_called_so),
    case!(configuration_arrives_as_variables_and_files),
    case!(a_stubborn_task_is_killed_after_its_grace),
    case!(a_cordon_survives_the_agent_and_a_settled_node_writes_nothing),
    case!(strangers_reach_health_only),
];

fn main() {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|first| first == "__shim") {
        std::process::exit(berth_container::shim_main(args));
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| args.iter().any(|a| a == flag);
    if has("--list") {
        if !has("--ignored") {
            CASES.iter().for_each(|(name, _)| println!("{name}: test"));
        }
        return;
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: a node needs root");
        return;
    }
    if std::env::var_os("BERTH_LOG").is_some() {
        tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_env("BERTH_LOG"))
            .with_writer(std::io::stderr)
            .init();
    }
    if has("__bench") {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        return runtime.block_on(cases::bench());
    }
    let wanted: Vec<&String> = args.iter().filter(|a| !a.starts_with('-')).collect();
    let exact = has("--exact");
    for (name, run) in CASES {
        let chosen = wanted.is_empty()
            || wanted.iter().any(|w| if exact { w.as_str() == *name } else { name.contains(w.as_str()) });
        if chosen {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(run());
            println!("{name}: ok");
        }
    }
}
