//! A moment, a line feed, a cron expression: the next time is later, a whole minute, and the next from all moments between.
#![no_main]

use pulp_core::clock::Timestamp;
use pulp_core::tasks::Cron;
use pulp_fuzz::line_and_rest;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((seconds, text)) = line_and_rest(data) else { return };
    let (Ok(seconds), Ok(text)) = (seconds.parse::<u32>(), std::str::from_utf8(text)) else { return };
    let Ok(cron) = text.parse::<Cron>() else { return };
    let now = Timestamp::from_timestamp(seconds.into(), 0).unwrap();
    let Some(next) = cron.after(now) else { return };
    assert!(next > now && next.timestamp() % 60 == 0);
    // Nothing lies between.
    assert_eq!(cron.after(next - chrono::TimeDelta::seconds(1)), Some(next));
    assert_eq!(cron.after(now.max(next - chrono::TimeDelta::days(1))), Some(next));
});
