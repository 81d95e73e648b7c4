//! Inclusion and consistency proofs: built from tiles, verified from nothing but hashes.
//!
//! Source: RFC 6962 section 2.1 (construction), RFC 9162 sections 2.1.3.2 and 2.1.4.2 (verification).

use thiserror::Error;

use crate::{
    hash::Hash,
    tree::{TileSource, TreeError, node_hash, range_root, split_point},
};

/// No proof in a tree of at most 2^64 leaves is longer.
pub const MAX_PROOF_LEN: usize = 64;

/// Why a proof does not prove what it says.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProofError {
    /// Index or sizes cannot be of one tree.
    #[error("{what}: expected at most {expected}, found {found}")]
    OutOfRange {
        /// What.
        what: &'static str,
        /// The bound.
        expected: u64,
        /// As given.
        found: u64,
    },
    /// Too few or too many hashes.
    #[error("a proof with {found} hashes does not fit these sizes")]
    Length {
        /// Hashes in it.
        found: usize,
    },
    /// It leads to another root.
    #[error("the proof leads to another {which} root: expected {expected}, found {found}", expected = hex::encode(expected), found = hex::encode(found))]
    Root {
        /// `old` or `new`.
        which: &'static str,
        /// The root it should lead to.
        expected: Hash,
        /// The root it leads to.
        found: Hash,
    },
}

/// The inclusion proof of leaf `index` in the tree of the first `size` leaves.
///
/// # Errors
/// `index >= size`, or tiles that are not there.
pub fn prove_inclusion(source: &impl TileSource, index: u64, size: u64) -> Result<Vec<Hash>, TreeError> {
    if index >= size {
        return Err(TreeError::OutOfRange {
            what: "leaf index",
            expected: size.saturating_sub(1),
            found: index,
        });
    }
    let (mut lo, mut hi) = (0, size);
    let mut path = Vec::new();
    while hi - lo > 1 {
        let split = lo + split_point(hi - lo);
        if index < split {
            path.push(range_root(source, split, hi)?);
            hi = split;
        } else {
            path.push(range_root(source, lo, split)?);
            lo = split;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree of `new` leaves continues the tree of `old` leaves.
///
/// # Errors
/// `old` is 0 or greater than `new`, or tiles that are not there.
pub fn prove_consistency(source: &impl TileSource, old: u64, new: u64) -> Result<Vec<Hash>, TreeError> {
    if old == 0 || old > new {
        return Err(TreeError::OutOfRange {
            what: "old size",
            expected: new,
            found: old,
        });
    }
    let (mut lo, mut hi) = (0, new);
    let mut path = Vec::new();
    // RFC 6962 SUBPROOF: go down to the node that ends at `old`; on the leftmost way it is the old root itself.
    while hi != old {
        let split = lo + split_point(hi - lo);
        if old <= split {
            path.push(range_root(source, split, hi)?);
            hi = split;
        } else {
            path.push(range_root(source, lo, split)?);
            lo = split;
        }
    }
    if lo != 0 {
        path.push(range_root(source, lo, hi)?);
    }
    path.reverse();
    Ok(path)
}

/// Accepts only a proof that the leaf with this hash stands at `index` in the tree with this size and root.
pub fn verify_inclusion(leaf_hash: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange {
            what: "leaf index",
            expected: size.saturating_sub(1),
            found: index,
        });
    }
    let length = ProofError::Length { found: path.len() };
    if path.len() > MAX_PROOF_LEN {
        return Err(length);
    }
    let (mut node, mut last) = (index, size - 1);
    let mut found = *leaf_hash;
    for sibling in path {
        if last == 0 {
            return Err(length);
        }
        if node & 1 == 1 || node == last {
            found = node_hash(sibling, &found);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            found = node_hash(&found, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(length);
    }
    same_root("new", root, found)
}

/// Accepts only a proof that the tree (`new`, `new_root`) continues the tree (`old`, `old_root`).
///
/// The empty tree is continued by every tree, with an empty proof.
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    path: &[Hash],
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::OutOfRange {
            what: "old size",
            expected: new,
            found: old,
        });
    }
    let length = ProofError::Length { found: path.len() };
    if path.len() > MAX_PROOF_LEN {
        return Err(length);
    }
    if old == 0 {
        return if path.is_empty() {
            same_root("old", old_root, crate::tree::empty_root())
        } else {
            Err(length)
        };
    }
    if old == new {
        return if path.is_empty() {
            same_root("new", new_root, *old_root)
        } else {
            Err(length)
        };
    }
    // A complete old tree is a node of the new one: its root is not repeated in the proof.
    let mut rest = path.iter();
    let seed = if old.is_power_of_two() {
        *old_root
    } else {
        *rest.next().ok_or(length.clone())?
    };
    let (mut node, mut last) = (old - 1, new - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut found_old, mut found_new) = (seed, seed);
    for hash in rest {
        if last == 0 {
            return Err(length);
        }
        if node & 1 == 1 || node == last {
            found_old = node_hash(hash, &found_old);
            found_new = node_hash(hash, &found_new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            found_new = node_hash(&found_new, hash);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(length);
    }
    same_root("old", old_root, found_old)?;
    same_root("new", new_root, found_new)
}

fn same_root(which: &'static str, expected: &Hash, found: Hash) -> Result<(), ProofError> {
    if *expected == found {
        Ok(())
    } else {
        Err(ProofError::Root {
            which,
            expected: *expected,
            found,
        })
    }
}
