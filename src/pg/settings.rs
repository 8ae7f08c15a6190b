//! The settings `embedding_backfill.*`. What could send the key or the data elsewhere is the
//! superuser's; what only shapes a run is the user's. Workers get a snapshot, never the settings.

mod chroma;
mod google;
mod pool;

use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::time::Duration;

use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting};

use super::error::Error;
use super::sys;
use crate::engine::embedder::Sending;
use crate::engine::tokens::Amount;
use crate::gemini::model::{self, Model, Price};
use crate::gemini::provider::Provider;
use crate::gemini::request::Purpose;
use crate::gemini::task::TaskType;

pub use chroma::{Chroma, chroma};

type Text = GucSetting<Option<CString>>;

static PROVIDER: Text = Text::new(Some(c"gemini"));
static CA_FILE: Text = Text::new(None);
static PROXY: Text = Text::new(None);
static MODEL: Text = Text::new(Some(c"gemini-embedding-2"));
static TASK_TYPE: Text = Text::new(Some(c"RETRIEVAL_DOCUMENT"));
static CONCURRENCY: GucSetting<i32> = GucSetting::<i32>::new(8);
static REQUEST_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(60);
static MAX_ATTEMPTS: GucSetting<i32> = GucSetting::<i32>::new(5);
static TEXTS_PER_MINUTE: GucSetting<i32> = GucSetting::<i32>::new(0);
static TOKENS_PER_MINUTE: GucSetting<i32> = GucSetting::<i32>::new(0);
static PRICE: GucSetting<f64> = GucSetting::<f64>::new(-1.0);
static JOURNAL_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(90);

thread_local! {
    /// A guarded setting that the client brought along without the right to. It stood in front of what the
    /// superuser had set, which is lost with it: this session would send past his proxy or gateway.
    static REFUSED: Cell<Option<&'static CStr>> = const { Cell::new(None) };
}

/// A hostile setter could have the server read any file's first bytes into an error, send the key or the
/// data to another host, or trust a forged certificate: superuser only, and hidden from others.
fn superuser(
    name: &'static CStr,
    short: &'static CStr,
    long: &'static CStr,
    setting: &'static Text,
) {
    let guarded = GucFlags::SUPERUSER_ONLY | GucFlags::NO_SHOW_ALL;
    let brought = sys::is_clients(name);
    GucRegistry::define_string_guc(name, short, long, setting, GucContext::Suset, guarded);
    if brought && !sys::is_clients(name) {
        REFUSED.set(Some(name));
    }
}

pub fn define() {
    google::define();
    superuser(
        c"embedding_backfill.ca_file",
        c"PEM file with the certificate authorities to trust.",
        c"Unset: Mozilla's list as built into the library.",
        &CA_FILE,
    );
    superuser(
        c"embedding_backfill.proxy",
        c"Proxy for requests to the API, such as http://proxy.example:3128.",
        c"The environment's HTTP_PROXY and HTTPS_PROXY are ignored.",
        &PROXY,
    );
    chroma::define();
    // Each of these changes only what the caller's own run sends.
    let user = |name, short, long, setting| {
        GucRegistry::define_string_guc(
            name,
            short,
            long,
            setting,
            GucContext::Userset,
            GucFlags::default(),
        )
    };
    user(
        c"embedding_backfill.provider",
        c"Which of Google's services embeds.",
        c"gemini (the Gemini API) or vertex (Vertex AI in Google Cloud).",
        &PROVIDER,
    );
    user(
        c"embedding_backfill.model",
        c"Embedding model used where a call names none.",
        c"gemini-embedding-2 or gemini-embedding-001, on Vertex AI also the older text-embedding models. Vectors of different models don't compare.",
        &MODEL,
    );
    user(
        c"embedding_backfill.task_type",
        c"What the vectors are for, as Google names it.",
        c"RETRIEVAL_DOCUMENT for rows that are searched.",
        &TASK_TYPE,
    );
    let number = |name, short, long, setting, (least, most), flags| {
        GucRegistry::define_int_guc(
            name,
            short,
            long,
            setting,
            least,
            most,
            GucContext::Userset,
            flags,
        )
    };
    number(
        c"embedding_backfill.concurrency",
        c"Requests in flight.",
        c"Each holds up to 100 texts and their vectors in memory, on Vertex AI up to 250.",
        &CONCURRENCY,
        (1, 64),
        GucFlags::default(),
    );
    number(
        c"embedding_backfill.request_timeout",
        c"Time after which an unanswered request is given up.",
        c"",
        &REQUEST_TIMEOUT,
        (1, 600),
        GucFlags::UNIT_S,
    );
    number(
        c"embedding_backfill.max_attempts",
        c"How often a request is sent before it counts as failed.",
        c"Waiting for a quota is no attempt.",
        &MAX_ATTEMPTS,
        (1, 20),
        GucFlags::default(),
    );
    number(
        c"embedding_backfill.texts_per_minute",
        c"Texts that a run sends a minute; Google counts each text as a request.",
        c"0 is no limit, until the API's refusal names one.",
        &TEXTS_PER_MINUTE,
        (0, i32::MAX),
        GucFlags::default(),
    );
    number(
        c"embedding_backfill.tokens_per_minute",
        c"Tokens that a run sends a minute.",
        c"0 is no limit, until the API's refusal names one.",
        &TOKENS_PER_MINUTE,
        (0, i32::MAX),
        GucFlags::default(),
    );
    GucRegistry::define_float_guc(
        c"embedding_backfill.price_per_million_tokens",
        c"Price in US dollars, for estimates and max_cost.",
        c"-1 is Google's published price of the model, which for some is by characters.",
        &PRICE,
        -1.0,
        1e6,
        GucContext::Userset,
        GucFlags::default(),
    );
    // Runs of other roles are pruned with it.
    GucRegistry::define_int_guc(
        c"embedding_backfill.journal_retention",
        c"Days that a run stays in the journal.",
        c"",
        &JOURNAL_RETENTION,
        1,
        36_500,
        GucContext::Suset,
        GucFlags::default(),
    );
}

fn provider() -> Result<Provider, Error> {
    match text(&PROVIDER) {
        None => Ok(Provider::Gemini),
        Some(name) => name.parse().map_err(|()| Error::Provider { name }),
    }
}

/// The model that a call or the settings name, at the provider that the settings name.
pub fn model_named(argument: Option<&str>) -> Result<&'static Model, Error> {
    let setting = text(&MODEL);
    let name = argument.or(setting.as_deref()).unwrap_or(model::DEFAULT);
    model::find(provider()?, name).map_err(Error::Model)
}

pub fn task_type() -> Result<TaskType, Error> {
    let name = text(&TASK_TYPE).unwrap_or_default();
    task_named("embedding_backfill.task_type", &name)
}

/// `what` is the setting or the argument that has the name.
pub fn task_named(what: &'static str, name: &str) -> Result<TaskType, Error> {
    name.parse().map_err(|()| Error::TaskType {
        what,
        name: name.to_owned(),
    })
}

pub fn concurrency() -> usize {
    CONCURRENCY.get().unsigned_abs() as usize
}

fn max_attempts() -> u32 {
    MAX_ATTEMPTS.get().unsigned_abs()
}

fn timeout() -> Duration {
    Duration::from_secs(REQUEST_TIMEOUT.get().unsigned_abs().into())
}

/// What the workers of a run are told.
pub fn sending(purpose: Purpose) -> Result<Sending, Error> {
    none_refused()?;
    let (texts_per_minute, tokens_per_minute) = pace();
    let (client, credentials) = google::destination(purpose.model)?;
    Ok(Sending {
        client,
        credentials,
        purpose,
        max_attempts: max_attempts(),
        texts_per_minute,
        tokens_per_minute,
        deadline: None,
        pays_once: false,
    })
}

fn none_refused() -> Result<(), Error> {
    match REFUSED.get() {
        Some(name) => Err(Error::SettingRefused {
            name: name.to_string_lossy(),
        }),
        None => Ok(()),
    }
}

/// Texts and tokens a minute, as set; 0 is no limit.
pub fn pace() -> (u64, u64) {
    (
        TEXTS_PER_MINUTE.get().unsigned_abs().into(),
        TOKENS_PER_MINUTE.get().unsigned_abs().into(),
    )
}

pub fn price(model: &Model) -> Price {
    match PRICE.get() {
        price if price >= 0.0 => Price::PerMillionTokens(price),
        _ => model.price,
    }
}

/// US dollars for so much text.
pub fn cost(model: &Model, amount: Amount) -> f64 {
    match price(model) {
        Price::PerMillionTokens(price) => price * amount.tokens as f64 / 1e6,
        Price::PerMillionCharacters(price) => price * amount.characters as f64 / 1e6,
    }
}

pub fn journal_retention() -> i32 {
    JOURNAL_RETENTION.get()
}

/// A text setting; an empty one counts as unset.
pub fn text(setting: &Text) -> Option<String> {
    let value = setting.get()?.to_string_lossy().into_owned();
    (!value.trim().is_empty()).then_some(value)
}
