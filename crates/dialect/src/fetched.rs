//! What a provider was to fetch for the client and could not: a file, a picture behind a URL, the
//! tools of a server. What is told of it, such as a key that is refused there or a limit that is
//! met there, is said of somebody else.

use crate::body::ErrorBody;
use crate::number::sentences;
use crate::withheld::MARK;

/// How words begin that mean fetching, and those that mean it of a server of tools.
const FETCHING: &[&str] = &["download", "fetch", "retriev"];
const REACHING: &[&str] = &["download", "fetch", "retriev", "communicat", "connect", "reach"];

/// What is fetched, whole.
const THINGS: &[&str] = &[
    "url",
    "urls",
    "file",
    "files",
    "image",
    "images",
    "picture",
    "document",
    "documents",
    "pdf",
    "video",
    "audio",
    "media",
    "attachment",
    LINK,
];
const SERVER: &[&str] = &["mcp"];

/// What belongs to one account, so that a key of another one has no access to it.
const OWNED: &[&str] = &["file", "files", "cachedcontent", "cachedcontents", "attachment"];
const ACCESS: &[&str] = &["permission", "access"];

/// Words of failing.
const FAILING: &[&str] = &[
    "failed", "failure", "error", "cannot", "could", "can", "couldn", "unable", "denied", "not",
    "timeout", "timed",
];

/// What a provider fetches for itself, if it stands between the two.
const ITS_OWN: &[&str] =
    &["model", "models", "key", "keys", "credentials", "quota", "limit", "limits", "account"];

/// What an HTTP client says of a page that it was refused.
const REFUSED_PAGE: &[&str] = &["client error", "server error"];
const PAGE: &str = "for url";

/// The path of a chat: whoever was refused there asked it on behalf of everybody.
const CHAT: &str = "completions";

/// What a URL has, and what stands for a whole one among the words.
const LINK: &str = "://";

/// So many words lie between the fetching and what is fetched.
const NEAR: usize = 6;

/// So many words of one sentence are looked at.
const MOST_WORDS: usize = 64;

/// Whether an error says in the provider's own words that something of the client's could not be
/// fetched.
pub(crate) fn failed(body: &ErrorBody) -> bool {
    let text = body.own_text.as_str();
    sentences(text)
        .map(|place| &text[place])
        .any(|sentence| !sentence.contains(CHAT) && (tells(sentence) || is_refused_page(sentence)))
}

fn tells(sentence: &str) -> bool {
    let words = words(sentence);
    let fails = words.iter().any(|word| FAILING.contains(word));
    fails
        && (stand_near(&words, FETCHING, THINGS)
            || stand_near(&words, REACHING, SERVER)
            || stand_near(&words, ACCESS, OWNED))
}

fn is_refused_page(sentence: &str) -> bool {
    sentence.contains(PAGE) && REFUSED_PAGE.iter().any(|phrase| sentence.contains(phrase))
}

/// Whether a word that begins so stands near one of the others, with nothing of the provider's own
/// between them.
fn stand_near(words: &[&str], beginnings: &[&str], things: &[&str]) -> bool {
    let begins = |word: &str| beginnings.iter().any(|start| word.starts_with(start));
    let mut verbs = (0..words.len()).filter(|&at| begins(words[at]));
    verbs.any(|verb| {
        let reach = verb.saturating_sub(NEAR)..words.len().min(verb + NEAR + 2);
        reach.into_iter().filter(|&at| things.contains(&words[at])).any(|thing| {
            let between = &words[verb.min(thing)..=verb.max(thing)];
            !between.iter().any(|word| ITS_OWN.contains(word))
                && (words[thing] != LINK || is_source(words, verb, thing))
        })
    })
}

/// Whether a URL is what is fetched, and not where to read about it.
fn is_source(words: &[&str], verb: usize, link: usize) -> bool {
    link == verb + 1 || link > verb && words[link - 1] == "from"
}

/// The words of a sentence. A URL is one, and so is what the request has too.
fn words(sentence: &str) -> Vec<&str> {
    let parts = sentence.split_whitespace().flat_map(|word| {
        let is_link = word.contains(LINK) || word.contains(MARK);
        let word = if is_link { LINK } else { word };
        let is_between = |c: char| word != LINK && !c.is_alphanumeric();
        word.split(is_between).filter(|part| !part.is_empty()).collect::<Vec<_>>()
    });
    parts.take(MOST_WORDS).collect()
}
