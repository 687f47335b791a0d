//! Allowances and pauses: pure rules over moments.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// An allowance that fills up again with time.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    level: f64,
    most: f64,
    a_second: f64,
    at: Instant,
}

impl Bucket {
    pub(crate) fn new(most: u32, a_second: u32, now: Instant) -> Self {
        let most = f64::from(most);
        Self { level: most, most, a_second: f64::from(a_second), at: now }
    }

    /// Takes `cost`, or nothing when there is less.
    pub(crate) fn take(&mut self, cost: u32, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + passed * self.a_second).min(self.most);
        self.at = now;
        let fits = self.level >= f64::from(cost);
        if fits {
            self.level -= f64::from(cost);
        }
        fits
    }

    /// Takes `cost` also when there is less: what is owed must be made up for first.
    fn owe(&mut self, cost: u32, now: Instant) {
        self.take(0, now);
        self.level = (self.level - f64::from(cost)).max(-self.most);
    }

    fn is_full(&self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level + passed * self.a_second >= self.most
    }
}

/// Handshakes that failed, by address. Only failures count: a whole farm shares one address.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    by_address: HashMap<IpAddr, Bucket>,
}

impl Failures {
    const BURST: u32 = 100;
    const A_SECOND: u32 = 10;
    /// Addresses remembered; beyond that the forgiven ones are forgotten.
    const ADDRESSES: usize = 10_000;

    /// Whether `address` may try now.
    pub(crate) fn allows(&mut self, address: IpAddr, now: Instant) -> bool {
        self.by_address
            .get_mut(&network(address))
            .is_none_or(|bucket| bucket.take(0, now) && bucket.level >= 1.0)
    }

    /// Notes a handshake that failed.
    pub(crate) fn note(&mut self, address: IpAddr, now: Instant) {
        if self.by_address.len() >= Self::ADDRESSES {
            self.by_address.retain(|_, bucket| !bucket.is_full(now));
        }
        if self.by_address.len() >= Self::ADDRESSES {
            return;
        }
        let new = || Bucket::new(Self::BURST, Self::A_SECOND, now);
        self.by_address.entry(network(address)).or_insert_with(new).owe(1, now);
    }
}

/// How often refusals of strangers are told.
#[derive(Debug)]
pub(crate) struct Refusals {
    allowance: Bucket,
    untold: u64,
}

impl Refusals {
    /// At once; then one every ten seconds.
    const BURST: u32 = 50;

    pub(crate) fn new(now: Instant) -> Self {
        // A bucket fills by whole units a second, so each refusal costs ten of them.
        Self { allowance: Bucket::new(Self::BURST * 10, 1, now), untold: 0 }
    }

    /// Whether to tell about one more, and how many were not told before it.
    pub(crate) fn tell(&mut self, now: Instant) -> Option<u64> {
        if self.allowance.take(10, now) {
            return Some(std::mem::take(&mut self.untold));
        }
        self.untold = self.untold.saturating_add(1);
        None
    }
}

/// Handshakes under way, by address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shares(Arc<Mutex<HashMap<IpAddr, usize>>>);

impl Shares {
    /// Handshakes of one address at once: half of all. A farm behind one address has enough of it.
    pub(crate) const EACH: usize = 128;

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more of `address`; `None`: it has its share.
    pub(crate) fn take(&self, address: IpAddr) -> Option<Share> {
        let address = network(address);
        let mut all = self.lock();
        let taken = all.entry(address).or_default();
        if *taken >= Self::EACH {
            return None;
        }
        *taken += 1;
        Some(Share { of: self.clone(), address })
    }
}

/// Held during a handshake.
#[derive(Debug)]
pub(crate) struct Share {
    of: Shares,
    address: IpAddr,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut all = self.of.lock();
        if let Some(taken) = all.get_mut(&self.address) {
            *taken -= 1;
            if *taken == 0 {
                all.remove(&self.address);
            }
        }
    }
}

/// One customer of an IPv6 network has all addresses that share their first 64 bits.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mut octets = address.octets();
            octets[8..].fill(0);
            IpAddr::from(octets)
        }
        address => address,
    }
}

/// The pause before the attempt after `failures` failed ones in a row: full jitter, so that a
/// fleet that lost its controller does not come back all at once. `chance` is in 0..1.
pub(crate) fn pause(failures: u32, chance: f64) -> Duration {
    let least = Duration::from_millis(250);
    let range = Duration::from_secs(1).saturating_mul(1 << failures.min(10));
    least + range.min(Duration::from_secs(60)).mul_f64(chance.clamp(0.0, 1.0))
}

/// `around`, give or take a fifth. `chance` is in 0..1.
pub(crate) fn jittered(around: Duration, chance: f64) -> Duration {
    around.mul_f64(0.8 + 0.4 * chance.clamp(0.0, 1.0))
}

/// A number in 0..1 for jitter; not for secrets.
pub(crate) fn chance() -> f64 {
    let (high, _) = uuid::Uuid::new_v4().as_u64_pair();
    let bits = u32::try_from(high >> 32).unwrap_or(0);
    f64::from(bits) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_runs_out_and_fills_up() {
        let now = Instant::now();
        let mut bucket = Bucket::new(10, 5, now);
        assert!((0..10).all(|_| bucket.take(1, now)));
        assert!(!bucket.take(1, now));
        let later = now + Duration::from_secs(1);
        assert!(bucket.take(5, later) && !bucket.take(1, later));
        let much_later = now + Duration::from_secs(1_000);
        assert!(bucket.take(10, much_later) && !bucket.take(1, much_later));
    }

    #[test]
    fn only_failures_close_the_door_and_time_opens_it() {
        let now = Instant::now();
        let (bad, good): (IpAddr, IpAddr) =
            ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let mut failures = Failures::default();
        for _ in 0..100 {
            assert!(failures.allows(good, now));
        }
        for _ in 0..Failures::BURST {
            assert!(failures.allows(bad, now));
            failures.note(bad, now);
        }
        assert!(!failures.allows(bad, now) && failures.allows(good, now));
        assert!(failures.allows(bad, now + Duration::from_secs(2)));
    }

    #[test]
    fn an_ipv6_network_is_one_client_and_memory_is_bounded() {
        let now = Instant::now();
        let mut failures = Failures::default();
        for n in 0..u16::try_from(Failures::BURST).unwrap() {
            failures.note(format!("2001:db8::{n:x}").parse().unwrap(), now);
        }
        assert!(!failures.allows("2001:db8::ffff:1".parse().unwrap(), now));
        assert!(failures.allows("2001:db8:0:1::1".parse().unwrap(), now));
        for n in 0..20_000u32 {
            failures.note(IpAddr::from(n.to_be_bytes()), now);
        }
        assert!(failures.by_address.len() <= Failures::ADDRESSES);
    }

    #[test]
    fn refusals_are_told_and_then_counted() {
        let now = Instant::now();
        let mut refusals = Refusals::new(now);
        assert!((0..Refusals::BURST).all(|_| refusals.tell(now) == Some(0)));
        assert!((0..7).all(|_| refusals.tell(now).is_none()));
        let later = now + Duration::from_secs(10);
        assert_eq!((refusals.tell(later), refusals.tell(later)), (Some(7), None));
    }

    #[test]
    fn one_address_has_its_share_of_the_handshakes() {
        let shares = Shares::default();
        let (one, two) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let mut held: Vec<_> = (0..Shares::EACH).map(|_| shares.take(one).unwrap()).collect();
        assert!(shares.take(one).is_none() && shares.take(two).is_some());
        held.pop();
        assert!(shares.take(one).is_some() && shares.take(one).is_some());
        drop(held);
        assert!(shares.lock().is_empty());
    }

    #[test]
    fn pauses_grow_and_spread() {
        assert_eq!(pause(0, 0.0), Duration::from_millis(250));
        assert_eq!(pause(0, 1.0), Duration::from_millis(1_250));
        assert_eq!(pause(3, 1.0), Duration::from_millis(8_250));
        assert_eq!(pause(40, 1.0), Duration::from_millis(60_250));
        let around = Duration::from_secs(25);
        assert!(jittered(around, 0.0) == around * 4 / 5 && jittered(around, 1.0) == around * 6 / 5);
        let spread: std::collections::BTreeSet<_> = (0..100).map(|_| chance().to_bits()).collect();
        assert!(spread.len() > 90);
    }
}
