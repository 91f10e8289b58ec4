//! `-o custom-columns=NAME:.metadata.name,…`.

use berth_schema::jsonpath::Template;
use serde_json::Value;

use super::format::jsonpath;
use super::table::Grid;
use crate::failure::{Failure, Outcome};

/// Headings and the path of each.
#[derive(Clone, Debug)]
pub(crate) struct Columns(Vec<(String, Template)>);

impl Columns {
    /// `HEADING:PATH,HEADING:PATH`.
    ///
    /// # Errors
    /// When a column has no path, or the path does not parse.
    pub(crate) fn parse(text: &str) -> Outcome<Self> {
        let columns: Outcome<Vec<_>> = split(text)
            .into_iter()
            .map(|column| {
                let (heading, path) = column.split_once(':').ok_or_else(|| {
                    Failure::usage(format!("column {column:?} is not HEADING:PATH, such as NAME:.metadata.name"))
                })?;
                Ok((heading.to_owned(), jsonpath(path)?))
            })
            .collect();
        Ok(Self(columns?))
    }

    /// A file with two lines: headings, and paths below them.
    pub(crate) fn parse_file(text: &str) -> Outcome<Self> {
        let mut lines = text.lines();
        let headings: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
        let paths: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
        if headings.is_empty() || headings.len() != paths.len() {
            return Err(Failure::usage("a columns file has a line of headings and a line of as many paths"));
        }
        let columns = headings.into_iter().zip(paths).map(|(h, p)| Ok((h.to_owned(), jsonpath(p)?)));
        Ok(Self(columns.collect::<Outcome<Vec<_>>>()?))
    }

    /// The objects as rows.
    pub(crate) fn render(&self, objects: &[Value]) -> String {
        let mut grid = Grid::new(self.0.iter().map(|(heading, _)| heading.as_str()));
        for object in objects {
            let cells = self.0.iter().map(|(_, path)| path.render(object).ok().filter(|t| !t.is_empty()));
            grid.row(cells.map(|c| c.unwrap_or_else(|| "<none>".to_owned())).collect());
        }
        grid.render()
    }
}

/// Splits at commas outside brackets: filters such as `[?(@.a=="x,y")]` hold commas of their own.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0usize, 0);
    for (at, c) in text.char_indices() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn own_columns_are_aligned_and_gaps_shown() {
        let columns = Columns::parse("NAME:.metadata.name,NODE:.spec.nodeName").unwrap();
        let objects =
            [json!({"metadata": {"name": "a"}, "spec": {"nodeName": "n1"}}), json!({"metadata": {"name": "longer"}})];
        assert_eq!(columns.render(&objects), "NAME     NODE\na        n1\nlonger   <none>\n");
    }

    #[test]
    fn commas_in_filters_do_not_split() {
        assert_eq!(split(r#"A:.x[?(@.a=="p,q")].b,B:.c"#).len(), 2);
        assert_eq!(Columns::parse("NAME").unwrap_err().code, 2);
    }
}
