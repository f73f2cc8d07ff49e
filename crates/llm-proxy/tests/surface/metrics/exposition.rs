//! Prometheus' text form, read strictly.

use std::collections::{BTreeMap, BTreeSet};

/// A page of metrics.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    /// Kinds by family.
    pub(super) kinds: BTreeMap<String, String>,
    pub(super) samples: Vec<Sample>,
}

/// One line.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

impl Sample {
    /// The value as a whole number.
    pub(super) fn count(&self) -> u64 {
        self.value.round() as u64
    }
}

impl Exposition {
    /// Reads a page; panics where it is not well formed.
    pub(super) fn of(text: &str) -> Self {
        assert!(text.ends_with('\n'));
        let mut page = Self::default();
        let mut helped = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(helped.contains(name), "{line} without help");
                let before = page.kinds.insert(name.to_owned(), kind.to_owned());
                assert!(before.is_none(), "{line} twice");
            } else {
                let sample = sample(line);
                assert!(seen.insert(line.rsplit_once(' ').unwrap().0), "{line} twice");
                assert!(page.family(&sample.name).is_some(), "{line} has no type");
                page.samples.push(sample);
            }
        }
        page.check_histograms();
        page
    }

    /// The family of a sample.
    pub(super) fn family(&self, name: &str) -> Option<&str> {
        let parts = ["_bucket", "_sum", "_count"].into_iter();
        let of_histogram = parts.filter_map(|part| name.strip_suffix(part));
        let found = |family: &str| {
            let (family, kind) = self.kinds.get_key_value(family)?;
            ((kind == "histogram") == (family != name)).then_some(family.as_str())
        };
        std::iter::once(name).chain(of_histogram).find_map(found)
    }

    fn check_histograms(&self) {
        let mut last: Option<&Sample> = None;
        for sample in &self.samples {
            let bound = sample.labels.get("le").map(|le| le.replace("+Inf", "inf"));
            assert_eq!(bound.is_some(), sample.name.ends_with("_bucket"), "{sample:?}");
            if let Some(bound) = bound {
                let bound: f64 = bound.parse().unwrap();
                let before = last.filter(|last| {
                    let mut labels = last.labels.clone();
                    labels.insert("le".to_owned(), sample.labels["le"].clone());
                    last.name == sample.name && labels == sample.labels
                });
                if let Some(before) = before {
                    assert!(before.value <= sample.value, "{sample:?} falls");
                    let lower: f64 = before.labels["le"].parse().unwrap();
                    assert!(lower < bound, "{sample:?} is out of order");
                }
            }
            if sample.name.ends_with("_count") && self.family(&sample.name) != Some(&*sample.name) {
                let mut labels = sample.labels.clone();
                labels.insert("le".to_owned(), "+Inf".to_owned());
                let bucket = sample.name.replace("_count", "_bucket");
                let total =
                    self.samples.iter().find(|one| one.name == bucket && one.labels == labels);
                assert_eq!(total.unwrap().count(), sample.count(), "{sample:?}");
            }
            last = Some(sample);
        }
    }

    /// The sum of the samples with at least these labels, as a whole number.
    pub(super) fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.with(name, labels).map(Sample::count).sum()
    }

    /// The samples with at least these labels.
    pub(super) fn with<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&str, &str)],
    ) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| {
            let has = |(label, value): &(&str, &str)| {
                sample.labels.get(*label).is_some_and(|own| own == value)
            };
            sample.name == name && labels.iter().all(has)
        })
    }
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, rest) = series.split_once('{').unwrap_or((series, "}"));
    let is_word = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    assert!(!name.is_empty() && is_word(name), "{line}");
    let mut rest = rest;
    let mut labels = BTreeMap::new();
    while rest != "}" {
        let (label, after) = rest.split_once("=\"").unwrap();
        assert!(!label.is_empty() && is_word(label), "{line}");
        let (value, after) = quoted(after);
        assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    Sample { name: name.to_owned(), labels, value: value.parse().unwrap() }
}

/// The text up to the closing quote, and what comes after it.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => match chars.next().unwrap().1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    panic!("no end of {text:?}");
}
