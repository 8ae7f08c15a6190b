//! Word vectors equal those of the Python package wordllama 0.4.0.post1, and bring together what belongs together. The
//! files are not part of the project, so this runs only where `words.sh` has fetched them.

mod common;

use common::*;
use google_standin::{Config, Semantics, Words};

fn directory() -> std::path::PathBuf {
    let directory = std::env::var_os("WORDS_DIR");
    directory
        .expect("WORDS_DIR names the directory that words.sh has filled")
        .into()
}

#[test]
#[ignore = "needs the files of wordllama: words.sh DIR, then WORDS_DIR=DIR"]
fn vectors_equal_those_of_the_package() {
    let words = Words::load(&directory()).unwrap();
    for (text, tokens, values) in [
        (
            "hello",
            1,
            [0.43041992, 0.9604492, -0.40942383, -0.32373047],
        ),
        (
            "Ruby is a programmer's best friend",
            8,
            [0.24014115, -0.09989685, -0.12294388, -0.5310154],
        ),
        (
            "\u{1f600} caf\u{e9}\n\n<s>two lines</s>\t\u{57cb}\u{3081}",
            19,
            [-0.113266796, 0.037120618, -0.077061705, -0.021304483],
        ),
        (
            &"the cat sat on the mat. ".repeat(500),
            3501,
            [-0.22918054, 0.10316597, -0.22649635, 0.45015568],
        ),
        ("", 0, [0.0; 4]),
    ] {
        assert_eq!(words.tokens(text), tokens);
        assert_eq!(words.mean(text, usize::MAX)[..4], values);
    }
}

#[test]
#[ignore = "needs the files of wordllama: words.sh DIR, then WORDS_DIR=DIR"]
fn a_question_finds_an_answer_without_a_word_in_common() {
    let (standin, mut client) = start(Config {
        semantics: Semantics::words(directory()).unwrap(),
        ..Config::default()
    });
    let texts = [
        "task: search result | query: how do I fix a car that will not start",
        "title: none | text: Replace the vehicle's dead battery and check the engine's ignition.",
        "title: none | text: Simmer onions in butter, then add the stock and the cream.",
        "title: none | text: The parliament voted on a new tax law yesterday.",
        " ",
    ];
    for (model, norm) in [(MODEL, 1.0), (OLD_MODEL, 0.58)] {
        for dimensions in [128, 768, 1000] {
            let vectors = embed(&mut client, model, &texts, dimensions).vectors();
            for (vector, text) in vectors.iter().zip(texts) {
                assert_eq!(*vector, standin.vector(text, model, dimensions));
            }
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            let near = |at: usize| dot(&vectors[0], &vectors[at]) / (norm * norm);
            assert!((near(0) - 1.0).abs() < 1e-5);
            assert!(near(1) > 0.3, "{}", near(1));
            assert!(near(1) > near(2) + 0.2 && near(1) > near(3) + 0.2);
        }
    }
    // Billed are all tokens, those of the prompt too.
    let answer = embed(&mut client, MODEL, &["title: none | text: hello"], 768).json();
    let words = Words::load(&directory()).unwrap();
    let tokens = words.tokens("title: none | text: hello");
    assert_eq!(answer["usageMetadata"]["promptTokenCount"], tokens);
    assert!(tokens > 5);
}
