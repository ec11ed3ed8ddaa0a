//! Puts a [`Disk`] in front of SQLite's files. It notices writes, flushes and deletions, and leaves
//! everything else to the file system below.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rusqlite::ffi;

use crate::disk::{Disk, Event, Fault};

static DISK: Disk = Disk::new();

/// The file system below.
struct Below {
    vfs: *mut ffi::sqlite3_vfs,
}

/// An open file: its name, and the methods that the file system below gave it.
#[derive(Clone)]
struct OpenFile {
    name: PathBuf,
    methods: &'static ffi::sqlite3_io_methods,
}

// SAFETY: what SQLite registers is never changed or freed, and its functions may be called from any
// thread.
unsafe impl Send for Below {}
// SAFETY: the same.
unsafe impl Sync for Below {}

static BELOW: OnceLock<Below> = OnceLock::new();
/// Open files, by the addresses at which SQLite keeps them.
static FILES: Mutex<BTreeMap<usize, OpenFile>> = Mutex::new(BTreeMap::new());
/// Our methods, by the addresses of those that they stand in for: files with and without locks have
/// different ones.
static OURS: Mutex<BTreeMap<usize, &'static ffi::sqlite3_io_methods>> = Mutex::new(BTreeMap::new());

/// Puts the disk in front of the files of every connection that is opened from now on.
///
/// # Panics
/// If SQLite has no file system, or does not take this one.
pub fn install() -> &'static Disk {
    BELOW.get_or_init(|| {
        // SAFETY: the name is allowed to be null: the default file system is asked for.
        let below = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
        assert!(!below.is_null(), "SQLite has a file system");
        // SAFETY: what was found is registered, so it is valid for reading.
        let mut vfs = unsafe { ptr::read(below) };
        vfs.zName = c"powercut".as_ptr();
        vfs.pNext = ptr::null_mut();
        vfs.xOpen = Some(open);
        vfs.xDelete = Some(delete);
        // SAFETY: the registered structure is leaked, so it is valid for as long as the process.
        let registered = unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 1) };
        assert_eq!(registered, ffi::SQLITE_OK, "SQLite takes the disk");
        Below { vfs: below }
    });
    &DISK
}

fn below() -> &'static Below {
    BELOW.get().expect("SQLite calls only what is installed")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn opened(file: *mut ffi::sqlite3_file) -> OpenFile {
    let known = lock(&FILES).get(&(file as usize)).cloned();
    known.expect("a file was opened before it is used")
}

/// The methods that stand in for those of the file system below.
fn ours(theirs: &'static ffi::sqlite3_io_methods) -> &'static ffi::sqlite3_io_methods {
    let address = ptr::from_ref(theirs) as usize;
    lock(&OURS).entry(address).or_insert_with(|| {
        Box::leak(Box::new(ffi::sqlite3_io_methods {
            xClose: Some(close),
            xWrite: Some(write),
            xTruncate: Some(truncate),
            xSync: Some(sync),
            ..*theirs
        }))
    })
}

/// # Safety
/// `name` is a string of SQLite's, or null.
unsafe fn path(name: *const c_char) -> PathBuf {
    if name.is_null() {
        return PathBuf::new();
    }
    // SAFETY: it is not null, so it is a string that ends.
    let name = unsafe { CStr::from_ptr(name) };
    std::ffi::OsStr::from_bytes(name.to_bytes()).into()
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let below = below();
    // SAFETY: the arguments are those of SQLite, for the file system that they are given to.
    let code = unsafe {
        let open = (*below.vfs).xOpen.expect("a file system opens files");
        open(below.vfs, name, file, flags, out)
    };
    // SAFETY: SQLite gives a valid place, and `open` has filled it in.
    let methods = unsafe { (*file).pMethods };
    if code != ffi::SQLITE_OK || methods.is_null() {
        return code;
    }
    // SAFETY: methods of an open file are valid, and constant.
    let methods = unsafe { &*methods };
    // SAFETY: `name` is what SQLite gave.
    let name = unsafe { path(name) };
    lock(&FILES).insert(file as usize, OpenFile { name, methods });
    // SAFETY: the place is valid, and our methods live as long as the process. The file keeps the
    // layout of the file system below, whose methods are what all of ours call.
    unsafe { (*file).pMethods = ours(methods) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_directory: c_int,
) -> c_int {
    let below = below();
    // SAFETY: the arguments are those of SQLite.
    let (code, file) = unsafe {
        let delete = (*below.vfs).xDelete.expect("a file system deletes files");
        (delete(below.vfs, name, sync_directory), path(name))
    };
    let for_good = code == ffi::SQLITE_OK && sync_directory != 0;
    DISK.push(|| Event::Deleted { file, for_good });
    code
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let OpenFile { methods, .. } = opened(file);
    lock(&FILES).remove(&(file as usize));
    // SAFETY: the file was opened by the file system below, with these methods.
    unsafe { methods.xClose.expect("files can be closed")(file) }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    data: *const c_void,
    amount: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    if DISK.fault() == Some(Fault::Full) {
        return ffi::SQLITE_FULL;
    }
    let OpenFile { name, methods } = opened(file);
    // SAFETY: SQLite gives so many valid bytes.
    let bytes = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), amount as usize) };
    DISK.push(|| Event::Written { file: name, offset: offset as u64, bytes: bytes.to_vec() });
    // SAFETY: the file was opened by the file system below, with these methods.
    unsafe { methods.xWrite.expect("files can be written")(file, data, amount, offset) }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: ffi::sqlite3_int64) -> c_int {
    let OpenFile { name, methods } = opened(file);
    DISK.push(|| Event::Truncated { file: name, length: size as u64 });
    // SAFETY: the file was opened by the file system below, with these methods.
    unsafe { methods.xTruncate.expect("files can be cut")(file, size) }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    if DISK.fault() == Some(Fault::Flush) {
        return ffi::SQLITE_IOERR_FSYNC;
    }
    let OpenFile { name, methods } = opened(file);
    // SAFETY: the file was opened by the file system below, with these methods.
    let code = unsafe { methods.xSync.expect("files can be flushed")(file, flags) };
    if code == ffi::SQLITE_OK {
        DISK.push(|| Event::Flushed { file: name });
    }
    code
}
