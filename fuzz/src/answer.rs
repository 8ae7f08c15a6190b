//! The body of a 200, read by the extension and, slowly, by serde_json and the standard library: both must see an answer in it or
//! neither, and the same numbers to the last bit.

use embedding_backfill::gemini::response::{self, Answer};

use crate::reading::{self, count_in, elements, member, members, vector};

pub fn check(body: &[u8]) {
    let ours = response::parse(body).map_err(|error| format!("{error:?}"));
    let place = |vector: usize| format!("/embeddings/{vector}/values");
    reading::compare(body, ours, answer, place);
}

fn answer(text: &str, odd: &mut bool) -> Option<Answer> {
    let body = members(serde_json::from_str(text).ok()?)?;
    let embeddings = elements(member(&body, "embeddings", odd)?)?;
    let vectors = embeddings
        .into_iter()
        .map(|embedding| {
            let embedding = members(embedding)?;
            vector(member(&embedding, "values", odd)?)
        })
        .collect::<Option<Vec<Vec<f32>>>>()?;
    let tokens = count_in(member(&body, "usageMetadata", odd), "promptTokenCount", odd);
    Some(Answer {
        vectors,
        tokens,
        ..Answer::default()
    })
}
