//! What the gateway reads out of a strategy library: its file, its table, the bytes that it
//! lends, its messages; and what a library of ours reads out of the gateway's.

use super::targets::Target;
use crate::registry::fuzzing;

pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "file of a library",
        corpus: &[&fuzzing::SMALLEST, fuzzing::INFO, b"\x7fELF\x02\x01", b"#!/bin/sh"],
        check: fuzzing::file,
    },
    Target {
        name: "table of a library",
        corpus: &[
            // Its size, 1.0, a live flag, six words of functions; one that ends before `queued`.
            b"\x50\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\
              aaaaaaaabbbbbbbbccccccccddddddddeeeeeeee",
            b"\x48\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
              aaaaaaaabbbbbbbb\0\0\0\0\0\0\0\0dddddddd",
            b"\x48\0\0\0\0\0\0\0\x02",
            b"\0\x20\0\0\0\0\0\0",
        ],
        check: fuzzing::table,
    },
    Target {
        name: "bytes that a library lends",
        corpus: &[
            b"\0\0{\"outcome\":\"form\"}", b"\x01\x01{}", b"\x02\x02panic", b"\x04\x03late", b"\x01\x04line\nof a\x1b[1m log",
            b"\xff\x05\xff\xfe",
        ],
        check: fuzzing::lent,
    },
    Target {
        name: "messages of a library",
        corpus: &[
            br#"{"outcome":"authenticated","subject":"ann","claims":{"groups":["a"],"n":1},"state":"AAE=","refresh_after_s":300,"session_max_s":null}"#,
            br#"{"outcome":"redirect","url":"https://idp.test/authorize?x=1","flow":"AAE="}"#,
            br#"{"outcome":"form","fields":[{"name":"otp","kind":"text","label":"Code","required":true}],"message":"m","flow":""}"#,
            br#"{"outcome":"denied","reason":"bad_credentials","message":"no"}"#,
            br#"{"code":"settings","message":"x","problems":[{"key":"url","message":"is missing"}]}"#,
            br#"{"redirect":"https://idp.test/out"}"#,
            br#"[{"name":"connect","ok":true,"detail":"fine"}]"#,
            br#"{"call":{"strategy":"s","request_id":"r"},"request":{"fields":{"a":"b"},"secret":"x","subject":"s"}}"#,
            br#"{"strategy":"s","settings":{"url":[1,{"a":null}]},"cores":2}"#,
            b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
        ],
        check: fuzzing::message,
    },
];
