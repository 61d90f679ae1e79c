//! Room ahead of the last page: zeros written before they are needed, so that a commit overwrites.
//!
//! A commit that makes the file longer has the file system note new blocks and a new length, and a
//! sync then writes and waits for those too: a third to a half more CPU than one that overwrites
//! blocks which are there. Zeros are written a piece at a time, past the page cache, by the lane's
//! thread while its next batch gathers. They are not synced and promise nothing: what a crash takes
//! of them is made again. LMDB looks at no page beyond the last one that its meta page names.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Written at once: it takes about as long as a commit.
const PIECE: u64 = 1 << 20;

/// Alignment that writes past the page cache ask for, at most.
const ALIGNMENT: usize = 4_096;

/// The file of a lane and how far it has been written.
pub(crate) struct Ahead {
    /// `None`: this file system does not do it.
    file: Option<File>,
    /// Bytes that are written, with records or with zeros.
    end: u64,
    /// Bytes to keep ahead.
    piece: u64,
    /// Never beyond this.
    limit: u64,
    /// Zeros, with room to begin at an aligned address. Never written to, and so no memory.
    zeros: Vec<u8>,
}

impl Ahead {
    /// For the data file of a lane with a map of this size.
    pub(crate) fn new(file: &Path, map_size: u64) -> Self {
        let piece = PIECE.min(map_size / 64).next_multiple_of(ALIGNMENT as u64);
        let opened = OpenOptions::new()
            .write(true)
            .custom_flags(OFlags::DIRECT.bits().cast_signed())
            .open(file)
            .and_then(|file| Ok((file.metadata()?.len(), file)));
        let (end, file) = opened.map_or((0, None), |(length, file)| (length, Some(file)));
        let zeros = vec![0; piece as usize + ALIGNMENT];
        Self { file, end, piece, limit: map_size, zeros }
    }

    /// Writes the next piece when the used part of the file has come near the end of the written.
    /// That it fails costs speed and nothing else: a full disk is met again by the next commit.
    pub(crate) fn keep(&mut self, used: u64) {
        let Some(file) = &self.file else { return };
        self.end = self.end.max(used).next_multiple_of(ALIGNMENT as u64);
        if self.end - used >= self.piece || self.end + self.piece > self.limit {
            return;
        }
        let start = self.zeros.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        let zeros = &self.zeros[start..start + self.piece as usize];
        match file.write_all_at(zeros, self.end) {
            Ok(()) => self.end += self.piece,
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => self.file = None,
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_ahead_and_no_more_and_what_is_used_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.mdb");
        std::fs::write(&path, vec![7; 8_192]).unwrap();
        let mut ahead = Ahead::new(&path, 64 << 20);
        if ahead.file.is_none() {
            return;
        }
        let length = || std::fs::metadata(&path).unwrap().len();
        ahead.keep(8_192);
        assert_eq!(length(), 8_192 + PIECE);
        ahead.keep(8_192);
        assert_eq!(length(), 8_192 + PIECE, "enough is ahead");
        ahead.keep(12_288);
        assert_eq!(length(), 8_192 + 2 * PIECE);
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes[..8_192].iter().all(|&byte| byte == 7));
        assert!(bytes[8_192..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn the_map_is_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.mdb");
        std::fs::write(&path, vec![7; 8_192]).unwrap();
        let mut ahead = Ahead::new(&path, 1 << 20);
        for used in (8_192..1 << 20).step_by(8_192) {
            ahead.keep(used);
        }
        assert!(std::fs::metadata(&path).unwrap().len() <= 1 << 20);
    }
}
