//! Where a request comes from, and lists of networks.

use crate::reason::Reason;
use crate::request::{Cached, Request};
use mixer_host::network::{parse_address, Network};
use std::net::IpAddr;

/// Who may come at all, by address.
#[derive(Default)]
pub struct Addresses {
    /// Empty means every address.
    pub allow: Vec<Network>,
    pub deny: Vec<Network>,
    /// With 0 the address is that of the peer; with more, that entry of `x-forwarded-for`,
    /// counted from its end.
    pub trusted_hops: usize,
}

impl Addresses {
    pub fn check<R: Request>(&self, request: &Cached<R>) -> Result<(), Reason> {
        if self.allow.is_empty() && self.deny.is_empty() {
            return Ok(());
        }
        let address = self.client(request)?;
        if holds(&self.deny, address) {
            return Err(Reason::AddressDenied);
        }
        let allowed = self.allow.is_empty() || holds(&self.allow, address);
        allowed.then_some(()).ok_or(Reason::AddressNotAllowed)
    }

    /// The client's address; an unknown one is neither inside nor outside of a list.
    pub fn client<R: Request>(&self, request: &Cached<R>) -> Result<IpAddr, Reason> {
        let found = match self.trusted_hops {
            0 => request.property("source\0address"),
            hops => request
                .whole_header("x-forwarded-for")
                .and_then(|entries| Some(entries.rsplit(|b| *b == b',').nth(hops - 1)?.into())),
        };
        let text = found.as_deref().and_then(|f| std::str::from_utf8(f).ok());
        text.and_then(|text| parse_address(text.trim_matches([' ', '\t'])))
            .ok_or(Reason::AddressUnknown)
    }
}

pub fn holds(networks: &[Network], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(address))
}
