//! One line a run in the server's log, for those who watch what leaves the house: who sent texts of which
//! column to whom, and how many. It is written however the run ends, rolled back or not, where something
//! was sent. Neither the key nor a text is ever in it.

use std::cell::RefCell;

use super::report;
use super::sys;
use super::target::Target;
use crate::engine::http::Client;
use crate::gemini::provider::{Provider, place_in};
use crate::gemini::request::Purpose;

thread_local! {
    /// What runs at the moment: a content may ask for vectors of its own.
    static OPEN: RefCell<Vec<Record>> = const { RefCell::new(Vec::new()) };
}

/// An open record, by its number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Audit(u64);

struct Record {
    audit: Audit,
    /// Whose abort ends it.
    transaction: u32,
    /// All that is known from the start, in its final form.
    who: String,
    texts: usize,
    rows: u64,
    /// What else there is to show for it, by name.
    counts: Vec<(&'static str, u64)>,
}

/// Texts of which column; `None` where they are the caller's own.
pub struct Subject {
    relation: String,
    column: String,
}

impl Subject {
    pub fn of(target: &Target) -> Subject {
        Subject {
            relation: target.relation.clone(),
            column: target.column.name.clone(),
        }
    }
}

/// Texts go to the model that makes vectors of them.
pub fn begin(
    function: &'static str,
    subject: Option<&Subject>,
    purpose: &Purpose,
    client: &Client,
) -> Audit {
    let url = &client.connection().base_url;
    let model = purpose.model;
    let mut to = format!("model={} host={}", model.name, value(url.host()));
    if let Some((project, location)) = place_in(url.as_str())
        && model.provider == Provider::Vertex
    {
        to += &format!(" project={} location={location}", value(project));
    }
    open(function, subject, &to, "tokens")
}

/// Rows go to a collection of ChromaDB.
pub fn begin_mirror(
    function: &'static str,
    subject: &Subject,
    collection: &str,
    client: &Client,
) -> Audit {
    let host = client.connection().base_url.host();
    let to = format!("collection={} host={}", value(collection), value(host));
    open(function, Some(subject), &to, "removed")
}

/// `counted` is what the line tells besides texts and rows, even where there is none.
fn open(
    function: &'static str,
    subject: Option<&Subject>,
    to: &str,
    counted: &'static str,
) -> Audit {
    let (role, session_role) = sys::roles();
    let mut who = format!("function={function} role={}", value(&role));
    if session_role != role {
        who += &format!(" session_role={}", value(&session_role));
    }
    if let Some(Subject { relation, column }) = subject {
        who += &format!(" relation={} column={}", value(relation), value(column));
    }
    who += &format!(" {to}");
    OPEN.with_borrow_mut(|open| {
        let audit = Audit(open.last().map_or(1, |last| last.audit.0 + 1));
        open.push(Record {
            audit,
            transaction: sys::subtransaction(),
            who,
            texts: 0,
            rows: 0,
            counts: vec![(counted, 0)],
        });
        audit
    })
}

impl Audit {
    /// Texts were handed to those who send.
    pub fn sent(self, texts: usize) {
        self.change(|record| record.texts += texts);
    }

    /// What there is to show for it, once it can't be rolled back by this run any more.
    pub fn has(self, rows: u64, tokens: u64) {
        self.has_counted(rows, vec![("tokens", tokens)]);
    }

    pub fn has_counted(self, rows: u64, counts: Vec<(&'static str, u64)>) {
        self.change(|record| (record.rows, record.counts) = (rows, counts));
    }

    /// The rows go to a collection as well.
    pub fn mirrors(self, collection: &str, host: &str) {
        let to = format!(" collection={} mirror={}", value(collection), value(host));
        self.change(|record| record.who += &to);
    }

    pub fn end(self, how: &str) {
        end(|record| record.audit == self, how);
    }

    fn change(self, change: impl FnOnce(&mut Record)) {
        OPEN.with_borrow_mut(|open| {
            open.iter_mut()
                .find(|record| record.audit == self)
                .map(change);
        });
    }
}

/// Ends what an abort leaves behind: of the whole transaction, or of the part of it that has this number.
pub fn aborted(part: Option<u32>) {
    end(
        |record| part.is_none_or(|part| record.transaction == part),
        "interrupted",
    );
}

fn end(ends: impl Fn(&Record) -> bool, how: &str) {
    let ended: Vec<Record> =
        OPEN.with_borrow_mut(|open| open.extract_if(.., |record| ends(record)).collect());
    for record in ended {
        let Record {
            who,
            texts,
            rows,
            counts,
            ..
        } = record;
        let is_of_note = texts > 0 || counts.iter().any(|(_, count)| *count > 0);
        if is_of_note {
            let counts: String = counts
                .iter()
                .map(|(name, count)| format!(" {name}={count}"))
                .collect();
            report::audit(format!(
                "embedding_backfill: {who} texts={texts} rows={rows}{counts} ended={how}"
            ));
        }
    }
}

/// As it is, or in quotes and on one line where it could be taken for more than one value.
fn value(text: &str) -> String {
    let plain =
        |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '$' | ':' | '[' | ']');
    match text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("{text:?}"),
    }
}
