//! `embed_text`, `embed_texts` and `embed_query`: vectors for search. The last answers are remembered, so
//! that a query plan that calls them for each row still costs one request.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::CStr;
use std::rc::Rc;

use pgrx::pg_sys::Oid;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::audit::{self, Audit, Subject};
use super::error::Error;
use super::journal;
use super::preflight;
use super::report;
use super::settings;
use super::sys;
use super::target::{self, Call};
use super::vector_type;
use super::wait;
use crate::engine::batch;
use crate::engine::embedder::{Embedder, Sending};
use crate::engine::outcome::NotEmbedded;
use crate::engine::pipeline::{Pipeline, Wake};
use crate::gemini::request::Purpose;
use crate::gemini::task::TaskType;

/// Fits every index of pgvector, and is one of the sizes that Google recommends.
const DIMENSIONS: i32 = 768;

const REMEMBERED: usize = 128;

/// What a vector was asked for.
type Question = (Purpose, String);

/// A column as a call names it: relation, column, model.
type Named = (Oid, Option<String>, Option<String>);

type Known = (Rc<Subject>, Purpose);

thread_local! {
    static ANSWERS: RefCell<VecDeque<(Question, Vec<f32>)>> = const { RefCell::new(VecDeque::new()) };

    /// What a column's questions are asked for, looked up once in a statement.
    static COLUMN: RefCell<Option<(i64, Named, Known)>> = const { RefCell::new(None) };
}

fn remembered(question: &Question) -> Option<Vec<f32>> {
    ANSWERS.with_borrow(|answers| {
        let found = answers.iter().find(|(asked, _)| asked == question);
        found.map(|(_, vector)| vector.clone())
    })
}

fn remember(question: Question, vector: &[f32]) {
    ANSWERS.with_borrow_mut(|answers| {
        answers.truncate(REMEMBERED - 1);
        answers.push_front((question, vector.to_vec()));
    });
}

/// A vector's bytes: see `vector_type::stored`.
#[pg_extern(sql = false)]
fn embed_text(
    content: Option<String>,
    task_type: Option<String>,
    model: Option<String>,
    dimensions: Option<i32>,
) -> Result<Option<Vec<u8>>, ErrorReport> {
    let Some(content) = content else {
        return Ok(None);
    };
    let purpose = purpose(task_type.as_deref(), model.as_deref(), dimensions)?;
    let vectors = vectors("embed_text", None, purpose, vec![content])?;
    Ok(vectors.first().map(|vector| vector_type::stored(vector)))
}

/// As `embed_text`, one row a text, in one request for each hundred.
#[pg_extern(sql = false)]
fn embed_each(
    contents: Option<Vec<Option<String>>>,
    task_type: Option<String>,
    model: Option<String>,
    dimensions: Option<i32>,
) -> Result<SetOfIterator<'static, Vec<u8>>, ErrorReport> {
    preflight::granted("embed_texts")?;
    let purpose = purpose(task_type.as_deref(), model.as_deref(), dimensions)?;
    // A NULL among them is refused as a blank one is.
    let contents = contents.unwrap_or_default().into_iter();
    let contents = contents.map(Option::unwrap_or_default).collect();
    let vectors = vectors("embed_texts", None, purpose, contents)?;
    let stored: Vec<Vec<u8>> = vectors
        .iter()
        .map(|vector| vector_type::stored(vector))
        .collect();
    Ok(SetOfIterator::new(stored))
}

#[pg_extern(sql = false)]
fn embed_query(
    relation: Option<Oid>,
    query: Option<String>,
    embedding_column: Option<&CStr>,
    model: Option<String>,
) -> Result<Option<Vec<u8>>, ErrorReport> {
    let Some(query) = query else {
        return Ok(None);
    };
    let call = Call::new(relation, None, embedding_column, None)?;
    let (subject, purpose) = column((call.relation, call.embedding_column, model))?;
    let vectors = vectors("embed_query", Some(&subject), purpose, vec![query])?;
    Ok(vectors.first().map(|vector| vector_type::stored(vector)))
}

/// The column's dimensions, and the model that made its vectors.
fn column(named: Named) -> Result<(Rc<Subject>, Purpose), Error> {
    let now = sys::statement_start();
    let known = COLUMN.with_borrow(|column| match column {
        Some((then, name, known)) if *then == now && *name == named => Some(known.clone()),
        _ => None,
    });
    if let Some(known) = known {
        return Ok(known);
    }
    preflight::utf8()?;
    let (relation, embedding_column, model) = named.clone();
    let target = target::resolve(&Call {
        relation,
        // Any will do: it is not read.
        content: Some("NULL".into()),
        embedding_column,
        source_filter: None,
    })?;
    let model = match model {
        Some(model) => Some(model),
        None => journal::last_model(&target)?,
    };
    let model = settings::model_named(model.as_deref())?;
    preflight::dimensions(&target.column.name, target.dimensions.into(), model)?;
    let purpose = Purpose {
        model,
        dimensions: target.dimensions,
        task: TaskType::RetrievalQuery,
    };
    let known = (Rc::new(Subject::of(&target)), purpose);
    COLUMN.set(Some((now, named, known.clone())));
    Ok(known)
}

fn purpose(
    task_type: Option<&str>,
    model: Option<&str>,
    dimensions: Option<i32>,
) -> Result<Purpose, Error> {
    preflight::utf8()?;
    let model = settings::model_named(model)?;
    let task = match task_type {
        Some(name) => settings::task_named("task_type", name)?,
        None => settings::task_type()?,
    };
    let dimensions = dimensions.unwrap_or(DIMENSIONS);
    let dimensions = preflight::dimensions("dimensions", dimensions.into(), model)?;
    Ok(Purpose {
        model,
        dimensions,
        task,
    })
}

fn vectors(
    function: &'static str,
    subject: Option<&Subject>,
    purpose: Purpose,
    texts: Vec<String>,
) -> Result<Vec<Vec<f32>>, Error> {
    let mut vectors: Vec<Option<Vec<f32>>> = Vec::with_capacity(texts.len());
    let mut missing = Vec::new();
    for (place, text) in texts.iter().enumerate() {
        if text.trim().is_empty() {
            return Err(Error::BlankText { place: place + 1 });
        }
        let known = remembered(&(purpose, text.clone()));
        if known.is_none() {
            missing.push((place, text.clone()));
        }
        vectors.push(known);
    }
    if !missing.is_empty() {
        for (place, vector) in ask(function, subject, purpose, missing)? {
            remember((purpose, texts[place].clone()), &vector);
            vectors[place] = Some(vector);
        }
    }
    Ok(vectors.into_iter().flatten().collect())
}

/// Sends `texts`, whatever is remembered; the vectors come with their text's place.
pub fn ask(
    function: &'static str,
    subject: Option<&Subject>,
    purpose: Purpose,
    texts: Vec<(usize, String)>,
) -> Result<Vec<(usize, Vec<f32>)>, Error> {
    let sending = settings::sending(purpose)?;
    let audit = audit::begin(function, subject, &purpose, &sending.client);
    audit.sent(texts.len());
    let answers = answers(sending, texts, audit);
    audit.end(if answers.is_ok() { "done" } else { "failed" });
    answers
}

fn answers(
    sending: Sending,
    texts: Vec<(usize, String)>,
    audit: Audit,
) -> Result<Vec<(usize, Vec<f32>)>, Error> {
    let purpose = sending.purpose;
    let mut wake = Wake::new().map_err(Error::Pipe)?;
    let mut pipeline = Pipeline::new(Embedder::new(sending), settings::concurrency(), &wake)
        .map_err(Error::Pipe)?;
    for job in batch::requests(texts, &purpose, usize::MAX) {
        pipeline.submit(job).map_err(Error::Pipe)?;
    }
    let mut answers = Vec::new();
    let (mut tokens, mut truncated) = (0, 0);
    while pipeline.rows_in_flight() > 0 {
        wait::for_outcome(&mut wake, None)?;
        while let Some(outcome) = pipeline.try_next() {
            match outcome.result {
                Ok(answer) => {
                    tokens += answer.tokens.unwrap_or_default();
                    truncated += answer.truncated as u64;
                    audit.has(0, tokens);
                    answers.extend(outcome.rows.into_iter().zip(answer.vectors));
                }
                Err(
                    NotEmbedded::Rejected(failure)
                    | NotEmbedded::Stopped(failure)
                    | NotEmbedded::Lost(failure),
                ) => return Err(Error::Request(failure)),
                Err(NotEmbedded::Unsent) => (),
            }
        }
    }
    report::truncated(purpose.model, truncated);
    Ok(answers)
}
