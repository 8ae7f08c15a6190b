//! Figures as a person reads them.

use std::time::Duration;

pub fn rows(count: u64) -> String {
    match count {
        1 => "1 row".into(),
        count => format!("{count} rows"),
    }
}

pub fn dollars(amount: f64) -> String {
    match amount {
        0.0 => "$0".into(),
        amount if amount < 0.0001 => "less than $0.0001".into(),
        amount if amount < 1.0 => format!("${amount:.4}"),
        amount => format!("${amount:.2}"),
    }
}

/// `0.4 s`, `12 s`, `3 min 20 s`, `5 h 7 min`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}
