//! How near the CALL comes to what the server can write at all: one UPDATE with vectors that are there already.

use crate::{
    Bench,
    lab::Work,
    measure::{Measure, Unit},
    rivals::Rounds,
};

pub fn measure(bench: &Bench) -> Vec<Measure> {
    let Rounds { update, call, .. } = bench.rounds();
    let rates = |work: &[Work]| work.iter().map(Work::rate).collect::<Vec<_>>();
    let (update, call) = (rates(update), rates(call));
    let shares = call.iter().zip(&update).map(|(call, update)| call / update);
    vec![
        Measure::of(
            "ceiling.share",
            "rows/s of CALL, share of pure SQL",
            Unit::Share,
            shares.collect(),
        )
        .at_least(0.55, 0.8),
        Measure::of("ceiling.call", "  rows/s of CALL", Unit::Rate, call),
        Measure::of("ceiling.update", "  rows/s of pure SQL", Unit::Rate, update),
    ]
}
