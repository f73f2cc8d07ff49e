//! What is remembered: rows of the rules' state, and one record per request.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Longest name that is kept, in bytes.
const MOST_NAME: usize = 200;
/// Most of a provider's words that is kept, in bytes.
const MOST_DETAIL: usize = 300;
/// Most hops and most skipped deployments that are kept of one request.
const MOST_HOPS: usize = 64;
/// Counts beyond this are no counts; keeps sums far from overflow.
const MOST_COUNT: u64 = 1 << 40;

/// One remembered thing of the rules: an opaque JSON text under four words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What sort of thing this is.
    pub kind: String,
    /// The provider that it is about; may be empty.
    pub provider: String,
    /// The fingerprint of the key that it is about; may be empty.
    pub key: String,
    /// The model that it is about; may be empty.
    pub model: String,
    /// The JSON text; `None` says that it is to be forgotten.
    pub value: Option<String>,
}

/// One attempt at one deployment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Hop {
    /// The provider.
    pub provider: String,
    /// The fingerprint of its key.
    pub key: String,
    /// The provider's name of the model.
    pub model: String,
    /// What came: a status such as `200` or `429`, or a word such as `timeout`.
    pub result: String,
    /// What kind of fault it was; `None` when the attempt answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The provider's words, already redacted; at most 300 bytes are kept.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Until when the deployment was shut for it, in milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// How long the attempt took, in milliseconds.
    pub took_ms: u64,
}

/// One deployment that was passed over.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Skipped {
    /// The provider.
    pub provider: String,
    /// The fingerprint of its key.
    pub key: String,
    /// The provider's name of the model.
    pub model: String,
    /// Why, in one word.
    pub reason: String,
    /// Why, in more words; at most 300 bytes are kept.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Until when, in milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
}

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// Its number, by which they are ordered; 0 lets the file choose the next one.
    pub id: i64,
    /// When it arrived, in milliseconds since the epoch.
    pub at: i64,
    /// The path that was called.
    pub endpoint: Cow<'static, str>,
    /// The model as the client named it; at most 200 bytes are kept.
    pub asked: String,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// The status that the client got; 499 when it left.
    pub status: u16,
    /// `answered`, `interrupted`, `refused` or `left`.
    pub outcome: Cow<'static, str>,
    /// Who served it; empty if nobody did.
    pub provider: String,
    /// The fingerprint of the key that served it.
    pub key: String,
    /// The provider's name of the model that served it.
    pub model: String,
    /// Tokens of the prompt, where known.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer, where known.
    pub completion_tokens: Option<u64>,
    /// Tokens in all, where known.
    pub total_tokens: Option<u64>,
    /// Whether the tokens are an estimate of ours.
    pub estimated: bool,
    /// What it cost, in billionths of a US dollar.
    pub cost_nanos: Option<u64>,
    /// From arrival to the first token, in milliseconds.
    pub first_token_ms: Option<u64>,
    /// From arrival to the end, in milliseconds.
    pub duration_ms: u64,
    /// Every attempt in order. Empty stands for one attempt that answered: a lone hop of whoever
    /// served the request is not kept apart.
    pub hops: Vec<Hop>,
    /// The deployments that were passed over.
    pub skipped: Vec<Skipped>,
}

impl Record {
    /// Cuts what is too long and drops a hop that says nothing new.
    pub(crate) fn trim(&mut self) {
        if let [hop] = self.hops.as_slice()
            && hop.kind.is_none()
            && hop.deployment() == self.deployment()
        {
            self.hops.clear();
        }
        for word in [&mut self.endpoint, &mut self.outcome] {
            if word.len() > MOST_NAME {
                cut(word.to_mut(), MOST_NAME);
            }
        }
        for name in [&mut self.asked, &mut self.provider, &mut self.key, &mut self.model] {
            cut(name, MOST_NAME);
        }
        self.hops.truncate(MOST_HOPS);
        self.hops.iter_mut().for_each(Hop::trim);
        self.skipped.truncate(MOST_HOPS);
        self.skipped.iter_mut().for_each(Skipped::trim);
        for count in [
            &mut self.prompt_tokens,
            &mut self.completion_tokens,
            &mut self.total_tokens,
            &mut self.cost_nanos,
            &mut self.first_token_ms,
        ] {
            *count = count.map(|count| count.min(MOST_COUNT));
        }
        self.duration_ms = self.duration_ms.min(MOST_COUNT);
    }

    /// Who served it.
    pub(crate) fn deployment(&self) -> (&str, &str, &str) {
        (&self.provider, &self.key, &self.model)
    }

    /// Roughly what it takes of memory, in bytes.
    pub(crate) fn weight(&self) -> usize {
        let hops: usize = self.hops.iter().map(|hop| 300 + hop.detail.len()).sum();
        let skipped: usize = self.skipped.iter().map(|skip| 250 + skip.detail.len()).sum();
        500 + hops + skipped
    }
}

impl Hop {
    /// The deployment that was tried.
    pub(crate) fn deployment(&self) -> (&str, &str, &str) {
        (&self.provider, &self.key, &self.model)
    }

    fn trim(&mut self) {
        for name in [&mut self.provider, &mut self.key, &mut self.model, &mut self.result] {
            cut(name, MOST_NAME);
        }
        if let Some(kind) = &mut self.kind {
            cut(kind, MOST_NAME);
        }
        cut(&mut self.detail, MOST_DETAIL);
        self.took_ms = self.took_ms.min(MOST_COUNT);
    }
}

impl Skipped {
    fn trim(&mut self) {
        for name in [&mut self.provider, &mut self.key, &mut self.model, &mut self.reason] {
            cut(name, MOST_NAME);
        }
        cut(&mut self.detail, MOST_DETAIL);
    }
}

/// Cuts at a character's border.
fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_at_a_characters_border() {
        let mut record = Record {
            asked: "é".repeat(500),
            hops: vec![Hop { detail: "x€".repeat(500), ..Hop::default() }; 100],
            total_tokens: Some(u64::MAX),
            ..Record::default()
        };
        record.trim();
        assert_eq!(record.asked, "é".repeat(100));
        assert_eq!((record.hops.len(), record.hops[0].detail.len()), (64, 300));
        assert_eq!(record.total_tokens, Some(MOST_COUNT));
    }

    #[test]
    fn a_lone_hop_of_whoever_served_is_not_kept_apart() {
        let hop = Hop { provider: "a".into(), result: "200".into(), ..Hop::default() };
        let mut record =
            Record { provider: "a".into(), hops: vec![hop.clone()], ..Record::default() };
        record.trim();
        assert_eq!(record.hops, []);
        let failed = Hop { kind: Some("rate_limit".into()), ..hop };
        record.hops = vec![failed.clone()];
        record.trim();
        assert_eq!(record.hops, [failed]);
    }
}
