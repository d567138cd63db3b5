//! Says at the end of `cargo test` how to run the tests that need more than Rust.
#![allow(clippy::print_stdout, reason = "that is all it does")]

fn main() {
    // Who lists tests, such as nextest, finds none.
    if !std::env::args().any(|argument| argument == "--list") {
        println!("The tests that need servers were not run. `tests/run` installs what they need and runs them.\n");
    }
}
