//! The lines of a fleet file that would let a sender in.

use std::net::IpAddr;

use crate::config::{FleetServer, NodeRole, Path, PathKind, Site};

/// What those lines depend on.
pub(super) struct Admission {
    allow: Vec<String>,
    site: String,
    link: Links,
}

/// How a node that comes has links.
enum Links {
    /// The mesh has it.
    Mesh,
    /// As this path has one, on these channels.
    Like(Path, Vec<u16>),
    /// By a node that transmits, for which there is no link yet.
    From(u16),
    /// Nobody transmits yet.
    Unknown,
}

impl Admission {
    pub(super) fn new(server: &FleetServer, site: &Site) -> Self {
        let transmitter = || site.nodes.iter().find(|n| n.role == NodeRole::Transmitter);
        let link = if site.mesh {
            Links::Mesh
        } else if let Some(&path) = site.paths.first() {
            let same = site.paths.iter().filter(|p| {
                (p.tx, p.rx, p.tx_antenna, p.rx_antenna, p.kind)
                    == (path.tx, path.rx, path.tx_antenna, path.rx_antenna, path.kind)
            });
            Links::Like(path, same.map(|p| p.channel).collect())
        } else if let Some(node) = transmitter() {
            Links::From(node.id)
        } else {
            Links::Unknown
        };
        Self {
            allow: server.allow.clone(),
            site: site.id.clone(),
            link,
        }
    }

    /// For a sender whose address is not allowed.
    pub(super) fn of_address(&self, address: IpAddr) -> String {
        // As an IPv4 address where it is one: so it is compared.
        let address = address.to_canonical().to_string();
        let mut allow: Vec<_> = self.allow.iter().collect();
        allow.push(&address);
        format!("# replaces allow in [server]\nallow = {allow:?}\n")
    }

    /// For frames of a node that is not configured.
    pub(super) fn of_node(&self, id: u16) -> String {
        let site = &self.site;
        if id == u16::MAX {
            return format!("# the board has no number: give it one, and site {site:?} a [[site.node]] with that id\n");
        }
        let node = format!(
            "# at the end of site {site:?}; position_m is to be measured\n[[site.node]]\nid = {id}\nposition_m = [0.0, 0.0, 1.0]\n"
        );
        let link = |tx: u16| format!("\n[[site.link]]\ntx = {tx}\nrx = {id}\n");
        match &self.link {
            Links::Mesh => node,
            Links::Like(path, channels) => {
                let measures = match path.kind {
                    PathKind::Csi(tier) => format!("tier = {:?}", tier.name()),
                    PathKind::Rss => "kind = \"rss\"".to_owned(),
                };
                format!("{node}{}{measures}\nchannels = {channels:?}\n", link(path.tx))
            }
            Links::From(tx) => node + &link(*tx),
            Links::Unknown => {
                node + "\n# and a [[site.link]] to it from the node that transmits, once that one is there\n"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tapline_wire::{Samples, Tlf1, TlfGrid};

    use super::*;
    use crate::{config::Fleet, ingest::gatekeeper::Gatekeeper};

    fn fleet(text: &str) -> (Fleet, Gatekeeper) {
        let fleet = Fleet::parse(text, std::path::Path::new("fleet.toml")).expect("a good fleet file");
        let site = fleet.select(None, "").expect("one site");
        let gate = Gatekeeper::new(&fleet.server, &site, &BTreeMap::new());
        (fleet, gate)
    }

    fn frame(rx_node: u16) -> Vec<u8> {
        let tlf1 = Tlf1 {
            rx_node,
            tx_node: Some(1),
            seq: 1,
            capture_us: 0,
            mesh_time: false,
            simulated: false,
            centre_khz: 2_437_000,
            bandwidth_mhz: 20,
            grid: TlfGrid::Own(&[1]),
            antennas: 1,
            rssi_dbm: -40,
            noise_dbm: -90,
            agc_db: None,
            boot_count: 1,
            samples: Samples::I8(&[[1, 1]]),
        };
        let mut bytes = Vec::new();
        tlf1.encode(None, &mut bytes).expect("a good frame");
        bytes
    }

    /// What is said of whom, after this frame was refused.
    fn lines(gate: &Gatekeeper, from: IpAddr, node: u16, reason: &'static str) -> String {
        assert_eq!(gate.admit(Some(from), 0, &frame(node)), Err(reason));
        gate.counters().unknown[&from].admit.clone()
    }

    /// The lines were a second [server] table without the senders of before, and a link from a node 0 that there is not.
    #[test]
    fn the_lines_make_a_fleet_that_admits_the_sender() {
        const SERVER: &str = "version = 1\n[server]\nudp = \"0.0.0.0:5005\"\nallow = [\"10.0.0.0/24\", \"fd00::1\"]\n";
        const SITE: &str = "[[site]]\nid = \"s\"\n[[site.node]]\nid = 1\nposition_m = [1.0, 0.0, 1.0]\n\
            [[site.node]]\nid = 2\nposition_m = [2.0, 0.0, 1.0]\n";
        let known: IpAddr = "10.0.0.7".parse().unwrap();
        for (site, links, expect) in [
            ("[site.mesh]\nkind = \"rss\"\n", 6, None),
            (
                "[[site.link]]\ntx = 1\nrx = 2\ntier = \"HT20\"\nchannels = [1, 11]\n",
                4,
                Some("tx = 1\nrx = 9\ntier = \"HT20\"\nchannels = [1, 11]\n"),
            ),
            (
                "[[site.node]]\nid = 100\nposition_m = [0.0, 0.0, 1.0]\nrole = \"transmitter\"\n",
                1,
                Some("tx = 100\nrx = 9\n"),
            ),
            ("", 0, Some("\n# and a [[site.link]]")),
        ] {
            let text = format!("{SERVER}{SITE}{site}");
            let (_, gate) = fleet(&text);
            let lines = lines(&gate, known, 9, "unknown_node");
            match expect {
                Some(expect) => assert!(lines.contains(expect), "{lines}"),
                None => assert!(!lines.contains("site.link"), "{lines}"),
            }
            let (fleet, gate) = fleet(&(text + &lines));
            assert_eq!(fleet.select(None, "").unwrap().paths.len(), links, "{lines}");
            assert_eq!(gate.admit(Some(known), 0, &frame(9)), Ok(()));
        }

        // 65535 stands for "not known", and no node may have it.
        let text = format!("{SERVER}{SITE}");
        let (_, gate) = fleet(&text);
        assert!(lines(&gate, known, u16::MAX, "unknown_node").starts_with("# the board has no number"));
        for new in ["192.168.1.9", "::ffff:192.168.1.9", "fd00::2"] {
            let new: IpAddr = new.parse().unwrap();
            let (_, gate) = fleet(&text);
            let lines = lines(&gate, new, 1, "sender_not_allowed");
            assert!(lines.starts_with("# replaces allow"), "{lines}");
            let other = text.lines().map(|line| {
                if line.starts_with("allow") {
                    lines.as_str()
                } else {
                    line
                }
            });
            let (_, gate) = fleet(&other.collect::<Vec<_>>().join("\n"));
            for from in [new, known, "fd00::1".parse().unwrap()] {
                assert_eq!(gate.admit(Some(from), 0, &frame(1)), Ok(()), "{from}");
            }
        }
    }
}
