//! What tests talk to instead of the world, honest by default and with faults by switch: a release
//! server and a mining pool. Beside this library the program `xmrig-double` stands for XMRig.
//!
//! All of it listens on loopback only and lives in threads of its own, so that it serves tests with
//! and without an async runtime.

#![expect(clippy::unwrap_used, reason = "a double that cannot go on has failed its test")]
#![expect(clippy::missing_panics_doc, reason = "doubles panic to fail their test")]

use rcgen::{CertifiedKey, generate_simple_self_signed};

pub mod pool;
pub mod release;

/// A new certificate that nobody vouches for, and its key, both in PEM.
pub fn certificate() -> (String, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["rig.example".to_owned()]).unwrap();
    (cert.pem(), signing_key.serialize_pem())
}
