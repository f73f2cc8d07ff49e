//! Dates and times of day as they are written for people and for programs: RFC 3339, "22 Nov 2026
//! 06:00 GMT", "November 23, 2026 at 12:00 AM PST", "5pm PT".

use engine::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

/// No date is longer; what follows is not looked at.
const LONGEST: usize = 96;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

const WEEKDAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Zones by their letters, in hours east of Greenwich.
const OFFSETS: &[(&str, i8)] = &[
    ("utc", 0),
    ("gmt", 0),
    ("z", 0),
    ("pst", -8),
    ("pdt", -7),
    ("mst", -7),
    ("mdt", -6),
    ("cdt", -5),
    ("est", -5),
    ("edt", -4),
    ("bst", 1),
    ("cet", 1),
    ("cest", 2),
    ("jst", 9),
];

/// Zones by a word that holds all year.
const PLACES: &[(&str, &str)] = &[
    ("pt", "America/Los_Angeles"),
    ("pacific", "America/Los_Angeles"),
    ("et", "America/New_York"),
    ("eastern", "America/New_York"),
];

/// Reads an instant at the beginning of a text. A date without a zone is taken as UTC, one
/// without a year as the nearest, and one without a time as its beginning. A time of day without
/// a date is the next such moment, and must name its zone.
pub(crate) fn written(text: &str, now: Timestamp) -> Option<Timestamp> {
    written_in(&TimeZone::UTC, text, now)
}

/// The same, with a date without a zone taken as one of `unnamed`.
pub(crate) fn written_in(unnamed: &TimeZone, text: &str, now: Timestamp) -> Option<Timestamp> {
    let head = text[..text.floor_char_boundary(LONGEST)].to_ascii_lowercase();
    let head = without_weekday(head.trim_start());
    let Some((day, rest)) = date(head, now) else {
        return clock_first(unnamed, head, now);
    };
    let (time, rest) = time_of_day(rest)?;
    let (zone, _) = zone(rest)?;
    instant(day, time.unwrap_or(Time::midnight()), zone.unwrap_or(unnamed.clone()))
}

/// `12:00 AM UTC on November 23, 2026`, or without the date.
fn clock_first(unnamed: &TimeZone, text: &str, now: Timestamp) -> Option<Timestamp> {
    let (time, rest) = time_of_day(text)?;
    let (time, (zone, rest)) = (time?, zone(rest)?);
    let rest = rest.trim_start_matches([' ', ',', ')']);
    let rest = without_weekday(rest.strip_prefix("on ").unwrap_or(rest));
    if let Some((day, _)) = date(rest, now) {
        return instant(day, time, zone.unwrap_or(unnamed.clone()));
    }
    let zone = zone?;
    let today = civil_day(now, &zone)?;
    let at = instant(today, time, zone.clone())?;
    if at > now { Some(at) } else { instant(today.tomorrow().ok()?, time, zone) }
}

fn instant(day: Date, time: Time, zone: TimeZone) -> Option<Timestamp> {
    let at = day.to_datetime(time).to_zoned(zone).ok()?;
    Some(Timestamp::from_millis(at.timestamp().as_millisecond()))
}

fn civil_day(now: Timestamp, zone: &TimeZone) -> Option<Date> {
    let now = jiff::Timestamp::from_millisecond(now.as_millis()).ok()?;
    Some(now.to_zoned(zone.clone()).date())
}

fn without_weekday(text: &str) -> &str {
    let (word, rest) = letters(text);
    let is_day = word.len() >= 3 && WEEKDAYS.iter().any(|day| day.starts_with(word));
    if is_day { rest.trim_start_matches(['.', ',', ' ']) } else { text }
}

fn date(text: &str, now: Timestamp) -> Option<(Date, &str)> {
    by_numbers(text).or_else(|| by_name(text, now))
}

/// `2026-11-23`, `2026/11/23` or `2026年11月23日`.
fn by_numbers(text: &str) -> Option<(Date, &str)> {
    let (year, rest) = figure(text, 4)?;
    let rest = rest.strip_prefix(['-', '/', '年'])?;
    let (month, rest) = figure(rest, 2)?;
    let rest = rest.strip_prefix(['-', '/', '月'])?;
    let (day, rest) = figure(rest, 2)?;
    let rest = rest.strip_prefix('日').unwrap_or(rest);
    Some((civil(year, month, day)?, rest))
}

/// `23 Nov 2026`, `23-Nov-2026`, `November 23rd, 2026` or without the year.
fn by_name(text: &str, now: Timestamp) -> Option<(Date, &str)> {
    let (month, day, rest) = if let Some((day, rest)) = figure(text, 2) {
        let rest = between(without_ordinal(rest));
        let (month, rest) = month(rest.strip_prefix("of ").unwrap_or(rest))?;
        (month, day, rest)
    } else {
        let (month, rest) = month(text)?;
        let (day, rest) = figure(between(rest), 2)?;
        (month, day, without_ordinal(rest))
    };
    let after_year =
        |tail: &str| !tail.starts_with(|c: char| c.is_ascii_alphanumeric() || c == ':');
    match figure(between(rest), 4).filter(|&(year, tail)| year >= 1970 && after_year(tail)) {
        Some((year, rest)) => Some((civil(year, month, day)?, rest)),
        None => Some((nearest(month, day, now)?, rest)),
    }
}

/// The day of this year, or of the next if that is long past.
fn nearest(month: u16, day: u16, now: Timestamp) -> Option<Date> {
    let today = civil_day(now, &TimeZone::UTC)?;
    let year = u16::try_from(today.year()).ok()?;
    let here = civil(year, month, day);
    here.filter(|date| date.month() + 6 > today.month()).or_else(|| civil(year + 1, month, day))
}

fn civil(year: u16, month: u16, day: u16) -> Option<Date> {
    Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn month(text: &str) -> Option<(u16, &str)> {
    let (word, rest) = letters(text);
    let word = if word == "sept" { "sep" } else { word };
    let at = MONTHS.iter().position(|name| word.len() >= 3 && name.starts_with(word))?;
    Some((u16::try_from(at).ok()? + 1, rest))
}

/// Reads a time of day, if one is there; `None` if what is there is none that a clock shows.
fn time_of_day(text: &str) -> Option<(Option<Time>, &str)> {
    let start = text.trim_start_matches([' ', ',', '@']);
    let start = start.strip_prefix("at ").unwrap_or(start).trim_start();
    let start = start.strip_prefix('t').filter(|rest| figure(rest, 2).is_some()).unwrap_or(start);
    if let Some(rest) = start.strip_prefix("midnight") {
        return Some((Some(Time::midnight()), rest));
    }
    let Some((hour, after_hour)) = figure(start, 2) else {
        return Some((None, text));
    };
    let (minute, rest) = sixtieth(after_hour)?;
    let (second, rest) = if minute.is_some() { sixtieth(rest)? } else { (None, rest) };
    let (nanos, rest) = if second.is_some() { fraction(rest) } else { (0, rest) };
    let (half, rest) = half_of_day(rest);
    if minute.is_none() && half.is_none() {
        return Some((None, text));
    }
    let hour = match half {
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(half) => hour % 12 + half,
        None => hour,
    };
    let part = |value: Option<u16>| i8::try_from(value.unwrap_or(0)).ok();
    let time = Time::new(part(Some(hour))?, part(minute)?, part(second)?, nanos).ok()?;
    Some((Some(time), rest))
}

/// `:05`, if a colon is there.
fn sixtieth(text: &str) -> Option<(Option<u16>, &str)> {
    let Some(tail) = text.strip_prefix(':') else {
        return Some((None, text));
    };
    let (value, rest) = figure(tail, 2)?;
    Some((Some(value), rest))
}

fn fraction(text: &str) -> (i32, &str) {
    let Some(tail) = text.strip_prefix('.') else {
        return (0, text);
    };
    let end = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
    let kept = &tail[..end.min(9)];
    (format!("{kept:0<9}").parse().unwrap_or(0), &tail[end..])
}

/// The hours that `am` or `pm` adds.
fn half_of_day(text: &str) -> (Option<u16>, &str) {
    let start = text.trim_start();
    for (word, hours) in [("a.m.", 0), ("p.m.", 12), ("am", 0), ("pm", 12)] {
        let rest = start.strip_prefix(word);
        if let Some(rest) = rest.filter(|rest| !rest.starts_with(char::is_alphanumeric)) {
            return (Some(hours), rest);
        }
    }
    (None, text)
}

/// Reads a zone, if one is there; `None` if what is there is an offset that no place has.
fn zone(text: &str) -> Option<(Option<TimeZone>, &str)> {
    let start = text.trim_start_matches([' ', '(']);
    if is_offset(start) {
        let (offset, rest) = offset(start)?;
        return Some((Some(TimeZone::fixed(offset)), rest));
    }
    let end = start.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '/' | '_')));
    let (word, rest) = start.split_at(end.unwrap_or(start.len()));
    if let Some(&(_, hours)) = OFFSETS.iter().find(|(name, _)| *name == word) {
        let shifted = hours == 0 && is_offset(rest);
        let (shift, rest) = if shifted { offset(rest)? } else { (Offset::constant(hours), rest) };
        return Some((Some(TimeZone::fixed(shift)), rest));
    }
    let place = PLACES.iter().find(|(name, _)| *name == word).map(|&(_, place)| place);
    let place = place.or(Some(word).filter(|word| word.contains('/')));
    let zone = place.and_then(|place| TimeZoneDatabase::bundled().get(place).ok());
    Some(if zone.is_some() { (zone, rest) } else { (None, text) })
}

fn is_offset(text: &str) -> bool {
    text.strip_prefix(['+', '-']).is_some_and(|tail| tail.starts_with(|c: char| c.is_ascii_digit()))
}

/// `+01:00`, `-0800` or `+8`; `None` for an offset that no place has.
fn offset(text: &str) -> Option<(Offset, &str)> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let tail = text.strip_prefix(['+', '-'])?;
    let end = tail.find(|c: char| !(c.is_ascii_digit() || c == ':')).unwrap_or(tail.len());
    let digits: String = tail[..end].chars().filter(char::is_ascii_digit).take(5).collect();
    let (hours, minutes) =
        digits.split_at(if digits.len() > 2 { digits.len() - 2 } else { digits.len() });
    let hours: i32 = hours.parse().ok()?;
    let minutes: i32 = if minutes.is_empty() { 0 } else { minutes.parse().ok()? };
    let sound = hours <= 14 && minutes < 60;
    let offset = Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok();
    Some((offset.filter(|_| sound)?, &tail[end..]))
}

/// A number of at most so many digits; a longer run of them is none.
fn figure(text: &str, most: usize) -> Option<(u16, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    if end > most {
        return None;
    }
    Some((text[..end].parse().ok()?, &text[end..]))
}

fn letters(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len()))
}

fn between(text: &str) -> &str {
    text.trim_start_matches([' ', ',', '.', '-'])
}

fn without_ordinal(text: &str) -> &str {
    let rest = ["st", "nd", "rd", "th"].iter().find_map(|end| text.strip_prefix(end));
    rest.filter(|rest| !rest.starts_with(|c: char| c.is_ascii_alphabetic())).unwrap_or(text)
}
