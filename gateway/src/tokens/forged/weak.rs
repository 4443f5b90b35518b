//! Keys that are too weak are no keys: row J-13. These two were made for this test and sign
//! nothing anywhere.

use super::Material;
use base64::{Engine, engine::general_purpose::STANDARD};
use portcullis_config::Algorithm;

/// PKCS #8 of an RSA key of 1024 bits.
const SHORT: &str = "\
    MIICeQIBADANBgkqhkiG9w0BAQEFAASCAmMwggJfAgEAAoGBAK7ydBZ201OlutoQsbQNvzEkxSWPMuvi7Zy+LxoCfoQhmqG2\
    Pjn17w7gax8FBxNvwWGtfOYPpBPHfxDbEToyzARa9yx0QTc6SXAi/nqLm1NGHqC1qsnNyMPj/yiPmfxDVldCgrgmMDr1xMmu\
    uQn1mCitjj13UtvR4/tAe+ww4VnDAgMBAAECgYEAgJ0V4v3wVmpcd7wWKDyC9moF1Zr04J2v+a+HiSOURyc9Ou1zycCXwuQR\
    XHihvxRFor2cOLX+9duP+qBSheqaONEroIe/g5FmqyavKD9EEI2Xv0SinjKDmzoTEgoiz6OJOlK/LNEmgl1bxDm2IjGfAGA/\
    Gnkh/fpjXxHzxPfwF6ECQQDmdAAREyuAanNY/MNGt4QppyLGveegbQ37wGQM4qIiv/ZRgoeZNatT822za/J1TvQenJx6vNnV\
    hRsqiF0anPf/AkEAwldBHO+2aLvqgPeKhG/D4Wa9T0INkjJ4Ip3ghDiAPmxD7iqCCQ+gQM4Oe6kZak2ob+qUVulTo+fjxt9v\
    /pW+PQJBALsQglVZ6D/vKP6c/q5SnTdqcjI9SN3SaD1o6E4FUXM/u2RivktBY3db7Dpub3uFwWdv3R1MWs6Vo32c/2Zw8GUC\
    QQCnwB1qVtiDS0G+lO4yJy9TzxU15vRD7+CXMOPt/b9lIpr4aCTaoWxYxAToZSyU//eWs0vcQYd7Ad0xewj3HlaZAkEAgBxe\
    jxp3GNJGtGFv8WLcdYVZwh+C0r8NBSxRMX4BmD/YqKsQxJgt0nG7uuiJP5bzS+CHyUUpCJRUQClRsQ9Quw==";

/// PKCS #8 of an RSA key of 2048 bits whose exponent is 1: it changes nothing.
const EXPONENT_1: &str = "\
    MIICuQIBADANBgkqhkiG9w0BAQEFAASCAqMwggKfAgEAAoIBAQCVmRFSbUyiFcD8DL7AVSvB5gklHpG+/c80YRxHwtMr8eB3\
    L/NXHnas1qxhg5rf43t8aKG27ky4IZko3jJ9PZqfBPPHu/2XRuEjivWcmJ/cEcNPrMon6qEV2M0tw1ZtquT8ZfyyLOkk7YsW\
    aFqParyZUI4ZAnZoNQHn2XD9U7oEpxmF52y9Pjq+YCcURIIywKVYPPt9murhOPXwh8b0GE9unGSckTPrntV6lGswnGiLmrXx\
    vQ9DGxiA+C4t7JOp88irx+ifoGrmK1JwajL+WDXjuWXrcr6jnKaxG5UbJnsoXtJcKNBHplasV9v2PFhas994/+QH1drx+aE+\
    D8Ss77SVAgEBAgEBAoGBAM9WC1cLZmR8bISz+HW38/8PBnjJHfPs4b78gOUC1WFdG0EgUuxA/pRKAdLC/4DwG9yH0N0Ue5K3\
    w2rNdYwioeqbA9I/GpjQrQpESVuMcvBAFvcNAkGioz8Fqrc7xLvNoLYqufckqQjNufJvOcA7Jg6+xK/ACRaeMFYWl/rorFHH\
    AoGBALi1xzPO8cb0pjLPtuhjrmMPiruSpiP5xcMBENWJHLt/ng8ZqIyHk6gXR4lM66myLUrcf3+OzulrKoUxu9UBUJiYvKFW\
    ZvSwo+moAvV8U70eqva2O2EiKOAfLTt9fWySBdBCIUQtCnX9vb1AVt1owEAviYfUR9Y/0VkoW8syJ0bDAgEBAgEBAoGAD8ye\
    3Lxo65mzOrjiDXKIVnkArOyklA6n8syYtlhKD2hbOJ8Yh/5Y6VPrYUEdtFnh40cewnCp4UBER4rjxvmdeOVlcgZI7dDtPryu\
    tFp56n+6DgInF5ayNfhR/sAJdiLWQrxTGJsafswiLXg6Oh3cpuDze8aKxgYyitfCBoHqu24=";

#[test]
fn a_weak_key_is_no_key() {
    for (what, key) in [("1024 bits", SHORT), ("exponent 1", EXPONENT_1)] {
        let key = STANDARD.decode(key).unwrap();
        assert!(Material::from_private(Algorithm::Rs256, &key).is_err(), "{what}");
    }
    for length in [0, 1, 16, 31] {
        assert!(Material::from_private(Algorithm::Hs256, &vec![7; length]).is_err(), "{length} bytes");
    }
    assert!(Material::from_private(Algorithm::Hs256, &[7; 32]).is_ok());
}
