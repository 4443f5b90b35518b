//! What a library says it is: the JSON of its section `.portcullis`, read without running
//! any of its code, and whether this gateway can live with it.

use super::refusal::Refusal;
use portcullis_plugin_api::{Operations, abi};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The information of a library.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Info {
    magic: String,
    /// Major and minor of its boundary.
    pub abi: (u16, u16),
    /// The oldest minor of a gateway that it can live with.
    #[serde(default)]
    pub min_host_minor: u16,
    /// What it is called.
    pub name: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// What it was made with.
    #[serde(default)]
    pub sdk: String,
    /// The kinds that it provides.
    pub kinds: Vec<KindInfo>,
}

/// One kind of a library.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct KindInfo {
    /// What `kind` in the configuration says.
    pub kind: String,
    /// What it can do; an unknown word is of a later minor.
    #[serde(default)]
    pub operations: Vec<String>,
}

impl KindInfo {
    /// What beyond `begin` it does.
    pub fn can(&self) -> Operations {
        Operations::named(&self.operations)
    }
}

/// More than any library provides.
const MOST_KINDS: usize = 32;

impl Info {
    /// What these bytes say, if they are of a library that this gateway can live with.
    pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<Self, Refusal> {
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let unreadable = |why: &str| {
            Refusal::of(
                "PLG-08",
                path,
                format_args!("its section .portcullis {why}: not a Portcullis plugin"),
            )
        };
        let text = &bytes[..end];
        if text.len() > 64 * 1024 {
            return Err(unreadable("is too long"));
        }
        let info: Self = serde_json::from_slice(text).map_err(|_| unreadable("is not what it should be"))?;
        let plain = |text: &str| text.len() <= 128 && !text.chars().any(char::is_control);
        if info.magic != abi::MAGIC || !plain(&info.name) || !plain(&info.version) || !plain(&info.sdk) {
            return Err(unreadable("is not what it should be"));
        }
        let is_kind = |one: &KindInfo| {
            let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            one.kind.len() <= 32
                && one.kind.starts_with(|c: char| c.is_ascii_lowercase())
                && one.kind.bytes().all(rest)
        };
        if info.kinds.is_empty() || info.kinds.len() > MOST_KINDS || !info.kinds.iter().all(is_kind) {
            return Err(unreadable("names no kinds, or such as cannot be configured"));
        }
        info.fits(path)?;
        Ok(info)
    }

    fn fits(&self, path: &Path) -> Result<(), Refusal> {
        let (major, minor) = self.abi;
        let (ours, own) = (abi::MAJOR, abi::MINOR);
        let who = format!("plugin {} {}", self.name, self.version);
        if major != ours {
            let text = format!(
                "{who} uses plugin ABI {major}.{minor}, this gateway speaks {ours}.{own}; rebuild it against \
                 plugin-api {ours}.x"
            );
            return Err(Refusal::of("PLG-09", path, text));
        }
        if self.min_host_minor > own {
            let least = self.min_host_minor;
            let text = format!(
                "{who} needs gateway plugin ABI {major}.{least} or newer, this gateway speaks {ours}.{own}"
            );
            return Err(Refusal::of("PLG-10", path, text));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(change: &[(&str, Value)]) -> Result<Info, &'static str> {
        let mut info = json!({"magic": "portcullis plugin", "abi": [1, 0], "min_host_minor": 0, "name": "n",
            "version": "1", "kinds": [{"kind": "stamp", "operations": ["begin", "refresh", "levitate"]}]});
        for (key, value) in change {
            info[*key] = value.clone();
        }
        Info::read(Path::new("x.so"), info.to_string().as_bytes()).map_err(|refusal| refusal.code)
    }

    #[test]
    fn versions_follow_the_rule() {
        let fine = read(&[]).unwrap();
        assert_eq!(fine.kinds[0].can(), Operations { refresh: true, ..Operations::NONE });
        for (change, answer) in [
            (vec![("abi", json!([1, 7]))], None),
            (vec![("abi", json!([1, 7])), ("min_host_minor", json!(7))], Some("PLG-10")),
            (vec![("abi", json!([2, 0]))], Some("PLG-09")),
            (vec![("abi", json!([0, 9]))], Some("PLG-09")),
            (vec![("magic", json!("other"))], Some("PLG-08")),
            (vec![("kinds", json!([]))], Some("PLG-08")),
            (vec![("kinds", json!([{"kind": "A b"}]))], Some("PLG-08")),
            (vec![("name", json!("a\nb"))], Some("PLG-08")),
        ] {
            assert_eq!(read(&change).err(), answer, "{change:?}");
        }
        for garbage in [&b"\xff\xfe"[..], b"", b"{}", b"[[[["] {
            assert_eq!(Info::read(Path::new("x"), garbage).unwrap_err().code, "PLG-08");
        }
    }
}
