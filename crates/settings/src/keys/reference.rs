//! The list of keys as a page for people.

use std::fmt::Write;

use super::{KeyRow, Kind, Section};

/// Returns a Markdown reference of everything that may be written in a configuration.
pub fn reference() -> String {
    let mut page = String::from("# Configuration reference\n");
    for section in Section::ALL {
        let title = match section {
            Section::Top => "The file",
            Section::Server => "`server`",
            Section::Rotation => "`rotation`",
            Section::History => "`history`",
            Section::Provider => "`providers[]`",
            Section::Limits => "`providers[].limits`",
            Section::Timeouts => "`providers[].timeouts`",
        };
        page.push_str("\n## ");
        page.push_str(title);
        page.push_str("\n\n| key | value | default | meaning |\n|---|---|---|---|\n");
        for row in section.rows() {
            let default = match row.default {
                "" => String::new(),
                text => format!("`{text}`"),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(page, "| `{}` | {} | {default} | {} |", row.key, value(row), row.doc);
        }
    }
    page
}

fn value(row: &KeyRow) -> String {
    match row.kind {
        Kind::Text => "text".to_owned(),
        Kind::Texts => "text or list".to_owned(),
        Kind::Switch => "`true` or `false`".to_owned(),
        Kind::Integer { least, .. } => format!("whole number from {least}"),
        Kind::Duration { .. } => "duration".to_owned(),
        Kind::OptionalDuration { .. } => "duration or `off`".to_owned(),
        Kind::Size { .. } => "size".to_owned(),
        Kind::OneOf(words) => quoted(words),
        Kind::SomeOf(words) => format!("one or a list of {}", quoted(words)),
        Kind::TextMap => "texts by name".to_owned(),
        Kind::Section(_) => "mapping".to_owned(),
        Kind::Providers => "list".to_owned(),
        Kind::Chains => "lists by name".to_owned(),
    }
}

fn quoted(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_names_every_key_and_its_default() {
        let page = reference();
        for row in Section::ALL.iter().flat_map(|section| section.rows()) {
            assert!(page.contains(&format!("| `{}` |", row.key)), "{}", row.key);
        }
        assert!(page.contains("| `max_wait` | duration | `10s` |"));
    }
}
