//! What is asked about the current request.

pub trait Request {
    /// Whether the match of a quota holds; the quota is told by its index.
    fn holds(&self, quota: usize) -> bool;

    /// What the request takes of it.
    fn cost(&self, quota: usize) -> u64;

    /// The values of its dimensions as text, in their order; empty where there is none.
    fn dimensions(&self, quota: usize) -> Vec<Vec<u8>>;
}
