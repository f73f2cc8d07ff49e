//! What a request asks for, read from the top level of its body without parsing the rest.
//!
//! Bodies may be 20 MB long or nested thousands of levels deep, and neither may slow or stop a
//! simulated provider; so the members of the outermost object are found by a flat scan.

use serde_json::Value;

/// The model name in answers to bodies that name none.
const UNNAMED_MODEL: &str = "simulated-model";

/// The fields of a chat or legacy completion request that shape its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    pub(crate) max_tokens: Option<u64>,
    /// Whether the legacy text completion shape is wanted instead of the chat shape.
    pub(crate) legacy: bool,
    /// An estimate: a quarter of the body's bytes, at least 1.
    pub(crate) prompt_tokens: u64,
}

impl Asked {
    /// Reads what it can; absent or broken fields fall back to a plain answer.
    pub(crate) fn read(path: &str, body: &[u8]) -> Self {
        let mut asked = Self {
            model: UNNAMED_MODEL.to_owned(),
            stream: false,
            include_usage: false,
            max_tokens: None,
            legacy: path.ends_with("/completions") && !path.ends_with("/chat/completions"),
            prompt_tokens: (body.len() as u64 / 4).max(1),
        };
        for (name, value) in members(body) {
            asked.note(name, value);
        }
        asked
    }

    fn note(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b"\"model\"" => {
                if let Ok(model) = serde_json::from_slice(value) {
                    self.model = model;
                }
            }
            b"\"stream\"" => self.stream = value == b"true",
            b"\"max_tokens\"" | b"\"max_completion_tokens\"" => {
                self.max_tokens = serde_json::from_slice(value).ok().or(self.max_tokens);
            }
            b"\"stream_options\"" => {
                let options: Value = serde_json::from_slice(value).unwrap_or_default();
                self.include_usage = options["include_usage"] == true;
            }
            _ => {}
        }
    }
}

/// Whether the body looks like a JSON object from both ends.
pub(crate) fn is_object(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    body.starts_with(b"{") && body.ends_with(b"}")
}

/// The members of the outermost object as raw slices, names with their quotes.
fn members(body: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = body.trim_ascii().strip_prefix(b"{").unwrap_or_default();
    std::iter::from_fn(move || {
        rest = skip(rest, b',');
        if !rest.starts_with(b"\"") {
            return None;
        }
        let name = take_value(&mut rest)?;
        rest = skip(rest, b':');
        let value = take_value(&mut rest)?;
        Some((name, value))
    })
}

fn skip(bytes: &[u8], separator: u8) -> &[u8] {
    let bytes = bytes.trim_ascii_start();
    bytes.strip_prefix(&[separator]).unwrap_or(bytes).trim_ascii_start()
}

fn take_value<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (value, after) = rest.split_at(value_length(rest)?);
    *rest = after;
    Some(value)
}

/// How many bytes the JSON value at the beginning of `bytes` takes.
fn value_length(bytes: &[u8]) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => {
                quoted = !quoted;
                if !quoted && depth == 0 {
                    return Some(index + 1);
                }
            }
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return Some(index + depth),
            b'}' | b']' => depth -= 1,
            b',' | b' ' | b'\n' | b'\r' | b'\t' if depth == 0 => return Some(index),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: &str = "/v1/chat/completions";

    #[test]
    fn the_fields_that_shape_an_answer_are_read() {
        let body =
            br#" {"messages":[{"role":"user","content":"a \"model\": }{"}], "model" : "m\u00e9",
            "stream":true,"stream_options":{"include_usage":true},"max_tokens":7} "#;
        let asked = Asked::read(CHAT, body);
        assert_eq!(asked.model, "mé");
        assert!(asked.stream && asked.include_usage && !asked.legacy);
        assert_eq!(asked.max_tokens, Some(7));
        assert_eq!(asked.prompt_tokens, body.len() as u64 / 4);
    }

    #[test]
    fn nested_fields_of_the_same_name_do_not_count() {
        let asked = Asked::read("/v1/completions", br#"{"x":{"model":"no"},"model":"yes"}"#);
        assert_eq!(asked.model, "yes");
        assert!(asked.legacy);
    }

    #[test]
    fn a_hundred_thousand_levels_are_read_over() {
        let deep = format!(
            r#"{{"messages":{}{},"stream":true}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert!(Asked::read(CHAT, deep.as_bytes()).stream);
    }

    #[test]
    fn broken_bodies_give_defaults_and_never_hang() {
        for body in
            ["", "{", "[1]", "{\"model\"", "{\"model\":", "{\"a\" \"b\"}", "{]}", "{\"a\":}"]
        {
            assert_eq!(Asked::read(CHAT, body.as_bytes()).model, UNNAMED_MODEL, "{body}");
        }
        assert!(!is_object(b"[1]") && is_object(b" {} "));
    }
}
