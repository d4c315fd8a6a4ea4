//! The memory of the bodies that one answer hands out.
//!
//! Small bodies lie side by side in blocks, which saves an allocation for each, and a free that
//! another thread would mostly do. A block is freed when none of its bodies is held any more, so
//! whoever keeps one small body of an answer keeps at most a block.

use bytes::{Bytes, BytesMut};

/// Bytes of a block, and so the most that one small body can keep alive.
const BLOCK: usize = 4 * 1024;
/// Bodies that are longer have memory of their own.
const SMALL: usize = BLOCK / 4;

/// Where the bodies of an answer are copied to.
#[derive(Debug, Default)]
pub(crate) struct Bodies {
    block: BytesMut,
}

impl Bodies {
    /// Copies a body.
    pub(crate) fn copy(&mut self, body: &[u8]) -> Bytes {
        if body.len() > SMALL {
            return Bytes::copy_from_slice(body);
        }
        if self.block.capacity() < body.len() {
            self.block = BytesMut::with_capacity(BLOCK);
        }
        self.block.extend_from_slice(body);
        self.block.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_stay_as_they_were_whatever_follows() {
        let lengths = [0, 1, 700, SMALL, SMALL + 1, 3, BLOCK, 1_000, SMALL];
        let made = |n: usize| vec![u8::try_from(n % 251).unwrap(); lengths[n % lengths.len()]];
        let mut bodies = Bodies::default();
        let copies: Vec<Bytes> = (0..100).map(|n| bodies.copy(&made(n))).collect();
        drop(bodies);
        for (n, copy) in copies.iter().enumerate() {
            assert_eq!(copy, &made(n), "{n}");
        }
    }

    #[test]
    fn small_bodies_share_blocks_and_large_ones_do_not() {
        let mut bodies = Bodies::default();
        let small = [bodies.copy(&[1; 100]), bodies.copy(&[2; 100])];
        assert_eq!(small[0].as_ptr().wrapping_add(100), small[1].as_ptr());
        assert!(!small[0].is_unique());
        assert!(bodies.copy(&[3; SMALL + 1]).is_unique());
    }
}
