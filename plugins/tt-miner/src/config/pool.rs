//! One pool, and the two ways in which TT-Miner takes it.

use adit_plugin_api::Result;
use serde::Deserialize;

use crate::config::refuse;

/// What may stand before `://`.
const SCHEMES: &[&str] = &[
    "ssl",
    "stratum+ssl",
    "stratum1+ssl",
    "stratum+tcp",
    "epic",
    "epic+ssl",
    "zmp",
    "zmp+ssl",
    "http",
];

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
        if scheme.is_some_and(|scheme| !SCHEMES.contains(&scheme)) {
            return refuse(
                &format!("{at}url"),
                format!("write no scheme or one of {}", SCHEMES.join(", ")),
            );
        }
        if !is_host_and_port(address) {
            return refuse(&format!("{at}url"), "write host:port, such as pool.example:3333");
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

    fn parts(&self) -> (Option<&str>, &str) {
        match self.url.split_once("://") {
            Some((scheme, address)) => (Some(scheme), address),
            None => (None, self.url.as_str()),
        }
    }

    /// The scheme as TT-Miner takes it: plain TCP has none.
    fn scheme(&self) -> String {
        let scheme = self.parts().0.filter(|scheme| *scheme != "stratum+tcp");
        scheme.map(|scheme| format!("{scheme}://")).unwrap_or_default()
    }

    fn worker<'a>(&'a self, of_rig: &'a str) -> Option<&'a str> {
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
