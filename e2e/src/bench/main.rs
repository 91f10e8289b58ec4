//! `make bench`: speed as ratios against a yardstick in the same run, on the machine at hand.
//!
//! Prints a Markdown table for `docs/performance.md`. Never a test: figures of a shared machine move, ratios of
//! interleaved rounds much less.

mod alone;
mod api;
mod bare;
mod cluster;
mod full;
mod launch;
mod load;
mod many;
mod report;

use report::Report;

fn main() -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider().install_default().expect("nothing installed one before");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|a| a == "--bare-server") {
        return bare::serve(&arguments[1..]);
    }
    let wanted = |name: &str| arguments.is_empty() || arguments.iter().any(|a| a == name);
    let mut report = Report::default();
    if wanted("launch") {
        launch::run(&mut report)?;
    }
    if wanted("start") {
        cluster::start_and_idle(&mut report)?;
    }
    if wanted("apply") {
        cluster::apply_to_running(&mut report)?;
    }
    if wanted("api") {
        api::run(&mut report)?;
    }
    if wanted("memory") {
        api::memory(&mut report)?;
    }
    let runtime = tokio::runtime::Runtime::new()?;
    if wanted("full") {
        runtime.block_on(full::run(&mut report))?;
    }
    if wanted("many") {
        runtime.block_on(many::run(&mut report))?;
    }
    report.print(&mut std::io::stdout().lock())?;
    Ok(())
}
