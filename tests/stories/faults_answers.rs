//! Answers that are delivered well and can't be right, or are right and oddly spelled.

use google_standin::Fault;

use crate::faults::{Case, all_tried};

pub const CASES: &[Case] = &[
    Case::retried(Fault::Fewer, "38000", "9 vectors came back for 10 texts"),
    Case::retried(Fault::More, "38000", "11 vectors came back for 10 texts"),
    Case::retried(
        Fault::NoVectors,
        "38000",
        "0 vectors came back for 10 texts",
    ),
    Case::retried(
        Fault::ShortVector,
        "38000",
        "127 dimensions, 128 were asked for",
    ),
    Case::retried(
        Fault::LongVector,
        "38000",
        "129 dimensions, 128 were asked for",
    ),
    Case::retried(
        Fault::EmptyVector,
        "38000",
        "0 dimensions, 128 were asked for",
    ),
    Case::retried(Fault::ZeroVector, "38000", "only zeros"),
    Case::retried(Fault::Nan, "38000", "can't be read"),
    Case::retried(Fault::Infinity, "38000", "can't be read"),
    Case::retried(Fault::Huge, "38000", "can't be read"),
    Case::retried(Fault::BeyondFloat, "38000", "can't be read"),
    Case::retried(Fault::Null, "38000", "can't be read"),
    Case::retried(Fault::Strings, "38000", "can't be read"),
    Case::retried(Fault::Nested, "38000", "can't be read"),
    Case::unharmed(Fault::MinusZero),
    Case::unharmed(Fault::FortyDigits),
    Case::retried(Fault::DuplicateEmbeddings, "38000", "can't be read"),
    Case::retried(Fault::DuplicateValues, "38000", "can't be read"),
    Case::unharmed(Fault::ReorderedKeys),
    Case::retried(Fault::DeepInside, "38000", "can't be read"),
    Case::retried(Fault::Bom, "38000", "can't be read"),
    Case::retried(Fault::InvalidUtf8, "38000", "can't be read"),
    Case::retried(Fault::Deep, "38000", "can't be read"),
    Case::retried(Fault::NoBody, "38000", "can't be read"),
    Case::retried(Fault::NoEmbeddings, "38000", "can't be read"),
    Case::retried(Fault::NullEmbeddings, "38000", "can't be read"),
    Case::retried(Fault::List, "38000", "can't be read"),
    Case::retried(Fault::ErrorWith200, "38000", "can't be read"),
];

#[test]
fn whatever_comes_for_an_answer() {
    all_tried("Answers", CASES);
}
