#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nflab_fuzz::lab_file(bytes));
