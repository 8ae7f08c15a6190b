//! The property: whatever the API, other sessions and those who end calls and servers do, in any order, each row is NULL or has
//! exactly the vector of its content, nothing else has changed, nothing is paid for twice without a reason, and the journal agrees.
//! Each schedule is drawn from its seed: `EB_SEED=17 EB_SCHEDULES=1` repeats one.

mod ends;
mod plan;
mod table;
mod weather;
mod writers;

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

use google_standin::Config;
use support::{Cluster, Db, Trial, wait_until};

use self::{
    ends::{STANDS, Scene},
    plan::{ENDS, End, LAST_BATCH, Plan},
    table::{create, is_complete},
    weather::{Fault, POISON, Silence, Weather},
    writers::{CHANGES, EndOfWriting, SECOND_CALLS, Writing},
};
use crate::fixtures::told;

const SEED: u64 = 1;
const SCHEDULES: u64 = 26;

/// Schedules at a time, each on a server of its own; most of them wait most of the time.
const LANES: u64 = 8;

/// A schedule takes some seconds. Where nothing is heard for as long as this, one does not end.
const WATCHDOG: Duration = Duration::from_secs(240);

/// What a lane says of the schedule with this seed.
enum Told {
    Begun(u64),
    Held(u64, Happened),
    Failed(u64),
}

/// How often what came up, and what the callers were told.
#[derive(Default)]
struct Happened {
    times: BTreeMap<String, u64>,
    told: BTreeMap<End, Vec<String>>,
}

// Would pass wrongly if nothing went wrong: each fault, each silence, each end and each kind of writing must have come up.
#[test]
fn every_row_is_null_or_right_whatever_happens() {
    let (seed, schedules) = (told("EB_SEED", SEED), told("EB_SCHEDULES", SCHEDULES));
    let next = Arc::new(AtomicU64::new(seed));
    let (tell, heard) = channel();
    for _ in 0..LANES.min(schedules) {
        let (next, tell) = (Arc::clone(&next), tell.clone());
        // Not scoped: a schedule that does not end must not keep this story from failing.
        thread::spawn(move || lane(&next, seed + schedules, &tell));
    }
    drop(tell);

    let (mut running, mut held) = (Vec::new(), 0);
    let mut all = Happened::default();
    let failed = loop {
        match heard.recv_timeout(WATCHDOG) {
            Ok(Told::Begun(seed)) => running.push(seed),
            Ok(Told::Held(seed, happened)) => {
                running.retain(|other| *other != seed);
                held += 1;
                all.add(happened);
            }
            Ok(Told::Failed(seed)) => break Some(seed),
            Err(RecvTimeoutError::Timeout) => break running.first().copied(),
            Err(RecvTimeoutError::Disconnected) => break None,
        }
    };
    if let Some(seed) = failed {
        next.store(u64::MAX, Relaxed);
        panic!("the schedule of seed {seed} failed: EB_SEED={seed} EB_SCHEDULES=1 repeats it");
    }
    assert_eq!(held, schedules, "a lane broke off");
    println!("{:#?}", all.times);
    if schedules >= SCHEDULES {
        all.has_everything();
    }
    if (seed, schedules) == (SEED, SCHEDULES) {
        all.note();
    }
}

/// Plays schedules on a server that is its own, since half of them crash it.
fn lane(next: &AtomicU64, end: u64, tell: &Sender<Told>) {
    let cluster = Cluster::start(&[("autovacuum", "off")], &[]);
    loop {
        let seed = next.fetch_add(1, Relaxed);
        if seed >= end {
            return;
        }
        let told = tell.send(Told::Begun(seed));
        let played = catch_unwind(AssertUnwindSafe(|| play(&cluster, seed)));
        let played = played.map_or(Told::Failed(seed), |happened| Told::Held(seed, happened));
        // Nobody listens any more where another schedule has failed.
        if told.and_then(|()| tell.send(played)).is_err() {
            return;
        }
    }
}

fn play(cluster: &Cluster, seed: u64) -> Happened {
    let plan = &Plan::of(seed);
    println!("{plan:#?}");
    let weather = Arc::new(Weather::new(plan));
    let sky = Arc::clone(&weather);
    let config = Config {
        latency: Duration::from_millis(2),
        poison: Some(POISON.to_owned()),
        ..Config::default()
    };
    let db = &Db::on(cluster, config.script(move |request| sky.reply(request)));
    db.set("concurrency", &plan.concurrency.to_string());
    db.set("max_attempts", &plan.max_attempts.to_string());
    db.set("request_timeout", "2s");
    create(db, plan);

    let writing = &Writing::new();
    let scene = Scene {
        db,
        cluster,
        plan,
        weather: &weather,
        writing,
    };
    let mut happened = Happened::default();
    let mut caller = thread::scope(|scope| {
        let over = EndOfWriting(writing);
        for writer in 1..=plan.writers {
            scope.spawn(move || writing.change(db, plan, writer));
        }
        scope.spawn(move || writing.call(db, plan));
        let mut caller = scene.caller();
        for step in &plan.steps {
            let told;
            (caller, told) = scene.play(step, caller);
            happened.told.entry(step.end).or_default().push(told);
        }
        caller.run(&plan.patience(None));
        // The last one is not ended; it ends when the writers leave it a chance to.
        let last = scope.spawn(move || {
            let finished = caller.embed_all(&format!("'logs', {LAST_BATCH}, 'body'"));
            assert_eq!(finished.unwrap().stopped_because, "done");
            caller
        });
        let begun = db.api.stats().requests;
        db.api.wait_until(Duration::from_millis(500), |stats| {
            stats.requests >= begun + 20
        });
        drop(over);
        last.join().expect("the last CALL is done")
    });
    // What was locked for long, and what a fault made look like a text that is refused.
    caller.run("SELECT embed_retry_rejected('logs')");
    let finished = caller.embed_all(&format!("'logs', {LAST_BATCH}, 'body'"));
    assert_eq!(finished.unwrap().remaining, 0);
    is_complete(&mut caller);
    wait_until("nothing is in flight", || db.api.stats().in_flight == 0);
    scene.is_paid_for_once();
    happened.count(&scene);
    happened
}

impl Scene<'_> {
    /// An answer is written, and only to a row without a vector; or others touched its row while it was under way; or its call was
    /// rolled back, or ended:
    ///
    ///     answers <= written + touched + rolled back + answers to CALLs that did not wait for more
    ///
    /// For each of these answers Google may have billed others that did not arrive:
    ///
    ///     sent <= answers * (max_attempts + (max_attempts - 1) * log2(batch))
    fn is_paid_for_once(&self) {
        let (seen, stats) = (self.weather.seen(), self.db.api.stats());
        assert_eq!(stats.texts_billed, seen.answered + seen.hellos);
        let written = self.db.session().number("SELECT count(*) FROM ledger") as u64;
        let touched = self.writing.touched.load(Relaxed);
        let unwritten = self.writing.unwritten.load(Relaxed) + self.plan.lost();
        println!(
            "seed {}: {} answers and {} without; {written} written, at most {touched} touched, {unwritten} cut off",
            self.plan.seed, seen.answered, seen.unanswered
        );
        let most = written + touched + unwritten;
        assert!(seen.answered <= most, "paid for twice");
        assert!(
            seen.answered + seen.unanswered <= most * self.plan.most_sends(),
            "tried too often"
        );
    }
}

impl Happened {
    fn count(&mut self, scene: &Scene) {
        self.times = scene.weather.seen().times;
        let names = CHANGES.iter().map(|(name, _)| *name).chain(SECOND_CALLS);
        for (name, done) in names.zip(&scene.writing.done) {
            self.times.insert(name.to_owned(), done.load(Relaxed));
        }
    }

    fn add(&mut self, other: Happened) {
        for (what, times) in other.times {
            *self.times.entry(what).or_default() += times;
        }
        for (end, told) in other.told {
            self.told.entry(end).or_default().extend(told);
        }
    }

    fn has_everything(&self) {
        let names = CHANGES.iter().map(|(name, _)| *name).chain(SECOND_CALLS);
        let expected = Fault::ALL
            .map(|fault| format!("{fault:?}"))
            .into_iter()
            .chain(Silence::ALL.map(|silence| silence.name()))
            .chain(names.chain([POISON, STANDS]).map(str::to_owned));
        for what in expected {
            let times = self.times.get(&what).copied().unwrap_or_default();
            assert!(times > 0, "{what} did not come up");
        }
        for end in ENDS {
            assert!(self.told.contains_key(&end), "{end:?} did not come up");
        }
    }

    fn note(&self) {
        let tried = |fault: &str, times: usize, seen: &str| {
            Trial {
                chapter: "Interruptions at random",
                fault,
                times: times as u64,
                seen,
                lost: 0,
                doubled: 0,
            }
            .note();
        };
        for (end, told) in &self.told {
            if let Some(fault) = end.in_words() {
                assert!(told.iter().all(|words| *words == told[0]), "{told:?}");
                tried(fault, told.len(), &told[0]);
            }
        }
        tried(
            "a schedule of faults, writers, a second caller and three ends of calls, drawn from a seed",
            SCHEDULES as usize,
            "each row is NULL or right, nothing else has changed, the journal agrees",
        );
    }
}
