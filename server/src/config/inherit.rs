//! What a site takes over from `[defaults]`: key by key, and whatever it says itself stands.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::Fleet;

/// Fills the shared tables of every site of the document with what only `[defaults]` says.
///
/// # Errors
/// What the reader says of a merged table; tables that were read one by one before give none.
pub(super) fn inherit(fleet: &mut Fleet, document: &Table) -> Result<(), toml::de::Error> {
    let Some(defaults) = document.get("defaults").and_then(Value::as_table) else {
        return Ok(());
    };
    let written = document.get("site").and_then(Value::as_array);
    for (site, written) in fleet.site.iter_mut().zip(written.into_iter().flatten()) {
        let own = written.as_table();
        take_over(&mut site.privacy, "privacy", defaults, own)?;
        take_over(&mut site.pipeline, "pipeline", defaults, own)?;
        take_over(&mut site.retention, "retention", defaults, own)?;
    }
    Ok(())
}

fn take_over<T: DeserializeOwned>(
    into: &mut Option<T>,
    key: &str,
    defaults: &Table,
    site: Option<&Table>,
) -> Result<(), toml::de::Error> {
    let Some(default) = defaults.get(key) else {
        return Ok(());
    };
    let merged = site
        .and_then(|site| site.get(key))
        .map_or_else(|| default.clone(), |own| merged(default, own));
    *into = Some(merged.try_into()?);
    Ok(())
}

/// `own` with the keys of `default` that it lacks, table by table.
fn merged(default: &Value, own: &Value) -> Value {
    let (Value::Table(default), Value::Table(own)) = (default, own) else {
        return own.clone();
    };
    let mut all = default.clone();
    for (key, own) in own {
        let value = default.get(key).map_or_else(|| own.clone(), |d| merged(d, own));
        all.insert(key.clone(), value);
    }
    Value::Table(all)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{PrivacyMode, RawStore};

    const SITE: &str =
        "[[site]]\nid = \"SITE\"\n[[site.room]]\nid = \"r\"\noutline_m = [[0.0, 0.0], [9.0, 0.0], [9.0, 9.0]]\n";

    fn parsed(defaults: &str, sites: &[(&str, &str)]) -> Result<Fleet, String> {
        let mut text = format!("version = 1\n{defaults}");
        for (id, own) in sites {
            text += &SITE.replace("SITE", id);
            text += own;
        }
        Fleet::parse(&text, Path::new("fleet.toml")).map_err(|e| e.to_string())
    }

    #[test]
    fn a_site_keeps_what_the_defaults_say_of_keys_that_it_leaves_out() {
        let fleet = parsed(
            "[defaults.retention]\nraw = \"off\"\nleaf_hours = 100\n[defaults.retention.rollup]\nminute_days = 9\n\
             [defaults.privacy]\nmode = \"StrictNoIdentity\"\n\
             [defaults.pipeline.grid]\npitch_m = 0.4\n[defaults.pipeline.stage.cir]\nwarm_start = false\nmax_iterations = 7\n",
            &[
                (
                    "own",
                    "[site.retention]\noutcome_hours = 3\n[site.retention.rollup]\nhour_days = 50\n\
                     [site.pipeline.stage.cir]\nmax_iterations = 9\n[site.privacy]\nmode = \"RawResearch\"\n",
                ),
                ("silent", ""),
            ],
        )
        .unwrap();
        let [own, silent] = ["own", "silent"].map(|id| fleet.select(Some(id), "host").unwrap());
        for site in [&own, &silent] {
            assert_eq!((site.retention.raw, site.retention.leaf_hours), (RawStore::Off, 100));
            assert_eq!(site.retention.rollup.minute_days, 9);
            assert_eq!(site.pipeline.grid.pitch_m.to_bits(), 0.4_f32.to_bits());
            assert_eq!(site.pipeline.stage["cir"]["warm_start"].as_bool(), Some(false));
        }
        assert_eq!((own.retention.outcome_hours, own.retention.rollup.hour_days), (3, 50));
        assert_eq!(own.pipeline.stage["cir"]["max_iterations"].as_integer(), Some(9));
        assert_eq!(silent.pipeline.stage["cir"]["max_iterations"].as_integer(), Some(7));
        assert_eq!(
            (own.privacy.mode, silent.privacy.mode),
            (PrivacyMode::RawResearch, PrivacyMode::StrictNoIdentity)
        );
    }

    #[test]
    fn what_the_defaults_say_is_checked_and_found_once_where_it_stands() {
        let error = parsed(
            "[defaults.retention]\noutcome_hours = 24\nleaf_hours = 1\nraw_minutes = 0\n",
            &[("a", ""), ("b", "[site.retention]\nraw_minutes = 9\n")],
        )
        .unwrap_err();
        assert_eq!(error.matches("defaults.retention.leaf_hours").count(), 1, "{error}");
        assert_eq!(error.matches("defaults.retention.raw_minutes").count(), 1, "{error}");
        assert!(error.contains("line 4: defaults.retention.leaf_hours"), "{error}");
        assert!(!error.contains("site[1].retention"), "{error}");
    }
}
