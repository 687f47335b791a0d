//! Requests that wait for the store, bounded in bytes: when it is full the oldest go.

use std::collections::VecDeque;

use crate::miners::remote_write::wire::Packed;

/// The requests that wait, oldest first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Packed>,
    bytes: usize,
    samples: u64,
}

impl Queue {
    /// Puts a request at the end. Returns how many samples had to go for it.
    pub(super) fn push(&mut self, request: Packed, bytes_max: usize) -> u64 {
        let mut dropped = 0;
        self.bytes += request.body.len();
        self.samples += request.samples;
        self.waiting.push_back(request);
        while self.bytes > bytes_max
            && let Some(oldest) = self.pop()
        {
            dropped += oldest.samples;
        }
        dropped
    }

    pub(super) fn pop(&mut self) -> Option<Packed> {
        let request = self.waiting.pop_front()?;
        self.bytes -= request.body.len();
        self.samples -= request.samples;
        Some(request)
    }

    /// Puts a request back that could not be sent; it is the oldest. Returns how many samples had
    /// to go.
    pub(super) fn put_back(&mut self, request: Packed, bytes_max: usize) -> u64 {
        if self.bytes + request.body.len() > bytes_max {
            return request.samples;
        }
        self.bytes += request.body.len();
        self.samples += request.samples;
        self.waiting.push_front(request);
        0
    }

    pub(super) fn samples(&self) -> u64 {
        self.samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(number: u8) -> Packed {
        Packed { body: vec![number; 10], samples: u64::from(number) }
    }

    #[test]
    fn the_oldest_go_when_it_is_full_and_are_counted() {
        let mut queue = Queue::default();
        let dropped: Vec<u64> = (1..=5).map(|n| queue.push(request(n), 30)).collect();
        assert_eq!(dropped, [0, 0, 0, 1, 2]);
        assert_eq!(queue.samples(), 3 + 4 + 5);
        let first = queue.pop().unwrap();
        assert_eq!(first, request(3));
        assert_eq!(queue.push(request(6), 30), 0);
        // Meanwhile its place was taken.
        assert_eq!(queue.put_back(first, 30), 3);
        let first = queue.pop().unwrap();
        assert_eq!(queue.put_back(first, 30), 0);
        assert_eq!(queue.pop(), Some(request(4)));
        // One that is larger than everything is not kept.
        let huge = Packed { body: vec![0; 31], samples: 9 };
        assert_eq!(queue.push(huge, 30), 5 + 6 + 9);
        assert_eq!((queue.pop(), queue.samples(), queue.bytes), (None, 0, 0));
    }
}
