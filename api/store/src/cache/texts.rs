//! Several short strings in two allocations: labels and fields of an entry.

#[derive(Debug, Default)]
pub(super) struct Texts {
    text: Box<str>,
    ends: Box<[u32]>,
}

#[derive(Debug, Default)]
pub(super) struct TextsBuilder {
    text: String,
    ends: Vec<u32>,
}

impl Texts {
    pub(super) fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)? as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.text.get(start..end)
    }
}

impl TextsBuilder {
    /// Values in the store are far below 4 GiB, so an offset always fits.
    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Forgets everything from an index on.
    pub(super) fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.text.truncate(self.ends.last().map_or(0, |&end| end as usize));
    }

    pub(super) fn build(self) -> Texts {
        Texts { text: self.text.into_boxed_str(), ends: self.ends.into_boxed_slice() }
    }
}
