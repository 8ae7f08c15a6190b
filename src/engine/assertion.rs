//! What a service account proves itself with: a signed statement, good for an hour.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde::Serialize;
use zeroize::Zeroizing;

use super::account::ServiceAccount;

/// For all that a service account may do in Google Cloud; what that is, its roles say.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

const LIFETIME: i64 = 3600;

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    typ: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'static str,
    aud: &'static str,
    iat: i64,
    exp: i64,
}

/// For whom it is, whatever name the endpoint is reached by.
const AUDIENCE: &str = "https://oauth2.googleapis.com/token";

/// Signed at `now`, in seconds since 1970; none where the private key is none for RS256.
pub fn signed(account: &ServiceAccount, now: i64) -> Option<Zeroizing<String>> {
    let key = RsaKeyPair::from_pkcs8(&account.private_key).ok()?;
    let header = serde_json::to_vec(&Header {
        alg: "RS256",
        typ: "JWT",
        kid: account.key_id.as_deref(),
    });
    let claims = serde_json::to_vec(&Claims {
        iss: &account.email,
        scope: SCOPE,
        aud: AUDIENCE,
        iat: now,
        exp: now + LIFETIME,
    });
    let (header, claims) = (header.ok()?, claims.ok()?);
    let mut signature = vec![0; key.public().modulus_len()];
    let length = header.len() + claims.len() + signature.len();
    // With room for all of it: what it outgrew would be left as it is.
    let mut assertion = Zeroizing::new(String::with_capacity(length / 3 * 4 + 16));
    URL_SAFE_NO_PAD.encode_string(header, &mut assertion);
    assertion.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut assertion);
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        assertion.as_bytes(),
        &mut signature,
    )
    .ok()?;
    assertion.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut assertion);
    Some(assertion)
}

/// Seconds since 1970 by this machine's clock.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as i64)
}

/// Seconds since 1970 of a `Date` header, such as `Wed, 19 Aug 2026 14:34:46 GMT`.
pub fn seconds_of(date: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let parts: Vec<&str> = date.split_ascii_whitespace().collect();
    let [_, day, month, year, time, "GMT"] = parts[..] else {
        return None;
    };
    let number = |text: &str| text.parse::<u32>().ok().map(i64::from);
    let month = MONTHS.iter().position(|name| *name == month)? as i64;
    let (day, year) = (number(day)?, number(year)?);
    let clock = time.split(':').map(number).collect::<Option<Vec<i64>>>()?;
    let [hours, minutes, seconds] = clock[..] else {
        return None;
    };
    if !(1..=31).contains(&day) || !(1970..=9999).contains(&year) {
        return None;
    }
    // Years begin in March, so that a leap day is the last of its year.
    let (year, month) = match month {
        0 | 1 => (year - 1, month + 10),
        month => (year, month - 2),
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = 365 * year + leap_days + (153 * month + 2) / 5 + day - 719_469;
    Some(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read() {
        for (date, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Tue, 29 Feb 2000 12:00:00 GMT", 951_825_600),
            ("Wed, 19 Aug 2026 14:34:46 GMT", 1_787_150_086),
            ("Wed, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
        ] {
            assert_eq!(seconds_of(date), Some(seconds), "{date}");
        }
        for date in [
            "",
            "Wed, 19 Aug 2026 14:34:46",
            "Wed, 19 Foo 2026 14:34:46 GMT",
            "Wed, 19 Aug 99999999999 14:34:46 GMT",
            "Wed, 19 Aug 2026 14:34 GMT",
        ] {
            assert_eq!(seconds_of(date), None, "{date}");
        }
    }
}
