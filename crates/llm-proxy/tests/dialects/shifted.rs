//! Recorded times, moved to the present: what was said of a moment then is said of the same
//! moment from now.

use jiff::{SignedDuration, Timestamp};

/// A text whose absolute times are moved by `span`; `None` if it has none.
pub(crate) fn shifted(text: &str, span: SignedDuration) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut moved = false;
    while let Some(first) = rest.chars().next() {
        let at_word = !out.ends_with(|c: char| c.is_ascii_alphanumeric());
        if let Some((length, new)) = at_word.then(|| instant(rest, span)).flatten() {
            out.push_str(&new);
            rest = &rest[length..];
            moved = true;
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    moved.then_some(out)
}

/// An absolute time at the beginning of a text: how long it is, and what takes its place.
fn instant(text: &str, span: SignedDuration) -> Option<(usize, String)> {
    epoch(text, span).or_else(|| written(text, span)).or_else(|| http_date(text, span))
}

/// Seconds or milliseconds since 1970, of this decade.
fn epoch(text: &str, span: SignedDuration) -> Option<(usize, String)> {
    let length = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: i64 = text[..length].parse().ok()?;
    let add = match length {
        10 if text.starts_with("17") => span.as_secs(),
        13 if text.starts_with("17") => span.as_millis() as i64,
        _ => return None,
    };
    Some((length, (number + add).to_string()))
}

/// `2026-11-22T08:30:00` or `2026-11-22 08:30`, whatever zone follows it.
fn written(text: &str, span: SignedDuration) -> Option<(usize, String)> {
    let shape = |length: usize| {
        let part = text.get(..length)?;
        let separator = part.get(10..11).filter(|one| ["T", " "].contains(one))?;
        let seconds = if length == 16 { ":00" } else { "" };
        let at: Timestamp = format!("{}T{}{seconds}Z", &part[..10], &part[11..]).parse().ok()?;
        let moved = (at + span).strftime("%Y-%m-%d %H:%M:%S").to_string();
        Some((length, moved.replace(' ', separator)))
    };
    shape(19).or_else(|| shape(16))
}

/// `Sun, 22 Nov 2026 06:00:00 GMT`
fn http_date(text: &str, span: SignedDuration) -> Option<(usize, String)> {
    const FORM: &str = "%a, %d %b %Y %H:%M:%S";
    let part = text.get(..25).filter(|_| text[25..].starts_with(" GMT"))?;
    let at = jiff::civil::DateTime::strptime(FORM, part).ok()?;
    let at = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp() + span;
    Some((25, at.strftime(FORM).to_string()))
}

#[test]
fn each_form_of_a_moment_is_moved() {
    let hour = SignedDuration::from_hours(1);
    for (text, expected) in [
        ("reset at 2026-11-22 08:30:00", "reset at 2026-11-22 09:30:00"),
        ("2026-11-22T08:30:00.5Z", "2026-11-22T09:30:00.5Z"),
        ("until 2026-11-22 08:30 UTC", "until 2026-11-22 09:30:00 UTC"),
        ("{\"resets_at\":1795393800}", "{\"resets_at\":1795397400}"),
        ("1777420800000", "1777424400000"),
        ("Sun, 22 Nov 2026 06:00:00 GMT", "Sun, 22 Nov 2026 07:00:00 GMT"),
    ] {
        assert_eq!(shifted(text, hour).as_deref(), Some(expected));
    }
    assert_eq!(shifted("end of life on 2026-05-01, 1234567890123456, 30s", hour), None);
}
