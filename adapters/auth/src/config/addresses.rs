//! `addresses`, of all requests and of a rule.

use crate::address::Addresses;
use mixer_host::config::{ConfigError, Node, Object};
use mixer_host::network::Network;

const MAX_NETWORKS: usize = 4096;

pub fn addresses(node: Node) -> Result<Addresses, ConfigError> {
    let mut object = node.object(&["allow", "deny", "trusted_hops"])?;
    let hops = object.optional("trusted_hops");
    Ok(Addresses {
        allow: networks(&mut object, "allow")?,
        deny: networks(&mut object, "deny")?,
        trusted_hops: hops.map_or(Ok(0), |node| node.whole(0..=16))? as usize,
    })
}

pub fn networks(object: &mut Object, name: &'static str) -> Result<Vec<Network>, ConfigError> {
    let networks = object.each(name, 1..=MAX_NETWORKS, network)?;
    Ok(networks.unwrap_or_default())
}

fn network(node: Node) -> Result<Network, ConfigError> {
    let error = node.error("must be an address, or a network such as 10.0.0.0/8 or 2001:db8::/32");
    Network::parse(&node.string()?).ok_or(error)
}
