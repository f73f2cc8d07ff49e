//! What a deployment is found to lack: a sentence names the thing and says that it is not taken,
//! and the request has it.

use engine::Abilities;
use serde_json::Value;

use crate::beside;
use crate::body::ErrorBody;
use crate::choices;
use crate::combined;
use crate::defaults;
use crate::list;
use crate::number;
use crate::parameter;
use crate::sent::Sent;
use crate::unknown;

/// How one ability is spoken of.
struct Wording {
    ability: Abilities,
    /// Texts or names of which a request has one that asks for it.
    asked: &'static [&'static str],
    /// Words for it, whole.
    things: &'static [&'static str],
    /// Words in a sentence about something narrower, such as a format of it: that is the
    /// request's own fault or the lack of something else.
    narrower: &'static [&'static str],
}

const WORDINGS: &[Wording] = &[
    Wording {
        ability: Abilities::IMAGES,
        asked: &["image_url", "input_image"],
        things: &[
            "image",
            "images",
            "image_url",
            "image(s)",
            "vision",
            "multimodal",
            "multi-modal",
        ],
        narrower: &[
            "format",
            "mime",
            "media type",
            "file type",
            "upload",
            "base64",
            "download",
            "fetch",
            "too large",
            "resolution",
            "size",
            "url scheme",
            "detail",
        ],
    },
    Wording {
        ability: Abilities::AUDIO,
        asked: &["input_audio", "audio"],
        things: &["audio", "input_audio"],
        narrower: &["format", "mime", "media type", "file type", "voice", "too large", "base64"],
    },
    Wording {
        ability: Abilities::TOOLS,
        asked: &["tools", "functions"],
        things: &[
            "tool",
            "tools",
            "functions",
            "function call",
            "function calls",
            "function calling",
        ],
        narrower: &[
            "type",
            "strict",
            "parallel",
            "single",
            "schema",
            "name",
            "argument",
            "parameter",
            "keyword",
            "property",
            "tool_choice",
            "stream",
            "response",
            "content",
            "role",
            "[",
            "too many",
            "number of",
            "none",
        ],
    },
    Wording {
        ability: Abilities::JSON_SCHEMA,
        asked: &["json_schema"],
        things: &["json_schema", "json schema", "response_format", "response format", "structured"],
        narrower: &[
            "tool",
            "stream",
            "function",
            "keyword",
            "property",
            "properties",
            "strict",
            "recurs",
            "depth",
            "$ref",
            "missing",
        ],
    },
];

/// What is said of a thing that is not taken.
const NOT_TAKEN: &[&str] = &[
    "not support",
    "n't support",
    "unsupported",
    "no support",
    "not accept",
    "not available",
    "unavailable",
    "not enabled",
    "not capable",
    "disabled",
    "not a multimodal",
    "not multimodal",
    "not a vision",
    "only support",
    "only accept",
    "only text",
    "text-only",
    "unknown variant",
    "at most 0",
    "requires --enable",
    "cannot process",
    "cannot read",
    "cannot handle",
    "no endpoints found that support",
];

/// What is said of a content that may be nothing but one text.
const ONLY_TEXT: &[&str] = &[
    "must be a string",
    "should be a string",
    "should be a valid string",
    "expected a string",
    "expected string",
    "is not a string",
    "is not of type 'string'",
    "'array' not in 'string'",
];

/// Parts of a content that are no texts.
const OTHER_PARTS: &[&str] = &["image_url", "input_image", "input_audio", "audio", "file"];

/// What is said of a model as such, be the request as it may: only that is remembered. Anything
/// else may be about this one request, such as the form of its image.
const OF_THE_MODEL: &[(Abilities, &[&str])] = &[
    (
        Abilities::IMAGES,
        &[
            "not a multimodal",
            "not multimodal",
            "not a vision",
            "not support image input",
            "not support images",
            "not support vision",
            "not support multimodal",
            "not support image_url",
            "image_url is not supported by this model",
            "image input is not supported",
            "image inputs are not supported",
            "images are not supported",
            "at most 0 image",
            "model is text-only",
            "model cannot process images",
            "no endpoints found that support image input",
        ],
    ),
    (
        Abilities::TOOLS,
        &[
            "not support tools",
            "not support tool use",
            "not support tool calling",
            "not support function calling",
            "tool choice requires --enable",
            "tool use is not available",
            "no endpoints found that support tool use",
            "function calling is not enabled",
        ],
    ),
    (
        Abilities::AUDIO,
        &[
            "not support audio",
            "audio input is not supported",
            "no endpoints found that support input audio",
        ],
    ),
    (
        Abilities::JSON_SCHEMA,
        &[
            "not support structured outputs",
            "not support response format json_schema",
            "json_schema is not supported with this model",
            "json_schema is not supported by this model",
            "response_format type is unavailable",
        ],
    ),
];

/// What is said of a parameter that other models take.
const WITH_THE_MODEL: &[&str] =
    &["with this model", "by this model", "for this model", "this model does not support"];

/// What is said of a form of pictures, and forms that models with eyes do take: who refuses one of
/// those may see nothing at all.
const FORMS: &[&str] = &["image type", "image format", "image/", "mime", "media type", "file type"];
const USUAL_FORMS: &[&str] = &["png", "jpeg", "jpg", "gif", "webp"];

/// So much of a text is looked at.
const MOST_SENTENCES: usize = 32;

/// Whether the deployment lacks something that the request has, and which abilities these are, as
/// far as that is plain.
pub(crate) fn missing(body: &ErrorBody, sent: &Sent<'_>) -> (bool, Abilities) {
    let by_name = refused_parameter(body, sent);
    if wants_only_text(body, sent) {
        let images = if has(sent, &["image_url"]) { Abilities::IMAGES } else { by_name };
        return (true, images | by_name);
    }
    let said = sentences(&body.text)
        .filter(|sentence| says(sentence, NOT_TAKEN) && !combined::names_optional(sentence, sent));
    let is_missing = !by_name.is_empty() || combined::is_refused(body, sent);
    let mut found = (is_missing, by_name);
    if choices::are_refused(body, sent) {
        found = (true, found.1 | Abilities::SEVERAL_CHOICES);
    }
    for sentence in said {
        for wording in WORDINGS.iter().filter(|wording| has(sent, wording.asked)) {
            if names(sentence, wording.things) && !says(sentence, wording.narrower) {
                found = (true, found.1 | wording.ability);
            }
        }
    }
    found
}

/// Whether a message whose content is refused for not being one text is one with a picture: who
/// takes nothing but a text sees nothing.
fn is_at_a_picture(body: &ErrorBody, sent: &Sent<'_>) -> bool {
    let places = body.text.matches("messages").count();
    if places != 1 || !body.text.contains("must be a string") || !wants_only_text(body, sent) {
        return false;
    }
    let number = |(at, found): (usize, &str)| {
        let tail = body.text[at + found.len()..].trim_start_matches(['[', '.', '/']);
        let end = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
        tail[..end].parse::<usize>().ok()
    };
    let named = body.text.match_indices("messages").find_map(number);
    let request = serde_json::from_slice::<Value>(sent.body()).unwrap_or_default();
    let named = named.and_then(|at| request.pointer(&format!("/messages/{at}")));
    let parts = named.filter(|message| message["role"] == "user");
    let parts = parts.and_then(|message| message["content"].as_array());
    parts.is_some_and(|parts| parts.iter().any(|part| part["type"] == "image_url"))
}

/// What of that is said of the model as such, so that it holds for every request.
pub(crate) fn lasting(body: &ErrorBody, sent: &Sent<'_>) -> Abilities {
    let found = missing(body, sent).1;
    let said = |phrases: &[&str]| {
        sentences(&body.text).any(|sentence| {
            says(&unquoted(sentence), phrases)
                && !says(sentence, &["more than", " url", "message"])
                && !combined::names_several(sentence, sent)
        })
    };
    let of_model = OF_THE_MODEL.iter().filter(|(_, phrases)| said(phrases));
    let of_model = of_model.fold(Abilities::default(), |all, (ability, _)| all | *ability);
    let plain = unquoted(&body.text).replace(['{', '}'], "");
    let only_text = plain.contains("unknown variant image_url, expected text")
        && !plain.contains("expected text or ");
    let only_text = only_text || is_at_a_picture(body, sent);
    let of_model = if only_text { of_model | Abilities::IMAGES } else { of_model };
    let one_only = choices::are_never_taken(body, sent);
    let of_model = if one_only { of_model | Abilities::SEVERAL_CHOICES } else { of_model };
    found.both(of_model | of_parameter(body, sent))
}

/// What is lacked by who does not know the parameter for it, or says of a model that it does not
/// take that.
fn of_parameter(body: &ErrorBody, sent: &Sent<'_>) -> Abilities {
    let named = refused_parameter(body, sent);
    let is_inside = |(at, dot): (usize, &str)| {
        body.text[at + dot.len()..].starts_with(|c: char| c.is_ascii_alphanumeric())
    };
    let names_a_part = body.text.match_indices(['.', '[']).any(is_inside);
    if named.is_empty() || names_a_part || beside::depends_on_others(body, sent) {
        return Abilities::default();
    }
    let is_of_model = says(&body.text, WITH_THE_MODEL);
    if unknown::is_strange(&body.text) || is_of_model && !parameter::is_of_the_value(body) {
        return named;
    }
    // Where one value is refused, this is the one.
    if is_of_model { named.both(Abilities::REQUIRED_TOOLS) } else { Abilities::default() }
}

fn unquoted(text: &str) -> String {
    text.replace(['`', '\'', '"'], "")
}

/// Whether what is not taken is an unusual form of picture, or too long a list of tools: nothing
/// that a model as such lacks.
pub(crate) fn is_of_this_request(body: &ErrorBody, sent: &Sent<'_>) -> bool {
    let refuses_form = |sentence: &str| {
        says(sentence, NOT_TAKEN) && says(sentence, FORMS) && !says(sentence, USUAL_FORMS)
    };
    let is_form =
        || has(sent, &["image_url", "input_image"]) && sentences(&body.text).any(refuses_form);
    let is_list = || list::refused(body, sent).is_some_and(|name| parameter::is_essential(&name));
    (is_form() || is_list()) && lasting(body, sent).is_empty()
}

/// Whether a content is refused for being several parts, and the request has others than texts.
fn wants_only_text(body: &ErrorBody, sent: &Sent<'_>) -> bool {
    has(sent, OTHER_PARTS) && refuses_parts(body)
}

/// Whether a content is refused for being several parts, and the request has texts only.
pub(crate) fn wants_one_text(body: &ErrorBody, sent: &Sent<'_>) -> bool {
    has(sent, &["text"]) && !has(sent, OTHER_PARTS) && refuses_parts(body)
}

fn refuses_parts(body: &ErrorBody) -> bool {
    let content = |sentence: &str| {
        sentence.contains("content") && says(sentence, ONLY_TEXT) && !sentence.contains(" or ")
    };
    sentences(&body.text).any(content)
}

/// The ability that is refused by the name of its parameter, as such and not for a value.
fn refused_parameter(body: &ErrorBody, sent: &Sent<'_>) -> Abilities {
    let name = parameter::refused(body, sent);
    let Some(name) = name.filter(|name| !defaults::holds_anyway(name, body, sent)) else {
        return Abilities::default();
    };
    let part = |end: &str| body.text.contains(&format!("{name}{end}"));
    let wholly = !parameter::is_of_the_value(body) && !part("[") && !part(".0");
    match name.as_str() {
        "tools" | "functions" if wholly => Abilities::TOOLS,
        "response_format" if wholly => Abilities::JSON_SCHEMA,
        "audio" | "modalities" if wholly => Abilities::AUDIO,
        // Without tools, whoever asks for a call of one is at fault.
        "tool_choice" if has(sent, &["tools", "functions"]) => Abilities::REQUIRED_TOOLS,
        "n" if number::ceiling("n", body, sent).is_none_or(|most| most == 1) => {
            Abilities::SEVERAL_CHOICES
        }
        _ => Abilities::default(),
    }
}

pub(crate) fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\n', ';']).flat_map(|line| line.split(". ")).take(MOST_SENTENCES)
}

fn says(sentence: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| sentence.contains(phrase))
}

/// Whether one of the things is named, as words of their own.
fn names(sentence: &str, things: &[&str]) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let stands = |thing: &&str| {
        sentence.match_indices(*thing).take(MOST_SENTENCES).any(|(at, _)| {
            !sentence[..at].ends_with(is_part) && !sentence[at + thing.len()..].starts_with(is_part)
        })
    };
    things.iter().any(stands)
}

fn has(sent: &Sent<'_>, names: &[&str]) -> bool {
    names.iter().any(|name| sent.is_whole(name))
}
