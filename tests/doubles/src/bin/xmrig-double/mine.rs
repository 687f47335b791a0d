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
    let mut next = 0;
    while !rig.is_ending() {
        let (changes, pools, retries, pause) = {
            let state = rig.state();
            let number = |key: &str| state.config[key].as_u64().unwrap_or(5).max(1);
            (state.changes, config::pools(&state.config), number("retries"), number("retry-pause"))
        };
        let redirected = elsewhere.take();
        let pool = redirected.clone().unwrap_or_else(|| pools[next % pools.len()].clone());
        // XMRig counts attempts at its first pool; a double has no time to.
        let pause = Duration::from_millis(if retries > 1 { 100 * pause } else { 20 * pause });
        match attend(rig, &pool, changes) {
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

fn attend(rig: &Rig, pool: &PoolEntry, changes: u64) -> End {
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
            say("net", &line);
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
        say("net", &format!("{} read error: \"end of file\"", pool.url));
        return End::Refused;
    }
    Client::new(rig, pool, wire, changes).run()
}
