//! The page that the stories leave says what they tried: in order, readable, and with nothing in it that Markdown would take for
//! its own.

use serde_json::{Value, json};
use support::page;

fn trial(chapter: &str, fault: &str, seen: &str) -> Value {
    json!({"chapter": chapter, "fault": fault, "times": 3, "seen": seen, "lost": 0, "doubled": 0})
}

#[test]
fn chapters_have_their_order_and_faults_the_alphabets() {
    let page = page(&[
        trial("TLS", "an expired certificate", "no"),
        trial("Network", "zero", "yes"),
        trial("Network", "`quoted`", "yes"),
        trial("Network", "Another", "yes"),
    ])
    .unwrap();
    let places: Vec<usize> = [
        "4 faults, tried 12 times: 0 rows lost, 0 double writes",
        "## Network",
        "| Another ",
        "| `quoted` ",
        "| zero ",
        "## TLS",
    ]
    .map(|part| page.find(part).unwrap_or_else(|| panic!("{part}: {page}")))
    .into();
    assert!(places.is_sorted(), "{page}");
    assert!(!page.contains("## Secrets"), "a chapter without a table");
}

#[test]
fn a_message_is_a_cell_of_the_table_whatever_is_in_it() {
    let long = format!("embedding request failed: {}", "word ".repeat(60));
    let page = page(&[
        trial(
            "Network",
            "a|b",
            "embedding request failed: <html>| `x` *y* [z](w) \\",
        ),
        trial("Network", "long", &long),
        trial("Network", "one word", &"x".repeat(300)),
    ])
    .unwrap();
    let cells =
        r"| a\|b     |     3 |         0 |             0 | \<html>\| \`x\` \*y\* \[z](w) \\ |";
    assert!(page.contains(cells), "{page}");
    let cut = format!(" | {}… |\n", "word ".repeat(22));
    assert!(page.contains(&cut), "{page}");
    assert!(
        page.contains(&format!(" | {} … |\n", "x".repeat(110))),
        "{page}"
    );
}

#[test]
fn a_loss_makes_no_page() {
    let mut lost = trial("Network", "a", "b");
    lost["lost"] = 1.into();
    page(&[lost]).unwrap_err();
    let mut doubled = trial("Network", "a", "b");
    doubled["doubled"] = 1.into();
    page(&[doubled]).unwrap_err();
    page(&[trial("Nonsense", "a", "b")]).unwrap_err();
}
