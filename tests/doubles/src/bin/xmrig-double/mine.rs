//! From pool to pool: connects, fails over, comes back.

use std::{io, time::Duration};

use crate::{
    client::{Client, End},
    config::{self, PoolEntry},
    rig::{Rig, say},
    wire::Wire,
};

/// Mines until the program ends.
pub(crate) fn mine(rig: &Rig) {
    let mut elsewhere: Option<PoolEntry> = None;
    let (mut next, mut failures) = (0, 0);
    while !rig.is_ending() {
        let (changes, pools, pause, retries) = {
            let state = rig.state();
            let number = |key: &str| state.config[key].as_u64().unwrap_or(5).max(1);
            let (pause, retries) = (number("retry-pause"), number("retries"));
            (state.changes, config::pools(&state.config), pause, retries)
        };
        let redirected = elsewhere.take();
        let pool = redirected.clone().unwrap_or_else(|| pools[next % pools.len()].clone());
        // XMRig's seconds are too long for a test, and it tries its first pool more often.
        let pause = Duration::from_millis(200 * pause);
        // XMRig says nothing more of a pool that failed that often.
        let end = attend(rig, &pool, changes, failures >= retries);
        failures = if matches!(end, End::Refused) { failures + 1 } else { 0 };
        match end {
            End::Changed => next = 0,
            End::Redirected(to) => {
                elsewhere = Some(PoolEntry { url: to.clone(), address: to, ..pool })
            }
            End::Refused => {
                if redirected.is_none() {
                    next += 1;
                }
                rig.rest(pause, changes);
            }
            End::Lost => {
                next = 0;
                rig.rest(pause, changes);
            }
        }
    }
}

fn attend(rig: &Rig, pool: &PoolEntry, changes: u64, is_quiet: bool) -> End {
    let wire = match Wire::connect(pool) {
        Ok(wire) => wire,
        Err(error) => {
            let host = pool.address.rsplit_once(':').map_or("", |(host, _)| host);
            let line = match error.kind() {
                io::ErrorKind::ConnectionRefused => {
                    format!("{} {host} connect error: \"connection refused\"", pool.url)
                }
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                    format!("{} read error: \"end of file\"", pool.url)
                }
                _ => format!("{} DNS error: \"unknown node or service\"", pool.url),
            };
            if !is_quiet {
                say("net", &line);
            }
            return End::Refused;
        }
    };
    if let (Some(wanted), Some(given)) = (&pool.fingerprint, &wire.fingerprint)
        && !wanted.eq_ignore_ascii_case(given)
    {
        crate::rig::say_untagged(&format!(
            "[{}] Failed to verify server certificate fingerprint",
            pool.address
        ));
        crate::rig::say_untagged(&format!("\"{given}\" was given"));
        crate::rig::say_untagged(&format!("\"{wanted}\" was configured"));
        return End::Refused;
    }
    Client::new(rig, pool, wire, changes).run()
}
