//! YAML text to documents that remember on which line each field stands.
//!
//! One pass over the parser's events, with a stack of our own: no input can exhaust the process's stack or, by
//! aliases, its memory.

use std::collections::HashMap;

use serde_json::{Map, Value};
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle};

use super::scalar;

/// Deepest nesting that is read. Kubernetes' own objects stay below 30.
const DEPTH_MAX: usize = 200;
/// Most values in one document, aliases expanded: about a hundred times the largest real manifest.
const NODES_MAX: usize = 300_000;

/// A value and the line (from 1) on which it starts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) content: Content,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    Scalar(Value),
    List(Vec<Node>),
    /// Keys in the order of the file, with their own lines.
    Map(Vec<(String, usize, Node)>),
}

/// Text that is no YAML, or more than we read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct YamlError {
    pub(crate) line: usize,
    pub(crate) message: String,
}

impl Node {
    /// The plain value.
    pub(crate) fn to_value(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Content::Map(entries) => {
                Value::Object(entries.iter().map(|(k, _, v)| (k.clone(), v.to_value())).collect::<Map<_, _>>())
            }
        }
    }

    fn size(&self) -> usize {
        match &self.content {
            Content::Scalar(_) => 1,
            Content::List(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Content::Map(entries) => 1 + entries.iter().map(|(_, _, v)| v.size()).sum::<usize>(),
        }
    }
}

/// A collection that is being read.
struct Frame {
    line: usize,
    anchor: usize,
    items: Vec<Node>,
    entries: Vec<(String, usize, Node)>,
    /// What `<<` names.
    merges: Vec<Node>,
    key: Option<Key>,
    is_map: bool,
}

/// A key whose value is still to come.
enum Key {
    Name(String, usize),
    /// An unquoted `<<`.
    Merge,
}

/// Reads all documents. Empty ones are left out.
///
/// # Errors
/// At the first thing that is not YAML, or breaks a limit.
pub(crate) fn parse(text: &str) -> Result<Vec<Node>, YamlError> {
    let mut parser = Parser::new_from_str(text);
    let mut documents = Vec::new();
    let mut reader = Reader::default();
    while let Some(event) = parser.next_event() {
        let (event, span) = event
            .map_err(|e| YamlError { line: e.marker().line(), message: format!("not valid YAML: {}", e.info()) })?;
        let line = span.start.line();
        if let Event::DocumentStart(..) = event {
            reader = Reader::default();
        } else if let Event::DocumentEnd = event {
            let root = reader.root.take().filter(|r| r.content != Content::Scalar(Value::Null));
            documents.extend(root);
        } else {
            reader.take(event, line).map_err(|message| YamlError { line, message })?;
        }
    }
    Ok(documents)
}

#[derive(Default)]
struct Reader {
    stack: Vec<Frame>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    root: Option<Node>,
}

impl Reader {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.as_ref().map(|t| t.to_string()).unwrap_or_default();
                // A key is the text that was written, also where a value would be a boolean or a number (`on:`, `y:`).
                let is_key = self.stack.last().is_some_and(|f| f.is_map && f.key.is_none());
                if is_key && text == "<<" && style == ScalarStyle::Plain {
                    if let Some(frame) = self.stack.last_mut() {
                        frame.key = Some(Key::Merge);
                    }
                    return Ok(());
                }
                let value = if is_key { Value::String(text.into_owned()) } else { scalar_value(&text, style, &tag)? };
                self.put(Node { line, content: Content::Scalar(value) }, anchor, 1)
            }
            Event::SequenceStart(_, anchor, _) => self.open(line, anchor, false),
            Event::MappingStart(_, anchor, _) => self.open(line, anchor, true),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(frame) = self.stack.pop() else { return Ok(()) };
                let content = if frame.is_map {
                    Content::Map(merged(frame.entries, frame.merges)?)
                } else {
                    Content::List(frame.items)
                };
                self.put(Node { line: frame.line, content }, frame.anchor, 1)
            }
            Event::Alias(id) => {
                let Some((node, size)) = self.anchors.get(&id) else {
                    return Err("an alias may not stand inside its own anchor".to_owned());
                };
                let (mut node, size) = (node.clone(), *size);
                node.line = line;
                self.put(node, 0, size)
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, line: usize, anchor: usize, is_map: bool) -> Result<(), String> {
        if self.stack.len() >= DEPTH_MAX {
            return Err(format!("nested deeper than {DEPTH_MAX} levels"));
        }
        if self.stack.last().is_some_and(|f| f.is_map && f.key.is_none()) {
            return Err("a key must be text, not a list or a map".to_owned());
        }
        self.stack.push(Frame { line, anchor, items: vec![], entries: vec![], merges: vec![], key: None, is_map });
        Ok(())
    }

    fn put(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), String> {
        self.nodes += size;
        if self.nodes > NODES_MAX {
            return Err(format!("more than {NODES_MAX} values, aliases expanded"));
        }
        if anchor > 0 {
            let size = node.size();
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        if !frame.is_map {
            frame.items.push(node);
            return Ok(());
        }
        let (key, key_line) = match frame.key.take() {
            Some(Key::Name(key, line)) => (key, line),
            Some(Key::Merge) => {
                frame.merges.push(node);
                return Ok(());
            }
            None => {
                frame.key = Some(Key::Name(key_text(&node)?, node.line));
                return Ok(());
            }
        };
        if let Some((_, first, _)) = frame.entries.iter().find(|(k, _, _)| *k == key) {
            return Err(format!("key {key:?} is given twice (first on line {first})"));
        }
        frame.entries.push((key, key_line, node));
        Ok(())
    }
}

fn scalar_value(text: &str, style: ScalarStyle, tag: &str) -> Result<Value, String> {
    if tag.ends_with(":binary") {
        use base64::Engine as _;
        let packed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let bytes = base64::engine::general_purpose::STANDARD.decode(packed).map_err(|e| format!("!!binary: {e}"))?;
        return String::from_utf8(bytes).map(Value::String).map_err(|_| "!!binary holds no UTF-8 text".to_owned());
    }
    if style != ScalarStyle::Plain || tag.ends_with(":str") || tag == "!" {
        return Ok(Value::String(text.to_owned()));
    }
    scalar::resolve(text)
}

fn key_text(node: &Node) -> Result<String, String> {
    match &node.content {
        Content::Scalar(Value::String(text)) => Ok(text.clone()),
        Content::Scalar(Value::Null) => Ok("null".to_owned()),
        Content::Scalar(value) => Ok(value.to_string()),
        _ => Err("a key must be text, not a list or a map".to_owned()),
    }
}

/// Resolves `<<: *anchor`: keys of the map itself win, then earlier merges.
fn merged(mut own: Vec<(String, usize, Node)>, merges: Vec<Node>) -> Result<Vec<(String, usize, Node)>, String> {
    for node in merges {
        let sources = match node.content {
            Content::List(items) => items,
            _ => vec![node],
        };
        for source in sources {
            let Content::Map(entries) = source.content else {
                return Err("<< must name a map or a list of maps".to_owned());
            };
            for (key, line, value) in entries {
                if !own.iter().any(|(k, _, _)| *k == key) {
                    own.push((key, line, value));
                }
            }
        }
    }
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn values(text: &str) -> Vec<Value> {
        parse(text).unwrap().iter().map(Node::to_value).collect()
    }

    #[track_caller]
    fn refused(text: &str) -> String {
        let error = parse(text).unwrap_err();
        format!("{}: {}", error.line, error.message)
    }

    #[test]
    fn documents_are_split_and_empty_ones_dropped() {
        assert_eq!(
            values("---\na: 1\n---\n# nothing\n---\nb: [x, {c: yes}]\n"),
            [json!({"a": 1}), json!({"b": ["x", {"c": true}]})]
        );
        assert_eq!(values("{\"a\": \"1\"}"), [json!({"a": "1"})]);
    }

    #[test]
    fn quoted_and_block_scalars_stay_text() {
        assert_eq!(
            values("a: '1'\nb: \"yes\"\nc: |\n  x\n  y\nd: !!str 5\n"),
            [json!({"a": "1", "b": "yes", "c": "x\ny\n", "d": "5"})]
        );
    }

    #[test]
    fn merges_and_aliases_are_expanded() {
        assert_eq!(
            values("base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}\n"),
            [json!({"base": {"x": 1, "y": 2}, "use": {"x": 1, "y": 3}})]
        );
        assert_eq!(values("'<<': 1"), [json!({"<<": 1})]);
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..9 {
            let aliases = vec![format!("*a{}", level - 1); 10].join(",");
            text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        assert!(refused(&text).contains("more than 300000 values"), "{}", refused(&text));
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert!(parse(&"[".repeat(10_000)).is_err());
        let block: String = (0..300).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
        assert_eq!(refused(&block), "201: nested deeper than 200 levels");
    }

    #[test]
    fn duplicate_keys_name_both_lines() {
        assert_eq!(refused("a: 1\nb: 2\na: 3\n"), "3: key \"a\" is given twice (first on line 1)");
    }

    #[test]
    fn bad_syntax_has_a_line() {
        assert!(refused("a: 1\n b: [\n").starts_with("2:") || refused("a: 1\n b: [\n").starts_with("3:"));
    }
}
