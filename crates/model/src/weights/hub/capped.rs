//! A JSON object with a limit on its members and no duplicate keys.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use crate::weights::source::shown;

/// More tensors than any published model has in one file, single experts counted.
const N_MEMBERS_MAX: usize = 1 << 16;
/// Longest name of a tensor or a file, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// A member that safetensors headers keep for notes; stepped over, never stored.
const METADATA: &str = "__metadata__";

/// Members by name; refuses duplicates, long names, and too many. Notes are not among them.
pub(super) struct Capped<T>(pub BTreeMap<String, T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Capped<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members(PhantomData))
    }
}

struct Members<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
    type Value = Capped<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Capped<T>, A::Error> {
        let mut members = BTreeMap::new();
        let mut has_metadata = false;
        while let Some(name) = access.next_key::<String>()? {
            if name.len() > NAME_BYTES_MAX {
                let (name, n) = (shown(&name), name.len());
                return Err(A::Error::custom(format_args!(
                    "the name `{name}` has {n} bytes, more than {NAME_BYTES_MAX}"
                )));
            }
            if name == METADATA {
                if std::mem::replace(&mut has_metadata, true) {
                    return Err(A::Error::custom(format_args!(
                        "`{METADATA}` is there twice"
                    )));
                }
                access.next_value::<IgnoredAny>()?;
                continue;
            }
            if members.len() == N_MEMBERS_MAX {
                return Err(A::Error::custom(format_args!(
                    "there are more than {N_MEMBERS_MAX} names"
                )));
            }
            if members.contains_key(&name) {
                return Err(A::Error::custom(format_args!(
                    "the name `{}` is there twice",
                    shown(&name)
                )));
            }
            let value = access.next_value()?;
            members.insert(name, value);
        }
        Ok(Capped(members))
    }
}
