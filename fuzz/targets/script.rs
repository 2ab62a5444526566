#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nflab_fuzz::script(bytes));
