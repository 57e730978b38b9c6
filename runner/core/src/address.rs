//! Addresses of the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is one of the public internet: not private, loopback, link-local, shared, documentation, multicast,
/// unspecified, reserved or of a special purpose (the registries of RFC 6890 at IANA), and not one that carries another
/// address which is not.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let shared = first == 100 && (64..128).contains(&second);
    let this_network = first == 0;
    let protocol_assignments = (first, second, third) == (192, 0, 0);
    // The anycast address of relays from 6to4, given up by RFC 7526.
    let relays = (first, second, third) == (192, 88, 99);
    let benchmarking = first == 198 && (second == 18 || second == 19);
    let reserved = first >= 240;
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        || shared
        || this_network
        || protocol_assignments
        || relays
        || benchmarking
        || reserved)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // A gateway translates these to the IPv4 address in their end (RFC 6052, 2.1), which is how machines without IPv4
    // reach the rest. Prefixes of a site's own (`64:ff9b:1::/48`, RFC 8215) may lead anywhere.
    if let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = segments {
        let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    let [first, second, ..] = segments;
    // Nothing else is given out for all (RFC 4291, 2.4; "Internet Protocol Version 6 Address Space" at IANA): not those that
    // are compatible with IPv4, site-local, unique local, link-local, discarded, of segment routing or multicast.
    let global_unicast = first & 0xe000 == 0x2000;
    // `2001::/23`: Teredo, benchmarks, and hashes of keys among them.
    let protocol_assignments = first == 0x2001 && second < 0x200;
    let documentation = (first, second) == (0x2001, 0x0db8) || (first == 0x3fff && second < 0x1000);
    // 6to4 (RFC 3056) carries an IPv4 address to a relay that nobody is known to run.
    let carries_v4 = first == 0x2002;
    global_unicast && !(protocol_assignments || documentation || carries_v4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Blocks that are not of the public internet: those of the registries "IANA IPv4 Special-Purpose Address" and "IANA
    /// IPv6 Special-Purpose Address", and of multicast, site-local (RFC 3879) and IPv4-compatible (RFC 4291) addresses.
    const SPECIAL: &[&str] = &[
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "255.255.255.255/32",
        "::/128",
        "::1/128",
        "::/96",
        "::ffff:10.0.0.0/104",
        "::ffff:127.0.0.0/104",
        "64:ff9b::10.0.0.0/104",
        "64:ff9b::127.0.0.0/104",
        "64:ff9b::169.254.0.0/112",
        "64:ff9b::192.168.0.0/112",
        "64:ff9b:1::/48",
        "100::/64",
        "100:0:0:1::/64",
        "2001::/23",
        "2001::/32",
        "2001:2::/48",
        "2001:10::/28",
        "2001:20::/28",
        "2001:30::/28",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    ];

    /// Addresses of well-known servers, and of ends of blocks that are public.
    const PUBLIC: &[&str] = &[
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "128.0.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "::ffff:1.1.1.1",
        "64:ff9b::1.1.1.1",
        "2000::1",
        "2001:200::1",
        "2001:db7:ffff::1",
        "2001:db9::1",
        "2606:4700:4700::1111",
        "2a00:1450:4001:81b::200e",
        "3ffe:ffff::1",
        "3fff:1000::1",
    ];

    fn block(text: &str) -> (IpAddr, u32) {
        let (address, length) = text.split_once('/').unwrap();
        (address.parse().unwrap(), length.parse().unwrap())
    }

    /// The address in a block whose other bits are these.
    fn within(text: &str, bits: u128) -> IpAddr {
        match block(text) {
            (IpAddr::V4(v4), length) => {
                let rest = u32::MAX.checked_shr(length).unwrap_or(0);
                let bits = u32::try_from(bits & u128::from(u32::MAX)).unwrap();
                Ipv4Addr::from_bits(v4.to_bits() | (bits & rest)).into()
            }
            (IpAddr::V6(v6), length) => {
                let rest = u128::MAX.checked_shr(length).unwrap_or(0);
                Ipv6Addr::from_bits(v6.to_bits() | (bits & rest)).into()
            }
        }
    }

    #[test]
    fn both_ends_of_every_special_block_are_not_public() {
        for text in SPECIAL {
            for bits in [0, u128::MAX] {
                let address = within(text, bits);
                assert!(!is_public(address), "{address} of {text}");
            }
        }
    }

    #[test]
    fn what_is_public_is() {
        for text in PUBLIC {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_of_a_special_block_is_public(index in 0..SPECIAL.len(), bits: u128) {
            let address = within(SPECIAL[index], bits);
            prop_assert!(!is_public(address), "{} of {}", address, SPECIAL[index]);
        }

        #[test]
        fn an_address_in_another_is_as_public_as_by_itself(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            let translated = Ipv6Addr::from_bits(0x0064_ff9b_u128 << 96 | u128::from(bits));
            prop_assert_eq!(is_public(v4.into()), is_public(translated.into()));
            prop_assert_eq!(is_public(v4.into()), is_public(v4.to_ipv6_mapped().into()));
        }

        #[test]
        fn public_ipv6_is_global_unicast_or_translated(bits: u128) {
            let address = Ipv6Addr::from_bits(bits);
            if is_public(address.into()) {
                let first = address.segments()[0];
                prop_assert!(first & 0xe000 == 0x2000 || first == 0x64 || address.to_ipv4_mapped().is_some());
            }
        }
    }
}
