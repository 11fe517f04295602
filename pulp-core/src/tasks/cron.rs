//! Cron expressions: five fields (minute, hour, day of the month, month, day of the week), in UTC.
//!
//! As in cron(5): lists, ranges, steps, names of months and days; where both kinds of days are restricted, either counts. Instead of the
//! fields, `@hourly`, `@daily`, `@weekly`, `@monthly` and `@yearly` are known.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, Days, NaiveDate, NaiveTime, Timelike};

use crate::clock::Timestamp;

/// The 29th of February comes once in eight years at worst.
const YEARS: i32 = 9;

/// A longer one is none: all values of all fields as lists take fewer.
const LONGEST: usize = 400;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// When something happens again and again.
///
/// ```
/// let nightly: pulp_core::tasks::Cron = "30 2 * * mon-fri".parse().unwrap();
/// let friday = "2026-01-02T12:00:00Z".parse().unwrap();
/// assert_eq!(nightly.after(friday), Some("2026-01-05T02:30:00Z".parse().unwrap()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    text: String,
    /// A bit for each value.
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether a day must be among both kinds of days, one of which is all of them.
    both: bool,
}

/// A text that is no cron expression; says what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadCron(String);

impl Cron {
    /// The first moment after this one; nothing if there is none (the 30th of February).
    pub fn after(&self, moment: Timestamp) -> Option<Timestamp> {
        let start = moment.naive_utc();
        let last = start.year().checked_add(YEARS)?;
        let mut day = start.date();
        let mut from = start.time().with_second(0)?.with_nanosecond(0)?;
        // The minute that has begun is over.
        let mut begun = true;
        while day.year() <= last {
            if self.has_day(day)
                && let Some(time) = self.time_after(from, begun)
            {
                return Some(day.and_time(time).and_utc());
            }
            (from, begun) = (NaiveTime::MIN, false);
            day = if has(self.months, day.month()) { day.checked_add_days(Days::new(1))? } else { next_month(day)? };
        }
        None
    }

    fn has_day(&self, day: NaiveDate) -> bool {
        let (of_month, of_week) = (has(self.days, day.day()), has(self.weekdays, day.weekday().num_days_from_sunday()));
        has(self.months, day.month()) && if self.both { of_month && of_week } else { of_month || of_week }
    }

    /// The first time of a day from this one on; later than it, if it is over.
    fn time_after(&self, from: NaiveTime, over: bool) -> Option<NaiveTime> {
        let first = from.hour() * 60 + from.minute() + u32::from(over);
        let minute = (first..24 * 60).find(|minute| has(self.hours, minute / 60) && has(self.minutes, minute % 60))?;
        NaiveTime::from_hms_opt(minute / 60, minute % 60, 0)
    }
}

fn has(set: u64, value: u32) -> bool {
    set >> value & 1 == 1
}

fn next_month(day: NaiveDate) -> Option<NaiveDate> {
    let (year, month) = if day.month() == 12 { (day.year() + 1, 1) } else { (day.year(), day.month() + 1) };
    NaiveDate::from_ymd_opt(year, month, 1)
}

impl FromStr for Cron {
    type Err = BadCron;

    fn from_str(text: &str) -> Result<Self, BadCron> {
        let bad = |what: &str| BadCron(format!("'{text}' is no cron expression: {what}"));
        if text.len() > LONGEST {
            return Err(BadCron(format!("A cron expression has {LONGEST} characters at most.")));
        }
        let fields = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other => other,
        };
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(bad("it needs five fields: minute, hour, day of the month, month, day of the week"));
        };
        let set = |field: &str, what: &str, first: u32, last: u32, names: &[&str]| {
            parse(field, first, last, names).ok_or_else(|| bad(&format!("'{field}' is no {what} ({first}-{last})")))
        };
        let mut weekdays = set(weekday, "day of the week", 0, 7, &DAYS)?;
        // Sunday has two numbers.
        weekdays |= weekdays >> 7 & 1;
        let cron = Self {
            text: text.trim().to_owned(),
            minutes: set(minute, "minute", 0, 59, &[])?,
            hours: set(hour, "hour", 0, 23, &[])?,
            days: set(day, "day of the month", 1, 31, &[])?,
            months: set(month, "month", 1, 12, &MONTHS)?,
            weekdays,
            both: day.starts_with('*') || weekday.starts_with('*'),
        };
        // A year in which every day that there is comes by.
        let leap = Timestamp::from_timestamp(1_704_067_199, 0).unwrap_or_default();
        if cron.after(leap).is_none() {
            return Err(bad("that moment never comes"));
        }
        Ok(cron)
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The values of a field: `1,5-10,*/15,mon`.
fn parse(field: &str, first: u32, last: u32, names: &[&str]) -> Option<u64> {
    let number = |text: &str| {
        let named = names.iter().position(|name| text.eq_ignore_ascii_case(name));
        let value = match named {
            Some(at) => u32::try_from(at).ok()? + first,
            None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok()?,
            None => return None,
        };
        (first..=last).contains(&value).then_some(value)
    };
    let mut set = 0;
    for part in field.split(',') {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let step: u32 = match step {
            None => 1,
            Some(step) if step.bytes().all(|byte| byte.is_ascii_digit()) => step.parse().ok().filter(|step| *step > 0)?,
            Some(_) => return None,
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (first, last),
            Some((from, to)) => (number(from)?, number(to)?),
            // `5/10` means from 5 on.
            None if part.contains('/') => (number(range)?, last),
            None => (number(range)?, number(range)?),
        };
        if from > to {
            return None;
        }
        for value in (from..=to).step_by(step as usize) {
            set |= 1 << value;
        }
    }
    Some(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(cron: &str, after: &str) -> String {
        let moment = cron.parse::<Cron>().unwrap().after(after.parse().unwrap()).unwrap();
        moment.format("%Y-%m-%dT%H:%M:%S").to_string()
    }

    #[test]
    fn the_next_moment() {
        for (cron, after, wanted) in [
            ("* * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00"),
            ("* * * * *", "2026-01-01T00:00:59.999Z", "2026-01-01T00:01:00"),
            ("0 3 * * *", "2026-01-01T03:00:00Z", "2026-01-02T03:00:00"),
            ("0 3 * * *", "2026-01-01T02:59:59Z", "2026-01-01T03:00:00"),
            ("*/15 * * * *", "2026-01-01T23:46:00Z", "2026-01-02T00:00:00"),
            ("5/20 * * * *", "2026-01-01T00:06:00Z", "2026-01-01T00:25:00"),
            ("0 0 1 * *", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00"),
            ("0 0 31 * *", "2026-01-31T00:00:00Z", "2026-03-31T00:00:00"),
            ("0 0 29 2 *", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00"),
            ("0 12 * * MON", "2026-01-01T00:00:00Z", "2026-01-05T12:00:00"),
            ("0 12 * * 7", "2026-01-01T00:00:00Z", "2026-01-04T12:00:00"),
            ("0 12 * jun-aug sun", "2026-01-01T00:00:00Z", "2026-06-07T12:00:00"),
            ("0,30 8-9 * * *", "2026-01-01T08:30:00Z", "2026-01-01T09:00:00"),
            // Where both kinds of days are restricted, either counts.
            ("0 0 13 * fri", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00"),
            ("0 0 13 * fri", "2026-01-10T00:00:00Z", "2026-01-13T00:00:00"),
            // Where one begins with a star, both must be met.
            ("0 0 */2 * fri", "2026-01-01T00:00:00Z", "2026-01-09T00:00:00"),
            ("@weekly", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00"),
            ("@yearly", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00"),
        ] {
            assert_eq!(next(cron, after), wanted, "{cron} after {after}");
        }
    }

    #[test]
    fn what_is_none() {
        for cron in [
            "",
            "*",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * 32 * *",
            "* * * 13 *",
            "* * * * 8",
            "5-1 * * * *",
            "*/0 * * * *",
            "*/x * * * *",
            "-1 * * * *",
            "+1 * * * *",
            "a * * * *",
            "1,,2 * * * *",
            "* * * foo *",
            "@often",
            "0 0 30 2 *",
            "0 0 31 4,6 *",
            "1/ * * * *",
            "99999999999999999999 * * * *",
        ] {
            assert!(cron.parse::<Cron>().is_err(), "{cron}");
        }
        let told = "61 * * * *".parse::<Cron>().unwrap_err().to_string();
        assert_eq!(told, "'61 * * * *' is no cron expression: '61' is no minute (0-59)");
        assert!("*,".repeat(500).parse::<Cron>().is_err());
    }

    #[test]
    fn each_moment_is_after_the_one_before_and_fits() {
        let cron: Cron = "7,*/13 1-23/5 1,15,28-31 */2 1-5".parse().unwrap();
        let mut moment: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for _ in 0..500 {
            let next = cron.after(moment).unwrap();
            assert!(next > moment);
            assert!(next.minute() == 7 || next.minute().is_multiple_of(13));
            assert!((next.hour() % 5 == 1) && next.month() % 2 == 1);
            moment = next;
        }
    }
}
