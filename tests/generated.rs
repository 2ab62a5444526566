//! What `docgen` makes is what is committed. `NFLAB_BLESS=1 cargo test --test generated` writes the files anew.

use std::path::Path;

#[test]
fn generated_files_are_fresh() {
    let mut stale = Vec::new();
    for file in nflab::docgen::all() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file.path);
        if std::env::var_os("NFLAB_BLESS").is_some() {
            std::fs::create_dir_all(path.parent().expect("a file lies in a directory")).unwrap();
            std::fs::write(&path, &file.text).unwrap();
        }
        if std::fs::read_to_string(&path).unwrap_or_default() != file.text {
            stale.push(file.path);
        }
    }
    assert!(
        stale.is_empty(),
        "{stale:?} are not what the specs say now: run `NFLAB_BLESS=1 cargo test --test generated` and read the difference"
    );
}
