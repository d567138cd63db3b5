//! A sign-in stays with the machine that it was made on.

use super::*;

fn machine(id: char) -> Machine {
    let root = TempDir::new().unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    fs::write(root.path().join("etc/machine-id"), id.to_string().repeat(32)).unwrap();
    Machine::below(root.path(), None).unwrap()
}

fn open_on(root: &Path, machine: Option<&Machine>, bind_to_machine: bool) -> Opened {
    open_in_process(&StoreSettings { bind_to_machine, ..settings(root) }, machine, CLOCK, |_| ()).unwrap()
}

fn sealed(root: &Path) -> Records {
    records_of(&Database::open(&settings(root).path.join("sled")).unwrap())
}

#[test]
fn a_copy_of_the_card_on_another_machine_says_so_and_changes_nothing() {
    let root = TempDir::new().unwrap();
    let (original, other) = (machine('1'), machine('2'));
    let opened = open_on(root.path(), Some(&original), true);
    opened.store.save(&name("a"), 1, full("access-a"));
    drop(opened);
    let before = sealed(root.path());

    for (elsewhere, bind) in [(Some(&other), true), (Some(&other), false), (None, true)] {
        let opened = open_on(root.path(), elsewhere, bind);
        let fault = token(&opened, "a").unwrap();
        assert!(
            fault.starts_with("cloned_device: The stored sign-in of a cannot be read: it was sealed on"),
            "{fault}"
        );
        drop(opened);
        assert_eq!(sealed(root.path()), before);
    }
    assert_eq!(token(&open_on(root.path(), Some(&original), true), "a").unwrap(), "access-a");
}

#[test]
fn a_store_that_is_set_free_moves_and_is_bound_again_where_it_arrives() {
    let root = TempDir::new().unwrap();
    let (old, new) = (machine('1'), machine('2'));
    let opened = open_on(root.path(), Some(&old), true);
    opened.store.save(&name("a"), 1, full("access-a"));
    drop(opened);
    for (place, bind) in [(&old, false), (&new, true), (&new, true)] {
        assert_eq!(token(&open_on(root.path(), Some(place), bind), "a").unwrap(), "access-a");
    }
    assert!(token(&open_on(root.path(), Some(&old), true), "a").unwrap().starts_with("cloned_device"));
}

#[test]
fn a_store_from_before_the_machine_had_an_id_is_bound_once_it_has() {
    let root = TempDir::new().unwrap();
    let here = machine('1');
    let opened = open_on(root.path(), None, true);
    opened.store.save(&name("a"), 1, full("access-a"));
    drop(opened);
    let unbound = sealed(root.path())[b"a".as_slice()].sealed().to_vec();
    assert_eq!(token(&open_on(root.path(), Some(&here), true), "a").unwrap(), "access-a");
    // What was sealed for any machine would still open on any.
    for file in files::files(&settings(root.path()).path) {
        let bytes = fs::read(&file).unwrap();
        let tail = &unbound[unbound.len() - 24..];
        assert!(!bytes.windows(24).any(|window| window == tail), "{}", file.display());
    }
    assert!(token(&open_on(root.path(), None, true), "a").unwrap().starts_with("cloned_device"));
}
