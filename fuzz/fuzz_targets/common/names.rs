//! Names of parts of a form.

/// A name as it comes back: the escapes of browsers cannot be told from a name that has them.
pub fn read_back(name: &[u8]) -> Option<Vec<u8>> {
    let has = |what: &[u8]| name.windows(what.len()).any(|window| window.eq_ignore_ascii_case(what));
    (!has(b"%22") && !has(b"%0d") && !has(b"%0a") && !name.contains(&0)).then(|| name.to_vec())
}
