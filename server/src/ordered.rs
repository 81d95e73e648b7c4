//! A map in one ascending list with room for more: an entry that begins takes no memory, and all entries lie side by side.
//!
//! For the few hundred entries of a site, of which most are looked up every cycle and few begin or end. Encoded, it is what
//! borsh makes of a `BTreeMap`.

use std::io;

use borsh::{BorshDeserialize, BorshSerialize};

/// Keys ascend strictly.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize)]
pub(crate) struct Ordered<K, V>(Vec<(K, V)>);

impl<K, V> Default for Ordered<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> Ordered<K, V> {
    /// Makes room for so many entries in all.
    pub(crate) fn hold(&mut self, entries: usize) {
        self.0.reserve(entries.saturating_sub(self.0.len()));
    }

    fn place(&self, key: &K) -> Result<usize, usize> {
        self.0.binary_search_by(|(k, _)| k.cmp(key))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.place(key).ok().map(|at| &self.0[at].1)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.place(key).ok().map(|at| &mut self.0[at].1)
    }

    /// Takes the place of an entry with this key.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        match self.place(&key) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (key, value)),
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.place(key).ok().map(|at| self.0.remove(at).1)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(k, v)| (k, v))
    }

    /// The entries from a key on.
    pub(crate) fn from(&self, key: &K) -> impl Iterator<Item = (&K, &V)> {
        let at = self.place(key).unwrap_or_else(|at| at);
        self.0[at..].iter().map(|(k, v)| (k, v))
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, v)| v)
    }
}

impl<K: Ord + BorshDeserialize, V: BorshDeserialize> BorshDeserialize for Ordered<K, V> {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let list = Vec::<(K, V)>::deserialize_reader(reader)?;
        if list.is_sorted_by(|(a, _), (b, _)| a < b) {
            Ok(Self(list))
        } else {
            Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the keys of a map do not ascend",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn holds_what_a_tree_holds_and_encodes_alike() {
        let (mut list, mut tree) = (Ordered::default(), BTreeMap::new());
        // 61 is prime to 257: every key twice, in a wild order; every third is taken out again.
        for i in 0..514_u32 {
            let key = i * 61 % 257;
            list.insert(key, i);
            tree.insert(key, i);
            if i % 3 == 0 {
                assert_eq!(list.remove(&(key / 2)), tree.remove(&(key / 2)));
            }
            assert!(list.iter().eq(tree.iter()), "step {i}");
        }
        assert!(list.from(&100).eq(tree.range(100..)));
        assert_eq!(list.get(&256), tree.get(&256));
        let bytes = borsh::to_vec(&list).unwrap();
        assert_eq!(bytes, borsh::to_vec(&tree).unwrap());
        assert_eq!(Ordered::try_from_slice(&bytes).unwrap(), list);
    }

    #[test]
    fn a_list_that_does_not_ascend_is_refused() {
        for keys in [[2_u8, 1], [1, 1]] {
            let bytes = borsh::to_vec(&keys.map(|k| (k, ())).to_vec()).unwrap();
            assert!(Ordered::<u8, ()>::try_from_slice(&bytes).is_err(), "{keys:?}");
        }
    }
}
