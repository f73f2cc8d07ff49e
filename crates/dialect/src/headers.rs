//! The headers of a reply and those that an aggregator has put into its body, as one list.

use std::borrow::Cow;
use std::time::Duration;

use engine::Timestamp;
use http::HeaderMap;
use serde_json::Value;

use crate::times::{believable, moment_by, number};
use crate::tree::{scalar, walk};

/// Longer values and further headers are not what this crate looks for.
const LENGTH: usize = 256;
const COUNT: usize = 128;

/// Header names in lower case with their values; the reply's own come first.
#[derive(Debug)]
pub(crate) struct Headers<'r>(Vec<(Cow<'r, str>, Cow<'r, str>)>);

impl<'r> Headers<'r> {
    pub(crate) fn of(own: &'r HeaderMap, body: &Value) -> Self {
        let own = own.iter().filter_map(|(name, value)| {
            Some((Cow::from(name.as_str()), Cow::from(value.to_str().ok()?)))
        });
        let nested = walk(body).filter(|(key, _)| *key == "headers");
        let nested = nested.filter_map(|(_, value)| value.as_object()).flatten();
        let nested = nested.filter_map(|(name, value)| {
            Some((name.to_ascii_lowercase().into(), scalar(value)?.into()))
        });
        let short = own.chain(nested).filter(|(name, value)| name.len().max(value.len()) <= LENGTH);
        Self(short.take(COUNT).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// `retry-after-ms`, else `retry-after` in any of its forms.
    pub(crate) fn retry_after(&self, now: Timestamp) -> Option<Timestamp> {
        let millis = self.get("retry-after-ms").and_then(|text| in_millis(text, now));
        millis.or_else(|| moment_by(self.get("retry-after")?, self.get("date"), now))
    }

    /// When the plan of an account is whole again, unless it has something left.
    pub(crate) fn plan_reset(&self, now: Timestamp) -> Option<Timestamp> {
        let status = self.get("anthropic-ratelimit-unified-status");
        let has_left = status.is_some_and(|status| status.starts_with("allowed"));
        let reset = self.get("anthropic-ratelimit-unified-reset").filter(|_| !has_left);
        reset.and_then(|text| moment_by(text, self.get("date"), now))
    }
}

impl Headers<'_> {
    /// Whether a header says to come back after no time at all.
    pub(crate) fn states_no_wait(&self) -> bool {
        let waits = ["retry-after-ms", "retry-after"].into_iter().filter_map(|name| self.get(name));
        let mut waits = waits.filter_map(|text| number(text.trim()));
        waits.any(|(billionths, rest)| billionths == 0 && rest.is_empty())
    }
}

/// Reads a count of milliseconds, whole or not.
pub(crate) fn in_millis(text: &str, now: Timestamp) -> Option<Timestamp> {
    let (billionths, rest) = number(text.trim())?;
    let nanos = u64::try_from(billionths / 1000).ok().filter(|_| rest.is_empty())?;
    believable(now.after(Duration::from_nanos(nanos)), now)
}
