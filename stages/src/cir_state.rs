//! The state of the CIR stages: the normalised taps of every link, from which the next cycle starts.
//!
//! The blob (borsh): `version: u32`, then for each link of the group in order `path: u32, tier: u32` and
//! G taps as `re, im: f32`.

use borsh::{BorshDeserialize, BorshSerialize};
use num_complex::Complex32;
use tapline_dsp::tier::Tier;
use tapline_plugin_api::{StageError, abi_stable::std_types::RVec, cir::CirLinkSpec, guard::code};

/// Version of the blob.
pub(crate) const STATE_SCHEMA: u32 = 1;

/// A normalised tap is at most about 1; anything above this was not written by a stage.
const TAP_LIMIT: f32 = 1e3;

/// One link of the group and where the next cycle starts.
#[derive(Clone, Debug)]
pub(crate) struct WarmLink {
    pub(crate) spec: CirLinkSpec,
    pub(crate) tier: Tier,
    pub(crate) taps: Vec<Complex32>,
}

#[derive(BorshSerialize, BorshDeserialize)]
struct Blob {
    version: u32,
    links: Vec<BlobLink>,
}

#[derive(BorshSerialize, BorshDeserialize)]
struct BlobLink {
    path: u32,
    tier: u32,
    taps: Vec<[f32; 2]>,
}

fn wrong(message: String) -> StageError {
    StageError::new(code::STATE, format!("cir state: {message}"))
}

/// Appends the blob.
pub(crate) fn export(links: &[WarmLink], into: &mut RVec<u8>) -> Result<(), StageError> {
    let blob = Blob {
        version: STATE_SCHEMA,
        links: links
            .iter()
            .map(|link| BlobLink {
                path: link.spec.path,
                tier: link.spec.tier,
                taps: link.taps.iter().map(|t| [t.re, t.im]).collect(),
            })
            .collect(),
    };
    let bytes = borsh::to_vec(&blob).map_err(|e| wrong(format!("cannot be written: {e}")))?;
    into.extend_from_slice(&bytes);
    Ok(())
}

/// Replaces the taps of every link, or of none when the blob is not one of this group.
pub(crate) fn import(links: &mut [WarmLink], bytes: &[u8]) -> Result<(), StageError> {
    let blob = Blob::try_from_slice(bytes).map_err(|e| wrong(format!("cannot be read: {e}")))?;
    if blob.version != STATE_SCHEMA {
        return Err(wrong(format!(
            "version {STATE_SCHEMA} expected, {} found",
            blob.version
        )));
    }
    if blob.links.len() != links.len() {
        return Err(wrong(format!(
            "{} links expected, {} found",
            links.len(),
            blob.links.len()
        )));
    }
    for (link, found) in links.iter().zip(&blob.links) {
        if (link.spec.path, link.spec.tier, link.taps.len()) != (found.path, found.tier, found.taps.len()) {
            return Err(wrong(format!(
                "path {} of tier {} with {} taps expected, path {} of tier {} with {} found",
                link.spec.path,
                link.spec.tier,
                link.taps.len(),
                found.path,
                found.tier,
                found.taps.len()
            )));
        }
        if let Some(tap) = found.taps.iter().flatten().find(|t| t.is_nan() || t.abs() > TAP_LIMIT) {
            return Err(wrong(format!(
                "path {} has a tap of {tap}, at most {TAP_LIMIT} expected",
                link.spec.path
            )));
        }
    }
    for (link, found) in links.iter_mut().zip(&blob.links) {
        for (tap, [re, im]) in link.taps.iter_mut().zip(&found.taps) {
            *tap = Complex32::new(*re, *im);
        }
    }
    Ok(())
}
