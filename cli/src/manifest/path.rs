//! Where a field stands in a file: from the path that the server prints to a line.

use super::yaml::{Content, Node};

/// One step of a field path.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// `.name`, or `[name]` in a map.
    Name(String),
    /// `[3]`.
    Index(usize),
    /// `[name="http"]`: an item of a list by its keys.
    Keys(Vec<(String, String)>),
}

/// The line of the field, or of its nearest ancestor that is in the file.
pub(crate) fn line_of(root: &Node, path: &str) -> usize {
    let mut node = root;
    let mut line = root.line;
    for step in steps(path) {
        let next = match (&node.content, step) {
            (Content::Map(entries), Step::Name(name)) => {
                entries.iter().find(|(key, _, _)| *key == name).map(|(_, line, node)| (*line, node))
            }
            // A map may have keys that look like numbers.
            (Content::Map(entries), Step::Index(index)) => {
                entries.iter().find(|(key, _, _)| *key == index.to_string()).map(|(_, line, node)| (*line, node))
            }
            (Content::List(items), Step::Index(index)) => items.get(index).map(|node| (node.line, node)),
            (Content::List(items), Step::Keys(keys)) => {
                items.iter().find(|item| has_keys(item, &keys)).map(|node| (node.line, node))
            }
            _ => None,
        };
        let Some((next_line, next_node)) = next else { break };
        (line, node) = (next_line, next_node);
    }
    line
}

fn has_keys(item: &Node, keys: &[(String, String)]) -> bool {
    let Content::Map(entries) = &item.content else { return false };
    keys.iter().all(|(key, wanted)| {
        entries.iter().any(|(k, _, v)| {
            k == key
                && match &v.content {
                    Content::Scalar(serde_json::Value::String(text)) => text == wanted,
                    // A number or a boolean, as it is written.
                    Content::Scalar(other) => serde_json::to_string(other).is_ok_and(|text| text == *wanted),
                    _ => false,
                }
        })
    })
}

fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let end = closing(inner);
            steps.push(bracket(&inner[..end]));
            rest = inner.get(end + 1..).unwrap_or_default();
        } else {
            let text = rest.strip_prefix('.').unwrap_or(rest);
            let end = text.find(['.', '[']).unwrap_or(text.len());
            if end > 0 {
                steps.push(Step::Name(text[..end].to_owned()));
            } else if text.len() == rest.len() {
                break;
            }
            rest = &text[end..];
        }
    }
    steps
}

/// The closing bracket, outside quotes.
fn closing(text: &str) -> usize {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ']' if !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

fn bracket(text: &str) -> Step {
    if let Ok(index) = text.parse() {
        return Step::Index(index);
    }
    if text.contains('=') && !text.starts_with('"') {
        let keys = text.split(',').filter_map(|pair| pair.split_once('='));
        return Step::Keys(keys.map(|(k, v)| (k.trim().to_owned(), v.trim_matches('"').to_owned())).collect());
    }
    Step::Name(text.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;

    const TEXT: &str = "\
apiVersion: berth.dev/v1
kind: Service
metadata:
  name: hello
  annotations:
    a.b/c: x
spec:
  replcas: 3
  template:
    spec:
      containers:
      - name: web
        shell: sleep 1
      - name: side
        ports:
        - name: http
          hostPort: 99999
";

    #[track_caller]
    fn line(path: &str) -> usize {
        line_of(&yaml::parse(TEXT).unwrap()[0], path)
    }

    #[test]
    fn paths_lead_to_lines() {
        assert_eq!(line("spec.replcas"), 8);
        assert_eq!(line(".spec.template.spec.containers[1].ports[0].hostPort"), 17);
        assert_eq!(line(r#".spec.template.spec.containers[name="side"].ports"#), 15);
        assert_eq!(line("metadata.annotations[a.b/c]"), 6);
    }

    #[test]
    fn what_is_missing_points_at_its_parent() {
        assert_eq!(line("spec.template.spec.containers[0].image"), 12);
        assert_eq!(line("spec.update.maxSurge"), 7);
        assert_eq!(line("status.x"), 1);
        assert_eq!(line(""), 1);
        assert_eq!(line("[[[.."), 1);
    }
}
