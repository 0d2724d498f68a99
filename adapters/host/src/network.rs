//! Addresses and networks.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// An address and how many of its leading bits count.
pub struct Network {
    address: u128,
    mask: u128,
}

impl Network {
    /// An address, or with `/` and a number of bits a network; bits after those do not count.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) if bits.len() <= 3 && bits.bytes().all(|b| b.is_ascii_digit()) => {
                bits.parse::<u32>().ok().filter(|bits| *bits <= most)?
            }
            Some(_) => return None,
            None => most,
        };
        let mask = u128::MAX.checked_shl(most - bits).unwrap_or(0);
        let mask = if most == 32 {
            mask | !u128::from(u32::MAX)
        } else {
            mask
        };
        Some(Self {
            address: number(address) & mask,
            mask,
        })
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        number(address) & self.mask == self.address
    }
}

/// An address alone, or with a port after it as in `source.address`.
pub fn parse_address(text: &str) -> Option<IpAddr> {
    text.parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

/// Four or sixteen bytes.
pub fn address_of(bytes: &[u8]) -> Option<IpAddr> {
    let four = || <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    four().or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))
}

/// An IPv4 address counts as the IPv6 address that is mapped to it.
fn number(address: IpAddr) -> u128 {
    u128::from(match address {
        IpAddr::V4(four) => four.to_ipv6_mapped(),
        IpAddr::V6(six) => Ipv6Addr::from(six.octets()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        Network::parse(network)
            .unwrap()
            .contains(address.parse().unwrap())
    }

    #[test]
    fn networks() {
        for (network, inside, outside) in [
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("192.168.7.9/16", "192.168.255.1", "192.169.0.1"),
            ("0.0.0.0/0", "1.2.3.4", "2001:db8::1"),
            ("10.1.2.3", "::ffff:10.1.2.3", "::10.1.2.3"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
            ("2001:db8::/32", "2001:db8:ffff::", "2001:db9::"),
            ("::/0", "2001:db8::", "::"),
            ("9.9.9.9/28", "9.9.9.1", "9.9.9.17"),
        ] {
            assert!(holds(network, inside), "{network} {inside}");
            assert_eq!(
                holds(network, outside),
                network == "::/0",
                "{network} {outside}"
            );
        }
    }

    #[test]
    fn no_networks() {
        for text in [
            "",
            "x",
            "10.1.2",
            "10.1.2.3/33",
            "::/129",
            "10.1.2.3/",
            "10.1.2.3/+8",
            "1/2/3",
            "010.1.2.3",
        ] {
            assert!(Network::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn addresses_with_ports() {
        for (text, address) in [
            ("10.1.2.3", Some("10.1.2.3")),
            ("10.1.2.3:80", Some("10.1.2.3")),
            ("[2001:db8::1]:80", Some("2001:db8::1")),
            ("::1", Some("::1")),
            ("host:80", None),
            ("10.1.2.3/32", None),
        ] {
            assert_eq!(
                parse_address(text),
                address.map(|a| a.parse().unwrap()),
                "{text}"
            );
        }
        assert_eq!(address_of(&[10, 0, 0, 1]), "10.0.0.1".parse().ok());
        assert_eq!(address_of(&[10, 0, 0]), None);
    }
}
