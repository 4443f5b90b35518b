//! Argon2id and its stored form, the PHC string.

use crate::password::Password;
use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{self, Output, ParamsString, PasswordHash, Salt},
};
use portcullis_plugin_api::RandomSource;
use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// OWASP's least: 19 MiB, two passes, one lane (contract; checked against the library's
/// default in a test).
const MEMORY: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT: usize = 16;
const OUTPUT: usize = 32;

/// What a stored hash may cost. Somebody who can write one must not be able to take all
/// memory or a core for minutes with it.
const MAX_MEMORY: u32 = 256 * 1024;
const MAX_PASSES: u32 = 16;
const MAX_LANES: u32 = 16;
/// Longer than any PHC string within these limits.
const MAX_STORED: usize = 256;

thread_local! {
    /// The memory of a computation, kept by each thread that hashes. Aligned memory of this
    /// size that is freed and asked for again makes glibc's heap grow by all of it each
    /// time (measured: 19 MiB a login, for ever); kept, it is so much for each thread.
    static BLOCKS: RefCell<Vec<Block>> = const { RefCell::new(Vec::new()) };
}

/// A stored hash whose algorithm and cost are acceptable.
pub(crate) struct Stored {
    params: Params,
    salt: Salt,
    output: Output,
}

impl Stored {
    /// The error says what is wrong without quoting the hash. Allocates nothing that the
    /// string asks for.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        if text.len() > MAX_STORED {
            return Err(format!("it is longer than {MAX_STORED} bytes"));
        }
        let hash = PasswordHash::new(text).map_err(|error| format!("it is not a PHC string ({error})"))?;
        if hash.algorithm != Algorithm::Argon2id.ident() {
            return Err("its algorithm is not argon2id".to_owned());
        }
        // Without a version it means the older 16, whose memory can be attacked.
        if hash.version != Some(Version::V0x13.into()) {
            return Err("its version of argon2 is not 19".to_owned());
        }
        let mut names: Vec<String> = hash.params.iter().map(|(name, _)| name.to_string()).collect();
        names.sort_unstable();
        if names != ["m", "p", "t"] {
            return Err("its parameters are not m, t and p, each once".to_owned());
        }
        let params = Params::try_from(&hash).map_err(|_| "its parameters are out of range".to_owned())?;
        if params.m_cost() > MAX_MEMORY || params.t_cost() > MAX_PASSES || params.p_cost() > MAX_LANES {
            return Err(format!(
                "its cost is above what a login may take (m={MAX_MEMORY}, t={MAX_PASSES}, p={MAX_LANES})"
            ));
        }
        match (hash.salt, hash.hash) {
            (Some(salt), Some(output)) => Ok(Self { params, salt, output }),
            _ => Err("its salt or its hash is missing".to_owned()),
        }
    }

    fn is_current(&self) -> bool {
        let is = (self.params.m_cost(), self.params.t_cost(), self.params.p_cost());
        is == (MEMORY, PASSES, LANES) && self.output.len() == OUTPUT && self.salt.len() >= SALT
    }
}

/// What comparing said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    Wrong,
    Right {
        /// The same password in today's parameters, when the stored ones are others.
        renewed: Option<String>,
    },
}

/// Computes argon2id, and keeps account of how much of it.
pub(crate) struct Hasher {
    random: Arc<RandomSource>,
    /// KiB filled since the start: what equal work is proven by, without a clock.
    pub(crate) work: AtomicU64,
}

impl Hasher {
    pub(crate) fn new(random: Arc<RandomSource>) -> Self {
        Self { random, work: AtomicU64::new(0) }
    }

    /// One computation; a second only after a right password with old parameters.
    pub(crate) fn check(&self, password: &Password, stored: &Stored) -> Result<Checked, String> {
        if !self.compare(password, stored)? {
            return Ok(Checked::Wrong);
        }
        let renewed = if stored.is_current() { None } else { Some(self.make(password)?) };
        Ok(Checked::Right { renewed })
    }

    /// One computation.
    pub(crate) fn compare(&self, password: &Password, stored: &Stored) -> Result<bool, String> {
        let mut out = [0; Output::MAX_LENGTH];
        let out = &mut out[..stored.output.len()];
        self.compute(password, &stored.salt, stored.params.clone(), out)?;
        let computed = Output::new(out).map_err(|error| error.to_string())?;
        // `Output` compares in constant time.
        Ok(computed == stored.output)
    }

    /// The same computation where there is nothing to compare with, so that an unknown
    /// name costs what a wrong password does.
    pub(crate) fn waste(&self, password: &Password) -> Result<(), String> {
        let mut out = [0; OUTPUT];
        self.compute(password, &[0; SALT], current(), &mut out)?;
        std::hint::black_box(out);
        Ok(())
    }

    /// The stored form of a password.
    pub(crate) fn make(&self, password: &Password) -> Result<String, String> {
        let mut salt = [0; SALT];
        (self.random)(&mut salt);
        let mut out = [0; OUTPUT];
        let params = current();
        self.compute(password, &salt, params.clone(), &mut out)?;
        let error = |error: phc::Error| error.to_string();
        let hash = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params).map_err(|error| error.to_string())?,
            salt: Some(Salt::new(&salt).map_err(error)?),
            hash: Some(Output::new(&out).map_err(error)?),
        };
        Ok(hash.to_string())
    }

    fn compute(
        &self,
        password: &Password,
        salt: &[u8],
        params: Params,
        out: &mut [u8],
    ) -> Result<(), String> {
        let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
        self.work.fetch_add(work, Ordering::SeqCst);
        let count = params.block_count();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        BLOCKS
            .with_borrow_mut(|blocks| {
                if blocks.len() < count {
                    blocks.resize(count, Block::new());
                }
                argon2.hash_password_into_with_memory(password.as_bytes(), salt, out, &mut blocks[..count])
            })
            .map_err(|error| format!("argon2 failed: {error}"))
    }
}

/// The stored form of a password as typed, for `portcullis hash-password`. Blocks for
/// tens of milliseconds. The error says what is wrong with the password.
pub fn hash_password(password: &str, random: Arc<RandomSource>) -> Result<String, String> {
    let password = Password::new(password).map_err(|why| format!("the password {why}"))?;
    Hasher::new(random).make(&password)
}

/// Whether a stored hash costs a login more or less than ours do. Until a good login has
/// renewed it, such a one can be told from an unknown name by the time.
pub fn costs_otherwise(stored: &str) -> bool {
    Stored::read(stored).is_ok_and(|stored| {
        (stored.params.m_cost(), stored.params.t_cost(), stored.params.p_cost()) != (MEMORY, PASSES, LANES)
    })
}

fn current() -> Params {
    Params::new(MEMORY, PASSES, LANES, Some(OUTPUT)).expect("constants within argon2's ranges")
}
