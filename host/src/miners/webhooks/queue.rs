//! What waits for one receiver, bounded in number and bytes: when it is full the oldest go.

use std::{collections::VecDeque, sync::Arc};

use uuid::Uuid;

use crate::miners::Published;

/// Encoded bytes that may wait for one receiver.
const BYTES: usize = 4 << 20;

/// An event on its way to a receiver.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    /// The same at every attempt, so that a receiver notices what it had already.
    pub(super) id: Uuid,
    pub(super) event: Arc<Published>,
    /// Attempts that the receiver answered with an error.
    pub(super) errors: u32,
}

impl Waiting {
    pub(super) fn new(event: Arc<Published>) -> Self {
        Self { id: Uuid::new_v4(), event, errors: 0 }
    }

    fn bytes(&self) -> usize {
        self.event.json().len()
    }
}

/// The events that wait, oldest first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
}

impl Queue {
    /// Puts an event at the end. Returns how many had to go for it.
    pub(super) fn push(&mut self, new: Waiting, most: usize) -> u64 {
        self.bytes += new.bytes();
        self.waiting.push_back(new);
        let mut dropped = 0;
        while self.waiting.len() > most || self.bytes > BYTES {
            dropped += u64::from(self.pop().is_some());
        }
        dropped
    }

    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let oldest = self.waiting.pop_front()?;
        self.bytes -= oldest.bytes();
        Some(oldest)
    }

    /// Puts back what could not be delivered; it is the oldest. Returns how many had to go.
    pub(super) fn put_back(&mut self, oldest: Waiting, most: usize) -> u64 {
        if self.waiting.len() >= most || self.bytes + oldest.bytes() > BYTES {
            return 1;
        }
        self.bytes += oldest.bytes();
        self.waiting.push_front(oldest);
        0
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::miners::{Events, Heard};

    fn waiting(count: usize, text: &str) -> Vec<Waiting> {
        let events = Events::new(1);
        let mut heard = events.subscribe(None);
        let publish = |_| {
            events.publish("test.happened", json!({ "text": text }));
            let Some(Heard::Event(event)) = heard.try_next() else { panic!("it was published") };
            Waiting::new(event)
        };
        (0..count).map(publish).collect()
    }

    #[test]
    fn the_oldest_go_when_it_is_full_and_are_counted() {
        let all = waiting(5, "");
        let mut queue = Queue::default();
        let dropped: Vec<u64> = all.iter().map(|it| queue.push(it.clone(), 3)).collect();
        assert_eq!((dropped, queue.len()), (vec![0, 0, 0, 1, 1], 3));
        let third = queue.pop().unwrap();
        assert_eq!(third.id, all[2].id);
        assert_eq!(queue.put_back(third.clone(), 3), 0);
        assert_eq!(queue.put_back(third, 3), 1, "its place was taken");
        let rest: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|it| it.id).collect();
        assert_eq!((rest, queue.bytes), (vec![all[2].id, all[3].id, all[4].id], 0));
    }

    #[test]
    fn large_events_do_not_take_more_room() {
        let mut queue = Queue::default();
        let dropped: u64 =
            waiting(60, &"x".repeat(100 << 10)).into_iter().map(|it| queue.push(it, 1_000)).sum();
        assert!(queue.bytes <= BYTES && dropped >= 15, "{dropped} of 60");
        assert_eq!(queue.len() as u64 + dropped, 60);
    }
}
