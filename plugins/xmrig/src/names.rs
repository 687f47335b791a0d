//! Names that XMRig knows: algorithms and coins.
//!
//! XMRig takes an algorithm or a coin that it does not know for "whatever the pool says", so a
//! misspelt one must be found here.

use adit_plugin_api::{Error, Result};

/// Algorithms of XMRig 6.26, as it writes them.
pub(crate) const ALGORITHMS: &[&str] = &[
    "rx/0",
    "rx/2",
    "rx/wow",
    "rx/arq",
    "rx/graft",
    "rx/sfx",
    "rx/yada",
    "ghostrider",
    "kawpow",
    "argon2/chukwa",
    "argon2/chukwav2",
    "argon2/ninja",
    "cn/0",
    "cn/1",
    "cn/2",
    "cn/r",
    "cn/fast",
    "cn/half",
    "cn/xao",
    "cn/rto",
    "cn/rwz",
    "cn/zls",
    "cn/double",
    "cn/ccx",
    "cn/upx2",
    "cn-lite/0",
    "cn-lite/1",
    "cn-heavy/0",
    "cn-heavy/tube",
    "cn-heavy/xhv",
    "cn-pico",
    "cn-pico/tlo",
];

/// Other names that pools and guides use, and the algorithm each means.
const ALIASES: &[(&str, &str)] = &[
    ("randomx", "rx/0"),
    ("randomx/0", "rx/0"),
    ("rx", "rx/0"),
    ("rx/v2", "rx/2"),
    ("randomwow", "rx/wow"),
    ("randomx/wow", "rx/wow"),
    ("randomarq", "rx/arq"),
    ("randomx/arq", "rx/arq"),
    ("randomgraft", "rx/graft"),
    ("randomsfx", "rx/sfx"),
    ("randomyada", "rx/yada"),
    ("gr", "ghostrider"),
    ("ghostrider/rtm", "ghostrider"),
    ("kawpow/rvn", "kawpow"),
    ("chukwa", "argon2/chukwa"),
    ("argon2/wrkz", "argon2/ninja"),
    ("cn", "cn/0"),
    ("cryptonight", "cn/0"),
    ("cryptonight/r", "cn/r"),
    ("cn-lite", "cn-lite/0"),
    ("cn-heavy", "cn-heavy/0"),
    ("cn-pico/0", "cn-pico"),
    ("cn-pico/trtl", "cn-pico"),
];

/// Coins of XMRig 6.26.
pub(crate) const COINS: &[&str] =
    &["XMR", "SUMO", "ARQ", "GRFT", "RVN", "WOW", "ZEPH", "Townforge", "YDA"];

/// Coins by the names that XMRig takes for them too.
const COIN_NAMES: &[(&str, &str)] = &[
    ("monero", "XMR"),
    ("sumokoin", "SUMO"),
    ("arqma", "ARQ"),
    ("graft", "GRFT"),
    ("raven", "RVN"),
    ("ravencoin", "RVN"),
    ("wownero", "WOW"),
    ("zephyr", "ZEPH"),
    ("yadacoin", "YDA"),
];

/// The algorithm called `name`, as XMRig writes it.
///
/// # Errors
/// When XMRig has none of that name.
pub(crate) fn algorithm(field: &str, name: &str) -> Result<String> {
    let known = ALGORITHMS.iter().find(|known| known.eq_ignore_ascii_case(name));
    let meant = ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name));
    known.or(meant.map(|(_, known)| known)).map(|known| (*known).to_owned()).ok_or_else(|| {
        Error::invalid(format!(
            "{field}: XMRig knows no such algorithm and would mine whatever the pool says; write \
             one of {}",
            ALGORITHMS.join(", ")
        ))
    })
}

/// The coin called `name`, as XMRig writes it.
///
/// # Errors
/// When XMRig has none of that name.
pub(crate) fn coin(field: &str, name: &str) -> Result<String> {
    let known = COINS.iter().find(|known| known.eq_ignore_ascii_case(name));
    let meant = COIN_NAMES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name));
    known.or(meant.map(|(_, known)| known)).map(|known| (*known).to_owned()).ok_or_else(|| {
        Error::invalid(format!(
            "{field}: XMRig knows no such coin and would mine whatever the pool says; write one \
             of {}, or name the algorithm in algo",
            COINS.join(", ")
        ))
    })
}
