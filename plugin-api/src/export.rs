//! `export_strategy!`: the one line of a library, and the information in its ELF section.
//!
//! What may not come in: work. The functions that the gateway calls are in `sdk/`.

use crate::Operations;

/// Makes strategies a library: exports `portcullis_plugin_v1`, and says in the section
/// `.portcullis` what it is. It is the one line of a package whose crate type is `cdylib`:
///
/// ```ignore
/// portcullis_plugin_api::export_strategy!(my_strategy::Phrase);
/// ```
///
/// Several kinds are separated by commas. A library whose panics abort does not compile:
/// it would take the gateway down with it.
#[macro_export]
macro_rules! export_strategy {
    ($first:ty $(, $more:ty)* $(,)?) => {
        #[cfg(panic = "abort")]
        compile_error!("a strategy library must unwind: remove `panic = \"abort\"` from its profile");

        #[doc(hidden)]
        #[allow(unsafe_code)]
        const _: () = {
            use $crate::{Strategy, abi, export, sdk};

            const PARTS: &[&[&str]] = &[
                &export::head(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
                &export::kind(<$first>::KIND, <$first>::OPERATIONS),
                $(&[","], &export::kind(<$more>::KIND, <$more>::OPERATIONS),)*
                &["]}"],
            ];
            const LENGTH: usize = export::length(PARTS);

            // SAFETY: the section is of our own name, and nothing else is put into it.
            #[unsafe(link_section = ".portcullis")]
            #[used]
            static INFO: [u8; LENGTH] = export::join(PARTS);

            static KINDS: &[sdk::Kind] = &[sdk::Kind::of::<$first>(), $(sdk::Kind::of::<$more>(),)*];

            static TABLE: abi::PluginTable = sdk::table(abi::Bytes::of(&INFO), create);

            // SAFETY: called by the gateway as the header says; all of it is handed on.
            unsafe extern "C" fn create(
                host: *const abi::HostTable,
                instance: u64,
                ticket: u64,
                kind: abi::Bytes,
                settings: abi::Bytes,
                out: *mut *mut ::core::ffi::c_void,
            ) -> i32 {
                unsafe { sdk::create(KINDS, host, instance, ticket, kind, settings, out) }
            }

            // SAFETY: the name is that of the boundary, and no other crate of a library
            // defines it: two would not link.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn portcullis_plugin_v1(
                host: *const abi::HostTable,
            ) -> *const abi::PluginTable {
                unsafe { sdk::enter(host, &TABLE) }
            }
        };
    };
}

/// The beginning of the information.
#[doc(hidden)]
pub const fn head(name: &'static str, version: &'static str) -> [&'static str; 7] {
    [
        "{\"magic\":\"portcullis plugin\",\"abi\":[1,0],\"min_host_minor\":0,\"name\":\"",
        name,
        "\",\"version\":\"",
        version,
        "\",\"sdk\":\"",
        env!("CARGO_PKG_VERSION"),
        "\",\"kinds\":[",
    ]
}

/// One kind in it.
#[doc(hidden)]
pub const fn kind(name: &'static str, can: Operations) -> [&'static str; 11] {
    [
        "{\"kind\":\"",
        name,
        "\",\"operations\":[\"begin\"",
        when(can.resume, ",\"resume\""),
        when(can.credentials, ",\"credentials\""),
        when(can.refresh, ",\"refresh\""),
        when(can.logout, ",\"logout\""),
        when(can.notice, ",\"notice\""),
        when(can.change_secret, ",\"change_secret\""),
        when(can.diagnose, ",\"diagnose\""),
        "]}",
    ]
}

const fn when(yes: bool, text: &'static str) -> &'static str {
    if yes { text } else { "" }
}

/// How long the parts are together.
#[doc(hidden)]
pub const fn length(parts: &[&[&str]]) -> usize {
    let (mut sum, mut at) = (0, 0);
    while at < parts.len() {
        let mut inner = 0;
        while inner < parts[at].len() {
            sum += parts[at][inner].len();
            inner += 1;
        }
        at += 1;
    }
    sum
}

/// The parts as one.
#[doc(hidden)]
pub const fn join<const N: usize>(parts: &[&[&str]]) -> [u8; N] {
    let (mut all, mut end, mut at) = ([0; N], 0, 0);
    while at < parts.len() {
        let mut inner = 0;
        while inner < parts[at].len() {
            let bytes = parts[at][inner].as_bytes();
            let mut byte = 0;
            while byte < bytes.len() {
                all[end] = bytes[byte];
                end += 1;
                byte += 1;
            }
            inner += 1;
        }
        at += 1;
    }
    assert!(end == N, "the length is that of the parts");
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi;
    use serde_json::{Value, json};

    const PARTS: &[&[&str]] = &[
        &head("name", "1.2.3"),
        &kind("a", Operations { resume: true, diagnose: true, ..Operations::NONE }),
        &[","],
        &kind("b", Operations::NONE),
        &["]}"],
    ];
    static INFO: [u8; length(PARTS)] = join(PARTS);

    #[test]
    fn the_information_is_json_that_names_kinds_and_operations() {
        let info: Value = serde_json::from_slice(&INFO).unwrap();
        assert_eq!(
            info,
            json!({"magic": abi::MAGIC, "abi": [abi::MAJOR, abi::MINOR], "min_host_minor": 0,
                "name": "name", "version": "1.2.3", "sdk": env!("CARGO_PKG_VERSION"),
                "kinds": [{"kind": "a", "operations": ["begin", "resume", "diagnose"]},
                    {"kind": "b", "operations": ["begin"]}]})
        );
    }
}
