//! No text, however broken, makes the loader panic; it answers problems with places.

use portcullis_config::parse;
use proptest::prelude::*;
use std::path::Path;

/// Pieces that reach deeper than random letters would.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "[server]\n",
        "[store]\n",
        "[endpoints]\n",
        "[[routes]]\n",
        "[upstreams.a]\n",
        "[strategies.local]\n",
        "[identity_headers]\n",
        "[token]\n",
        "kind = \"local\"\n",
        "listen = ",
        "public_url = ",
        "url = ",
        "key = ",
        "urls = ",
        "path = ",
        "methods = ",
        "policy = ",
        "strip_prefix = ",
        "login = ",
        "lifetime = ",
        "strip = ",
        "host = ",
        "\"http://[::1]:80\"\n",
        "\"/a/../%2f*\"\n",
        "\"9999999999999999999999d\"\n",
        "{ roles = [] }\n",
        "{ file = \"/dev/null\" }\n",
        "99999999999999999999999999999999999999999999\n",
        "-0x1\n",
        "[[\"é\"]]\n",
        "'''\n",
        "1979-05-27\n",
        "nan\n",
        "\u{feff}",
        "\r\n",
    ];
    prop_oneof![4 => prop::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics_the_loader(pieces in prop::collection::vec(piece(), 0..12)) {
        let text = pieces.concat();
        if let Err(problems) = parse(&text, Path::new("p.toml"), &[]) {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                prop_assert!(problem.place.starts_with("p.toml:"), "{problem}");
            }
        }
    }

    #[test]
    fn no_variable_panics_the_loader(
        key in prop::sample::select(vec![
            "SERVER__LISTEN", "SERVER__THREADS", "STORE__KEY", "STORE__KEY__FILE", "STRATEGIES__A__B__C",
            "IDENTITY_HEADERS__STRIP", "UPSTREAMS__A__URLS", "LIMITS__HEADERS", "MAIL__URL", "X", "__", "A__",
        ]),
        text in piece(),
    ) {
        let name = format!("PORTCULLIS_{key}");
        for problem in parse("", Path::new("p.toml"), &[(name.clone(), text)]).err().unwrap_or_default() {
            prop_assert!(problem.place == name || problem.place.starts_with("p.toml:"), "{problem}");
        }
    }
}
