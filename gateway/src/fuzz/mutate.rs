//! One input out of others, repeatable by its seed: bytes changed, moved, doubled and cut,
//! pieces of other inputs, and the bytes that parsers trip over.

/// What is put in at random: marks of the grammars that are read here, and edges.
const PIECES: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b"=",
    b"/",
    b"//",
    b"/..",
    b"/.",
    b"%",
    b"%2e",
    b"%2F",
    b"%00",
    b"%25",
    b"%5c",
    b"#",
    b"?",
    b"\\",
    b"\"",
    b"'",
    b"{",
    b"}",
    b"[",
    b"]",
    b"0",
    b"-1",
    b"1e300",
    b"null",
    b"true",
    b"chunked",
    b"Transfer-Encoding: ",
    b"Content-Length: ",
    b"Host: ",
    b"Connection: ",
    b"Upgrade: ",
    b"HTTP/1.0",
    b"ffffffffffffffff",
    b"18446744073709551616",
    b"\xff",
    b"\x80",
    b"\xc0\xae",
    b"\xef\xbc\x8f",
    b"\xe2\x80\x80",
    b"\x7f",
    b"__Host-portcullis=",
    b"portcullis=",
    b"[::1]",
    b"127.0.0.1",
    b"::ffff:1.2.3.4",
    b"@",
    b"\\u0000",
    b"\\ud800",
    b"pcr_",
    b".",
];

/// The longest input.
const LONGEST: usize = 4096;

/// Makes inputs.
pub(super) struct Mutator {
    state: u64,
    corpus: &'static [&'static [u8]],
}

impl Mutator {
    pub(super) fn new(seed: u64, corpus: &'static [&'static [u8]]) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, corpus }
    }

    /// The corpus first, as it is; then what becomes of it.
    pub(super) fn next(&mut self, count: usize) -> Vec<u8> {
        if let Some(seed) = self.corpus.get(count) {
            return seed.to_vec();
        }
        let mut input = self.one_of_the_corpus().to_vec();
        for _ in 0..=self.below(6) {
            self.change(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let end = (at + self.below(16)).min(input.len());
        match self.below(8) {
            0 => drop(input.drain(at..end)),
            1 => {
                let piece = PIECES[self.below(PIECES.len())];
                drop(input.splice(at..at, piece.iter().copied()));
            }
            2 => {
                let piece = PIECES[self.below(PIECES.len())];
                drop(input.splice(at..end, piece.iter().copied()));
            }
            3 => {
                let copy = input[at..end].to_vec();
                let to = self.below(input.len() + 1);
                drop(input.splice(to..to, copy));
            }
            4 => {
                let other = self.one_of_the_corpus();
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            5 => input.truncate(at),
            6 => input.insert(at, self.random() as u8),
            _ if at < input.len() => input[at] ^= 1 << self.below(8),
            _ => {}
        }
    }

    fn one_of_the_corpus(&mut self) -> &'static [u8] {
        self.corpus[self.below(self.corpus.len())]
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.random() % limit.max(1) as u64) as usize
    }

    /// xorshift64*
    fn random(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
