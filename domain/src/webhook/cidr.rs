//! Address ranges, as `AllowedIPRange` writes them.

// Values alone: `core` has no sockets.
use core::net::IpAddr;

/// Whether the address is within the range; `None` when the range is none.
pub fn contains(range: &str, address: IpAddr) -> Option<bool> {
    let (network, bits) = parse(range)?;
    let inside = match (network, address.to_canonical()) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            same_start(u128::from(network.to_bits()) << 96, u128::from(address.to_bits()) << 96, bits)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => same_start(network.to_bits(), address.to_bits(), bits),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    };
    Some(inside)
}

/// Whether the text is a range: an address, `/`, and how many of its first bits count.
pub fn is_range(range: &str) -> bool {
    parse(range).is_some()
}

fn parse(range: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = range.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    if bits.is_empty() || !bits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let bits: u32 = bits.parse().ok()?;
    (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, bits))
}

fn same_start(left: u128, right: u128, bits: u32) -> bool {
    bits == 0 || (left ^ right) >> (128 - bits) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_a_range_or_not() {
        let within = |range: &str, address: &str| contains(range, address.parse().unwrap());
        assert_eq!(within("192.30.252.0/22", "192.30.255.7"), Some(true));
        assert_eq!(within("192.30.252.0/22", "192.31.0.1"), Some(false));
        assert_eq!(within("0.0.0.0/0", "8.8.8.8"), Some(true));
        assert_eq!(within("10.1.2.3/32", "10.1.2.4"), Some(false));
        assert_eq!(within("10.0.0.0/8", "::ffff:10.2.3.4"), Some(true));
        assert_eq!(within("0.0.0.0/0", "2001:db8::1"), Some(false));
        assert_eq!(within("2001:db8::/32", "2001:db8:ffff::1"), Some(true));
        assert_eq!(within("2001:db8::/128", "2001:db8::1"), Some(false));
    }

    #[test]
    fn only_an_address_with_a_length_is_a_range() {
        for range in
            ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/+8", "10.0.0.0/", "/8", "::/129", "ten/8", "10.0/8", ""]
        {
            assert!(!is_range(range), "{range}");
        }
        assert!(is_range("10.0.0.1/8"));
    }
}
