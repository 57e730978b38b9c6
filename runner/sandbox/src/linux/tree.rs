//! The files of a new root while it is put together.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, chownat, mkdirat, mknodat, openat, openat2,
    readlinkat, symlinkat, unlinkat,
};
use rustix::io::{Errno, write};

use crate::message::{Failure, Step};

use super::mounts::attach;
use super::step::Try as _;

const FOLDER: Mode = Mode::from_raw_mode(0o755);
const FILE: Mode = Mode::from_raw_mode(0o644);

/// A root that is put together. What is in it may be an image's, which is not to be trusted: its links are followed
/// within it alone, and never into what was brought in.
pub(super) struct Tree {
    root: Rc<OwnedFd>,
    /// Whether it has the files of an image.
    of_image: bool,
    /// To whom belongs what is made in an image, where that is not this process.
    owner: Option<(Uid, Gid)>,
    /// Folders with nothing in them but what was made here, as nothing is mounted on them.
    made: RefCell<BTreeMap<PathBuf, Rc<OwnedFd>>>,
}

impl Tree {
    /// An empty root.
    pub(super) fn empty(root: OwnedFd) -> Self {
        let root = Rc::new(root);
        Self {
            made: RefCell::new(BTreeMap::from([(PathBuf::from("/"), Rc::clone(&root))])),
            root,
            of_image: false,
            owner: None,
        }
    }

    /// A root with the files of an image, in which everything is to belong to a user and group, if not to this process.
    pub(super) fn of_image(root: OwnedFd, owner: Option<(u32, u32)>) -> Self {
        Self {
            root: Rc::new(root),
            of_image: true,
            owner: owner.map(|(user, group)| (Uid::from_raw(user), Gid::from_raw(group))),
            made: RefCell::default(),
        }
    }

    /// The root itself.
    pub(super) fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// Mounts at a path, for which a file or folder is made if there is none.
    pub(super) fn put(&self, path: &Path, folder: bool, mount: &OwnedFd) -> Result<(), Failure> {
        let place = self.place(path, folder)?;
        self.made.borrow_mut().remove(path);
        attach(mount, &place).or_fail_at(Step::Grant, path)
    }

    /// Mounts at a folder of this name in the root, whatever an image has there.
    pub(super) fn cover(&self, name: &str, mount: &OwnedFd) -> Result<(), Failure> {
        let at = Path::new("/").join(name);
        let place = self.folder(name)?;
        self.made.borrow_mut().remove(&at);
        attach(mount, &place).or_fail_at(Step::Grant, &at)
    }

    /// A folder of this name in the root that is one, whatever an image has there.
    pub(super) fn folder(&self, name: &str) -> Result<Rc<OwnedFd>, Failure> {
        let at = Path::new("/").join(name);
        if self.of_image {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match openat(&self.root, name, flags, Mode::empty()) {
                Ok(found) => return Ok(Rc::new(found)),
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    unlinkat(&self.root, name, AtFlags::empty()).or_fail_at(Step::Fill, &at)?;
                }
                Err(_) => {}
            }
        }
        self.place(&at, true)
    }

    /// A file or folder to mount on, made if it is not there.
    pub(super) fn place(&self, path: &Path, folder: bool) -> Result<Rc<OwnedFd>, Failure> {
        if let Some(made) = self.made(path) {
            return Ok(made);
        }
        let own = path.parent().and_then(|parent| self.made(parent));
        if own.is_none()
            && let Ok(found) = self.find(path)
        {
            return Ok(Rc::new(found));
        }
        let parent = own.map_or_else(|| self.parent(path), Ok)?;
        let name = path.file_name().unwrap_or_default();
        let made = if folder {
            mkdirat(&parent, name, FOLDER)
        } else {
            // Not opened for writing: the kernel may count a writer for longer than the file is open, and makes nothing
            // read-only for as long as it does.
            mknodat(&parent, name, FileType::RegularFile, FILE, 0)
        };
        match made {
            Ok(()) => self.own(&parent, name.as_ref(), path)?,
            Err(Errno::EXIST) => return self.find(path).map(Rc::new).or_fail_at(Step::Fill, path),
            Err(error) => return Err(error).or_fail_at(Step::Fill, path),
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let place = Rc::new(openat(&parent, name, flags, Mode::empty()).or_fail_at(Step::Fill, path)?);
        if folder && !self.of_image {
            self.made.borrow_mut().insert(path.to_owned(), Rc::clone(&place));
        }
        Ok(place)
    }

    fn made(&self, path: &Path) -> Option<Rc<OwnedFd>> {
        self.made.borrow().get(path).map(Rc::clone)
    }

    /// The folder of a path, made with those above it.
    pub(super) fn parent(&self, path: &Path) -> Result<Rc<OwnedFd>, Failure> {
        match path.parent().filter(|parent| parent.components().count() > 1) {
            Some(parent) => self.place(parent, true),
            None => Ok(Rc::clone(&self.root)),
        }
    }

    /// What is at a path. No link is followed but an image's own to its own files.
    pub(super) fn find(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let open = |resolve| {
            openat2(
                self.root.as_fd(),
                relative(path),
                OFlags::PATH | OFlags::CLOEXEC,
                Mode::empty(),
                ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | resolve,
            )
        };
        if self.of_image {
            match open(ResolveFlags::NO_XDEV) {
                // It is in something that was brought in, at the address of that.
                Err(Errno::XDEV) => {}
                found => return found,
            }
        }
        open(ResolveFlags::NO_SYMLINKS)
    }

    /// Makes a link, unless what was brought in has something there.
    pub(super) fn link(&self, at: &Path, target: &Path) -> Result<(), Failure> {
        let parent = self.parent(at)?;
        let name = at.file_name().unwrap_or_default();
        match symlinkat(target, &parent, name) {
            Ok(()) => self.own(&parent, name.as_ref(), at),
            Err(Errno::EXIST) if !self.of_image => Ok(()),
            Err(Errno::EXIST) => {
                let has = readlinkat(&parent, name, Vec::new());
                if has.is_ok_and(|has| has.as_bytes() == target.as_os_str().as_encoded_bytes()) {
                    return Ok(());
                }
                // A folder with something in it is left: what was granted is not to hide the image's files.
                unlinkat(&parent, name, AtFlags::REMOVEDIR).or_fail_at(Step::Fill, at)?;
                symlinkat(target, &parent, name).or_fail_at(Step::Fill, at)?;
                self.own(&parent, name.as_ref(), at)
            }
            Err(error) => Err(error).or_fail_at(Step::Fill, at),
        }
    }

    /// Makes a file with this content.
    pub(super) fn file(&self, at: &Path, content: &[u8]) -> Result<(), Failure> {
        let parent = self.parent(at)?;
        let name = at.file_name().unwrap_or_default();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&parent, name, flags, FILE).or_fail_at(Step::Fill, at)?;
        let mut rest = content;
        while !rest.is_empty() {
            let written = write(&file, rest).or_fail_at(Step::Fill, at)?;
            rest = rest.get(written..).unwrap_or_default();
        }
        self.own(&parent, name.as_ref(), at)
    }

    /// Gives what was just made to its owner.
    fn own(&self, parent: &OwnedFd, name: &Path, at: &Path) -> Result<(), Failure> {
        let Some((user, group)) = self.owner else {
            return Ok(());
        };
        chownat(parent, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW).or_fail_at(Step::Fill, at)
    }
}

fn relative(path: &Path) -> PathBuf {
    let relative: PathBuf = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_)))
        .collect();
    if relative.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        relative
    }
}
