//! docs/reliability.md: what the stories tried, a table for each chapter. Made from their trials alone, so that a page that says
//! something else is an old one.

use serde_json::Value;

/// In this order, each with what its table is about.
const CHAPTERS: [(&str, &str); 10] = [
    (
        "Network",
        "What happens to a request or an answer on its way. The fault strikes a run of 30 rows, 10 in a\n\
         request, once; then it lasts until the run has ended; then the same session finishes the job.",
    ),
    (
        "Answers",
        "Answers that are delivered well and can't be right, or are right and oddly spelled; tried in the\n\
         same way.",
    ),
    (
        "TLS",
        "Whoever can't prove to be the API gets neither the key nor a text.",
    ),
    (
        "Refusals",
        "Every error that Google's API is known to give, with the body that was recorded where one was.",
    ),
    (
        "Credentials",
        "What becomes of Vertex AI's access tokens, and of the account that they are given to, while a run\n\
         needs them.",
    ),
    (
        "Processes and signals",
        "What happens to the server's processes, its sessions and the database while requests are in\n\
         flight.",
    ),
    (
        "Interruptions at random",
        "Faults, cancels and kills in an order that a seed decides; a failed run prints its seed.",
    ),
    (
        "Secrets",
        "A key or an account that can be recognised goes through every path, and all that anybody could\n\
         read afterwards is searched for it.",
    ),
    (
        "Privileges",
        "Attempts to spend, to see or to do what one may not.",
    ),
    ("Long runs", "What must not grow does not."),
];

/// Characters of what the user sees; a window of a pager, and most messages as a whole.
const SEEN: usize = 110;

/// What each message of the API begins with.
const PREFIX: &str = "embedding request failed: ";

const INTRODUCTION: &str = "\
# Reliability

This code runs inside the database server, with the server's rights, and talks to the internet. This
page is what was done to it to see whether it keeps its promise; it is made by the tests that did it.

**The promise.** Whatever the network, the API, the server or the person at the keyboard does:

- every row is NULL or has exactly the vector of its current content;
- nothing else in a row changes, and no row is written twice;
- texts are paid for at most once for each attempt, and attempts are counted;
- the run ends, the journal agrees with the table, and the next call goes on with what is missing.

**How it is tried.** On private PostgreSQL servers, against a stand-in for Google's API that is as
strict as the real one and breaks when it is told to; `google-standin --help` lists how. After each
fault all of the above is looked at in the tables, in the journal and in what the stand-in has billed.

**How to run it.** `make test` tries all of it on PostgreSQL 18, 16 and 15, and fails where this page
says something else than what came out on 18. `make reliability` runs the tests on 18 and writes the
page.

**How to read it.** *All rows* means that the run got by without help and every row has its vector;
what follows *if it lasts* is the error that ends the run otherwise. A message that the API or the
network caused begins with `embedding request failed:`, which is left out here, and may be cut (…).
A row is *lost* when its vector is, or is another's.
";

/// The page, or what is wrong with a trial.
pub fn page(trials: &[Value]) -> Result<String, String> {
    let number = |trial: &Value, field: &str| trial[field].as_u64().unwrap_or(u64::MAX);
    let text = |trial: &Value, field: &str| trial[field].as_str().unwrap_or_default().to_owned();
    let sum = |field| trials.iter().map(|trial| number(trial, field)).sum::<u64>();
    for trial in trials {
        let (chapter, fault) = (text(trial, "chapter"), text(trial, "fault"));
        if !CHAPTERS.iter().any(|(known, _)| *known == chapter) {
            return Err(format!("{fault}: there is no chapter {chapter:?}"));
        }
        if number(trial, "lost") > 0 || number(trial, "doubled") > 0 {
            return Err(format!(
                "{chapter}, {fault}: rows were lost or written twice"
            ));
        }
    }
    let mut page = format!(
        "{INTRODUCTION}\n**In sum:** {} faults, tried {} times: {} rows lost, {} double writes.\n",
        trials.len(),
        sum("times"),
        sum("lost"),
        sum("doubled"),
    );
    for (chapter, about) in CHAPTERS {
        let mut rows: Vec<[String; 5]> = trials
            .iter()
            .filter(|trial| trial["chapter"] == chapter)
            .map(|trial| {
                [
                    fault(&text(trial, "fault")),
                    number(trial, "times").to_string(),
                    number(trial, "lost").to_string(),
                    number(trial, "doubled").to_string(),
                    seen(&text(trial, "seen")),
                ]
            })
            .collect();
        rows.sort_by_key(|[fault, ..]| fault.replace('`', "").to_lowercase());
        if !rows.is_empty() {
            page += &format!("\n## {chapter}\n\n{about}\n\n{}", table(&rows));
        }
    }
    Ok(page)
}

/// The longest column is last, so that the others can be read in a pager too.
fn table(rows: &[[String; 5]]) -> String {
    let heads = [
        "fault",
        "tried",
        "rows lost",
        "double writes",
        "what the user sees",
    ];
    let wide = rows.iter().map(|[fault, ..]| fault.chars().count());
    let wide = wide.max().unwrap_or_default();
    let [fault, tried, lost, doubled, seen] = heads;
    let mut table = format!("| {fault:wide$} | {tried} | {lost} | {doubled} | {seen} |\n");
    table += &format!(
        "| {:-<wide$} | ----: | --------: | ------------: | {:-<18} |\n",
        "", ""
    );
    for [fault, tried, lost, doubled, seen] in rows {
        table += &format!("| {fault:wide$} | {tried:>5} | {lost:>9} | {doubled:>13} | {seen} |\n");
    }
    table
}

/// Its backticks are meant.
fn fault(words: &str) -> String {
    words.replace('|', "\\|").replace('<', "\\<")
}

fn seen(words: &str) -> String {
    let words = words.replace(PREFIX, "");
    let mut cut = words.as_str();
    if let Some((end, _)) = words.char_indices().nth(SEEN) {
        cut = words[..end]
            .rsplit_once(' ')
            .map_or(&words[..end], |(whole, _)| whole);
    }
    let mut escaped = String::new();
    for character in cut.chars() {
        if matches!(character, '|' | '<' | '*' | '`' | '[' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    match cut.len() == words.len() {
        true => escaped,
        false => escaped.trim_end_matches('…').trim_end().to_owned() + " …",
    }
}
