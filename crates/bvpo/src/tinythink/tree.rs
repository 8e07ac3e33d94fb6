//! Token trees: sequences that share a beginning share its computation.

use super::task::{CLOSE, N_DIGITS, N_TRACES, Prompt, Trace};

/// Longest sequence that is fed to the network: start, three digits, `<think>`, three symbols,
/// `</think>`, value. The style is predicted and never fed.
pub const LEN_MAX: usize = 10;

/// Tokens with parents. A node's ancestors come before it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tree {
    /// The token of each node.
    pub tokens: Vec<u8>,
    /// Position in the sequence, from 0.
    pub depths: Vec<u8>,
    /// The node at each depth from the root to the node itself; beyond its depth unused.
    pub chains: Vec<[u16; LEN_MAX]>,
}

impl Tree {
    /// Number of nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is no node.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The nodes from the root to `node`.
    #[must_use]
    pub fn chain(&self, node: usize) -> &[u16] {
        &self.chains[node][..=usize::from(self.depths[node])]
    }

    /// Adds a node below `parent`, or a root, and gives its number.
    fn push(&mut self, token: u8, parent: Option<usize>) -> usize {
        let node = self.tokens.len();
        let (mut chain, depth) = match parent {
            Some(parent) => (self.chains[parent], self.depths[parent] + 1),
            None => ([0; LEN_MAX], 0),
        };
        chain[usize::from(depth)] = node as u16;
        self.tokens.push(token);
        self.depths.push(depth);
        self.chains.push(chain);
        node
    }

    /// One sequence.
    #[must_use]
    pub fn sequence(tokens: &[u8]) -> Self {
        let mut tree = Self::default();
        for (i, token) in tokens.iter().enumerate() {
            tree.push(*token, i.checked_sub(1));
        }
        tree
    }

    /// Every trace of a prompt, each followed by its end and by each of `values`. Node numbers are
    /// those of [`trace_node`], [`close_node`], and [`value_node`].
    #[must_use]
    pub fn of_prompt(prompt: Prompt, values: &[usize]) -> Self {
        let mut tree = Self::sequence(&prompt.tokens());
        for index in 1..N_TRACES {
            if let Some((parent, symbol)) = (Trace { index }).split_last() {
                tree.push(symbol as u8, Some(trace_node(parent)));
            }
        }
        for index in 0..N_TRACES {
            tree.push(CLOSE, Some(trace_node(Trace { index })));
        }
        for index in 0..N_TRACES {
            for value in values {
                tree.push(*value as u8, Some(close_node(Trace { index })));
            }
        }
        tree
    }
}

/// Nodes of the prompt, `<think>` being the last.
const N_PROMPT: usize = 5;

/// All values.
pub const ALL_VALUES: [usize; N_DIGITS] = [0, 1, 2, 3, 4];

/// The node of a trace's last symbol, in the tree of a prompt; `<think>` for the empty trace.
#[must_use]
pub fn trace_node(trace: Trace) -> usize {
    N_PROMPT - 1 + trace.index
}

/// The node of the closing tag behind a trace.
#[must_use]
pub fn close_node(trace: Trace) -> usize {
    N_PROMPT - 1 + N_TRACES + trace.index
}

/// The node of the `value_idx`-th of `n_values` values behind a trace.
#[must_use]
pub fn value_node(trace: Trace, value_idx: usize, n_values: usize) -> usize {
    N_PROMPT - 1 + 2 * N_TRACES + trace.index * n_values + value_idx
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_spell_the_sequences() {
        let prompt = Prompt { index: 38 };
        let tree = Tree::of_prompt(prompt, &[3, 1]);
        assert_eq!(tree.len(), 4 + 4 * N_TRACES);
        for index in [0, 5, 49, 399] {
            let trace = Trace { index };
            let mut expected = prompt.tokens().to_vec();
            expected.extend(trace.symbols().into_iter().map(|symbol| symbol as u8));
            expected.extend([CLOSE, 1]);
            let node = value_node(trace, 1, 2);
            let spelled: Vec<u8> = tree
                .chain(node)
                .iter()
                .map(|node| tree.tokens[usize::from(*node)])
                .collect();
            assert_eq!(spelled, expected);
            assert_eq!(usize::from(tree.depths[node]), expected.len() - 1);
            assert_eq!(tree.chain(trace_node(trace)).len(), 5 + trace.n_symbols());
            assert_eq!(tree.tokens[close_node(trace)], CLOSE);
        }
    }
}
