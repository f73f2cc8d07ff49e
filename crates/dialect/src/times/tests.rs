use engine::Timestamp;

use super::date::written;
use super::duration::span;
use super::{moment, moment_by, next_midnight, next_month, reset, retry};

fn at(text: &str) -> Timestamp {
    Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

fn now() -> Timestamp {
    at("2026-11-22T05:00:00Z")
}

fn secs(found: Option<Timestamp>) -> Option<f64> {
    found.map(|found| now().until(found).as_secs_f64())
}

#[test]
fn spans_are_read_in_every_form() {
    let forms = [
        ("17ms", 0.017),
        ("114ms", 0.114),
        ("1s", 1.0),
        ("7.66s", 7.66),
        ("18.642s", 18.642),
        ("1.984999999s", 1.984_999_999),
        ("50.597142857s", 50.597_142_857),
        ("1.9849999991234s", 1.984_999_999),
        ("2m59.56s", 179.56),
        ("6m0s", 360.0),
        ("6m 11.52s", 371.52),
        ("11m0.528s", 660.528),
        ("23m16.298s", 1396.298),
        ("1h5m", 3900.0),
        ("1h23m45.6s", 5025.6),
        ("4h17m", 15420.0),
        ("10h17m5.72s", 37025.72),
        ("23h47m36.648s", 85656.648),
        ("24h0m0s", 86400.0),
        ("156h14m36.75s", 562_476.75),
        ("143h4m52s", 515_092.0),
        ("2d3h", 183_600.0),
        ("1w", 604_800.0),
        ("500µs", 0.0005),
        ("250us", 0.00025),
        ("38", 38.0),
        ("38.2", 38.2),
        ("0", 0.0),
        ("7 minutes", 420.0),
        ("1 minute", 60.0),
        ("49 seconds", 49.0),
        ("1 hour 3 minutes", 3780.0),
        ("1 hour, 3 minutes and 5 seconds", 3785.0),
        ("2 hrs", 7200.0),
        ("5 mins", 300.0),
        ("2 days", 172_800.0),
        ("350 milliseconds", 0.35),
        ("1M30S", 90.0),
        ("5秒", 5.0),
        ("3分钟", 180.0),
        ("2小时", 7200.0),
    ];
    for (form, expected) in forms {
        let read = span(form).map(|span| span.as_secs_f64());
        assert!(read.is_some_and(|read| (read - expected).abs() < 1e-6), "{form}: {read:?}");
    }
}

#[test]
fn what_is_no_span_is_not_taken_for_one() {
    let forms = [
        "",
        " ",
        "-5",
        "-5s",
        "NaN",
        "inf",
        "1e9",
        "s",
        "ms",
        ".",
        ".5",
        "5 apples",
        "5s apples",
        "later",
        "99999999999999999999999",
        "1.2.3",
        "5ss",
        "0x10",
        "٣s",
        "2026-11-22",
        "12:30",
    ];
    for form in forms {
        assert_eq!(span(form), None, "{form}");
    }
}

#[test]
fn a_value_that_says_when_is_read_in_every_form() {
    let forms = [
        ("33011.382867", 33011.383),
        ("30.2", 30.2),
        ("2", 2.0),
        ("\"45\"", 45.0),
        (" 12 ", 12.0),
        ("1795323660", 60.0),
        ("1795323660.5", 60.5),
        ("1795323660000", 60.0),
        ("2026-11-22T05:01:00Z", 60.0),
        ("2026-11-22T05:01:00.250Z", 60.25),
        ("2026-11-22T06:01:00+01:00", 60.0),
        ("2026-11-22T00:01:00-05:00", 60.0),
        ("2026-11-22t05:01:00z", 60.0),
        ("2026-11-22 05:01 UTC", 60.0),
        ("2026-11-22 05:01:00", 60.0),
        ("2026-11-23", 68_400.0),
        ("2m59.56s", 179.56),
    ];
    for (form, expected) in forms {
        let read = secs(moment(form, now()));
        assert!(read.is_some_and(|read| (read - expected).abs() < 0.002), "{form}: {read:?}");
    }
}

#[test]
fn what_is_past_or_too_far_off_is_not_believed() {
    let forms = [
        "0",
        "0s",
        "-1",
        "999999999",
        "2678401",
        "100000h",
        "1777420800",
        "1777420800000",
        "2025-01-01T00:00:00Z",
        "2027-11-22T00:00:00Z",
        "9999999999999",
        "999999999999999999",
        "2026-13-45T99:99:99Z",
        "2026-11-22T05:01:00+99:99",
        "+",
        "",
        "tomorrow",
    ];
    for form in forms {
        assert_eq!(moment(form, now()), None, "{form}");
    }
    assert_eq!(secs(moment("2678400", now())), Some(2_678_400.0), "31 days are believed");
}

#[test]
fn an_http_date_is_measured_by_the_senders_clock() {
    let date = "Sun, 22 Nov 2026 06:00:00 GMT";
    assert_eq!(secs(moment_by(date, None, now())), Some(3600.0));
    let slow = Some("Sun, 22 Nov 2026 05:50:00 GMT");
    assert_eq!(secs(moment_by(date, slow, now())), Some(600.0));
    assert_eq!(secs(moment_by(date, Some("no date"), now())), Some(3600.0));
    let undated = "22 Nov 2026 06:00:00 GMT";
    assert_eq!(secs(moment_by(undated, slow, now())), Some(600.0));
    assert_eq!(moment_by("Wed, 21 Oct 2015 07:28:00 GMT", None, now()), None);
    assert_eq!(moment_by("Fri, 31 Dec 9999 23:59:59 GMT", None, now()), None);
}

#[test]
fn prose_is_read_in_every_form() {
    let forms = [
        ("please try again in 17ms.", 0.017),
        ("please try again in 7m12.5s. visit https://x", 432.5),
        ("please try again in 6m 11.52s.", 371.52),
        ("please retry in 31.44s.", 31.44),
        ("please retry in 10h17m5.72s.", 37025.72),
        ("please retry after 38 seconds. please go here", 38.0),
        ("retry after 38", 38.0),
        ("please retry after 1 minute and 5 seconds", 65.0),
        ("your quota will reset after 20s.", 20.0),
        ("reset after 2m 13s", 133.0),
        ("please wait 35000 seconds before retrying.", 35000.0),
        ("wait for 5 minutes", 300.0),
        ("wait at least 30 seconds", 30.0),
        ("available again in 49 seconds", 49.0),
        ("your limit resets in about 3 hours", 10800.0),
        ("retrying in 8h 13m", 29580.0),
        ("try again in approximately 20 seconds", 20.0),
        ("retry_after: 12", 12.0),
        ("retry-after=12", 12.0),
        ("try again in (5s)", 5.0),
        ("will reset at 2026-11-22t08:30:00z.", 12600.0),
        ("will reset at 2026-11-22 08:30:00", 12600.0),
        ("resets on 2026-11-23 00:00 utc", 68400.0),
        ("blocked until 2026-11-22t05:01:00.000z", 60.0),
        ("try again after 2026-11-22 05:01 utc", 60.0),
        ("请在 5秒后重试", 5.0),
        ("wait, then try again in 3s", 3.0),
    ];
    for (text, expected) in forms {
        let read = secs(retry(text, now()));
        assert!(read.is_some_and(|read| (read - expected).abs() < 0.002), "{text}: {read:?}");
    }
}

#[test]
fn a_date_is_read_however_it_is_written() {
    let forms = [
        ("November 23, 2026 at 12:00 AM UTC", "2026-11-23T00:00:00Z"),
        ("November 23rd, 2026 at 12:00 p.m. (UTC).", "2026-11-23T12:00:00Z"),
        ("Nov 23, 2026 00:00 UTC", "2026-11-23T00:00:00Z"),
        ("nov. 23 2026, 5pm pst", "2026-11-24T01:00:00Z"),
        ("23 Nov 2026", "2026-11-23T00:00:00Z"),
        ("23 Nov 2026. Upgrade now", "2026-11-23T00:00:00Z"),
        ("23rd of November 2026 at 6:30 PM GMT", "2026-11-23T18:30:00Z"),
        ("23-Nov-2026 06:00:00 GMT", "2026-11-23T06:00:00Z"),
        ("22 Nov 2026 06:00:00 +0100", "2026-11-22T05:00:00Z"),
        ("Mon, 23 Nov 2026 06:00:00 -0800", "2026-11-23T14:00:00Z"),
        ("Monday, November 23, 2026 at 1:05:30 AM PDT", "2026-11-23T08:05:30Z"),
        ("Nov 23, 2026, 09:00 UTC+8", "2026-11-23T01:00:00Z"),
        ("Nov 23, 2026 09:00 GMT-05:30", "2026-11-23T14:30:00Z"),
        ("Nov 23 2026 12 am pacific time", "2026-11-23T08:00:00Z"),
        ("Nov 23, 12am (America/New_York)", "2026-11-23T05:00:00Z"),
        ("Dec 1", "2026-12-01T00:00:00Z"),
        ("Jan 2 at 10:00", "2027-01-02T10:00:00Z"),
        ("2026-11-23 12:30 AM PST", "2026-11-23T08:30:00Z"),
        ("2026/11/23 00:00:00", "2026-11-23T00:00:00Z"),
        ("2026年11月23日 08:30", "2026-11-23T08:30:00Z"),
        ("2026-11-23T00:00:00.5Z", "2026-11-23T00:00:00.5Z"),
        ("12:00 AM UTC on November 23, 2026", "2026-11-23T00:00:00Z"),
        ("00:00 UTC", "2026-11-23T00:00:00Z"),
        ("04:30 UTC", "2026-11-23T04:30:00Z"),
        ("06:30 UTC", "2026-11-22T06:30:00Z"),
        ("midnight Pacific Time", "2026-11-22T08:00:00Z"),
        ("midnight utc", "2026-11-23T00:00:00Z"),
        ("5pm (America/New_York)", "2026-11-22T22:00:00Z"),
    ];
    for (form, expected) in forms {
        assert_eq!(written(form, now()), Some(at(expected)), "{form}");
    }
}

#[test]
fn what_is_no_date_is_not_taken_for_one() {
    let forms = [
        "",
        "Nov",
        "23",
        "Nov 31, 2026",
        "Feb 30",
        "32 Nov 2026",
        "Nov 23, 2026 at 25:00",
        "Nov 23, 2026 at 13:00 PM",
        "Nov 23, 2026 10:00 +99:99",
        "novel 23",
        "marching 5",
        "no 23",
        "noon",
        "midnight",
        "5pm",
        "10:30",
        "20261123",
        "2026-11",
        "further notice",
        "\u{130}\u{130} Nov 23",
    ];
    for form in forms {
        assert_eq!(written(form, now()), None, "{form}");
    }
}

#[test]
fn dates_within_a_sentence_are_read() {
    let forms = [
        ("please try again on november 23, 2026 at 12:00 am utc.", "2026-11-23T00:00:00Z"),
        ("try again after nov 23, 2026 00:00 utc", "2026-11-23T00:00:00Z"),
        ("your quota resets 23 nov 2026", "2026-11-23T00:00:00Z"),
        ("limit resets on monday, nov 23 at 12am pt", "2026-11-23T08:00:00Z"),
        ("you're out of usage · resets 5pm (america/new_york)", "2026-11-22T22:00:00Z"),
        ("the daily quota resets at midnight pacific time", "2026-11-22T08:00:00Z"),
        ("resets daily at 00:00 utc", "2026-11-23T00:00:00Z"),
        ("available again on 23 november", "2026-11-23T00:00:00Z"),
        ("blocked until dec 1, 2026", "2026-12-01T00:00:00Z"),
        ("您的限额将在 2026-11-22 08:30:00 重置。", "2026-11-22T08:30:00Z"),
    ];
    for (text, expected) in forms {
        assert_eq!(retry(text, now()), Some(at(expected)), "{text}");
    }
}

#[test]
fn prose_without_a_time_has_none() {
    let texts = [
        "please try again later.",
        "try again in a few moments",
        "try again in 3 attempts",
        "wait for the quota to reset",
        "await 5 s",
        "retry in -5s",
        "retry in 99999999999999999999s",
        "reset at noon",
        "until further notice",
        "try again in",
        "",
    ];
    for text in texts {
        assert_eq!(retry(text, now()), None, "{text}");
    }
}

#[test]
fn a_reset_is_told_from_a_retry() {
    assert_eq!(reset("please try again in 5s", now()), None);
    assert_eq!(secs(reset("resets in 5s", now())), Some(5.0));
}

#[test]
fn midnight_is_the_providers_own() {
    let pacific = |text| next_midnight(at(text), "America/Los_Angeles");
    assert_eq!(pacific("2026-11-22T05:00:00Z"), Some(at("2026-11-22T08:00:00Z")));
    assert_eq!(pacific("2026-11-22T08:00:00Z"), Some(at("2026-11-23T08:00:00Z")));
    assert_eq!(pacific("2026-07-01T12:00:00Z"), Some(at("2026-07-02T07:00:00Z")));
    assert_eq!(next_midnight(now(), "UTC"), Some(at("2026-11-23T00:00:00Z")));
    assert_eq!(next_midnight(now(), "Mars/Olympus"), None);
}

#[test]
fn days_of_23_and_25_hours_end_at_midnight() {
    let pacific = |text| next_midnight(at(text), "America/Los_Angeles");
    assert_eq!(pacific("2026-03-08T08:00:00Z"), Some(at("2026-03-09T07:00:00Z")));
    assert_eq!(pacific("2026-11-01T07:00:00Z"), Some(at("2026-11-02T08:00:00Z")));
}

#[test]
fn a_month_ends_on_its_first() {
    assert_eq!(next_month(now()), Some(at("2026-12-01T00:00:00Z")));
    assert_eq!(next_month(at("2026-12-31T23:59:59Z")), Some(at("2027-01-01T00:00:00Z")));
    assert_eq!(next_month(Timestamp::from_millis(i64::MAX)), None);
}
