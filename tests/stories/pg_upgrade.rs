//! `pg_upgrade` with the extension in use, from the servers whose pg_configs `UPGRADE_FROM` names, with a colon between them.

use std::path::Path;

use google_standin::Config;
use support::{Cluster, Db, Install, Members, Session};

use crate::{
    in_use::{goes_on, grants, history, in_use},
    upgrade::{EXTENSION, installed, this_version},
};

#[test]
#[ignore = "it needs servers of older versions: make test-upgrade"]
fn a_new_server_goes_on_where_the_old_one_was() {
    let from = std::env::var("UPGRADE_FROM").expect("UPGRADE_FROM names pg_configs");
    for pg_config in from.split(':') {
        let old = Cluster::start_at(Box::leak(Box::new(Install::at(Path::new(pg_config)))), &[]);
        let db = Db::on(&old, Config::default());
        let role = in_use(&db);
        let oid = "SELECT 'logs'::regclass::oid::bigint";
        let (before, was) = (history(&mut db.session()), db.session().number(oid));

        // The newest minor releases mark columns with an option that an older 18 refuses; who upgrades takes an 18 that is as new.
        db.session().run(
            "UPDATE pg_attribute SET attoptions = NULL WHERE attoptions::text LIKE '{pg_attver=%'",
        );
        let new = old.upgraded();
        let mut session = Session::connect(new.config(&db.name, "postgres"));
        assert_eq!(session.number(oid), was);
        assert_eq!(history(&mut session), before, "{pg_config}");
        let mut embedder = Session::connect(new.config(&db.name, &role));
        goes_on(&db.api, &mut session, &mut embedder);

        let fresh = installed(&this_version());
        fresh
            .session()
            .run(&format!("CREATE ROLE {role}; {}", grants(&role)));
        let differences = Members::of(&mut session, EXTENSION)
            .differences(&Members::of(&mut fresh.session(), EXTENSION));
        assert_eq!(differences, Vec::<String>::new(), "{pg_config}");
    }
}
