//! One pool, and the two ways in which TT-Miner takes it.

use adit_plugin_api::Result;
use serde::Deserialize;

use crate::config::refuse;

/// What may stand before `://`. Plain TCP with the coin's own protocol has none.
const SCHEMES: &[&str] = &[
    "ssl",
    "stratum+ssl",
    "stratum1+ssl",
    "stratum1+tcp",
    "epic",
    "epic+ssl",
    "zmp",
    "zmp+ssl",
    "http",
];

/// How an address is written. Zones of IPv6 addresses differ from machine to machine.
pub(crate) const ADDRESS: &str = "write host:port, such as pool.example:3333 or [2001:db8::1]:3333";

/// A pool, and who mines there.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Pool {
    pub(crate) url: String,
    pub(crate) wallet: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) worker: Option<String>,
}

impl Pool {
    /// Checks the fields, whose names begin with `at`.
    pub(crate) fn check(&self, at: &str) -> Result<()> {
        let (scheme, address) = self.parts();
        if scheme.is_some_and(|scheme| !SCHEMES.contains(&scheme.as_str())) {
            return refuse(
                &format!("{at}url"),
                format!("write no scheme or one of {}", SCHEMES.join(", ")),
            );
        }
        if !is_host_and_port(address) {
            return refuse(&format!("{at}url"), ADDRESS);
        }
        let Some(wallet) = &self.wallet else {
            return refuse(&format!("{at}wallet"), "write your wallet or user name at the pool");
        };
        for (field, text, least) in [
            ("wallet", Some(wallet), 1),
            ("password", self.password.as_ref(), 1),
            ("worker", self.worker.as_ref(), 0),
        ] {
            let is_word = |text: &String| {
                (least..=512).contains(&text.len())
                    && text.bytes().all(|byte| byte.is_ascii_graphic())
                    && !text.starts_with('-')
            };
            if text.is_some_and(|text| !is_word(text)) {
                return refuse(
                    &format!("{at}{field}"),
                    format!(
                        "write {least} to 512 characters without spaces, no - at the beginning"
                    ),
                );
            }
        }
        Ok(())
    }

    /// The scheme as TT-Miner takes it, and the address behind it.
    fn parts(&self) -> (Option<String>, &str) {
        let (scheme, address) = match self.url.split_once("://") {
            Some((scheme, address)) => (Some(scheme), address),
            None => (None, self.url.as_str()),
        };
        let address = address.strip_suffix('/').unwrap_or(address);
        (scheme.and_then(canonical), address)
    }

    fn scheme(&self) -> String {
        self.parts().0.map(|scheme| format!("{scheme}://")).unwrap_or_default()
    }

    /// The host's name for the rig is left out where the wallet has a worker already: the pool
    /// would see two.
    fn worker<'a>(&'a self, of_rig: &'a str) -> Option<&'a str> {
        let wallet = self.wallet.as_deref().unwrap_or_default();
        // A point in an e-mail address begins no worker.
        let has_own = wallet.contains('.') && !wallet.contains('@');
        let of_rig = if has_own { "" } else { of_rig };
        Some(self.worker.as_deref().unwrap_or(of_rig)).filter(|worker| !worker.is_empty())
    }

    /// Adds `-o [scheme://]host:port -u wallet -w worker -p password`.
    pub(crate) fn separate(&self, of_rig: &str, args: &mut Vec<String>) {
        let mut add = |option: &str, value: &str| {
            args.extend([option.to_owned(), value.to_owned()]);
        };
        add("-o", &format!("{}{}", self.scheme(), self.parts().1));
        add("-u", self.wallet.as_deref().unwrap_or_default());
        if let Some(worker) = self.worker(of_rig) {
            add("-w", worker);
        }
        if let Some(password) = &self.password {
            add("-p", password);
        }
    }

    /// `[scheme://]wallet[.worker][:password]@host:port`.
    ///
    /// # Errors
    /// When a part has a character that would end it.
    pub(crate) fn joined(&self, of_rig: &str, at: &str) -> Result<String> {
        let worker = self.worker(of_rig);
        for (field, text) in [
            ("wallet", self.wallet.as_deref()),
            ("worker", worker),
            ("password", self.password.as_deref()),
        ] {
            if text.is_some_and(|text| text.contains(['@', ':'])) {
                return refuse(
                    &format!("{at}{field}"),
                    "TT-Miner takes several pools as wallet.worker:password@host:port, so it can \
                     have no : and no @ in it; configure this pool alone",
                );
            }
        }
        let mut word = self.scheme();
        word.push_str(self.wallet.as_deref().unwrap_or_default());
        if let Some(worker) = worker {
            word.push('.');
            word.push_str(worker);
        }
        if let Some(password) = &self.password {
            word.push(':');
            word.push_str(password);
        }
        word.push('@');
        word.push_str(self.parts().1);
        Ok(word)
    }
}

/// The one spelling of a scheme that TT-Miner takes; absent for plain TCP.
fn canonical(scheme: &str) -> Option<String> {
    let scheme = scheme.to_ascii_lowercase();
    Some(match scheme.as_str() {
        "tcp" | "stratum" | "stratum+tcp" => return None,
        "tls" => "ssl".to_owned(),
        "stratum1" => "stratum1+tcp".to_owned(),
        "epic+tcp" | "zmp+tcp" => scheme.trim_end_matches("+tcp").to_owned(),
        _ => match scheme.strip_suffix("+tls") {
            Some(protocol) => format!("{protocol}+ssl"),
            None => scheme,
        },
    })
}

fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let is_host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            (1..=253).contains(&host.len())
                && host.bytes().all(allowed)
                && host.starts_with(|it: char| it.is_ascii_alphanumeric())
        }
    };
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    is_host && is_number && port.parse().is_ok_and(|port: u16| port > 0)
}
