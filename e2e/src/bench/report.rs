//! What was measured, as a table.

use std::io::Write;
use std::time::Duration;

/// Rows, in the order they were measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<[String; 4]>,
}

impl Report {
    /// Notes one figure with its yardstick and goal.
    pub(crate) fn add(&mut self, what: &str, figure: impl ToString, yardstick: impl ToString, goal: &str) {
        let row = [what.to_owned(), figure.to_string(), yardstick.to_string(), goal.to_owned()];
        eprintln!("  {}: {} ({}; goal {})", row[0], row[1], row[2], row[3]);
        self.rows.push(row);
    }

    /// Writes the table.
    pub(crate) fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "| what | measured | yardstick, same run | goal |\n|---|---|---|---|")?;
        for row in &self.rows {
            writeln!(out, "| {} |", row.join(" | "))?;
        }
        Ok(())
    }
}

/// The value below which this share (0 to 100) of the samples lies.
pub(crate) fn percentile(samples: &mut [Duration], percent: usize) -> Duration {
    samples.sort_unstable();
    let index = (samples.len() * percent / 100).min(samples.len().saturating_sub(1));
    samples.get(index).copied().unwrap_or_default()
}

/// Milliseconds with two decimals.
pub(crate) fn ms(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1e3)
}

/// The one in the middle.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// A share, in words.
pub(crate) fn of(part: f64, whole: f64) -> String {
    format!("{:.0} %", part / whole * 100.0)
}
