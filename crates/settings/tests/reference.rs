//! `docs/configuration.md` ends with the reference that the table of keys gives.

use std::fs;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");

/// With `WRITE_DOCS` set, the page is written anew instead of being compared.
#[test]
fn the_page_on_configuration_is_what_the_table_says() {
    let reference = settings::reference();
    let heading = reference.lines().next().unwrap();
    let page = fs::read_to_string(PAGE).unwrap();
    let (introduction, _) = page.split_once(heading).unwrap();
    let wanted = format!("{introduction}{reference}");
    if std::env::var_os("WRITE_DOCS").is_some() {
        fs::write(PAGE, wanted).unwrap();
    } else {
        assert!(
            page == wanted,
            "docs/configuration.md is out of date; WRITE_DOCS=1 cargo test -p settings writes it anew"
        );
    }
}
