//! Networks that remotes and webhooks must not reach: what the setting `remote_denied_networks` names.
//!
//! What counts is the address that a connection is made to: names are resolved here, and only addresses that are not denied are
//! connected to, so that no second answer of a name server and no redirect leads elsewhere.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use reqwest::ClientBuilder;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// What `private` stands for: networks of one's own, this host, and what is no single host anywhere.
const PRIVATE: [&str; 17] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

/// The word for them.
const WORD: &str = "private";

/// Networks that are denied; by default none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeniedNetworks(Arc<[Network]>);

/// Addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

/// A host has no address but in denied networks. Which, is for no one to learn who may not know the network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} is in a network that the setting remote_denied_networks denies")]
pub(crate) struct Denied {
    host: String,
}

impl DeniedNetworks {
    /// Of networks such as `10.0.0.0/8`, single addresses, and the word `private`.
    ///
    /// # Errors
    /// The first text that is none of those.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, String> {
        let mut all = Vec::new();
        for text in texts {
            match text.as_ref().trim() {
                WORD => all.extend(PRIVATE.iter().filter_map(|network| network.parse::<Network>().ok())),
                text => all.push(text.parse().map_err(|()| text.to_owned())?),
            }
        }
        Ok(Self(all.into()))
    }

    /// Whether nothing is denied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an address is in one of the networks, also one of IPv4 that is written as one of IPv6.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        let inner = embedded(address);
        self.0.iter().any(|network| network.has(address) || inner.is_some_and(|inner| network.has(inner)))
    }

    /// Refuses a URL whose host is a denied address. A name is looked at when it is resolved.
    pub(crate) fn check(&self, url: &Url) -> Result<(), Denied> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::from(address),
            Some(Host::Ipv6(address)) => IpAddr::from(address),
            // Of other schemes than those of the web, an address is left as a name.
            Some(Host::Domain(name)) => match name.parse() {
                Ok(address) => address,
                Err(_) => return Ok(()),
            },
            None => return Ok(()),
        };
        if self.has(address) { Err(Denied::of(url.host_str().unwrap_or_default())) } else { Ok(()) }
    }

    /// The addresses, none of them denied, that a program which connects by itself is to use for the host of a URL, if anything is denied:
    /// `host:port:address,address`, as curl has it. Nothing for an address, or for a name that is not known.
    pub(crate) async fn pins(&self, url: &Url) -> Result<Option<String>, Denied> {
        self.check(url)?;
        let (Some(Host::Domain(name)), Some(port), false) = (url.host(), url.port_or_known_default(), self.is_empty()) else {
            return Ok(None);
        };
        let Ok(found) = self.resolve(name).await else { return Ok(None) };
        let addresses: Vec<String> = found?.iter().map(|found| found.ip().to_string()).collect();
        Ok(Some(format!("{name}:{port}:{}", addresses.join(","))))
    }

    /// The addresses of a name that are not denied.
    async fn resolve(&self, name: &str) -> std::io::Result<Result<Vec<SocketAddr>, Denied>> {
        let all: Vec<SocketAddr> = tokio::net::lookup_host((name, 0)).await?.collect();
        let allowed: Vec<SocketAddr> = all.iter().copied().filter(|found| !self.has(found.ip())).collect();
        if allowed.is_empty() && !all.is_empty() {
            tracing::warn!(host = name, addresses = ?all, "a host is in a network that remote_denied_networks denies");
            return Ok(Err(Denied::of(name)));
        }
        Ok(Ok(allowed))
    }

    /// A client that connects to no denied address.
    pub(crate) fn guard(&self, builder: ClientBuilder) -> ClientBuilder {
        if self.is_empty() { builder } else { builder.dns_resolver(Resolver(self.clone())) }
    }
}

impl Network {
    fn has(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(other)) => begin_alike(u32::from(ours).into(), u32::from(other).into(), 32 - self.bits),
            (IpAddr::V6(ours), IpAddr::V6(other)) => begin_alike(ours.into(), other.into(), 128 - self.bits),
            _ => false,
        }
    }
}

/// Whether two numbers are the same but for their last bits.
fn begin_alike(one: u128, other: u128, last: u32) -> bool {
    (one ^ other).checked_shr(last).unwrap_or(0) == 0
}

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().map_err(|_| ())?,
            Some(_) => return Err(()),
            None => most,
        };
        if bits > most { Err(()) } else { Ok(Self { address, bits }) }
    }
}

/// The address of IPv4 that one of IPv6 leads to: mapped, compatible, by the well-known prefix of translators (RFC 6052), or 6to4.
fn embedded(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(address) = address else { return None };
    let v4 = |high: u16, low: u16| IpAddr::from(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

impl Denied {
    fn of(host: &str) -> Self {
        Self { host: host.to_owned() }
    }

    /// The one that an error was caused by.
    pub(crate) fn behind<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(denied) = error.downcast_ref() {
                return Some(denied);
            }
            next = error.source();
        }
        None
    }
}

/// As the system resolves names, without the denied addresses.
struct Resolver(DeniedNetworks);

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let denied = self.0.clone();
        Box::pin(async move {
            let allowed = denied.resolve(name.as_str()).await??;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn denied(texts: &[&str]) -> DeniedNetworks {
        DeniedNetworks::parse(texts).unwrap()
    }

    #[test]
    fn a_network_has_what_begins_like_it() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("192.0.2.128/25", "192.0.2.255", "192.0.2.127"),
            ("0.0.0.0/0", "255.255.255.255", "2001:db8::1"),
            ("::/0", "2001:db8::1", "192.0.2.1"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
        ] {
            let networks = denied(&[network]);
            assert!(networks.has(inside.parse().unwrap()), "{network} {inside}");
            assert!(!networks.has(outside.parse().unwrap()), "{network} {outside}");
        }
    }

    #[test]
    fn private_is_what_is_not_of_the_internet() {
        assert!(PRIVATE.iter().all(|text| text.parse::<Network>().is_ok()));
        let private = denied(&["private"]);
        for inside in [
            "127.0.0.1",
            "127.8.9.10",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.100.0.1",
            "0.0.0.0",
            "::",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "255.255.255.255",
            "224.0.0.1",
            "ff02::1",
        ] {
            assert!(private.has(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["192.0.2.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2001:db8::1", "::ffff:8.8.8.8", "64:ff9b::808:808"] {
            assert!(!private.has(outside.parse().unwrap()), "{outside}");
        }
        assert!(DeniedNetworks::default().is_empty() && !DeniedNetworks::default().has(IpAddr::from(Ipv6Addr::LOCALHOST)));
    }

    #[test]
    fn what_is_no_network_is_named() {
        for bad in ["", "privat", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10.0.0/8", "example.com"] {
            assert_eq!(DeniedNetworks::parse(&["private", bad]), Err(bad.to_owned()));
        }
    }

    #[test]
    fn an_address_in_a_url_is_seen_in_every_spelling() {
        let private = denied(&["private"]);
        for url in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[::1]:8080/a",
            "https://[::ffff:7f00:1]/",
            "git://127.0.0.1/",
        ] {
            let refused = private.check(&url.parse().unwrap()).unwrap_err().to_string();
            assert!(refused.contains("remote_denied_networks"), "{url}: {refused}");
        }
        for url in ["http://192.0.2.1/", "http://example.com/", "file:///etc/passwd"] {
            assert_eq!(private.check(&url.parse().unwrap()), Ok(()), "{url}");
        }
    }
}
