//! TLS: who can't prove who he is gets neither key nor texts, and what breaks inside of TLS is as harmless as outside.

use google_standin::{Authority, Config, Fault, Flaw, Identity};
use support::{Db, Trial, refused};

use crate::{
    faults::{Case, ROWS, Table, side_by_side, tried},
    fixtures::right,
};

const INSIDE: &[Case] = &[
    Case::retried(Fault::ResetOnAccept, "58030", "no answer from 127.0.0.1: "),
    Case::retried(
        Fault::Blackhole,
        "58030",
        "no answer from 127.0.0.1 within 1 s",
    )
    .soon(),
    Case::retried(Fault::ResetInBody, "58030", "disconnected"),
    Case::retried(Fault::Truncated, "58030", "disconnected"),
    Case::unharmed(Fault::TwoAnswers),
    Case::unharmed(Fault::ByteByByte),
];

#[test]
fn whatever_breaks_inside_of_it() {
    let db = Db::fresh();
    let authority = Authority::new("ours");
    trust(&db, &authority);
    side_by_side(
        INSIDE,
        |case| case.fault.to_string(),
        |case| {
            let config = with(authority.identity(Flaw::None));
            tried(&db, "TLS", case, config);
        },
    );
}

/// Has all coming sessions trust this authority and no other.
fn trust(db: &Db, authority: &Authority) {
    let file = db.file("ca.pem", authority.pem(), 0o644);
    db.set("ca_file", file.to_str().expect("paths are UTF-8"));
}

fn with(identity: Identity) -> Config {
    Config {
        tls: Some(identity),
        ..Config::default()
    }
}

// Each handshake costs two round trips, so that looking for what nobody asked for must not be taken for finding it.
#[test]
fn a_connection_is_kept() {
    let db = Db::fresh();
    let authority = Authority::new("ours");
    trust(&db, &authority);
    let mut table = Table::new(&db, "kept", with(authority.identity(Flaw::None)));
    table.empty();
    table.embed_all().unwrap();
    assert_eq!(table.sound(|session| right(session, "logs")), ROWS);
    let stats = table.api.stats();
    assert_eq!((stats.connections, stats.requests), (1, 3));
}

/// A server that can't prove itself, and what is said of it.
struct Stranger {
    fault: &'static str,
    config: Config,
    /// Instead of the one that the stand-in names.
    scheme: &'static str,
    says: &'static str,
}

#[test]
fn whoever_can_not_prove_himself() {
    let db = Db::fresh();
    let ours = Authority::new("ours");
    let (theirs, forged) = (Authority::new("theirs"), Authority::new("ours"));
    trust(&db, &ours);
    let flawed = |fault, authority: &Authority, flaw, says| Stranger {
        fault,
        config: with(authority.identity(flaw)),
        scheme: "https",
        says,
    };
    let strangers = [
        flawed("an expired certificate", &ours, Flaw::Expired, "expired"),
        flawed(
            "a certificate that is not valid yet",
            &ours,
            Flaw::NotYetValid,
            "not valid yet",
        ),
        flawed(
            "a certificate of another host",
            &ours,
            Flaw::WrongHost,
            "not valid for name",
        ),
        flawed(
            "a self-signed certificate",
            &ours,
            Flaw::SelfSigned,
            "UnknownIssuer",
        ),
        flawed(
            "an authority that is not in `ca_file`",
            &theirs,
            Flaw::None,
            "UnknownIssuer",
        ),
        flawed(
            "an authority that has the name of the one in `ca_file`",
            &forged,
            Flaw::None,
            "BadSignature",
        ),
        Stranger {
            fault: "clear text where TLS is expected",
            config: Config::default(),
            scheme: "https",
            says: "",
        },
        Stranger {
            fault: "TLS where clear text is expected",
            config: with(ours.identity(Flaw::None)),
            scheme: "http",
            says: "",
        },
    ];
    side_by_side(
        &strangers,
        |stranger| stranger.fault.to_owned(),
        |stranger| {
            refuses(&db, &ours, stranger);
        },
    );
}

fn refuses(db: &Db, authority: &Authority, stranger: &Stranger) {
    let mut table = Table::new(db, stranger.fault, stranger.config.clone());
    let port = table.api.address().port();
    let scheme = stranger.scheme;
    table.session.run(&format!(
        "SET embedding_backfill.base_url = '{scheme}://127.0.0.1:{port}/v1beta';
         SET embedding_backfill.max_attempts = 2"
    ));
    table.empty();
    let error = refused(table.embed_all(), "58030", stranger.says, "ca_file");
    refused(
        table.session.embed("'logs', 10"),
        "58030",
        stranger.says,
        "ca_file",
    );
    assert_eq!(table.sound(|session| right(session, "logs")), 0);
    let stats = table.api.stats();
    assert_eq!(stats.requests, 0);
    // A certificate does not mend itself.
    let attempts = if stranger.says.is_empty() { 4 } else { 2 };
    assert_eq!(stats.connections, attempts);

    table
        .api
        .set(|config| config.tls = Some(authority.identity(Flaw::None)));
    let base_url = table.api.base_url();
    table
        .session
        .run(&format!("SET embedding_backfill.base_url = '{base_url}'"));
    assert_eq!(table.embed_all().unwrap().embedded, i64::from(ROWS));
    table.sound(|session| right(session, "logs"));
    Trial {
        chapter: "TLS",
        fault: stranger.fault,
        times: attempts,
        seen: &timeless(error.message()),
        lost: 0,
        doubled: 0,
    }
    .note();
}

/// Without the times that a certificate's refusal names.
fn timeless(message: &str) -> String {
    let words = message.split(' ').map(|word| {
        let number = word.trim_start_matches('(');
        match number.parse::<u64>() {
            Ok(_) => word.replace(number, "…"),
            Err(_) => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}
