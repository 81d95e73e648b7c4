//! Fleet files for recordings: only what the recording's own description says of rooms, nodes and links.
#![allow(dead_code, reason = "shared by the families; not every one needs all of it")]

use std::fmt::Write as _;

/// A fleet file with one site.
pub(crate) struct Site(String);

impl Site {
    /// A research site of this name.
    pub(crate) fn new(id: &str) -> Self {
        Self(format!(
            "version = 1\n\n[[site]]\nid = \"{id}\"\n\n[site.privacy]\nmode = \"RawResearch\"\n"
        ))
    }

    /// A rectangular room.
    pub(crate) fn room(mut self, id: &str, low_m: [f64; 2], high_m: [f64; 2]) -> Self {
        let ([x0, y0], [x1, y1]) = (low_m, high_m);
        let _ = write!(
            self.0,
            "\n[[site.room]]\nid = \"{id}\"\noutline_m = [[{x0:?}, {y0:?}], [{x1:?}, {y0:?}], [{x1:?}, {y1:?}], [{x0:?}, {y1:?}]]\n"
        );
        self
    }

    /// A node that sends us frames.
    pub(crate) fn sensor(mut self, id: u16, position_m: [f64; 3], chip: &str) -> Self {
        let _ = write!(
            self.0,
            "\n[[site.node]]\nid = {id}\nposition_m = {position_m:?}\nchip = \"{chip}\"\n"
        );
        self
    }

    /// A node that only transmits.
    pub(crate) fn transmitter(mut self, id: u16, position_m: [f64; 3]) -> Self {
        let _ = write!(
            self.0,
            "\n[[site.node]]\nid = {id}\nposition_m = {position_m:?}\nrole = \"transmitter\"\n"
        );
        self
    }

    /// A CSI link.
    pub(crate) fn csi(mut self, tx: u16, rx: u16, tier: &str, channel: u16, rx_antennas: u8) -> Self {
        let _ = write!(
            self.0,
            "\n[[site.link]]\ntx = {tx}\nrx = {rx}\ntier = \"{tier}\"\nchannels = [{channel}]\nrx_antennas = {rx_antennas}\n"
        );
        self
    }

    /// Received strengths between all sensor nodes on these channels.
    pub(crate) fn rss_mesh(mut self, channels: &[u16]) -> Self {
        let _ = write!(self.0, "\n[site.mesh]\nkind = \"rss\"\nchannels = {channels:?}\n");
        self
    }

    /// More lines of the site, such as a table of the pipeline.
    pub(crate) fn lines(mut self, text: &str) -> Self {
        self.0.push('\n');
        self.0.push_str(text);
        self
    }

    /// The file's text.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}
