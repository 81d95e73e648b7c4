//! Which senders may send.

use std::net::IpAddr;

/// An address or a block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    network: IpAddr,
    prefix: u8,
}

impl Block {
    /// Reads `192.168.1.7`, `192.168.1.0/24`, `fd00::/8`; none when it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let network: IpAddr = address.parse().ok()?;
        let most = if network.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(most);
        (prefix <= most).then_some(Self { network, prefix })
    }

    /// True when `address` lies in the block; an IPv4-mapped IPv6 address counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(n), IpAddr::V4(a)) => same(u128::from(n.to_bits()), u128::from(a.to_bits()), 32, self.prefix),
            (IpAddr::V6(n), IpAddr::V6(a)) => same(n.to_bits(), a.to_bits(), 128, self.prefix),
            _ => false,
        }
    }
}

fn same(a: u128, b: u128, width: u8, prefix: u8) -> bool {
    prefix == 0 || (a ^ b) >> (width - prefix) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_their_addresses_and_no_others() {
        let check = |block: &str, address: &str| Block::parse(block).unwrap().contains(address.parse().unwrap());
        assert!(check("192.168.1.0/24", "192.168.1.77"));
        assert!(!check("192.168.1.0/24", "192.168.2.77"));
        assert!(check("10.0.0.1", "10.0.0.1") && !check("10.0.0.1", "10.0.0.2"));
        assert!(check("0.0.0.0/0", "8.8.8.8") && !check("0.0.0.0/0", "::1"));
        assert!(check("fd00::/8", "fd12::1") && check("127.0.0.1", "::ffff:127.0.0.1"));
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for text in ["", "192.168.1", "192.168.1.0/33", "::1/129", "1.2.3.4/x", "host"] {
            assert_eq!(Block::parse(text), None, "{text}");
        }
    }
}
