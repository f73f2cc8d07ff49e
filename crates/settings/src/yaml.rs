//! YAML text into a tree in which every key and value knows its line and column.
//!
//! The tree is built from the parser's events, so that nesting and alias expansion are bounded
//! before memory is used: a file of a few lines can otherwise stand for gigabytes.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use crate::problem::{Fault, Findings, Place};

/// The longest file in bytes.
pub(crate) const LONGEST_FILE: usize = 1024 * 1024;
/// The deepest nesting; a configuration needs six levels.
const DEEPEST: usize = 64;
/// What the whole tree may weigh, aliases expanded: its text, and `NODE_WEIGHT` bytes a node.
const HEAVIEST: usize = 16 * 1024 * 1024;
const NODE_WEIGHT: usize = 64;

/// One value of the tree with the place where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// A text; `plain` if it was written without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    Sequence(Vec<Node>),
    Mapping(Vec<(Key, Node)>),
}

#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) text: String,
}

impl Node {
    /// Tells whether the value was left out (`key:`, `~`, `null`).
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }
}

/// Reads one document; `None` if there is nothing in it or if it cannot be read further.
pub(crate) fn parse(text: &str, findings: &mut Findings) -> Option<Node> {
    let start = Place { line: 1, column: 1 };
    if text.len() > LONGEST_FILE {
        findings.problem(start, Fault::new("the file is larger than 1 MiB"));
        return None;
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut tree = Tree::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let step = match event {
            Ok((event, span)) => tree.take(event, span, findings),
            Err(error) => {
                let marker = error.marker();
                Err((
                    place(marker.line(), marker.col()),
                    Fault::new(format!("YAML: {}", error.info())),
                ))
            }
        };
        match step {
            Ok(true) => {}
            Ok(false) => break,
            Err((at, fault)) => {
                findings.problem(at, fault);
                return None;
            }
        }
    }
    tree.root
}

fn place(line: usize, column: usize) -> Place {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place { line: number(line.max(1)), column: number(column.saturating_add(1)) }
}

/// A collection that is still open.
#[derive(Debug)]
struct Open {
    node: Node,
    anchor: usize,
    /// The key that waits for its value.
    key: Option<Key>,
    /// The weight of the tree when the collection began.
    weight_before: usize,
    /// Levels below this one.
    height: usize,
}

#[derive(Clone, Debug)]
struct Anchored {
    node: Node,
    weight: usize,
    height: usize,
}

#[derive(Debug, Default)]
struct Tree {
    root: Option<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    weight: usize,
}

type Stop = (Place, Fault);

impl Tree {
    /// Takes one event; `false` when the document has ended.
    fn take(&mut self, event: Event, span: Span, findings: &mut Findings) -> Result<bool, Stop> {
        let at = place(span.start.line(), span.start.col());
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                return Err((at, Fault::new("a second YAML document; only one is read")));
            }
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
            Event::StreamEnd => return Ok(false),
            Event::Scalar(text, style, anchor, tag) => {
                let text_tag = text_tag(tag.as_deref(), at)?;
                let plain = style == ScalarStyle::Plain && !text_tag;
                self.charge(text.len(), at)?;
                let node =
                    Node { place: at, value: Value::Scalar { text: text.into_owned(), plain } };
                let weight = NODE_WEIGHT + scalar_len(&node);
                self.remember(anchor, &node, weight, 0, at)?;
                self.close(node, 0, findings);
            }
            Event::SequenceStart(anchor, tag) => {
                text_tag(tag.as_deref(), at)?;
                self.begin(Value::Sequence(Vec::new()), anchor, at)?;
            }
            Event::MappingStart(anchor, tag) => {
                text_tag(tag.as_deref(), at)?;
                self.begin(Value::Mapping(Vec::new()), anchor, at)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(at, findings)?,
            Event::Alias(anchor) => self.repeat(anchor, at, findings)?,
        }
        Ok(true)
    }

    fn charge(&mut self, bytes: usize, at: Place) -> Result<(), Stop> {
        self.weight = self.weight.saturating_add(bytes).saturating_add(NODE_WEIGHT);
        if self.weight > HEAVIEST {
            return Err((at, Fault::new("the file holds too many values, aliases expanded")));
        }
        Ok(())
    }

    fn begin(&mut self, value: Value, anchor: usize, at: Place) -> Result<(), Stop> {
        let weight_before = self.weight;
        self.charge(0, at)?;
        self.deep(0, at)?;
        let node = Node { place: at, value };
        self.open.push(Open { node, anchor, key: None, weight_before, height: 0 });
        Ok(())
    }

    fn deep(&self, below: usize, at: Place) -> Result<(), Stop> {
        if self.open.len() + below >= DEEPEST {
            return Err((at, Fault::new(format!("nested deeper than {DEEPEST} levels"))));
        }
        Ok(())
    }

    fn end(&mut self, at: Place, findings: &mut Findings) -> Result<(), Stop> {
        if let Some(mut open) = self.open.pop() {
            if let Value::Mapping(entries) = &mut open.node.value {
                settle(entries, findings);
            }
            let (weight, height) = (self.weight - open.weight_before, open.height + 1);
            self.remember(open.anchor, &open.node, weight, height, at)?;
            self.close(open.node, height, findings);
        }
        Ok(())
    }

    /// Keeps a copy of an anchored node, which weighs as much as the node.
    fn remember(
        &mut self,
        anchor: usize,
        node: &Node,
        weight: usize,
        height: usize,
        at: Place,
    ) -> Result<(), Stop> {
        if anchor > 0 {
            self.charge(weight, at)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), weight, height });
        }
        Ok(())
    }

    fn repeat(&mut self, anchor: usize, at: Place, findings: &mut Findings) -> Result<(), Stop> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err((at, Fault::new("an alias inside the value that it names")));
        };
        let (weight, height) = (anchored.weight, anchored.height);
        self.charge(weight, at)?;
        self.deep(height, at)?;
        if let Some(anchored) = self.anchors.get(&anchor) {
            let node = anchored.node.clone();
            self.close(node, height, findings);
        }
        Ok(())
    }

    /// Puts a finished node where it belongs: as key, value, item or root.
    fn close(&mut self, node: Node, height: usize, findings: &mut Findings) {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        open.height = open.height.max(height);
        match &mut open.node.value {
            Value::Sequence(items) => items.push(node),
            Value::Mapping(entries) => match open.key.take() {
                Some(key) => entries.push((key, node)),
                None => open.key = Some(key(node, findings)),
            },
            Value::Scalar { .. } => {}
        }
    }
}

fn scalar_len(node: &Node) -> usize {
    match &node.value {
        Value::Scalar { text, .. } => text.len(),
        Value::Sequence(_) | Value::Mapping(_) => 0,
    }
}

/// Tells whether the tag makes a plain scalar a text; tags of other kinds are refused.
fn text_tag(tag: Option<&Tag>, at: Place) -> Result<bool, Stop> {
    match tag {
        None => Ok(false),
        Some(tag) if tag.is_yaml_core_schema() => Ok(tag.suffix == "str"),
        Some(_) => Err((at, Fault::new("YAML tags are not used here"))),
    }
}

fn key(node: Node, findings: &mut Findings) -> Key {
    let Node { place, value } = node;
    match value {
        Value::Scalar { text, .. } => Key { place, text },
        Value::Sequence(_) | Value::Mapping(_) => {
            findings.problem(place, Fault::new("a key must be a plain word"));
            Key { place, text: String::new() }
        }
    }
}

/// Reports double keys and puts in what merge keys (`<<: *name`) bring.
fn settle(entries: &mut Vec<(Key, Node)>, findings: &mut Findings) {
    let mut seen: HashMap<&str, Place> = HashMap::with_capacity(entries.len());
    for (key, _) in entries.iter() {
        if let Some(first) = seen.insert(&key.text, key.place) {
            let what = format!("the key {} is given twice", crate::problem::shown(&key.text));
            findings
                .problem(key.place, Fault::new(what).hint(format!("first in line {}", first.line)));
        }
    }
    if !seen.contains_key("<<") {
        return;
    }
    let mut merged: Vec<(Key, Node)> = Vec::new();
    for (key, node) in std::mem::take(entries) {
        match (key.text.as_str(), node.value) {
            ("<<", Value::Mapping(more)) => merged.extend(more),
            ("<<", _) => {
                let fault = Fault::new("a merge key needs the alias of one mapping");
                findings.problem(key.place, fault);
            }
            (_, value) => entries.push((key, Node { place: node.place, value })),
        }
    }
    let own: HashSet<String> = entries.iter().map(|(key, _)| key.text.clone()).collect();
    entries.extend(merged.into_iter().filter(|(key, _)| !own.contains(&key.text)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Node>, String> {
        let mut findings = Findings::new("c.yaml");
        let node = parse(text, &mut findings);
        match findings.finish() {
            Ok(_) => Ok(node),
            Err(problems) => {
                Err(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
            }
        }
    }

    #[test]
    fn every_key_and_value_knows_its_place() {
        let root = read("a:\n  - x\n  - é: \"y\"\n").unwrap().unwrap();
        let Value::Mapping(top) = root.value else { panic!() };
        assert_eq!(top[0].0.place, Place { line: 1, column: 1 });
        let Value::Sequence(items) = &top[0].1.value else { panic!() };
        assert_eq!(items[0].place, Place { line: 2, column: 5 });
        let Value::Mapping(inner) = &items[1].value else { panic!() };
        assert_eq!(inner[0].1.place, Place { line: 3, column: 8 });
    }

    #[test]
    fn nothing_but_comments_is_nothing() {
        for text in ["", "\n", "# a\n# b\n", "\u{feff}", "---\n"] {
            assert!(read(text).unwrap().is_none_or(|node| node.is_null()), "{text:?}");
        }
    }

    #[test]
    fn a_syntax_error_has_its_line_and_column() {
        let message = read("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(message.starts_with("c.yaml:3:"), "{message}");
        assert!(read("a: \"x\n").unwrap_err().starts_with("c.yaml:"));
    }

    #[test]
    fn double_keys_are_reported_with_the_first_place() {
        assert_eq!(
            read("a: 1\nb: 2\na: 3\n").unwrap_err(),
            "c.yaml:3:1: the key \"a\" is given twice (first in line 1)"
        );
    }

    #[test]
    fn a_billion_laughs_is_an_error_and_no_memory() {
        let mut text = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
        for n in 1..30 {
            let alias = format!("*a{}", n - 1);
            let nine = vec![alias; 9].join(", ");
            text = format!(
                "{text}a{n}: &a{n} [{nine}]
"
            );
        }
        assert!(read(&text).unwrap_err().contains("too many values"));
    }

    #[test]
    fn a_long_text_repeated_by_aliases_is_an_error() {
        let text = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(500_000), "*a, ".repeat(100));
        assert!(read(&text).unwrap_err().contains("too many values"));
    }

    #[test]
    fn deep_nesting_is_an_error_also_through_aliases() {
        assert!(read(&"[".repeat(5000)).is_err());
        let flow = format!("{}{}", "[".repeat(70), "]".repeat(70));
        assert!(read(&flow).unwrap_err().contains("nested deeper"));
        assert!(read(&"- ".repeat(5000)).unwrap_err().contains("nested deeper"));
        let half = |inner: &str| format!("{}{inner}{}", "[".repeat(40), "]".repeat(40));
        let text = format!("a: &a {}\nb: {}\n", half("x"), half("*a"));
        assert!(read(&text).unwrap_err().contains("nested deeper"));
    }

    #[test]
    fn an_alias_of_itself_is_an_error() {
        assert!(read("a: &a [*a]\n").is_err());
    }

    #[test]
    fn merge_keys_fill_in_what_is_not_given() {
        let root = read("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n").unwrap().unwrap();
        let Value::Mapping(top) = root.value else { panic!() };
        let Value::Mapping(b) = &top[1].1.value else { panic!() };
        let names: Vec<&str> = b.iter().map(|(key, _)| key.text.as_str()).collect();
        assert_eq!(names, ["y", "x"]);
    }

    #[test]
    fn a_second_document_a_tag_and_a_key_that_is_a_list_are_errors() {
        assert!(read("a: 1\n---\nb: 2\n").unwrap_err().contains("second"));
        assert!(read("a: !env X\n").unwrap_err().contains("tags"));
        assert!(read("[a, b]: 1\n").unwrap_err().contains("plain word"));
    }

    #[test]
    fn a_file_over_1_mib_is_refused() {
        assert!(read(&" ".repeat(LONGEST_FILE + 1)).unwrap_err().contains("1 MiB"));
    }
}
