//! Answers of `:predict` that are wrong, or go wrong on their way: no vector is stored that is not its row's, and the rest is made
//! up for. The same faults strike the Gemini API's answers in `faults_answers` and `faults_network`.

use google_standin::{Fault, Reply, Stage};
use support::{Finished, Session, Space, Trial, Vertex};

use crate::fixtures::{filled, logs};

const MODEL: &str = "'logs', 10, model => 'text-embedding-004'";

/// How many rows have a vector, each found to be the right one.
fn sound(session: &mut Session) -> usize {
    let right = Space::TEXT_4.holds(session, "logs", "body", "embedding");
    assert_eq!(right as i64, filled(session, "logs"));
    right
}

#[test]
fn whatever_is_wrong_with_a_prediction_is_noticed() {
    let db = Vertex::fresh();
    // What comes a byte at a time does not come in time.
    db.set("request_timeout", "2");
    db.set("concurrency", "1");
    let mut session = db.session();
    logs(&mut session, 30);
    session.run("ALTER TABLE logs ALTER embedding TYPE vector(768)");
    let (mut tried, mut made_up_for) = (0, 0);
    for fault in Fault::all() {
        // A zero in the place of a value is one, whatever its sign, and nobody can notice that.
        let is_wrong = fault != Fault::MinusZero;
        if !is_wrong || !matches!(fault.stage(), Stage::Answer | Stage::Delivery) {
            continue;
        }
        println!("{fault}");
        session.run("UPDATE logs SET embedding = NULL");
        let faults = db.api.stats().faults;
        db.api
            .set(|config| config.replies = [Reply::Serve, Reply::Fault(fault)].into());
        let finished = session.embed_all(MODEL);
        let made = sound(&mut session);
        assert_eq!(db.api.stats().faults, faults + 1, "{fault} did not strike");
        match finished {
            Ok(finished) => assert_eq!((finished, made), (Finished::done(30, 0), 30), "{fault}"),
            Err(error) => {
                assert_eq!(made, 10, "{fault}: {error:?}");
                assert_eq!(
                    session.embed_all(MODEL).unwrap(),
                    Finished::done(20, 0),
                    "{fault}"
                );
                assert_eq!(sound(&mut session), 30);
            }
        }
        tried += 1;
        made_up_for += u64::from(made == 30);
    }
    assert!(made_up_for > tried / 2, "{made_up_for} of {tried}");
    Trial {
        chapter: "Answers",
        fault: "these and those of the network, in predictions of Vertex AI",
        times: tried,
        seen: "no wrong vector; all rows, at once or with the next call",
        lost: 0,
        doubled: 0,
    }
    .note();
}
