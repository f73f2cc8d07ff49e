//! `${VAR}` and `${VAR:-default}` in the strings of a configuration.

use crate::env::Env;
use crate::problem::Fault;

/// The longest text in bytes that one string may become.
const LONGEST: usize = 64 * 1024;

/// A string with its variables put in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Expanded {
    pub(crate) text: String,
    /// The variables that are not set and have no default.
    pub(crate) unset: Vec<String>,
    /// The variables that are set to nothing and have no default.
    pub(crate) empty: Vec<String>,
}

/// Puts the values of variables in.
///
/// # Errors
/// Refuses `${` without its `}`, a name that is none, and a text that becomes longer than 64 KiB.
pub(crate) fn expand(text: &str, env: &Env) -> Result<Expanded, Fault> {
    let mut out = Expanded::default();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        out.text.push_str(&rest[..start]);
        let inside = &rest[start + 2..];
        let Some(end) = inside.find('}') else {
            return Err(Fault::new("\"${\" without its \"}\""));
        };
        put(&inside[..end], env, &mut out)?;
        rest = &inside[end + 1..];
        if out.text.len() > LONGEST {
            break;
        }
    }
    out.text.push_str(rest);
    if out.text.len() > LONGEST {
        return Err(Fault::new("the text becomes longer than 64 KiB"));
    }
    Ok(out)
}

fn put(inside: &str, env: &Env, out: &mut Expanded) -> Result<(), Fault> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    if !is_name(name) {
        return Err(Fault::new("\"${...}\" does not hold the name of a variable")
            .hint("write ${NAME} or ${NAME:-default}"));
    }
    if default.is_some_and(|default| default.contains("${")) {
        return Err(Fault::new("a default cannot hold another \"${\""));
    }
    match (env.get(name).filter(|value| !value.is_empty()), default) {
        (Some(value), _) | (None, Some(value)) => out.text.push_str(value),
        (None, None) if env.get(name).is_some() => out.empty.push(name.to_owned()),
        (None, None) => out.unset.push(name.to_owned()),
    }
    Ok(())
}

/// Tells whether a text is the name of an environment variable.
pub(crate) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env() -> Env {
        Env::from_pairs([("A", "1"), ("EMPTY", ""), ("LONG", &"x".repeat(40_000))])
    }

    #[test]
    fn variables_and_defaults_are_put_in() {
        for (text, expected) in [
            ("plain", "plain"),
            ("${A}", "1"),
            ("x${A}y${A}z", "x1y1z"),
            ("${NONE:-d}", "d"),
            ("${EMPTY:-d}", "d"),
            ("${NONE:-}", ""),
            ("${NONE:-a:-b}", "a:-b"),
            ("$A $$ $", "$A $$ $"),
            ("é${A}é", "é1é"),
            ("}", "}"),
        ] {
            assert_eq!(expand(text, &env()).unwrap().text, expected, "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let got = expand("${NONE}-${EMPTY}", &env()).unwrap();
        assert_eq!((got.unset, got.empty), (vec!["NONE".into()], vec!["EMPTY".into()]));
    }

    #[test]
    fn values_are_not_expanded_again() {
        let env = Env::from_pairs([("A", "${A}")]);
        assert_eq!(expand("${A}", &env).unwrap().text, "${A}");
    }

    #[test]
    fn broken_forms_are_errors() {
        for text in ["${", "${A", "a${}", "${1A}", "${A B}", "${A-b}", "${A:-${B}}", "${é}"] {
            assert!(expand(text, &env()).is_err(), "{text}");
        }
        assert!(expand(&"${LONG}".repeat(1000), &env()).is_err());
    }
}
