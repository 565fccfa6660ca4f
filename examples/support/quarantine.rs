//! Where received objects wait until they are known to be whole and wanted.
//!
//! A directory beside the real objects, named as Git names its own so that its garbage collection finds what
//! a crash left behind. Git's programs write there and read both; moving the files in is what accepts them,
//! dropping the directory is what refuses them.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use portline::git::ObjectId;
use tempfile::TempDir;

use super::error::Error;

/// Objects that are not yet part of the repository. Dropping it drops them.
#[derive(Debug)]
pub struct Quarantine {
    directory: TempDir,
    objects: PathBuf,
}

impl Quarantine {
    /// An empty quarantine beside the object directory `objects`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(objects: &Path) -> Result<Self, Error> {
        let failed = || Error::io("the incoming objects' directory cannot be made");
        let directory = tempfile::Builder::new().prefix("tmp_objdir-incoming-").tempdir_in(objects);
        let directory = directory.map_err(failed())?;
        fs::create_dir(directory.path().join("pack")).map_err(failed())?;
        Ok(Self { directory, objects: objects.to_owned() })
    }

    /// What Git's programs and the hooks that judge the objects see in their environment.
    pub fn environment(&self) -> [(&'static str, OsString); 3] {
        let here = self.directory.path();
        [
            ("GIT_OBJECT_DIRECTORY", here.into()),
            ("GIT_ALTERNATE_OBJECT_DIRECTORIES", quoted(self.objects.as_os_str())),
            ("GIT_QUARANTINE_PATH", here.into()),
        ]
    }

    /// The objects that stand here one by one.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn loose(&self) -> Result<Vec<ObjectId>, Error> {
        let names = |directory: &Path| -> io::Result<Vec<(PathBuf, String)>> {
            let entries = fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
            let named = entries.into_iter().filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                Some((entry.path(), name))
            });
            Ok(named.collect())
        };
        let failed = || Error::io("the incoming objects cannot be listed");
        let mut ids = Vec::new();
        for (directory, two) in names(self.directory.path()).map_err(failed())? {
            if two.len() == 2 {
                let files = names(&directory).map_err(failed())?;
                ids.extend(
                    files.iter().filter_map(|(_, rest)| format!("{two}{rest}").parse::<ObjectId>().ok()),
                );
            }
        }
        Ok(ids)
    }

    /// Moves the objects in. A pack's index comes last of its files: that is what makes the pack visible, and
    /// all of it is there by then. Keep the answer until the refs are updated.
    ///
    /// # Errors
    /// [`Error::Io`]; what was moved by then stays, unreferenced.
    pub fn migrate(self) -> Result<Kept, Error> {
        let mut kept = Kept(Vec::new());
        move_all(self.directory.path(), &self.objects, &mut kept)
            .map_err(Error::io("the incoming objects cannot be moved in"))?;
        Ok(kept)
    }
}

/// The marks that keep new packs from a garbage collection that runs before any ref names their objects.
/// Dropping it takes them away.
#[derive(Debug)]
pub struct Kept(Vec<PathBuf>);

impl Kept {
    /// The marks themselves: whoever takes them removes them.
    pub fn hand_over(mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        for mark in &self.0 {
            // One that stays only keeps a pack from being repacked.
            let _ = fs::remove_file(mark);
        }
    }
}

fn move_all(from: &Path, to: &Path, kept: &mut Kept) -> io::Result<()> {
    let mut entries = fs::read_dir(from)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(|entry| order(&entry.file_name()));
    for entry in entries {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            match fs::create_dir(&target) {
                // As open to others as the directory it stands in: that is how a shared repository is set up.
                Ok(()) => fs::set_permissions(&target, fs::metadata(to)?.permissions())?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            move_all(&source, &target, kept)?;
        } else if !target.exists() {
            // Objects and packs are named by what they hold: one that is there is the same.
            fs::rename(&source, &target)?;
            if order(&entry.file_name()) == 0 {
                kept.0.push(target);
            }
        }
    }
    Ok(())
}

/// `.keep` before `.pack` before its helpers, `.idx` last.
fn order(name: &OsStr) -> u8 {
    let extension = Path::new(name).extension().and_then(OsStr::to_str);
    match extension {
        Some("keep") => 0,
        Some("pack") => 1,
        Some("idx") => 3,
        _ => 2,
    }
}

/// A path in a list that is separated by colons: in quotes if it could be misread.
fn quoted(path: &OsStr) -> OsString {
    let Some(text) = path.to_str().filter(|text| text.contains([':', '"', '\\', '\n'])) else {
        return path.to_owned();
    };
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted.into()
}
