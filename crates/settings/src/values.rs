//! The small languages of single values: durations, sizes, resets, zones, switches.

use std::time::Duration;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::problem::Fault;

/// When a provider's daily limits begin anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DailyReset {
    /// Every day at a time of the clock in a zone.
    At {
        /// 0 to 23.
        hour: i8,
        /// 0 to 59.
        minute: i8,
        /// The zone whose clock is meant.
        zone: TimeZone,
    },
    /// Continuously: each use is given back a day after it was made.
    Rolling,
}

/// Reads `250ms`, `10s`, `5m`, `1h`, `1d` or a bare number of seconds, with fractions.
pub(crate) fn duration(text: &str) -> Result<Duration, Fault> {
    let wrong = || Fault::new("not a duration").hint("write 250ms, 10s, 5m or 1h");
    let (number, unit) = split_unit(text.trim());
    let factor = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return Err(wrong()),
    };
    let seconds = decimal(number).ok_or_else(wrong)? * factor;
    // Whole microseconds: `0.1` becomes 100 ms and not 100.000001 ms.
    Duration::try_from_secs_f64((seconds * 1e6).round() / 1e6).map_err(|_| wrong())
}

/// Reads `64MiB`, `10MB`, `512k` or a bare number of bytes.
pub(crate) fn size(text: &str) -> Result<u64, Fault> {
    let wrong = || Fault::new("not a size").hint("write 64MiB, 10MB or a number of bytes");
    let (number, unit) = split_unit(text.trim());
    let factor: f64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "k" | "kib" => 1024.0,
        "m" | "mib" => 1024.0 * 1024.0,
        "g" | "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err(wrong()),
    };
    let bytes = decimal(number).ok_or_else(wrong)? * factor;
    if bytes > 1e15 { Err(wrong()) } else { Ok(bytes as u64) }
}

fn split_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

/// Digits with at most one point; no sign, exponent, `inf` or `nan`.
fn decimal(text: &str) -> Option<f64> {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let plain = digits > 0 && text.len() <= 18 && text.len() - digits <= 1;
    plain.then(|| text.parse().ok()).flatten()
}

/// Reads `00:00 America/Los_Angeles`, `00:00 UTC` or `rolling`.
pub(crate) fn reset(text: &str) -> Result<DailyReset, Fault> {
    let wrong = || {
        Fault::new("not a daily reset").hint("write \"00:00 America/Los_Angeles\" or \"rolling\"")
    };
    let text = text.trim();
    if text == "rolling" {
        return Ok(DailyReset::Rolling);
    }
    let (time, name) = text.split_once(' ').ok_or_else(wrong)?;
    let (hour, minute) = time.split_once(':').ok_or_else(wrong)?;
    let hour = two_digits(hour, 23).ok_or_else(wrong)?;
    let minute = two_digits(minute, 59).ok_or_else(wrong)?;
    Ok(DailyReset::At { hour, minute, zone: zone(name)? })
}

fn two_digits(text: &str, most: i8) -> Option<i8> {
    let digits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|number| *number <= most)
}

/// Finds a time zone by its IANA name.
///
/// Only the built-in database is asked: it needs no file, and a name is valid on every machine alike.
pub(crate) fn zone(name: &str) -> Result<TimeZone, Fault> {
    let name = name.trim();
    if name.eq_ignore_ascii_case("utc") {
        return Ok(TimeZone::UTC);
    }
    TimeZoneDatabase::bundled()
        .get(name)
        .map_err(|_| Fault::new("not a known time zone").hint("names look like Europe/Berlin"))
}

/// Reads a switch.
pub(crate) fn switch(text: &str) -> Result<bool, Fault> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Ok(true),
        "false" | "no" | "off" => Ok(false),
        _ => Err(Fault::new("not a switch").hint("write true or false")),
    }
}

/// Tells whether a text can name a provider or a chain: 1 to 64 letters, digits, `.`, `_`, `-`.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Tells whether a text can be a model id: 1 to 256 characters, none of them white space or control.
pub(crate) fn is_model(text: &str) -> bool {
    (1..=256).contains(&text.len()) && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// Tells whether a text can be the name of a header (RFC 9110, token).
pub(crate) fn is_header_name(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_every_form() {
        for (text, millis) in [
            ("250ms", 250),
            ("10s", 10_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("0s", 0),
            ("60", 60_000),
            ("0.1", 100),
            ("1.5s", 1500),
            (" 2 m ", 120_000),
        ] {
            assert_eq!(duration(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for text in [
            "",
            "s",
            "-1s",
            "1e3",
            "inf",
            "nan",
            "1 week",
            "1.2.3",
            "9999999999999999999",
            "1m30s",
            ".",
            "é",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_in_every_form() {
        for (text, bytes) in [
            ("64MiB", 64 << 20),
            ("10MB", 10_000_000),
            ("512k", 512 << 10),
            ("1 GiB", 1 << 30),
            ("4096", 4096),
            ("1.5kb", 1500),
        ] {
            assert_eq!(size(text).unwrap(), bytes, "{text}");
        }
        for text in ["", "MiB", "-1", "1TB", "99999999999999999g"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn resets_are_read() {
        let at = |text| match reset(text).unwrap() {
            DailyReset::At { hour, minute, zone } => {
                (hour, minute, zone.iana_name().map(str::to_owned))
            }
            DailyReset::Rolling => panic!(),
        };
        assert_eq!(at("00:00 America/Los_Angeles"), (0, 0, Some("America/Los_Angeles".into())));
        assert_eq!(at("7:30 utc"), (7, 30, Some("UTC".into())));
        assert_eq!(reset("rolling").unwrap(), DailyReset::Rolling);
        for text in
            ["", "00:00", "24:00 UTC", "00:60 UTC", "0 UTC", "00:00 Mars/Olympus", "+1:00 UTC"]
        {
            assert!(reset(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_are_limited() {
        assert!(
            is_name("groq-2.b_C") && !is_name("") && !is_name("a b") && !is_name(&"a".repeat(65))
        );
        assert!(is_model("@cf/openai/gpt:free") && !is_model("a b") && !is_model("a\n"));
        assert!(is_header_name("X-Title") && !is_header_name("X:Y") && !is_header_name("é"));
    }
}
