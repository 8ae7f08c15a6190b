//! What is said for each batch is planned once. A plan fits the table as it was then; Postgres itself makes a new
//! one when the table, the search_path or the role has changed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use pgrx::PgOid;
use pgrx::datum::DatumWithOid;
use pgrx::spi::{OwnedPreparedStatement, SpiClient};

use super::error::Error;

/// Kept at a time. A partition has three of its own, and a table may have thousands of partitions.
const MAX_KEPT: usize = 24;

#[derive(Default)]
pub struct Plans(RefCell<HashMap<String, Rc<OwnedPreparedStatement>>>);

impl Plans {
    /// The plan of a statement with such arguments. It can be used while another one is asked for, as by a trigger
    /// that embeds.
    pub fn of(
        &self,
        client: &SpiClient<'_>,
        statement: &str,
        arguments: &[DatumWithOid<'_>],
    ) -> Result<Rc<OwnedPreparedStatement>, Error> {
        if let Some(plan) = self.0.borrow().get(statement) {
            return Ok(Rc::clone(plan));
        }
        let types: Vec<PgOid> = arguments.iter().map(|a| PgOid::from(a.oid())).collect();
        let plan = Rc::new(client.prepare_mut(statement, &types)?.keep());
        let mut plans = self.0.borrow_mut();
        if plans.len() >= MAX_KEPT {
            plans.clear();
        }
        plans.insert(statement.to_owned(), Rc::clone(&plan));
        Ok(plan)
    }
}

impl fmt::Debug for Plans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.borrow().keys()).finish()
    }
}
