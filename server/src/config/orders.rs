//! Orders of operators that outlive a restart: `orders.toml` in the data directory, applied over the fleet file.
//!
//! An order holds as long as the fleet file says what it said when the order was given; whoever changes the file there
//! has the last word. Deleting the file forgets all orders.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{PrivacyMode, Site};

const FILE: &str = "orders.toml";
const VERSION: u32 = 1;
const FILE_BYTES: u64 = 1 << 20;

/// A value and the one of the fleet file that it stands in for.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Instead<T> {
    now: T,
    file: T,
}

/// What operators ordered.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Orders {
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    privacy_mode: Option<Instead<PrivacyMode>>,
    /// Outlines of zones, metres, by id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    zone_outline_m: BTreeMap<String, Instead<Vec<[f32; 2]>>>,
}

/// Why the orders cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum OrdersError {
    /// The file cannot be read or written.
    #[error("cannot use {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It does not hold what the server wrote.
    #[error(
        "{path} is not readable as operators' orders: {found}. Restore it, or delete it to go back to the fleet file"
    )]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        found: String,
    },
}

impl Default for Orders {
    fn default() -> Self {
        Self {
            version: VERSION,
            privacy_mode: None,
            zone_outline_m: BTreeMap::new(),
        }
    }
}

impl Orders {
    /// Orders of a data directory; none when there are none.
    ///
    /// # Errors
    /// [`OrdersError`]: a server that cannot tell how strict it has to be must not run.
    pub fn load(data_dir: &Path) -> Result<Self, OrdersError> {
        let path = data_dir.join(FILE);
        let file = |source| OrdersError::File {
            path: path.clone(),
            source,
        };
        let content = |found: String| OrdersError::Content {
            path: path.clone(),
            found,
        };
        match fs::metadata(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(file(e)),
            Ok(m) if m.len() > FILE_BYTES => return Err(content(format!("{} bytes", m.len()))),
            Ok(_) => {}
        }
        let text = fs::read_to_string(&path).map_err(file)?;
        let orders: Self = toml::from_str(&text).map_err(|e| content(e.to_string()))?;
        if orders.version != VERSION {
            return Err(content(format!("version {}, expected {VERSION}", orders.version)));
        }
        Ok(orders)
    }

    /// Keeps them; what was kept before stays whole until the new file is.
    ///
    /// # Errors
    /// [`OrdersError::File`].
    pub fn save(&self, data_dir: &Path) -> Result<(), OrdersError> {
        let path = data_dir.join(FILE);
        let write = || {
            let text = toml::to_string(self).map_err(io::Error::other)?;
            let mut new = tempfile::NamedTempFile::new_in(data_dir)?;
            io::Write::write_all(&mut new, text.as_bytes())?;
            new.as_file().sync_all()?;
            new.persist(&path).map_err(|e| e.error)?;
            fs::File::open(data_dir)?.sync_all()
        };
        write().map_err(|source| OrdersError::File {
            path: path.clone(),
            source,
        })
    }

    /// Another mode, over what the fleet file says.
    pub fn set_mode(&mut self, now: PrivacyMode, site: &Site) {
        let file = self.privacy_mode.as_ref().map_or(site.privacy.mode, |o| o.file);
        self.privacy_mode = (now != file).then_some(Instead { now, file });
    }

    /// Another outline of a zone, over what the fleet file says.
    pub fn set_outline(&mut self, zone: &str, now: Vec<[f32; 2]>, site: &Site) {
        let Some(configured) = site.zones.iter().find(|z| z.id == zone) else {
            return;
        };
        let before = self.zone_outline_m.remove(zone);
        let file = before.map_or_else(|| configured.outline_m.clone(), |o| o.file);
        if now != file {
            self.zone_outline_m.insert(zone.to_owned(), Instead { now, file });
        }
    }

    /// Puts them over the fleet file's site, and forgets those that the file has overtaken.
    pub fn apply(&mut self, site: &mut Site) {
        self.privacy_mode = self.privacy_mode.take().filter(|o| o.file == site.privacy.mode);
        if let Some(order) = &self.privacy_mode {
            site.privacy.mode = order.now;
        }
        self.zone_outline_m.retain(|id, order| {
            let zone = site.zones.iter_mut().find(|z| z.id == *id && z.outline_m == order.file);
            zone.map(|zone| zone.outline_m.clone_from(&order.now)).is_some()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Fleet;

    fn site() -> Site {
        let fleet = Fleet::load(Path::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../config.example.toml"
        )))
        .unwrap();
        fleet.select(None, "test").unwrap()
    }

    #[test]
    fn an_order_holds_until_the_fleet_file_changes_there() {
        let directory = tempfile::tempdir().unwrap();
        let configured = site();
        let mut orders = Orders::load(directory.path()).unwrap();
        assert_eq!(orders, Orders::default());
        let outline = vec![[0.0, 0.0], [1.0, 0.0], [1.0, 1.5]];
        orders.set_mode(PrivacyMode::StrictNoIdentity, &configured);
        orders.set_outline("desk", outline.clone(), &configured);
        orders.save(directory.path()).unwrap();
        let mut orders = Orders::load(directory.path()).unwrap();
        let mut now = configured.clone();
        orders.apply(&mut now);
        assert_eq!(
            (now.privacy.mode, &now.zones[0].outline_m),
            (PrivacyMode::StrictNoIdentity, &outline)
        );
        // A second order stands over the file too, not over the first.
        let mut again = orders.clone();
        again.set_mode(configured.privacy.mode, &now);
        again.set_outline("desk", configured.zones[0].outline_m.clone(), &now);
        assert_eq!(again, Orders::default());
        let mut edited = configured.clone();
        edited.privacy.mode = PrivacyMode::CareWithConsent;
        edited.zones[0].outline_m[0] = [0.5, 2.5];
        let text = edited.zones[0].outline_m.clone();
        orders.apply(&mut edited);
        assert_eq!(
            (edited.privacy.mode, &edited.zones[0].outline_m),
            (PrivacyMode::CareWithConsent, &text)
        );
        assert_eq!(orders, Orders::default(), "the file has overtaken them");
    }

    #[test]
    fn what_cannot_be_read_is_no_empty_list() {
        let directory = tempfile::tempdir().unwrap();
        for text in ["version = 2", "privacy_mode = 3", "version = 1\nelse = 1", "\0"] {
            fs::write(directory.path().join(FILE), text).unwrap();
            assert!(
                matches!(Orders::load(directory.path()), Err(OrdersError::Content { .. })),
                "{text}"
            );
        }
    }
}
