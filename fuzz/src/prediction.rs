//! The body of a 200 to `:predict`, read twice as `answer` is: the same numbers, tokens, characters and cuts.

use embedding_backfill::gemini::{predict, response::Answer};
use serde_json::value::RawValue;

use crate::reading::{self, count, count_in, elements, member, members, vector};

pub fn check(body: &[u8]) {
    let ours = predict::parse(body).map_err(|error| format!("{error:?}"));
    let place = |vector: usize| format!("/predictions/{vector}/embeddings/values");
    reading::compare(body, ours, answer, place);
}

fn answer(text: &str, odd: &mut bool) -> Option<Answer> {
    let body = members(serde_json::from_str(text).ok()?)?;
    let mut answer = Answer {
        tokens: Some(0),
        ..Answer::default()
    };
    for prediction in elements(member(&body, "predictions", odd)?)? {
        let prediction = members(prediction)?;
        let embeddings = members(member(&prediction, "embeddings", odd)?)?;
        answer
            .vectors
            .push(vector(member(&embeddings, "values", odd)?)?);
        let (tokens, truncated) = match member(&embeddings, "statistics", odd) {
            None => (None, false),
            Some(statistics) => {
                let statistics = members(statistics)?;
                let tokens = count(member(&statistics, "token_count", odd), odd);
                let truncated = member(&statistics, "truncated", odd);
                (tokens, is_true(truncated, odd))
            }
        };
        answer.tokens = answer
            .tokens
            .zip(tokens)
            .map(|(sum, tokens)| sum.saturating_add(tokens));
        answer.truncated += usize::from(truncated);
    }
    answer.characters = count_in(
        member(&body, "metadata", odd),
        "billableCharacterCount",
        odd,
    );
    Some(answer)
}

fn is_true(raw: Option<&RawValue>, odd: &mut bool) -> bool {
    let text = raw.map_or("null", RawValue::get);
    *odd |= !matches!(text, "true" | "false" | "null");
    text == "true"
}
