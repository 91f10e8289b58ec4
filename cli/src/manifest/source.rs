//! Where manifests come from: `-f FILE`, `-f DIR [-R]`, `-f -`.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{Document, Problem, read};
use crate::failure::{Failure, Outcome};
use crate::term::Term;

/// Largest file that is read. The server takes objects of a few MiB.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Most files from one directory tree: more is a mistaken path.
const FILES_MAX: usize = 10_000;

/// Which files to read.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Files {
    /// File or directory with manifests (YAML or JSON); - is standard input. May be repeated.
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Read directories with all that is below them.
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
}

impl Files {
    /// Reads all documents of all files.
    ///
    /// # Errors
    /// When a file cannot be read, or anything in them is not a manifest; every problem is printed.
    pub(crate) fn load(&self, term: &mut Term) -> Outcome<Vec<Document>> {
        if self.files.is_empty() {
            return Err(Failure::usage("no manifests: name a file or directory with -f, or - for standard input"));
        }
        let mut problems = Vec::new();
        let mut documents = Vec::new();
        for file in &self.files {
            for path in self.expand(file)? {
                let name = if path == Path::new("-") { "<stdin>".to_owned() } else { path.display().to_string() };
                match text_of(&path) {
                    Ok(text) => documents.extend(read(&name, &text, &mut problems)),
                    Err((line, message)) => problems.push(Problem { file: name, line, field: String::new(), message }),
                }
            }
        }
        if !problems.is_empty() {
            return Err(super::report(term, problems));
        }
        if documents.is_empty() {
            return Err(Failure::new("there is no object in the given files"));
        }
        Ok(documents)
    }

    fn expand(&self, file: &Path) -> Outcome<Vec<PathBuf>> {
        if file == Path::new("-") {
            return Ok(vec![file.to_owned()]);
        }
        let unreadable = |path: &Path, e: std::io::Error| match e.kind() {
            std::io::ErrorKind::NotFound => Failure::not_found(format!("there is no file {}", path.display())),
            _ => Failure::new(format!("could not read {}: {e}", path.display())),
        };
        if !std::fs::metadata(file).map_err(|e| unreadable(file, e))?.is_dir() {
            return Ok(vec![file.to_owned()]);
        }
        let mut files = Vec::new();
        let mut folders = vec![file.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).map_err(|e| unreadable(&folder, e))? {
                let entry = entry.map_err(|e| unreadable(&folder, e))?;
                let path = entry.path();
                // Not through symbolic links: they may lead round in circles.
                if entry.file_type().is_ok_and(|t| t.is_dir()) {
                    if self.recursive {
                        folders.push(path);
                    }
                } else if path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json") {
                    files.push(path);
                }
            }
            if files.len() > FILES_MAX {
                return Err(Failure::new(format!("more than {FILES_MAX} manifests below {}", file.display())));
            }
        }
        if files.is_empty() {
            let more = if self.recursive { "" } else { "; -R looks below it, too" };
            return Err(Failure::new(format!("no .yaml, .yml or .json file in {}{more}", file.display())));
        }
        files.sort();
        Ok(files)
    }
}

fn text_of(path: &Path) -> Result<String, (usize, String)> {
    let mut bytes = Vec::new();
    let whole = |e: std::io::Error| (0, e.to_string());
    if path == Path::new("-") {
        std::io::stdin().lock().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(whole)?;
    } else {
        let file = std::fs::File::open(path).map_err(whole)?;
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(whole)?;
    }
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err((0, format!("larger than {} MiB", FILE_BYTES_MAX >> 20)));
    }
    decode(bytes)
}

fn decode(bytes: Vec<u8>) -> Result<String, (usize, String)> {
    let line_at = |at: usize, bytes: &[u8]| bytes[..at].iter().filter(|b| **b == b'\n').count() + 1;
    if let Some(at) = bytes.iter().position(|b| *b == 0) {
        return Err((line_at(at, &bytes), "holds a NUL byte: not a text file".to_owned()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        (line_at(at, error.as_bytes()), "not valid UTF-8".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_have_a_line() {
        assert_eq!(decode(b"a\n\xff".to_vec()), Err((2, "not valid UTF-8".to_owned())));
        assert_eq!(decode(b"a\nb\n\0".to_vec()), Err((3, "holds a NUL byte: not a text file".to_owned())));
        assert_eq!(decode(b"a: \xc3\xa9".to_vec()), Ok("a: \u{e9}".to_owned()));
    }
}
