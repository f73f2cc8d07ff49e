//! Prometheus' text form.

use std::fmt::{Display, Write as _};

use super::histogram::Spread;

/// A page in Prometheus' text form. The samples of a family follow its head.
#[derive(Debug, Default)]
pub(crate) struct Page {
    text: String,
    family: &'static str,
}

/// A label and its value.
pub(crate) type Label<'a> = (&'static str, &'a str);

impl Page {
    pub(crate) fn counter(&mut self, name: &'static str, help: &str) {
        self.family(name, "counter", help);
    }

    pub(crate) fn gauge(&mut self, name: &'static str, help: &str) {
        self.family(name, "gauge", help);
    }

    pub(crate) fn histogram(&mut self, name: &'static str, help: &str) {
        self.family(name, "histogram", help);
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        self.family = name;
    }

    /// A sample of the family.
    pub(crate) fn sample(&mut self, labels: &[Label<'_>], value: impl Display) {
        self.line("", labels, None, value);
    }

    /// A histogram of the family.
    pub(crate) fn spread(&mut self, labels: &[Label<'_>], spread: &Spread) {
        for (bound, count) in &spread.buckets {
            self.line("_bucket", labels, Some(bound), count);
        }
        self.line("_bucket", labels, Some(&"+Inf"), spread.count);
        self.line("_sum", labels, None, spread.sum);
        self.line("_count", labels, None, spread.count);
    }

    fn line(
        &mut self,
        suffix: &str,
        labels: &[Label<'_>],
        bound: Option<&dyn Display>,
        value: impl Display,
    ) {
        let _ = write!(self.text, "{}{suffix}", self.family);
        let mut before = '{';
        for (name, label) in labels {
            let _ = write!(self.text, "{before}{name}=\"");
            self.escape(label);
            self.text.push('"');
            before = ',';
        }
        if let Some(bound) = bound {
            let _ = write!(self.text, "{before}le=\"{bound}\"");
            before = ',';
        }
        if before == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    fn escape(&mut self, label: &str) {
        for c in label.chars() {
            match c {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                other => self.text.push(other),
            }
        }
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut page = Page::default();
        page.gauge("up", "Whether.");
        page.sample(&[], 1);
        page.sample(&[("a", "x\"y\\z\n"), ("b", "")], 0.5);
        page.spread(&[], &Spread { buckets: vec![(0.01, 1)], sum: 2.5, count: 3 });
        let lines = [
            "# HELP up Whether.",
            "# TYPE up gauge",
            "up 1",
            "up{a=\"x\\\"y\\\\z\\n\",b=\"\"} 0.5",
            "up_bucket{le=\"0.01\"} 1",
            "up_bucket{le=\"+Inf\"} 3",
            "up_sum 2.5",
            "up_count 3\n",
        ];
        assert_eq!(page.into_text(), lines.join("\n"));
    }
}
