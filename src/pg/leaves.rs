//! The tables below a target that store its rows, and how the caller may reach each.

use pgrx::pg_sys::Oid;
use pgrx::prelude::*;

use super::error::Error;
use super::sys;

/// A table that stores rows, and how the caller may reach it.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaf {
    pub oid: Oid,
    /// Another one when the table was rewritten, by VACUUM FULL or the like: then its rows are at other places.
    pub file: Oid,
    /// And not through the parent.
    by_name: bool,
    /// SQL of type boolean: true for rows of this leaf.
    within: String,
}

impl Leaf {
    /// What stands behind FROM and UPDATE, without the alias, and the condition that goes with it; `relation` is the
    /// name of `root`. By the name that the leaf has now and keeps while the transaction lasts: another table may have
    /// taken the one that it had. No row where it is no part of `root` any more, until the leaves are found anew.
    pub fn reach(&self, root: Oid, relation: &str) -> (String, &str) {
        if !self.by_name {
            return (relation.to_owned(), &self.within);
        }
        sys::lock_name(self.oid);
        match sys::name_of(self.oid) {
            Some(name) if self.oid == root || sys::is_below(self.oid, root) => {
                (format!("ONLY {name}"), &self.within)
            }
            _ => (format!("ONLY {relation}"), "false"),
        }
    }
}

/// The tables below `oid` that store rows, and the foreign ones, without other sessions' temporary
/// tables. A table of one's own is read by its name. Where the caller has rights on the parent alone, or
/// its policies apply, it is reached through the parent: `tableoid` says which rows are meant, the
/// partition's constraint lets the planner skip the other partitions. Not under a pinned search_path, see
/// `within`.
pub fn of(oid: Oid, alias: &str, column: &str) -> Result<(Vec<Leaf>, Vec<String>), Error> {
    let mut own = Vec::new();
    let mut foreign = Vec::new();
    for (name, oid, file, reach) in sys::with_pinned_search_path(|| tables(oid, column))? {
        match reach {
            Reach::Foreign => foreign.push(name),
            Reach::ByName => own.push(Leaf {
                oid,
                file,
                by_name: true,
                within: "true".into(),
            }),
            Reach::ThroughParent => own.push(Leaf {
                oid,
                file,
                by_name: false,
                within: within(oid, alias)?,
            }),
        }
    }
    Ok((own, foreign))
}

enum Reach {
    ByName,
    ThroughParent,
    Foreign,
}

fn tables(oid: Oid, column: &str) -> Result<Vec<(String, Oid, Oid, Reach)>, Error> {
    Spi::connect(|client| {
        let rows = client.select(
            "WITH RECURSIVE tree (oid) AS (
                 SELECT $1::oid
                 UNION
                 SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.oid
                 WHERE NOT i.inhdetachpending
             )
             SELECT format('%I.%I', n.nspname, c.relname), c.relkind = 'f',
                    c.oid = $1
                        OR has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
                           AND has_column_privilege(c.oid, $2, 'UPDATE')
                           AND NOT row_security_active(c.oid) AND NOT row_security_active($1),
                    c.oid, pg_relation_filenode(c.oid)
             FROM tree JOIN pg_class c ON c.oid = tree.oid
             JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind IN ('r', 'f') AND NOT pg_is_other_temp_schema(n.oid)
             ORDER BY c.relname, c.oid",
            None,
            &[oid.into(), column.into()],
        )?;
        rows.map(|row| {
            let reach = match (row.get(2)?, row.get(3)?) {
                (Some(true), _) => Reach::Foreign,
                (_, Some(true)) => Reach::ByName,
                _ => Reach::ThroughParent,
            };
            let oid = row.get(4)?.unwrap_or(Oid::INVALID);
            let file = row.get(5)?.unwrap_or(Oid::INVALID);
            Ok((row.get(1)?.unwrap_or_default(), oid, file, reach))
        })
        .collect()
    })
}

/// Postgres writes a constraint for the search_path of that moment, so it must be the one under which it
/// will be read: an operator of that name may stand in front of the catalog's there.
fn within(leaf: Oid, alias: &str) -> Result<String, Error> {
    let constraint = Spi::connect(|client| {
        client
            .select(
                "SELECT pg_catalog.pg_get_partition_constraintdef($1)",
                None,
                &[leaf.into()],
            )?
            .first()
            .get_one::<String>()
    })?;
    Ok(format!(
        "{alias}.tableoid OPERATOR(pg_catalog.=) {}::pg_catalog.oid AND ({})",
        leaf.to_u32(),
        constraint.as_deref().unwrap_or("true")
    ))
}
