//! RSA keys of a library that chose its primes badly (CVE-2017-15361, "ROCA"): modulo
//! every small prime the modulus is a power of 65537. Such keys can be factored.

const PRIMES: [u16; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103,
    107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Whether a modulus, its largest byte first, is of that kind. Of other keys one in more
/// than a hundred million is taken for one.
pub(crate) fn is_weak(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|prime| {
        let prime = u32::from(*prime);
        let rest = modulus.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        is_power(rest, prime)
    })
}

fn is_power(of: u32, prime: u32) -> bool {
    let base = 65537 % prime;
    let mut power = 1;
    loop {
        if power == of {
            return true;
        }
        power = power * base % prime;
        if power == 1 {
            return false;
        }
    }
}
