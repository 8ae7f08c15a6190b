//! The members of an extension as the catalog describes them, to be held against those of another installation.

use std::collections::BTreeMap;

use crate::session::Session;

#[derive(Debug, PartialEq)]
pub struct Members(BTreeMap<(String, String), String>);

impl Members {
    /// All that the catalog says of the extension in this session's database; no version, no OIDs.
    #[track_caller]
    pub fn of(session: &mut Session, extension: &str) -> Members {
        let facts = session
            .query(include_str!("members.sql"), &[&extension])
            .unwrap_or_else(|error| panic!("{error:?}"));
        let facts: BTreeMap<(String, String), String> = facts
            .iter()
            .map(|row| {
                let value: Option<String> = row.get("value");
                let key = (row.get("what"), row.get("fact"));
                (key, value.unwrap_or_else(|| "NULL".to_owned()))
            })
            .collect();
        let unknown = facts.iter().find(|((_, fact), _)| fact == "unknown kind");
        assert_eq!(
            unknown, None,
            "members.sql has to learn to describe members of this kind"
        );
        Members(facts)
    }

    /// Each fact that is not the same in the other, as `what, fact: here / there`.
    pub fn differences(&self, other: &Members) -> Vec<String> {
        let none = "none".to_owned();
        let keys: std::collections::BTreeSet<_> = self.0.keys().chain(other.0.keys()).collect();
        keys.into_iter()
            .map(|key| {
                (
                    key,
                    self.0.get(key).unwrap_or(&none),
                    other.0.get(key).unwrap_or(&none),
                )
            })
            .filter(|(_, here, there)| here != there)
            .map(|((what, fact), here, there)| format!("{what}, {fact}: {here} / {there}"))
            .collect()
    }

    /// How many facts there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
