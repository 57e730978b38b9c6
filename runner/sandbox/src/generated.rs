//! Files that are made for a process: who it is, and where names are looked up.

use std::path::Path;

use wrun_core::grants::Access;
use wrun_core::sandbox::Tier;

use crate::policy::{Entry, Identity, Network};
use crate::resolve::resolve;

/// The name service switch (`nsswitch.conf(5)`) of a process that has only files and, with a network, the DNS.
const NAME_SERVICES: &str = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nprotocols: files\nservices: files\n";

/// Where names are looked up on the machine, for a process that has the machine's network.
const NAME_SETTINGS: &[&str] = &[
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/gai.conf",
    "/etc/host.conf",
];

/// The host names of a process that has no network but its own.
const OWN_HOSTS: &str = "127.0.0.1 localhost wrun\n::1 localhost ip6-localhost ip6-loopback\n";

/// The name of its machine.
const OWN_NAME: &str = "wrun\n";

/// The files of a process; where it has no file system of its own, the machine's that it needs instead.
pub(crate) fn generated_entries(
    tier: Tier,
    identity: &Identity,
    home: &Path,
    network: Network,
) -> Vec<Entry> {
    let mut entries = Vec::new();
    if tier == Tier::Full {
        let Identity { user, group, .. } = identity;
        let home = home.to_string_lossy();
        let file = |at: &str, content: String| Entry::File {
            at: at.into(),
            content,
        };
        entries.extend([
            file(
                "/etc/passwd",
                format!("root:x:0:0:root:/:/usr/sbin/nologin\nwrun:x:{user}:{group}:wrun:{home}:/bin/sh\n"),
            ),
            file("/etc/group", format!("root:x:0:\nwrun:x:{group}:\n")),
            file("/etc/nsswitch.conf", NAME_SERVICES.to_owned()),
            file("/etc/hostname", OWN_NAME.to_owned()),
        ]);
        if network != Network::Host {
            entries.push(file("/etc/hosts", OWN_HOSTS.to_owned()));
        }
    }
    if network == Network::Host {
        entries.extend(
            NAME_SETTINGS
                .iter()
                .filter_map(|path| content_of(tier, Path::new(path))),
        );
    }
    entries
}

/// The files of a process in an image that say where it runs, in place of what the image has there: its own host name,
/// and names as it reaches them. All else in `/etc` is the image's.
pub(crate) fn generated_for_image(network: Network) -> Vec<Entry> {
    let own = |at: &str, content: &str| Entry::File {
        at: at.into(),
        content: content.to_owned(),
    };
    let looked_up = ["/etc/hosts", "/etc/resolv.conf"];
    let of_machine = looked_up.map(|path| {
        (network == Network::Host)
            .then(|| content_of(Tier::Full, Path::new(path)))
            .flatten()
    });
    let [hosts, resolver] = of_machine;
    vec![
        own("/etc/hostname", OWN_NAME),
        hosts.unwrap_or_else(|| own("/etc/hosts", OWN_HOSTS)),
        resolver.unwrap_or_else(|| own("/etc/resolv.conf", "")),
    ]
}

/// The file as it is now: what it leads to may lie in a folder that is not to be seen.
#[expect(
    clippy::disallowed_methods,
    reason = "the system's settings lie outside of the store"
)]
fn content_of(tier: Tier, path: &Path) -> Option<Entry> {
    if tier == Tier::Full {
        let content = std::fs::read_to_string(path).ok()?;
        return Some(Entry::File {
            at: path.to_owned(),
            content,
        });
    }
    resolve(path, Access::Read, false)
        .ok()
        .map(|resolved| resolved.target)
}
