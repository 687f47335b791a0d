//! `[compat]`: ports on which a miner's figures are told the way other tools want to read them.

use std::{collections::BTreeMap, net::SocketAddr};

use serde::Deserialize;

use crate::api::Ports;
use adit_model::name::MinerName;

/// One port a miner and dialect; none unless set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CompatSettings {
    /// XMRig's HTTP API, read-only, with a token of this host: for what wants a host and a port.
    pub xmrig: BTreeMap<MinerName, SocketAddr>,
    /// `GET /mmpos` for the agent of mmpOS, without any token.
    pub mmpos: BTreeMap<MinerName, SocketAddr>,
    /// Claymore's protocol, read-only, without any token.
    pub claymore: BTreeMap<MinerName, SocketAddr>,
}

impl CompatSettings {
    /// What is wrong with it, if anything is. `beyond`: whether the operator allowed plain HTTP
    /// beyond loopback.
    pub(crate) fn check(&self, beyond: bool) -> Result<(), String> {
        for (dialect, ports, may) in [
            ("xmrig", &self.xmrig, beyond),
            ("mmpos", &self.mmpos, false),
            ("claymore", &self.claymore, false),
        ] {
            for (miner, address) in ports {
                if !address.ip().is_loopback() && !may {
                    return Err(format!(
                        "compat.{dialect}.{miner} {address}: anybody on the network could read \
                         it; listen on 127.0.0.1"
                    ));
                }
            }
        }
        Ok(())
    }

    /// The same for the API.
    pub(crate) fn ports(&self) -> Ports {
        let Self { xmrig, mmpos, claymore } = self.clone();
        Ports { xmrig, mmpos, claymore }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_no_token_stays_on_this_machine() {
        let check = |text: &str, beyond| {
            let settings: CompatSettings = toml::from_str(text).unwrap();
            settings.check(beyond)
        };
        assert!(check("", false).is_ok());
        assert!(check("[claymore]\nrig-1 = '127.0.0.1:3333'", false).is_ok());
        for dialect in ["xmrig", "mmpos", "claymore"] {
            let text = format!("[{dialect}]\nrig-1 = '0.0.0.0:3333'");
            let told = check(&text, false).unwrap_err();
            assert!(told.starts_with(&format!("compat.{dialect}.rig-1 0.0.0.0:3333:")), "{told}");
            assert_eq!(check(&text, true).is_ok(), dialect == "xmrig", "{dialect}");
        }
    }
}
