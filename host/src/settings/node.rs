//! Section `[node]`: the network of nodes.

use std::net::SocketAddr;

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::node::Listen;

/// The network of nodes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeSettings {
    /// Address and port to listen on, or `off`. When absent, a node that commands listens on port
    /// 9091 of all addresses, and a worker nowhere.
    #[serde(deserialize_with = "listen")]
    pub listen: Listen,
    /// `host:port` under which other nodes reach this one, for invites.
    pub advertise: Option<String>,
}

fn listen<'de, D: Deserializer<'de>>(from: D) -> Result<Listen, D::Error> {
    let text = String::deserialize(from)?;
    if text == "off" {
        return Ok(Listen::Off);
    }
    let address: Result<SocketAddr, _> = text.parse();
    address.map(Listen::At).map_err(|_| {
        D::Error::custom(format!(
            "node.listen {text:?}: write an address and port such as 0.0.0.0:9091 or [::]:9091, or \
             off"
        ))
    })
}

impl NodeSettings {
    /// Refuses values that make no sense, with what to write instead.
    ///
    /// # Errors
    /// A sentence.
    pub fn check(&self) -> Result<(), String> {
        let Some(address) = &self.advertise else { return Ok(()) };
        crate::node::invite::check_address(address)
            .map_err(|error| format!("node.advertise: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_is_an_address_or_off() {
        let read = |text: &str| toml::from_str::<NodeSettings>(text);
        assert_eq!(read("").unwrap().listen, Listen::Standard);
        assert_eq!(read("listen = 'off'").unwrap().listen, Listen::Off);
        let address = "[::1]:0".parse().unwrap();
        assert_eq!(read("listen = '[::1]:0'").unwrap().listen, Listen::At(address));
        let error = read("listen = 'here'").unwrap_err().to_string();
        assert!(error.contains("or off"), "{error}");
        assert!(read("advertise = 'x'").unwrap().check().unwrap_err().contains("host:port"));
        assert!(read("advertise = 'farm.example:9091'").unwrap().check().is_ok());
    }
}
