//! Places for connections, shared fairly between addresses.
//!
//! A connection *waits* while no complete request of it is being answered: before its first one,
//! during the handshake of TLS, and between two. Anybody can have as many of these as they like, so
//! when all places are taken a newcomer gets the place of the one that waits longest, of the address
//! that has most places. An address cannot take a place from one that has fewer. On loopback, where
//! all programs of the machine are one address, a program that holds a thousand half requests loses
//! its oldest ones to the others, whose requests are complete in a moment.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use crate::node::limits::network;

/// A connection that does not wait.
const BUSY: u64 = 0;

/// All places of one listener.
#[derive(Clone)]
pub(in crate::api) struct Places(Arc<Inner>);

struct Inner {
    most: usize,
    /// Counts everything that begins to wait, so that the oldest is known.
    clock: AtomicU64,
    /// Locked for moments, never across an await.
    taken: Mutex<HashMap<u64, Taken>>,
}

struct Taken {
    address: IpAddr,
    /// [`BUSY`], or since when it waits.
    waits: Arc<AtomicU64>,
    evicted: CancellationToken,
}

impl Places {
    pub(in crate::api) fn new(most: usize) -> Self {
        let clock = AtomicU64::new(BUSY + 1);
        Self(Arc::new(Inner { most, clock, taken: Mutex::default() }))
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<u64, Taken>> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        self.0.clock.fetch_add(1, Ordering::Relaxed)
    }

    /// A place for a connection of `address`, which waits. `None`: all are busy, or those that wait
    /// are of addresses that have fewer.
    pub(in crate::api) fn take(&self, address: IpAddr) -> Option<Place> {
        let address = network(address);
        let mut taken = self.taken();
        if taken.len() >= self.0.most {
            evict(&mut taken, Some(address))?;
        }
        let number = self.now();
        let (waits, evicted) = (Arc::new(AtomicU64::new(number)), CancellationToken::new());
        let place = Place {
            places: self.clone(),
            number,
            waits: Arc::clone(&waits),
            evicted: evicted.clone(),
        };
        taken.insert(number, Taken { address, waits, evicted });
        Some(place)
    }

    /// Ends the connection that waits longest, of the address that has most; for want of something
    /// else than a place.
    pub(super) fn evict_one(&self) {
        evict(&mut self.taken(), None);
    }

    /// Whether little is left.
    pub(super) fn is_crowded(&self) -> bool {
        self.taken().len() * 4 > self.0.most * 3
    }
}

/// `for_one_of`: only from that address, or one that has as many places.
fn evict(taken: &mut HashMap<u64, Taken>, for_one_of: Option<IpAddr>) -> Option<()> {
    let mut counts: HashMap<IpAddr, usize> = HashMap::new();
    for it in taken.values() {
        *counts.entry(it.address).or_default() += 1;
    }
    let count = |address: &IpAddr| counts.get(address).copied().unwrap_or(0);
    let own = for_one_of.map_or(0, |address| count(&address));
    let waiting = taken.iter().filter_map(|(number, it)| {
        let since = it.waits.load(Ordering::Relaxed);
        (since != BUSY && count(&it.address) >= own).then_some((
            std::cmp::Reverse(count(&it.address)),
            since,
            *number,
        ))
    });
    let (_, _, number) = waiting.min()?;
    taken.remove(&number)?.evicted.cancel();
    Some(())
}

/// Held by a connection.
pub(in crate::api) struct Place {
    places: Places,
    number: u64,
    waits: Arc<AtomicU64>,
    evicted: CancellationToken,
}

impl Place {
    /// Waits until the connection has to make room.
    pub(in crate::api) fn evicted(&self) -> WaitForCancellationFuture<'_> {
        self.evicted.cancelled()
    }

    /// Marks the connection while a request is answered.
    pub(super) fn marker(&self) -> Marker {
        Marker { places: self.places.clone(), waits: Arc::clone(&self.waits) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().remove(&self.number);
    }
}

/// Says what a connection does.
#[derive(Clone)]
pub(super) struct Marker {
    places: Places,
    waits: Arc<AtomicU64>,
}

impl Marker {
    /// A request is answered until the guard is dropped.
    pub(super) fn busy(&self) -> Busy {
        self.waits.store(BUSY, Ordering::Relaxed);
        Busy(self.clone())
    }
}

/// Held while a request is answered.
pub(super) struct Busy(Marker);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.waits.store(self.0.places.now(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn is_evicted(place: &Place) -> bool {
        place.evicted.is_cancelled()
    }

    #[test]
    fn who_has_most_makes_room_with_what_waits_longest() {
        let places = Places::new(4);
        let all: Vec<Place> = (0..3).map(|_| places.take(address(1)).unwrap()).collect();
        let other = places.take(address(2)).unwrap();
        // The first of them works, so the second waits longest.
        let busy = all[0].marker().busy();
        let _third = places.take(address(3)).unwrap();
        assert_eq!(all.iter().map(is_evicted).collect::<Vec<_>>(), [false, true, false]);
        drop(busy);
        // The same address takes from itself; the first has begun to wait again only now.
        let _again = places.take(address(1)).unwrap();
        assert_eq!(all.iter().map(is_evicted).collect::<Vec<_>>(), [false, true, true]);
        assert!(!is_evicted(&other));
    }

    #[test]
    fn nobody_takes_from_one_that_has_fewer_or_from_the_busy() {
        let places = Places::new(3);
        let hog = [places.take(address(1)).unwrap(), places.take(address(1)).unwrap()];
        let small = places.take(address(2)).unwrap();
        let _busy: Vec<Busy> = hog.iter().map(|it| it.marker().busy()).collect();
        assert!(places.take(address(1)).is_none(), "only the other one waits, and it has fewer");
        assert!(!is_evicted(&small));
        let _third = places.take(address(3)).unwrap();
        assert!(is_evicted(&small), "it has as many as the newcomer would have had");
    }

    #[test]
    fn places_come_back_and_networks_are_one_address() {
        let places = Places::new(2);
        let v6 = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
        let first = places.take(v6(1)).unwrap();
        let second = places.take(v6(2)).unwrap();
        assert!(places.is_crowded());
        let third = places.take(address(1)).unwrap();
        assert!(is_evicted(&first) && !is_evicted(&second));
        drop(third);
        drop(first);
        assert_eq!(places.taken().len(), 1);
        places.evict_one();
        assert!(is_evicted(&second));
    }
}
