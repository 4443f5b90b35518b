//! Signatures: rows J-02, J-07 and J-10, as tables of our own for each algorithm.

use super::{Forge, message, signed, stranger};
use crate::tokens::material::Material;
use aws_lc_rs::{
    digest,
    encoding::{AsDer, PublicKeyX509Der},
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
        RSA_PSS_SHA256, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
    },
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use portcullis_config::Algorithm;
use serde_json::{Value, json};

impl Forge {
    fn material(&self) -> Material {
        Material::from_private(self.algorithm, self.access).unwrap()
    }

    #[track_caller]
    fn refuses_signature(&self, what: &str, signature: &[u8]) {
        self.refuses(what, &format!("{}.{}", self.message(), URL_SAFE_NO_PAD.encode(signature)));
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// A sum of two numbers, the most significant byte first; None when it is longer.
fn sum(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    let (mut result, mut carry) = (vec![0; a.len()], 0);
    for at in (0..a.len()).rev() {
        carry += u16::from(a[at]) + u16::from(b[at]);
        result[at] = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    (carry == 0).then_some(result)
}

#[test]
fn a_signature_with_anything_changed_is_none() {
    for forge in Forge::all() {
        let good = forge.material().sign(forge.message().as_bytes());
        let length = good.len();
        assert_eq!(length, [64, 64, 256, 32][forge.algorithm as usize]);
        for at in 0..length {
            let mut changed = good.clone();
            changed[at] ^= 1 << (at % 8);
            forge.refuses_signature("a bit", &changed);
        }
        for cut in [0, 1, length / 2, length - 1] {
            forge.refuses_signature("a beginning", &good[..cut]);
            forge.refuses_signature("an end", &good[length - cut..]);
        }
        for (what, changed) in [
            ("zeros", vec![0; length]),
            ("ones", vec![0xff; length]),
            ("a zero behind", [&good[..], &[0]].concat()),
            ("a zero before", [&[0][..], &good].concat()),
            ("twice", good.repeat(2)),
            ("backwards", good.iter().rev().copied().collect()),
            ("halves changed about", [&good[length / 2..], &good[..length / 2]].concat()),
        ] {
            forge.refuses_signature(what, &changed);
        }
        forge.refuses_signature("over other bytes", &forge.material().sign(b"another message"));
        forge.refuses_signature("over nothing", &forge.material().sign(b""));
    }
}

#[test]
fn a_strangers_signature_under_our_name_is_none() {
    for forge in Forge::all() {
        let (header, claims) = (forge.header().to_string(), forge.claims().to_string());
        for other in Algorithm::ALL {
            forge.refuses("a stranger's key", &signed(other, stranger(other), &header, &claims));
        }
    }
}

#[test]
fn a_signature_is_written_in_one_way_only() {
    for forge in Forge::all() {
        let good = forge.good();
        let (message, signature) = good.rsplit_once('.').unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        // None of these lengths fills its last letter: its unused bits must be zero.
        let last = signature.chars().last().unwrap();
        let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let next = letters.chars().nth(letters.find(last).unwrap() + 1).unwrap();
        let begin = &signature[..signature.len() - 1];
        for other in [
            format!("{begin}{next}"),
            format!("{signature}="),
            format!("{signature}=="),
            format!("{signature} "),
            format!("{begin}\n{last}"),
            STANDARD.encode(&bytes),
            bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        ] {
            forge.refuses("base64", &format!("{message}.{other}"));
        }
    }
}

#[test]
fn numbers_out_of_range_are_no_ecdsa_signature() {
    let forge = Forge::of(Algorithm::Es256);
    // The order of P-256 (SEC 2 §2.4.2).
    let n = unhex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let good = forge.material().sign(forge.message().as_bytes());
    let (r, s) = good.split_at(32);
    let (zero, mut one, mut before) = (vec![0; 32], vec![0; 32], n.clone());
    one[31] = 1;
    before[31] -= 1;
    for (what, a, b) in [
        ("0, 0", &zero, &zero),
        ("0, 1", &zero, &one),
        ("1, 0", &one, &zero),
        ("1, 1", &one, &one),
        ("n, n", &n, &n),
        ("n, 1", &n, &one),
        ("n - 1, n - 1", &before, &before),
        ("r, 0", &r.to_vec(), &zero),
        ("r, n", &r.to_vec(), &n),
        ("0, s", &zero, &s.to_vec()),
        ("n, s", &n, &s.to_vec()),
    ] {
        forge.refuses_signature(what, &[a.as_slice(), b].concat());
    }
    let der = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, forge.access).unwrap();
    let der = der.sign(&SystemRandom::new(), forge.message().as_bytes()).unwrap();
    forge.refuses_signature("DER", der.as_ref());
}

#[test]
fn an_ed25519_signature_has_one_number_and_no_other_for_it() {
    let forge = Forge::of(Algorithm::EdDsa);
    let good = forge.material().sign(forge.message().as_bytes());
    let (r, s) = good.split_at(32);
    // L (RFC 8032 §5.1); numbers are written with the least significant byte first.
    let order = unhex("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed");
    let s: Vec<u8> = s.iter().rev().copied().collect();
    let shifted: Vec<u8> = sum(&s, &order).unwrap().into_iter().rev().collect();
    forge.refuses_signature("S + L", &[r, &shifted].concat());
    let order: Vec<u8> = order.into_iter().rev().collect();
    forge.refuses_signature("S = L", &[r, &order].concat());
    // Points of small order (the neutral one first), with S = 0.
    for point in [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ] {
        forge.refuses_signature("small order", &[unhex(point), vec![0; 32]].concat());
    }
}

#[test]
fn an_rsa_signature_is_pkcs1_v1_5_with_sha_256_and_nothing_else() {
    let forge = Forge::of(Algorithm::Rs256);
    let pair = RsaKeyPair::from_pkcs8(forge.access).unwrap();
    let text = forge.message();
    let others: [(&str, &dyn RsaEncoding); 3] =
        [("PSS", &RSA_PSS_SHA256), ("SHA-384", &RSA_PKCS1_SHA384), ("SHA-512", &RSA_PKCS1_SHA512)];
    for (what, encoding) in others {
        let mut signature = vec![0; 256];
        pair.sign(encoding, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
        forge.refuses_signature(what, &signature);
    }
    // What an exponent of 1 would accept (RFC 8017 §9.2).
    let info = unhex("3031300d060960864801650304020105000420");
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    let mut padded = vec![0, 1];
    padded.resize(256 - info.len() - hash.as_ref().len() - 1, 0xff);
    padded.push(0);
    padded.extend(info);
    padded.extend(hash.as_ref());
    assert_eq!(padded.len(), 256);
    forge.refuses_signature("the padded hash itself", &padded);
    let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
    forge.refuses_signature("n", &public.n);
    let good = forge.material().sign(text.as_bytes());
    let shifted = sum(&good, &public.n).unwrap_or_else(|| {
        let sum = sum(&[&[0][..], &good].concat(), &[&[0][..], &public.n].concat());
        sum.expect("one byte more is enough")
    });
    forge.refuses_signature("s + n", &shifted);
}

#[test]
fn a_tag_is_whole_and_of_the_secret_alone() {
    let forge = Forge::of(Algorithm::Hs256);
    let text = forge.message();
    for (what, algorithm) in [("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)] {
        let tag = hmac::sign(&hmac::Key::new(algorithm, forge.access), text.as_bytes());
        forge.refuses_signature(what, tag.as_ref());
        forge.refuses_signature(what, &tag.as_ref()[..32]);
    }
    for secret in [&b""[..], b"secret", &[0; 32], forge.kid.as_bytes(), &forge.access[..31]] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
        forge.refuses_signature("another secret", tag.as_ref());
    }
    let plain = digest::digest(&digest::SHA256, &[forge.access, text.as_bytes()].concat());
    forge.refuses_signature("a hash with the secret before", plain.as_ref());
}

/// The public half as it is found in the wild: SubjectPublicKeyInfo (RFC 5280 §4.1).
fn der(material: &Material) -> Option<Vec<u8>> {
    let der: PublicKeyX509Der<'_> = match material {
        Material::Es256(pair, _) => pair.public_key().as_der(),
        Material::EdDsa(pair, _) => pair.public_key().as_der(),
        Material::Rs256(pair, _) => pair.public_key().as_der(),
        Material::Hs256(_) => return None,
    }
    .unwrap();
    Some(der.as_ref().to_vec())
}

#[test]
fn the_public_key_is_no_secret_for_hmac() {
    for forge in Forge::all() {
        let Some(der) = der(&forge.material()) else { continue };
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", STANDARD.encode(&der));
        let jwks: Value = serde_json::from_str(&forge.tokens.jwks()).unwrap();
        let secrets = [
            forge.material().public(),
            der,
            pem.clone().into(),
            format!("{pem}\n").into(),
            format!(" {pem}").into(),
            jwks["keys"][0].to_string().into(),
            vec![],
        ];
        let algorithms =
            [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)];
        for secret in &secrets {
            for (name, algorithm) in algorithms {
                let mut header = forge.header();
                header["alg"] = json!(name);
                let message = message(&header.to_string(), &forge.claims().to_string());
                let tag = hmac::sign(&hmac::Key::new(algorithm, secret), message.as_bytes());
                forge.refuses(name, &format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag)));
            }
        }
    }
}
