//! The tables below a target that store its rows, and how the caller may reach each.

use pgrx::pg_sys::Oid;
use pgrx::prelude::*;

use super::error::Error;

/// A table that stores rows, and how the caller may reach it.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaf {
    pub oid: Oid,
    /// What stands behind FROM and UPDATE, without the alias.
    pub source: String,
    /// SQL of type boolean: true for rows of this leaf.
    pub within: String,
}

/// The tables below `oid` that store rows, and the foreign ones. A table of one's own is read by its
/// name. Where the caller has rights on the parent alone, or its policies apply, it is reached through
/// the parent: `tableoid` says which rows are meant, the partition's constraint lets the planner skip
/// the other partitions.
pub fn of(
    oid: Oid,
    relation: &str,
    alias: &str,
    column: &str,
) -> Result<(Vec<Leaf>, Vec<String>), Error> {
    let mut own = Vec::new();
    let mut foreign = Vec::new();
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
                        OR has_table_privilege(c.oid, 'SELECT')
                           AND has_column_privilege(c.oid, $2, 'UPDATE')
                           AND NOT row_security_active(c.oid) AND NOT row_security_active($1),
                    format('%s.tableoid OPERATOR(pg_catalog.=) %L::pg_catalog.oid AND (%s)', $3, c.oid,
                           coalesce(pg_get_partition_constraintdef(c.oid), 'true')),
                    c.oid
             FROM tree JOIN pg_class c ON c.oid = tree.oid
             JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind IN ('r', 'f')
             ORDER BY c.relname, c.oid",
            None,
            &[oid.into(), column.into(), alias.into()],
        )?;
        for row in rows {
            let name: String = row.get(1)?.unwrap_or_default();
            if row.get(2)?.unwrap_or_default() {
                foreign.push(name);
                continue;
            }
            let oid = row.get(5)?.unwrap_or(Oid::INVALID);
            if row.get(3)?.unwrap_or_default() {
                own.push(Leaf {
                    oid,
                    source: format!("ONLY {name}"),
                    within: "true".into(),
                });
            } else {
                own.push(Leaf {
                    oid,
                    source: relation.to_owned(),
                    within: row.get(4)?.unwrap_or_default(),
                });
            }
        }
        Ok::<_, Error>(())
    })?;
    Ok((own, foreign))
}
