//! A stack for signal handlers on an instance's thread. The standard library of a library
//! sets none up, so a handler of the gateway that names the thread whose stack has
//! overflowed would have nowhere to run.

/// In force while it lives, on the thread that made it.
pub(super) struct SignalStack {
    #[cfg(all(target_os = "linux", not(miri)))]
    memory: Vec<u8>,
}

#[cfg(all(target_os = "linux", not(miri)))]
impl SignalStack {
    const SIZE: usize = 32 * 1024;

    pub(super) fn new() -> Self {
        let mut memory = vec![0u8; Self::SIZE];
        let stack = libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: Self::SIZE };
        // SAFETY: the memory is ours and lives until `drop` has taken the stack out of use;
        // a vector's buffer does not move. If it fails, a handler runs as it would have.
        unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) };
        Self { memory }
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
impl Drop for SignalStack {
    fn drop(&mut self) {
        let none = libc::stack_t {
            ss_sp: self.memory.as_mut_ptr().cast(),
            ss_flags: libc::SS_DISABLE,
            ss_size: Self::SIZE,
        };
        // SAFETY: the same thread as in `new`: the value never leaves the function that
        // made it. After this no handler writes to the memory.
        unsafe { libc::sigaltstack(&raw const none, std::ptr::null_mut()) };
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
impl SignalStack {
    pub(super) fn new() -> Self {
        Self {}
    }
}
