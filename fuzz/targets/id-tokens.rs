#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| oauth2mqtt::testing::fuzz::id_tokens(input));
