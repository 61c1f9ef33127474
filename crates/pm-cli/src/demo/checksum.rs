//! Checksums of a tree: the request is the parent task, and each subdirectory is a child that can be cancelled alone.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use pm::{Cancelled, Task};

use super::files::{self, Pace, Tree};

const BLOCK: usize = 64 << 10;
const BYTES_PER_SECOND: u64 = 4 << 20;

/// Sums each subdirectory, and the files in `folder` itself.
///
/// A cancelled child leaves a gap and the others continue; a cancel of the parent also stops the child.
pub(super) fn checksum(parent: &Task, tree: &Tree, folder: &Path) -> Result<String, Cancelled> {
    let mut sums = String::new();
    let (folders, here) = files::entries(parent, folder)?;
    let total = folders.len() as u64 + 1;
    let mut line = |folder: &Path, sum: &dyn std::fmt::Display| {
        // Writing to a string cannot fail.
        let _ = writeln!(sums, "{sum}  {}", tree.shown(folder));
    };
    for (folder, done) in folders.iter().zip(0..) {
        parent.progress(done, total, "folders");
        pm::status!(parent, "summing {}", tree.shown(folder))?;
        match child(parent, tree, folder) {
            Err(cancelled) if Some(cancelled.serial()) == parent.serial() => return Err(cancelled),
            Err(cancelled) => line(folder, &cancelled),
            Ok(sum) => line(folder, &format_args!("{sum:016x}")),
        }
    }
    parent.progress(total - 1, total, "folders");
    parent.status("summing the directory's own files")?;
    line(folder, &format_args!("{:016x}", sum(parent, parent, tree, &here)?));
    Ok(sums)
}

fn child(parent: &Task, tree: &Tree, folder: &Path) -> Result<u64, Cancelled> {
    let name = folder.file_name().unwrap_or_default().display();
    let id = pm::global().view(parent.serial(), |task| format!("{}/{name}", task.id()));
    pm::task(&id.unwrap_or_else(|| name.to_string()))
        .kind("checksum folder")
        .attr("folder", &tree.shown(folder).to_string())
        .parent(parent)
        .run_sync(|child| {
            child.status("listing files")?;
            let files = files::list(child, folder)?;
            sum(child, parent, tree, &files)
        })
}

/// FNV-1a over the contents in order; detects changes, but is not secure.
fn sum(task: &Task, parent: &Task, tree: &Tree, files: &[PathBuf]) -> Result<u64, Cancelled> {
    let total = files.iter().filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).sum();
    let (mut sum, mut done) = (0xcbf2_9ce4_8422_2325_u64, 0);
    let (mut block, mut pace) = (vec![0; BLOCK], Pace::new(BYTES_PER_SECOND));
    for path in files {
        pm::status!(task, "reading {}", tree.shown(path))?;
        let Ok(mut file) = File::open(path) else { continue };
        // An error ends the file, which may have been deleted.
        while let Ok(count @ 1..) = file.read(&mut block) {
            parent.checkpoint()?;
            pace.wait(task, count)?;
            sum = block[..count].iter().fold(sum, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
            done += count as u64;
            task.progress(done, total, "bytes");
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_tree_has_the_same_sums() {
        let tree = Tree::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
        let sums = || checksum(&pm::start("sums"), &tree, tree.root()).unwrap();
        let first = sums();
        assert!(first.contains("  demo\n"), "{first}");
        assert_eq!(first, sums());
    }
}
