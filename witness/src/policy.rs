//! C2SP tlog-policy: which logs and witnesses a verifier trusts. Keys come from here, never from a bundle.

use thiserror::Error;

use crate::{
    checkpoint::CheckpointError,
    note::{KeyType, Name, Verifier},
};

/// Longest policy accepted, bytes.
pub const MAX_POLICY_LEN: usize = 64 * 1024;
/// What a line begins with that says of a key above it that it was retired: `#tapline-retired KEY_ID SIZE`. It may vouch for
/// checkpoints up to that size and no larger one. To other readers of policies it is a comment, and without it less is
/// known, not more trusted: the keys of one log are alternatives.
pub const RETIRED: &str = "#tapline-retired";
/// Most logs, witnesses and groups accepted, each.
pub const MAX_POLICY_ITEMS: usize = 64;

/// Why a policy was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("policy line {line}: {problem}")]
pub struct PolicyError {
    /// Which line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Member {
    Witness(usize),
    Group(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    threshold: usize,
    members: Vec<Member>,
}

/// Whom a verifier trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<Verifier>,
    witnesses: Vec<Verifier>,
    groups: Vec<Group>,
    quorum: Option<Member>,
    /// Retired keys by their public key, and the largest size they may sign.
    retired: Vec<([u8; 32], u64)>,
}

impl Policy {
    /// Parses a policy file.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let whole = |problem: &str| PolicyError {
            line: 0,
            problem: problem.into(),
        };
        if text.len() > MAX_POLICY_LEN {
            return Err(whole("longer than 64 KiB"));
        }
        if text.contains(|c: char| c.is_control() && c != '\n' && c != '\t') {
            return Err(whole("a control character other than tab and newline"));
        }
        let mut parser = Parser::default();
        for (index, line) in text.split('\n').enumerate() {
            let words: Vec<&str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
            if words
                .first()
                .is_none_or(|word| word.starts_with('#') && *word != RETIRED)
            {
                continue;
            }
            parser.line(&words).map_err(|problem| PolicyError {
                line: index + 1,
                problem,
            })?;
        }
        if !parser.has_quorum {
            return Err(whole("a quorum line is missing (`quorum none` asks for no witness)"));
        }
        Ok(parser.policy)
    }

    /// The keys of the log with this origin: several when it rotates them.
    pub fn logs(&self, origin: &Name) -> Vec<&Verifier> {
        self.logs.iter().filter(|log| log.name() == origin).collect()
    }

    /// The largest size that a retired key may sign; none for a key that is not retired.
    pub fn retired(&self, key: &Verifier) -> Option<u64> {
        let public = key.public_key();
        self.retired.iter().find(|(of, _)| *of == public).map(|(_, size)| *size)
    }

    /// Every key the policy names.
    pub fn keys(&self) -> Vec<Verifier> {
        self.logs.iter().chain(&self.witnesses).cloned().collect()
    }

    /// True when the policy asks for witnesses.
    pub const fn has_quorum(&self) -> bool {
        self.quorum.is_some()
    }

    /// Refuses a key that signs a larger size than it may.
    ///
    /// # Errors
    /// [`CheckpointError::Retired`].
    pub fn refuse_retired(&self, key: &Verifier, size: u64) -> Result<(), CheckpointError> {
        match self.retired(key) {
            Some(leaf) if size > leaf => Err(CheckpointError::Retired {
                name: key.name().to_string(),
                leaf,
                size,
            }),
            _ => Ok(()),
        }
    }

    /// True when cosignatures by these keys make the quorum; with `quorum none` they always do.
    pub fn is_witnessed(&self, cosigners: &[&Verifier]) -> bool {
        self.quorum.as_ref().is_none_or(|member| self.has(member, cosigners))
    }

    fn has(&self, member: &Member, cosigners: &[&Verifier]) -> bool {
        match member {
            Member::Witness(index) => cosigners.contains(&&self.witnesses[*index]),
            // A group refers to earlier ones only, so this ends.
            Member::Group(index) => {
                let group = &self.groups[*index];
                group
                    .members
                    .iter()
                    .filter(|member| self.has(member, cosigners))
                    .count()
                    >= group.threshold
            }
        }
    }
}

#[derive(Default)]
struct Parser {
    policy: Policy,
    has_quorum: bool,
    names: Vec<(String, Member, bool)>,
}

impl Parser {
    fn line(&mut self, words: &[&str]) -> Result<(), String> {
        match *words {
            ["log", vkey] | ["log", vkey, _] => {
                let key = self.key(vkey, KeyType::Ed25519)?;
                self.policy.logs.push(key);
                bounded(self.policy.logs.len())
            }
            ["witness", name, vkey] | ["witness", name, vkey, _] => {
                let key = self.key(vkey, KeyType::Cosignature)?;
                self.define(name, Member::Witness(self.policy.witnesses.len()))?;
                self.policy.witnesses.push(key);
                bounded(self.policy.witnesses.len())
            }
            ["group", name, threshold, ref members @ ..] if !members.is_empty() => {
                let members = members
                    .iter()
                    .map(|member| self.member_of_group(member))
                    .collect::<Result<Vec<_>, _>>()?;
                let threshold = match threshold {
                    "any" => 1,
                    "all" => members.len(),
                    k => k
                        .parse()
                        .ok()
                        .filter(|threshold: &usize| {
                            threshold.to_string() == k && (1..=members.len()).contains(threshold)
                        })
                        .ok_or_else(|| format!("expected any, all or 1 to {}, found {k:?}", members.len()))?,
                };
                self.define(name, Member::Group(self.policy.groups.len()))?;
                self.policy.groups.push(Group { threshold, members });
                bounded(self.policy.groups.len())
            }
            [RETIRED, key_id, size] => {
                let id = u32::from_str_radix(key_id, 16)
                    .ok()
                    .filter(|id| format!("{id:08x}") == key_id);
                let key = self.policy.keys().into_iter().find(|key| Some(key.key_id()) == id);
                let key = key.ok_or_else(|| format!("no key with the id {key_id:?} stands above"))?;
                let size = size.parse::<u64>().ok().filter(|number| number.to_string() == size);
                let size = size.ok_or("the size is not a decimal number")?;
                if self.policy.retired(&key).is_some() {
                    return Err(format!("the key {key_id} is retired already"));
                }
                self.policy.retired.push((key.public_key(), size));
                Ok(())
            }
            ["quorum", name] => {
                if self.has_quorum {
                    return Err("a second quorum line".into());
                }
                self.has_quorum = true;
                if name != "none" {
                    self.policy.quorum = Some(self.named(name)?.1.clone());
                }
                Ok(())
            }
            _ => {
                Err("expected log <vkey>, witness <name> <vkey>, group <name> <k> <member>... or quorum <name>".into())
            }
        }
    }

    fn key(&self, vkey: &str, key_type: KeyType) -> Result<Verifier, String> {
        let key = Verifier::from_vkey(vkey).map_err(|error| error.to_string())?;
        if key.key_type() != key_type {
            return Err(format!(
                "expected a key of type {}, found type {}",
                key_type as u8,
                key.key_type() as u8
            ));
        }
        if self
            .policy
            .keys()
            .iter()
            .any(|other| other.public_key() == key.public_key())
        {
            return Err("this key is there already".into());
        }
        Ok(key)
    }

    fn define(&mut self, name: &str, member: Member) -> Result<(), String> {
        if name == "none" || self.named(name).is_ok() {
            return Err(format!("the name {name:?} is taken"));
        }
        self.names.push((name.to_owned(), member, false));
        Ok(())
    }

    fn named(&self, name: &str) -> Result<&(String, Member, bool), String> {
        self.names
            .iter()
            .find(|known| known.0 == name)
            .ok_or_else(|| format!("{name:?} is not defined above"))
    }

    fn member_of_group(&mut self, name: &str) -> Result<Member, String> {
        self.named(name)?;
        match self.names.iter_mut().find(|known| known.0 == name) {
            Some((_, member, used @ false)) => {
                *used = true;
                Ok(member.clone())
            }
            _ => Err(format!("{name:?} is a member of a group already")),
        }
    }
}

fn bounded(count: usize) -> Result<(), String> {
    if count > MAX_POLICY_ITEMS {
        Err(format!("more than {MAX_POLICY_ITEMS} of them"))
    } else {
        Ok(())
    }
}
