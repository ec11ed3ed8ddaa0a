//! A place for a file that nobody needs afterwards. What is in the file is not known here.

use std::io;
use std::path::PathBuf;

/// A directory for a server's file, which is deleted with this.
pub(crate) struct Place(PathBuf);

impl Place {
    /// Makes it among the operating system's temporary files.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn new(what: &str) -> io::Result<Self> {
        let name = format!("steadfast-trading-{what}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// The file.
    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("trading.db")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Whatever is left of it is for the operating system to delete.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
