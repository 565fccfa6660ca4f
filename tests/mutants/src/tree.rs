//! The copy of the project that the mutants are put into.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;

/// What a build does not read, or would read too much of.
const LEFT_OUT: &[&str] = &["target", ".git", "fuzz", "node_modules"];

/// Makes `to` the same as `from`, `rendered` files excepted, and touches no file that is the same already: what cargo
/// has built of it stays built. `rendered` are paths below `from` and the text that stands there in the copy.
pub fn copy(from: &Path, to: &Path, rendered: &[(PathBuf, String)]) -> Result<()> {
    let mut kept = BTreeSet::new();
    for path in walk(from)? {
        let inside = path.strip_prefix(from)?.to_owned();
        if !rendered.iter().any(|(other, _)| *other == inside) {
            write(&to.join(&inside), &fs::read(&path)?)?;
            fs::set_permissions(to.join(&inside), fs::metadata(&path)?.permissions())?;
        }
        kept.insert(inside);
    }
    for (inside, text) in rendered {
        write(&to.join(inside), text.as_bytes())?;
        kept.insert(inside.clone());
    }
    for path in walk(to)? {
        if !kept.contains(path.strip_prefix(to)?) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    fs::create_dir_all(path.parent().ok_or("a file stands in a folder")?)?;
    Ok(fs::write(path, bytes)?)
}

/// All files below a folder, but for those that are left out.
pub fn walk(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        if !folder.exists() {
            continue;
        }
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if LEFT_OUT.iter().any(|left| name.to_str() == Some(*left)) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}
