//! `embed_plan`: the dry run. Sends nothing, writes nothing, and looks at the rows with the very predicate
//! of a run.

use std::ffi::CStr;
use std::time::Duration;

use pgrx::datum::Interval;
use pgrx::pg_sys::Oid;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::error::Error;
use super::figures::rows;
use super::fold::folded;
use super::journal;
use super::preflight;
use super::price::{self, Price};
use super::settings;
use super::space;
use super::survey::{self, Totals};
use super::target::{Call, Target};
use crate::engine::tokens;
use crate::gemini::request::Purpose;

/// A request of 100 texts was reported to take this long.
const USUAL_ANSWER: Duration = Duration::from_millis(2_600);

/// Bytes of WAL, and of table and TOAST, for a byte of vector: 4.3 kB and 4.1 kB were measured for the
/// 3,080 bytes of 768 dimensions.
const WAL_PER_BYTE: f64 = 1.4;
const DISK_PER_BYTE: f64 = 1.33;

const SAMPLE_CHARACTERS: usize = 300;

/// Beside the names of an expanded table.
const LINE: usize = 74;

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn embed_plan(
    relation: Option<Oid>,
    batch: Option<i32>,
    content: Option<String>,
    embedding_column: Option<&CStr>,
    source_filter: Option<String>,
    model: Option<String>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(table_name, String),
            name!(column_name, String),
            name!(column_type, String),
            name!(model_name, &'static str),
            name!(dimensions, i32),
            name!(content_sql, String),
            name!(rows_total, i64),
            name!(rows_embedded, i64),
            name!(rows_pending, i64),
            name!(rows_blank, i64),
            name!(rows_rejected, i64),
            name!(rows_outside_filter, i64),
            name!(tokens, i64),
            name!(requests, i64),
            name!(cost_usd, AnyNumeric),
            name!(duration, Interval),
            name!(wal, String),
            name!(disk, String),
            name!(warnings, Option<String>),
            name!(sample, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let batch = Call::batch(batch)?;
    let call = Call::new(relation, content, embedding_column, source_filter)?;
    let _snapshot = call.hold_still();
    let model = settings::model_named(model.as_deref())?;
    let (target, purpose) = preflight::meant(&call, model)?;
    let price = price::of(&target, &purpose, batch)?;
    let totals = survey::totals(&target)?;
    let pending = price.survey.pending as f64;
    let bytes = pending * target.vector_bytes() as f64;
    let warnings = warnings(&target, &purpose, &price, &totals)?;
    let left_out = price.survey.pending + price.survey.blank + price.survey.rejected;
    Ok(TableIterator::once((
        target.label.clone(),
        target.column.name.clone(),
        format!("{}({})", target.column.bare_type(), target.dimensions),
        model.name,
        target.dimensions as i32,
        folded(&target.content_label(), LINE),
        totals.rows as i64,
        totals.embedded as i64,
        price.survey.pending as i64,
        price.survey.blank as i64,
        price.survey.rejected as i64,
        (totals.rows - totals.embedded).saturating_sub(left_out) as i64,
        price.tokens as i64,
        price.requests as i64,
        AnyNumeric::try_from(format!("{:.4}", price.cost).as_str()).unwrap_or_default(),
        interval(duration(&price)),
        size(bytes * WAL_PER_BYTE),
        size(bytes * DISK_PER_BYTE),
        (!warnings.is_empty()).then(|| warnings.join("\n")),
        price.contents.first().map(|text| {
            let begin: String = text.chars().take(SAMPLE_CHARACTERS).collect();
            folded(&begin, LINE)
        }),
    )))
}

fn warnings(
    target: &Target,
    purpose: &Purpose,
    price: &Price,
    totals: &Totals,
) -> Result<Vec<String>, Error> {
    let mut warnings: Vec<String> = preflight::findings(target)?
        .into_iter()
        .map(|finding| match finding.hint {
            Some(hint) => format!("{}; {hint}", finding.text),
            None => finding.text,
        })
        .collect();
    if !price.sample.is_empty() {
        warnings.push(format!(
            "the column has vectors that the journal does not know: {} embedded again first, and the run ends if they are not of {}",
            rows(price.sample.len() as u64),
            purpose.model.name
        ));
    }
    warnings.extend(match journal::last_model(target)? {
        Some(last) if totals.embedded > 0 && last != purpose.model.name => {
            Some(space::other_than_last(&last, purpose))
        }
        Some(_) => None,
        None => space::doubt(&price.sample, purpose),
    });
    let limit = u64::from(purpose.model.max_tokens);
    let long = price
        .contents
        .iter()
        .filter(|text| tokens::expected(purpose, text) >= limit)
        .count();
    if long > 0 {
        warnings.push(format!(
            "{long} of {} contents have more than the {limit} tokens that {} reads",
            price.contents.len(),
            purpose.model.name
        ));
    }
    if !target.foreign.is_empty() {
        warnings.push(format!(
            "foreign partitions are left out: {}",
            target.foreign.join(", ")
        ));
    }
    if let Err(error) = settings::sending(*purpose) {
        let report = ErrorReport::from(error);
        warnings.push(report.message().to_owned());
    }
    Ok(warnings
        .iter()
        .map(|warning| folded(warning, LINE))
        .collect())
}

/// At the pace that is set, or else at the usual speed of an answer.
fn duration(price: &Price) -> Duration {
    let minutes = |units: u64, per_minute: u64| match per_minute {
        0 => Duration::ZERO,
        per_minute => Duration::from_secs_f64(units as f64 * 60.0 / per_minute as f64),
    };
    let (texts, tokens) = settings::pace();
    let waves = price.requests.div_ceil(settings::concurrency() as u64);
    let answers = USUAL_ANSWER.saturating_mul(u32::try_from(waves).unwrap_or(u32::MAX));
    minutes(price.survey.pending, texts)
        .max(minutes(price.tokens, tokens))
        .max(answers)
}

fn interval(duration: Duration) -> Interval {
    let micros = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX / 1_000_000) * 1_000_000;
    Interval::from_micros(micros)
}

/// `0 B`, `31 kB`, `4.1 GB`.
fn size(bytes: f64) -> String {
    let mut amount = bytes;
    for unit in ["B", "kB", "MB", "GB"] {
        if amount < 1000.0 {
            return match amount < 10.0 && unit != "B" {
                true => format!("{amount:.1} {unit}"),
                false => format!("{amount:.0} {unit}"),
            };
        }
        amount /= 1000.0;
    }
    format!("{amount:.1} TB")
}
