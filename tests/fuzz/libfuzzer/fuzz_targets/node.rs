#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| steadfast_fuzz::run("node", input));
