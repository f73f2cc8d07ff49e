//! Environment variables, handed in as a map so that nothing else reads the process.

use std::collections::HashMap;

use crate::expand::is_name;

/// Sentences for the log that do not keep a configuration from being used.
pub type Warnings = Vec<String>;

/// The variables that a configuration may use. Their values are kept out of `Debug`.
#[derive(Clone, Default)]
pub struct Env {
    variables: HashMap<String, String>,
}

impl Env {
    /// Reads the variables of this process; it is the only place that does.
    ///
    /// A variable whose value is not Unicode is left out with a warning.
    pub fn from_process(warnings: &mut Warnings) -> Self {
        let mut variables = HashMap::new();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else {
                continue;
            };
            match value.into_string() {
                Ok(value) => drop(variables.insert(name, value)),
                Err(_) => {
                    warnings.push(format!("the variable {name} is not Unicode; it is not used"));
                }
            }
        }
        Self { variables }
    }

    /// Makes an environment of given variables.
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<String>,
    {
        let variables =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables }
    }

    /// Returns the value of a variable, which may be empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Returns the value of a variable that is set to something.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// Puts the variables of a `.env` file under those that are there, which win.
    ///
    /// Broken lines become warnings with the file's name and the line.
    pub fn layer_under(&mut self, text: &str, file: &str, warnings: &mut Warnings) {
        let mut layer: HashMap<String, String> = HashMap::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.lines().enumerate() {
            match assignment(line) {
                Ok(Some((name, value))) => drop(layer.insert(name.to_owned(), value)),
                Ok(None) => {}
                Err(what) => warnings.push(format!("{file}:{}: {what}", index + 1)),
            }
        }
        for (name, value) in layer {
            self.variables.entry(name).or_insert(value);
        }
    }
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Env({} variables)", self.variables.len())
    }
}

/// Reads one line of a `.env` file; `None` if there is nothing in it.
fn assignment(line: &str) -> Result<Option<(&str, String)>, &'static str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = match line.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start(),
        _ => line,
    };
    let (name, value) = line.split_once('=').ok_or("the line is not NAME=value")?;
    let name = name.trim_end();
    if !is_name(name) {
        return Err("the text before \"=\" is not the name of a variable");
    }
    Ok(Some((name, unquoted(value.trim_start())?)))
}

fn unquoted(value: &str) -> Result<String, &'static str> {
    const OPEN: &str = "the quote is not closed in its line";
    if let Some(rest) = value.strip_prefix('\'') {
        let (text, after) = rest.split_once('\'').ok_or(OPEN)?;
        return nothing_after(after).map(|()| text.to_owned());
    }
    let Some(rest) = value.strip_prefix('"') else {
        let end = value.find(" #").or_else(|| value.find("\t#")).unwrap_or(value.len());
        let text = if value.starts_with('#') { "" } else { &value[..end] };
        return Ok(text.trim_end().to_owned());
    };
    let mut text = String::with_capacity(rest.len());
    let mut chars = rest.chars();
    loop {
        match chars.next().ok_or(OPEN)? {
            '"' => return nothing_after(chars.as_str()).map(|()| text),
            '\\' => match chars.next().ok_or(OPEN)? {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                quoted @ ('"' | '\\' | '$') => text.push(quoted),
                other => text.extend(['\\', other]),
            },
            other => text.push(other),
        }
    }
}

fn nothing_after(rest: &str) -> Result<(), &'static str> {
    let rest = rest.trim_start();
    let clean = rest.is_empty() || rest.starts_with('#');
    if clean { Ok(()) } else { Err("there is more text behind the closing quote") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layered(text: &str) -> (Env, Warnings) {
        let (mut env, mut warnings) = (Env::from_pairs([("REAL", "real")]), Warnings::new());
        env.layer_under(text, ".env", &mut warnings);
        (env, warnings)
    }

    #[test]
    fn the_usual_forms_of_a_line_are_read() {
        let text = "\u{feff}A=1\r\n export B = two words  # c\n#C=3\n\nD='x # \"y\" $Z'\nE=\"a\\nb\\\"c\" # c\nF=\nG=a=b#c\nexport\tH=1\nI=#x\nA=2\n";
        let (env, warnings) = layered(text);
        assert_eq!(warnings, Warnings::new());
        for (name, value) in [
            ("A", Some("2")),
            ("B", Some("two words")),
            ("C", None),
            ("D", Some("x # \"y\" $Z")),
            ("E", Some("a\nb\"c")),
            ("F", Some("")),
            ("G", Some("a=b#c")),
            ("H", Some("1")),
            ("I", Some("")),
        ] {
            assert_eq!(env.get(name), value, "{name}");
        }
    }

    #[test]
    fn broken_lines_are_warnings_with_their_number_and_without_their_text() {
        let (env, warnings) = layered("A=1\nnonsense\nB C=1\nD='x\nE=\"x\nF=\"x\" y\nG=2\n");
        assert_eq!(env.get("G"), Some("2"));
        let lines: Vec<&str> = warnings.iter().map(|w| &w[..7]).collect();
        assert_eq!(lines, [".env:2:", ".env:3:", ".env:4:", ".env:5:", ".env:6:"]);
        assert!(!warnings.concat().contains("nonsense"));
    }

    #[test]
    fn the_real_environment_wins_even_when_empty() {
        let mut env = Env::from_pairs([("A", "real"), ("B", "")]);
        env.layer_under("A=file\nB=file\nC=file", ".env", &mut Warnings::new());
        assert_eq!(
            (env.get("A"), env.get("B"), env.get("C")),
            (Some("real"), Some(""), Some("file"))
        );
        assert_eq!(env.filled("B"), None);
    }

    #[test]
    fn values_do_not_show() {
        assert_eq!(format!("{:?}", Env::from_pairs([("A", "secret")])), "Env(1 variables)");
    }
}
