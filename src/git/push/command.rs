//! One command of a push.

use crate::git::{ObjectFormat, ObjectId, RefName};

/// What is to happen to one ref: `old new name` (PUSH-3). The null id stands for "no object".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The ref.
    pub name: RefName,
    /// The value the ref has now, as far as the client knows; null: it does not exist. The server moves the ref
    /// only from this value (T22).
    pub old: ObjectId,
    /// The value it is to have; null: it is to be deleted.
    pub new: ObjectId,
}

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// The ref does not exist yet.
    Create,
    /// The ref moves.
    Update,
    /// The ref goes away.
    Delete,
}

impl Command {
    /// Creates `name` at `new`.
    #[must_use]
    pub const fn create(name: RefName, new: ObjectId) -> Self {
        Self { name, old: ObjectId::null(new.format()), new }
    }

    /// Moves `name` from `old` to `new`.
    #[must_use]
    pub const fn update(name: RefName, old: ObjectId, new: ObjectId) -> Self {
        Self { name, old, new }
    }

    /// Deletes `name`, which is at `old`.
    #[must_use]
    pub const fn delete(name: RefName, old: ObjectId) -> Self {
        Self { name, old, new: ObjectId::null(old.format()) }
    }

    /// What the command does.
    #[must_use]
    pub fn change(&self) -> Change {
        if self.new.is_null() {
            Change::Delete
        } else if self.old.is_null() {
            Change::Create
        } else {
            Change::Update
        }
    }

    /// Whether both ids are of `format`.
    pub(super) fn fits(&self, format: ObjectFormat) -> bool {
        self.old.format() == format && self.new.format() == format
    }
}

/// Splits `old SP new SP name`; `None` when it is anything else (PUSH-9).
pub(super) fn split(line: &[u8], format: ObjectFormat) -> Option<(ObjectId, ObjectId, &[u8])> {
    let (old, rest) = take_id(line, format)?;
    let (new, name) = take_id(rest, format)?;
    Some((old, new, name))
}

fn take_id(text: &[u8], format: ObjectFormat) -> Option<(ObjectId, &[u8])> {
    let (hex, rest) = text.split_at_checked(format.hex_len())?;
    Some((ObjectId::from_hex(hex).ok()?, rest.strip_prefix(b" ")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &[u8] = b"59718b6e26b96150c7dd3435f053958592fc24f1";

    #[test]
    fn push_9_a_command_is_two_ids_and_a_name() {
        let line = [ID, b" ", ID, b" refs/heads/a b"].concat();
        let id = ObjectId::from_hex(ID).unwrap();
        assert_eq!(split(&line, ObjectFormat::Sha1), Some((id, id, &b"refs/heads/a b"[..])));
        assert_eq!(split(&line, ObjectFormat::Sha256), None);
        for bad in [&b""[..], b"hello", ID, &line[1..], &[ID, b"  ", ID, b" x"].concat()] {
            assert_eq!(split(bad, ObjectFormat::Sha1), None);
        }
    }

    #[test]
    fn push_3_the_null_id_tells_the_changes_apart() {
        let (name, id) = (RefName::new("refs/heads/a").unwrap(), ObjectId::from_hex(ID).unwrap());
        assert_eq!(Command::create(name.clone(), id).change(), Change::Create);
        assert_eq!(Command::update(name.clone(), id, id).change(), Change::Update);
        assert_eq!(Command::delete(name, id).change(), Change::Delete);
    }
}
