//! How the C library's allocator holds memory that is free again.

/// Lets memory go back to the system after a burst of work. Left alone, the GNU C library keeps a heap for each of
/// many threads, and a server that once had 200 runs under way keeps half as much memory again for ever.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "a function of the C library that the standard library does not offer")]
pub fn save() {
    use std::ffi::c_int;

    unsafe extern "C" {
        fn mallopt(parameter: c_int, value: c_int) -> c_int;
    }
    // The parameters' numbers in `malloc.h`, which are part of the library's ABI.
    const M_TRIM_THRESHOLD: c_int = -1;
    const M_MMAP_THRESHOLD: c_int = -3;
    const M_ARENA_MAX: c_int = -8;

    for (parameter, value) in [(M_ARENA_MAX, 2), (M_TRIM_THRESHOLD, 128 << 10), (M_MMAP_THRESHOLD, 128 << 10)]
    {
        // SAFETY: takes two numbers and touches nothing but the allocator's settings; no other thread runs yet.
        // A refusal (0) leaves a setting as it was, which only costs memory.
        let _ = unsafe { mallopt(parameter, value) };
    }
}

/// Other allocators are left as they are.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn save() {}
