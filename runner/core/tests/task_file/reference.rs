//! The reference page.

use wrun_core::task::{reference, schema};

use crate::support::backends;

#[test]
fn the_page_has_every_table_and_key() {
    insta::assert_snapshot!("reference", reference(&schema(&backends())));
}
