//! Records on their way, in the order in which they were read, cut into requests. Two versions of a row are
//! never on their way at the same time: the older one may be tried again, and would land last.

use std::collections::{HashMap, VecDeque};

use crate::chroma::record::Record;

/// Of a request's body. So that requests in flight don't add up to much, far below what the server takes.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Rows read first, when nothing is known of their size.
const FIRST_READ: usize = 20;

pub struct Queue {
    /// Read, and too much for the last request.
    unsent: VecDeque<Record>,
    /// By id, what each takes of a body.
    in_flight: HashMap<String, usize>,
    bytes_in_flight: usize,
    /// As many rows as the last ones were fit into a request.
    fit: usize,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue {
            unsent: VecDeque::new(),
            in_flight: HashMap::new(),
            bytes_in_flight: 0,
            fit: FIRST_READ,
        }
    }
}

impl Queue {
    /// Whether another request may go out, where `requests` of `batch` records may be on their way.
    pub fn has_room(&self, requests: usize, batch: usize) -> bool {
        self.in_flight.len() < requests * batch && self.bytes_in_flight < requests * MAX_BYTES
    }

    /// How many rows to read before the next request is cut; 0 when there is enough for one.
    pub fn wanted(&self, batch: usize) -> usize {
        match bytes(&self.unsent) > MAX_BYTES {
            true => 0,
            false => self.fit.min(batch.saturating_sub(self.unsent.len())),
        }
    }

    pub fn read(&mut self, records: Vec<Record>) {
        if let Some(mean) = bytes(&records).checked_div(records.len()) {
            self.fit = (MAX_BYTES / mean.max(1)).max(1);
        }
        self.unsent.extend(records);
    }

    /// The next request's, which are then on their way; none when there are none, or when another version of the
    /// first has to come back before it.
    pub fn next(&mut self, batch: usize) -> Vec<Record> {
        let mut sum = 0;
        let mut records = Vec::with_capacity(batch.min(self.unsent.len()));
        while records.len() < batch
            && let Some(record) = self.unsent.front()
            && (records.is_empty() || sum + record.bytes() <= MAX_BYTES)
            && !self.in_flight.contains_key(&record.id)
        {
            let bytes = record.bytes();
            self.in_flight.insert(record.id.clone(), bytes);
            self.bytes_in_flight += bytes;
            sum += bytes;
            records.extend(self.unsent.pop_front());
        }
        records
    }

    /// These are on their way no more, whatever came of it.
    pub fn came_back(&mut self, ids: &[String]) {
        let bytes = ids.iter().filter_map(|id| self.in_flight.remove(id));
        self.bytes_in_flight -= bytes.sum::<usize>();
    }
}

fn bytes<'r>(records: impl IntoIterator<Item = &'r Record>) -> usize {
    records.into_iter().map(Record::bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, bytes: usize) -> Record {
        Record {
            id: id.into(),
            vector: "x".repeat(bytes),
            document: String::new(),
            metadata: Vec::new(),
        }
    }

    fn ids(records: &[Record]) -> Vec<String> {
        records.iter().map(|record| record.id.clone()).collect()
    }

    #[test]
    fn a_later_version_waits_until_the_earlier_one_is_back() {
        let mut queue = Queue::default();
        queue.read(["1", "2", "1", "3"].map(|id| record(id, 9)).to_vec());
        let first = ids(&queue.next(10));
        assert_eq!(first, ["1", "2"]);
        assert!(queue.next(10).is_empty());
        queue.came_back(&first[1..]);
        assert!(queue.next(10).is_empty());
        queue.came_back(&first[..1]);
        assert_eq!(ids(&queue.next(10)), ["1", "3"]);
    }

    #[test]
    fn what_is_read_and_on_its_way_is_bounded_by_its_bytes_and_by_its_records() {
        for (bytes, most) in [(1 << 20, 5 * MAX_BYTES), (1 << 24, 5 << 24), (40, 1 << 20)] {
            let mut queue = Queue::default();
            let mut next = 0;
            while queue.has_room(4, 500) {
                while let wanted @ 1.. = queue.wanted(500) {
                    let rows = next..next + wanted;
                    next += wanted;
                    queue.read(rows.map(|id| record(&id.to_string(), bytes)).collect());
                }
                assert!(!queue.next(500).is_empty());
            }
            assert!(queue.bytes_in_flight <= most, "{}", queue.bytes_in_flight);
            assert!(queue.in_flight.len() <= 2_000);
            // But for the first read, which knows no better.
            assert!(queue.unsent.len() <= FIRST_READ);
        }
    }

    #[test]
    fn rows_are_read_as_they_fit() {
        let mut queue = Queue::default();
        assert_eq!((queue.wanted(500), queue.wanted(10)), (FIRST_READ, 10));
        queue.read(vec![record("1", 1 << 22)]);
        assert_eq!(queue.wanted(500), 1);
        queue.read(vec![record("2", 1 << 24)]);
        assert_eq!(queue.wanted(500), 0);
        queue.next(1);
        queue.next(1);
        queue.read(vec![record("3", 100)]);
        assert_eq!(queue.wanted(500), 499);
    }
}
