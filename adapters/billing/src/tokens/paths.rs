//! Where numbers of usage are in a JSON document, as a tree of names.

/// How many kinds of tokens can be told apart.
pub const SLOTS: usize = 16;
/// The longest path.
pub const PARTS: usize = 8;
/// The longest part of a path.
pub const PART_BYTES: usize = 64;

/// What a document told, by slot.
pub type Found = [Option<u64>; SLOTS];

/// The root of every tree.
pub const ROOT: u16 = 0;

#[derive(Default)]
struct Node {
    children: Vec<(Vec<u8>, u16)>,
    slot: Option<u8>,
}

/// The paths of each slot.
pub struct Paths(Vec<Node>);

impl Paths {
    /// The paths of at most `SLOTS` slots; each is parts joined by dots.
    pub fn new<'a>(slots: impl IntoIterator<Item = &'a [String]>) -> Self {
        let mut paths = Self(vec![Node::default()]);
        for (slot, texts) in (0..).zip(slots) {
            for text in texts {
                paths.add(text, slot);
            }
        }
        paths
    }

    fn add(&mut self, text: &str, slot: u8) {
        let mut at = ROOT;
        for part in text.split('.') {
            at = match self.child(at, part.as_bytes()) {
                Some(known) => known,
                None => self.grow(at, part),
            };
        }
        self.0[usize::from(at)].slot = Some(slot);
    }

    fn grow(&mut self, at: u16, part: &str) -> u16 {
        let new = u16::try_from(self.0.len()).expect("a configuration has at most 128 paths");
        self.0.push(Node::default());
        self.0[usize::from(at)]
            .children
            .push((part.as_bytes().to_vec(), new));
        new
    }

    /// What a name leads to.
    pub fn child(&self, at: u16, name: &[u8]) -> Option<u16> {
        let mut children = self.0[usize::from(at)].children.iter();
        children.find(|(one, _)| one == name).map(|(_, to)| *to)
    }

    pub fn has_children(&self, at: u16) -> bool {
        !self.0[usize::from(at)].children.is_empty()
    }

    /// The slot that a path which ends here is of.
    pub fn slot(&self, at: u16) -> Option<usize> {
        self.0[usize::from(at)].slot.map(usize::from)
    }
}
