//! `pg_upgrade`: from a server of another version to the one that is tested.

use std::process::Command;

use crate::{cluster::Cluster, install::Install};

impl Cluster {
    /// Stops this server and takes its data, in a copy, to a new one of the version that is tested.
    pub fn upgraded(&self) -> Cluster {
        self.stop("fast");
        let new = Cluster::stopped(&[]);
        let mut upgrade = Install::get().server("pg_upgrade");
        upgrade
            .args(["--username=postgres", "--no-sync", "--old-bindir"])
            .arg(self.install().bindir())
            .arg("--old-datadir")
            .arg(self.data())
            .arg("--new-bindir")
            .arg(Install::get().bindir())
            .arg("--new-datadir")
            .arg(new.data())
            .arg("--socketdir")
            .arg(new.host());
        let said = upgrade.current_dir(new.host()).output();
        let said = said.expect("pg_upgrade can be run");
        assert!(
            said.status.success(),
            "{}\n{}",
            String::from_utf8_lossy(&said.stdout),
            new.upgrade_logs()
        );
        new.run(&[]);
        new
    }

    /// The errors in the logs that a failed pg_upgrade left.
    fn upgrade_logs(&self) -> String {
        let logs = Command::new("sh")
            .args(["-c", "grep -rh -A4 error pg_upgrade_output.d"])
            .current_dir(self.data())
            .output()
            .expect("sh can be run");
        String::from_utf8_lossy(&logs.stdout).into_owned()
    }
}
