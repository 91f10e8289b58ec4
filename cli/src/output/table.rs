//! Aligned columns, as kubectl draws them, and the server's Table in them.

use std::fmt::Write as _;

use serde_json::Value;

use crate::term::{Paint, harmless, painted};

/// Spaces between columns.
const GAP: usize = 3;

/// Rows of text under headings. The last column is never padded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grid {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
    widths: Vec<usize>,
    colour: bool,
    no_headings: bool,
}

impl Grid {
    pub(crate) fn new<'a>(headings: impl IntoIterator<Item = &'a str>) -> Self {
        let headings: Vec<String> = headings.into_iter().map(str::to_uppercase).collect();
        let widths = headings.iter().map(|h| h.chars().count()).collect();
        Self { headings, widths, ..Self::default() }
    }

    /// Paints words that tell a state.
    #[must_use]
    pub(crate) fn colour(mut self, colour: bool) -> Self {
        self.colour = colour;
        self
    }

    #[must_use]
    pub(crate) fn without_headings(mut self, without: bool) -> Self {
        self.no_headings = without;
        self
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        let cells: Vec<String> = cells.iter().map(|c| harmless(&c.replace('\n', " "))).collect();
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(cell.chars().count());
        }
        self.rows.push(cells);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All rows with headings.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        if !self.no_headings {
            self.write(&mut text, &self.headings, false);
        }
        for row in &self.rows {
            self.write(&mut text, row, self.colour);
        }
        text
    }

    /// The rows that came after `from`, in the widths that are known by now: for a watch.
    pub(crate) fn render_from(&self, from: usize) -> String {
        let mut text = String::new();
        for row in self.rows.iter().skip(from) {
            self.write(&mut text, row, self.colour);
        }
        text
    }

    /// Forgets the rows and keeps the widths.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
    }

    fn write(&self, text: &mut String, cells: &[String], colour: bool) {
        let last = cells.len().saturating_sub(1);
        for (at, cell) in cells.iter().enumerate() {
            let shown = match mood(cell) {
                Some(paint) if colour && at > 0 => painted(true, paint, cell),
                _ => cell.clone(),
            };
            text.push_str(&shown);
            if at < last {
                let width = self.widths.get(at).copied().unwrap_or_default() + GAP;
                let _ = write!(text, "{:1$}", "", width.saturating_sub(cell.chars().count()));
            }
        }
        text.push('\n');
    }
}

/// Words for states, by what they mean for the person who looks.
fn mood(word: &str) -> Option<Paint> {
    Some(match word {
        "Running" | "True" | "Ready" | "Succeeded" | "AllReady" | "Available" | "Complete" | "Completed" => Paint::Good,
        "Failed" | "OOMKilled" | "CrashLoop" | "Error" | "Unschedulable" | "CommandNotFound" | "StartError"
        | "Lost" => Paint::Bad,
        "Pending" | "Starting" | "Stopping" | "Unknown" | "Warning" | "Progressing" | "RollingOut" => Paint::Warn,
        _ => return None,
    })
}

/// How a server's Table is shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct View {
    /// Columns of lower priority, too.
    pub(crate) wide: bool,
    /// A first column with the namespace.
    pub(crate) namespaces: bool,
    /// A last column with all labels.
    pub(crate) labels: bool,
    pub(crate) no_headings: bool,
    pub(crate) colour: bool,
}

/// A server's Table that is printed, row by row.
#[derive(Debug, Default)]
pub(crate) struct TablePrinter {
    view: View,
    columns: Vec<(usize, String)>,
    /// `service/` in front of names, when several kinds are printed.
    prefix: String,
}

impl TablePrinter {
    pub(crate) fn new(view: View, prefix: String) -> Self {
        Self { view, columns: vec![], prefix }
    }

    /// Learns the columns; a Table without definitions keeps those that are known.
    pub(crate) fn learn(&mut self, table: &Value) {
        let Some(definitions) = table["columnDefinitions"].as_array() else { return };
        let shown = |d: &Value| self.view.wide || d["priority"].as_i64().unwrap_or(0) == 0;
        let columns = definitions.iter().enumerate().filter(|(_, d)| shown(d));
        self.columns = columns.map(|(at, d)| (at, d["name"].as_str().unwrap_or_default().to_owned())).collect();
    }

    pub(crate) fn grid(&self) -> Grid {
        let first = self.view.namespaces.then_some("namespace");
        let last = self.view.labels.then_some("labels");
        let names = self.columns.iter().map(|(_, name)| name.as_str());
        Grid::new(first.into_iter().chain(names).chain(last))
            .colour(self.view.colour)
            .without_headings(self.view.no_headings)
    }

    /// Adds all rows of a Table.
    pub(crate) fn add(&self, grid: &mut Grid, table: &Value) {
        for row in table["rows"].as_array().into_iter().flatten() {
            let metadata = &row["object"]["metadata"];
            let mut cells = Vec::with_capacity(self.columns.len() + 2);
            if self.view.namespaces {
                cells.push(metadata["namespace"].as_str().unwrap_or_default().to_owned());
            }
            for (place, (at, _)) in self.columns.iter().enumerate() {
                let text = cell_text(&row["cells"][*at]);
                cells.push(if place == 0 { format!("{}{text}", self.prefix) } else { text });
            }
            if self.view.labels {
                cells.push(labels_text(&metadata["labels"]));
            }
            grid.row(cells);
        }
    }
}

/// A cell of a Table.
pub(crate) fn cell_text(cell: &Value) -> String {
    match cell {
        Value::Null => "<none>".to_owned(),
        Value::String(text) if text.is_empty() => "<none>".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// `a=1,b=2`, or `<none>`.
pub(crate) fn labels_text(labels: &Value) -> String {
    let pairs = labels.as_object().into_iter().flatten();
    let text: Vec<String> = pairs.map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
    if text.is_empty() { "<none>".to_owned() } else { text.join(",") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn table() -> Value {
        json!({"kind": "Table",
        "columnDefinitions": [{"name": "Name", "priority": 0}, {"name": "Ready", "priority": 0}, {"name": "Node", "priority": 1}],
        "rows": [
            {"cells": ["a", "True", "n1"], "object": {"metadata": {"namespace": "x", "labels": {"l": "1"}}}},
            {"cells": ["longer-name", null, "n2"], "object": {"metadata": {"namespace": "default"}}},
        ]})
    }

    fn draw(view: View, prefix: &str) -> String {
        let mut printer = TablePrinter::new(view, prefix.to_owned());
        printer.learn(&table());
        let mut grid = printer.grid();
        printer.add(&mut grid, &table());
        grid.render()
    }

    #[test]
    fn narrow_wide_and_all_namespaces() {
        assert_eq!(draw(View::default(), ""), "NAME          READY\na             True\nlonger-name   <none>\n");
        assert_eq!(
            draw(View { wide: true, namespaces: true, ..View::default() }, "task/"),
            "NAMESPACE   NAME               READY    NODE\nx           task/a             True     n1\ndefault     task/longer-name   <none>   n2\n"
        );
    }

    #[test]
    fn labels_come_last_and_headings_can_go() {
        let view = View { labels: true, no_headings: true, ..View::default() };
        assert_eq!(draw(view, ""), "a             True     l=1\nlonger-name   <none>   <none>\n");
    }

    #[test]
    fn colour_does_not_move_columns() {
        let coloured = draw(View { colour: true, wide: true, ..View::default() }, "");
        assert!(coloured.contains("\x1b[32mTrue\x1b[0m     n1"), "{coloured:?}");
    }

    #[test]
    fn rows_of_a_watch_keep_the_widths() {
        let mut grid = Grid::new(["name", "x"]);
        grid.row(vec!["long-name".into(), "1".into()]);
        grid.clear();
        grid.row(vec!["a".into(), "2\n3".into()]);
        assert_eq!(grid.render_from(0), "a           2 3\n");
    }
}
