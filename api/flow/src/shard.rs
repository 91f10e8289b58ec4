//! Shuffle sharding: a flow is dealt a few of many queues, so that two flows seldom share all of theirs.
//!
//! With 128 queues and hands of 6, one rude flow that fills its hand fills another's whole hand with a chance of one
//! in five thousand million.

/// Hands are no larger: the hash has too few bits for more ([`HASH_BITS_MAX`]).
pub const HAND_SIZE_MAX: usize = 16;
/// Bits of a hash that a deal may use up, as in Kubernetes.
pub const HASH_BITS_MAX: u32 = 60;

/// The cards of a hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hand {
    cards: [u32; HAND_SIZE_MAX],
    size: usize,
}

impl Hand {
    pub fn cards(&self) -> &[u32] {
        &self.cards[..self.size]
    }
}

/// Deals `size` different cards of a deck (numbered from 0); the same hash always gets the same hand.
pub fn deal(mut hash: u64, deck: u32, size: usize) -> Hand {
    let deck = deck.max(1);
    let size = size.clamp(1, HAND_SIZE_MAX).min(deck as usize);
    let mut hand = Hand { cards: [0; HAND_SIZE_MAX], size };
    // What was dealt before, ascending: the n-th card left is found by stepping over these.
    let mut dealt = [0_u32; HAND_SIZE_MAX];
    for nth in 0..size {
        let left = u64::from(deck) - nth as u64;
        let mut card = u32::try_from(hash % left).unwrap_or(0);
        hash /= left;
        let mut at = 0;
        while at < nth && card >= dealt[at] {
            card += 1;
            at += 1;
        }
        dealt.copy_within(at..nth, at + 1);
        dealt[at] = card;
        hand.cards[nth] = card;
    }
    hand
}

/// Bits of a hash that such a deal uses.
pub fn entropy_bits(deck: u32, hand: u32) -> u32 {
    let bits = (f64::from(deck).log2() * f64::from(hand)).ceil();
    if bits >= f64::from(u32::MAX) { u32::MAX } else { bits as u32 }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_cards_of_a_hand_are_different_and_of_the_deck() {
        for seed in 0..5_000_u64 {
            let hash = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let (deck, size) = (1 + u32::try_from(seed % 130).unwrap(), 1 + usize::try_from(seed % 9).unwrap());
            let hand = deal(hash, deck, size);
            let different: HashSet<_> = hand.cards().iter().collect();
            assert_eq!(different.len(), size.min(deck as usize));
            assert!(hand.cards().iter().all(|card| *card < deck));
            assert_eq!(hand, deal(hash, deck, size));
        }
    }

    #[test]
    fn every_queue_is_dealt_about_as_often() {
        let mut count = [0_u32; 16];
        for seed in 0..8_000_u64 {
            for card in deal(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15), 16, 4).cards() {
                count[*card as usize] += 1;
            }
        }
        assert!(count.iter().all(|n| (1_700..2_300).contains(n)), "{count:?}");
    }

    #[test]
    fn entropy_is_counted_as_upstream_counts_it() {
        assert_eq!(entropy_bits(128, 6), 42);
        assert_eq!(entropy_bits(64, 8), 48);
        assert_eq!(entropy_bits(1, 1), 0);
        assert!(entropy_bits(10_000_000, 10) > HASH_BITS_MAX);
    }
}
