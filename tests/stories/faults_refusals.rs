//! Every error that Google's API is known to give, as it was recorded where it was.

use std::time::Duration;

use google_standin::{
    Config,
    Fault::{self, Recorded, Redirect, Status},
    Reply,
};
use support::{Db, Finished, Trial};

use crate::faults::{Case, Table, all_tried, side_by_side, words};
use crate::fixtures::right;

pub const CASES: &[Case] = &[
    Case::ends(Redirect(301), "38000", "HTTP 301"),
    Case::ends(Redirect(302), "38000", "HTTP 302"),
    Case::ends(Redirect(303), "38000", "HTTP 303"),
    Case::ends(Redirect(307), "38000", "HTTP 307"),
    Case::ends(Redirect(308), "38000", "HTTP 308"),
    Case::ends(Recorded("400_api_key_invalid"), "28000", "HTTP 400: "),
    Case::halved(Recorded("400_empty_part"), "38000", "HTTP 400: "),
    Case::ends(Recorded("400_failed_precondition"), "38000", "HTTP 400: "),
    Case::halved(Recorded("400_invalid_argument"), "38000", "HTTP 400: "),
    Case::halved(Recorded("400_over_100_requests"), "38000", "HTTP 400: "),
    Case::halved(Recorded("400_payload_too_large"), "38000", "HTTP 400: "),
    Case::ends(Recorded("400_unknown_field"), "38000", "HTTP 400: "),
    Case::halved(Recorded("400_vertex_20000_tokens"), "38000", "HTTP 400: "),
    Case::halved(
        Recorded("400_vertex_empty_instances"),
        "38000",
        "HTTP 400: ",
    ),
    Case::halved(
        Recorded("400_vertex_too_many_instances"),
        "38000",
        "HTTP 400: ",
    ),
    Case::ends(Recorded("401_key_type_rejected"), "28000", "HTTP 401: "),
    Case::ends(
        Recorded("401_vertex_access_token_expired"),
        "28000",
        "HTTP 401: ",
    ),
    Case::ends(Recorded("403_leaked_key"), "28000", "HTTP 403: "),
    Case::ends(Recorded("403_no_key"), "28000", "HTTP 403: "),
    Case::ends(
        Recorded("403_vertex_permission_denied"),
        "28000",
        "HTTP 403: ",
    ),
    Case::ends(Fault::Forbidden, "28000", "HTTP 403: <html>"),
    Case::ends(
        Recorded("404_model_not_found_batchEmbedContents"),
        "38000",
        "HTTP 404: models/nonexistent-model is not found",
    ),
    Case::ends(Recorded("404_text-embedding-004"), "38000", "HTTP 404: "),
    Case::ends(
        Recorded("404_vertex_publisher_model"),
        "38000",
        "HTTP 404: Publisher Model",
    ),
    Case::retried(Status(408), "38000", "HTTP 408"),
    Case::ends(Recorded("429_limit_zero"), "53400", "HTTP 429: "),
    Case::retried(Status(499), "38000", "HTTP 499"),
    Case::retried(Recorded("500_internal"), "38000", "HTTP 500: "),
    Case::retried(Recorded("503_overloaded"), "38000", "HTTP 503: "),
    Case::retried(Recorded("503_service_unavailable"), "38000", "HTTP 503: "),
    Case::retried(Recorded("504_deadline_exceeded"), "38000", "HTTP 504: "),
];

/// Those that pass with time, or with the day, and what is waited for.
pub const QUOTAS: [(Fault, &str); 7] = [
    (
        Recorded("429_free_tier_input_tokens_per_minute"),
        "quota of the project",
    ),
    (Recorded("429_free_tier_per_day"), ""),
    (
        Recorded("429_free_tier_per_minute_embedding-001"),
        "quota EmbedContentRequestsPerMinutePerUserPerProjectPerModel-FreeTier",
    ),
    (
        Recorded("429_no_details_async_batch"),
        "quota of the project",
    ),
    (
        Recorded("429_paid_tier_tokens_per_minute_generateContent"),
        "quota GenerateContentPaidTierInputTokensPerModelPerMinute",
    ),
    (
        Recorded("429_read_requests_per_region"),
        "quota of the project",
    ),
    (
        Recorded("429_vertex_resource_exhausted"),
        "quota of the project",
    ),
];

#[test]
fn whatever_the_api_refuses_with() {
    all_tried("Refusals", CASES);
}

// The recorded bodies ask for a wait of half a minute or more; here their minute has four seconds. Where a body doesn't say how long,
// the wait is 20 s, and these are waited for.
#[test]
fn whatever_quota_is_used_up() {
    let db = Db::fresh();
    let name = |(fault, _): &(Fault, &str)| fault.to_string();
    side_by_side(&QUOTAS, name, |(fault, waits_for)| {
        let minute = Duration::from_secs(4);
        let mut table = Table::new(
            &db,
            &fault.to_string(),
            Config {
                minute,
                replies: [Reply::Serve, Reply::Fault(*fault)].into(),
                ..Config::default()
            },
        );
        table.empty();
        let result = table.embed_all().unwrap();
        let notices = table.session.notices();
        let count = i64::from(table.sound(|session| right(session, "logs")));
        let told = |beginning: &str| {
            let notice = notices.iter().find(|notice| notice.starts_with(beginning));
            notice.unwrap_or_else(|| panic!("{notices:#?}")).clone()
        };
        let seen = if waits_for.is_empty() {
            let ended = Finished {
                embedded: count,
                remaining: 20,
                stopped_because: "daily_quota".into(),
            };
            assert_eq!((result, count), (ended, 10));
            assert_eq!(table.embed_all().unwrap(), Finished::done(20, 0));
            told("WARNING: the daily quota")
        } else {
            assert_eq!(result, Finished::done(30, 0));
            let (.., retries, quota_refusals) = table.last();
            assert_eq!((retries, quota_refusals), (0, 1));
            let notice = told("NOTICE: waiting ");
            assert!(notice.contains(waits_for), "{notice}");
            // How long is a matter of the moment.
            let (_, reason) = notice.split_once(": quota").unwrap();
            format!("all rows, after NOTICE: waiting … s: quota{reason}")
        };
        let stats = table.api.stats();
        assert_eq!((stats.faults, stats.texts_billed), (1, 30));
        Trial {
            chapter: "Refusals",
            fault: &words(*fault),
            times: 1,
            seen: &seen,
            lost: 0,
            doubled: 0,
        }
        .note();
    });
}
