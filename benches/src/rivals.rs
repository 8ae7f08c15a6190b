//! Three ways to fill the same table, in turns, each time from the same start: the extension's CALL, one UPDATE with vectors
//! that were made before, and the script that a user would write.

use crate::{
    Bench,
    lab::{Lab, Work, call},
    script,
};

const ROWS: u32 = 20_000;

/// The work of each, round by round; a rival that no part asks for has none.
#[derive(Default)]
pub struct Rounds {
    pub update: Vec<Work>,
    pub call: Vec<Work>,
    pub script: Vec<Work>,
}

#[derive(Clone, Copy)]
enum Rival {
    Update,
    Call,
    Script,
}

impl Rounds {
    pub fn run(bench: &Bench) -> Rounds {
        let rows = bench.options.rows(ROWS);
        let lab = Lab::new(&bench.cluster, rows, &[]);
        let mut rivals = vec![Rival::Call];
        if bench.options.wants("ceiling") || bench.options.wants("cost") {
            rivals.push(Rival::Update);
        }
        if bench.options.wants("script") {
            rivals.push(Rival::Script);
        }

        // The first round is not counted: it is the server's first, and the vectors for the UPDATE come from it.
        lab.fresh_items(rows);
        lab.call(rows);
        let mut session = lab.db.session();
        session.run("CREATE TABLE src AS SELECT id, embedding AS e FROM items");
        session.run("VACUUM (FREEZE, ANALYZE) src");
        lab.fresh_items(rows);
        Rival::Update.work(&lab, rows);

        let mut rounds = Rounds::default();
        for _ in 0..bench.options.rounds {
            for rival in &rivals {
                lab.fresh_items(rows);
                let work = rival.work(&lab, rows);
                check(&lab, rows);
                rounds.of(*rival).push(work);
            }
            // Who follows whom must make no difference.
            rivals.rotate_left(1);
        }
        rounds
    }

    fn of(&mut self, rival: Rival) -> &mut Vec<Work> {
        match rival {
            Rival::Update => &mut self.update,
            Rival::Call => &mut self.call,
            Rival::Script => &mut self.script,
        }
    }
}

impl Rival {
    fn work(self, lab: &Lab, rows: u32) -> Work {
        match self {
            Rival::Update => lab.work(rows, |session| {
                session.run("UPDATE items SET embedding = src.e FROM src WHERE src.id = items.id");
            }),
            Rival::Call => lab.work(rows, |session| call(session, rows)),
            Rival::Script => script::work(lab, rows),
        }
    }
}

/// Whoever leaves a row out, or gives it another vector, has no speed.
fn check(lab: &Lab, rows: u32) {
    let right = lab.db.session().number(
        "SELECT count(*) FROM items JOIN src USING (id) WHERE embedding OPERATOR(public.<->) e < 1e-5",
    );
    assert_eq!(right, i64::from(rows));
}
