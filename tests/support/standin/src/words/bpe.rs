//! The tokenizer of Llama 2, as far as wordllama uses it: byte pair encoding over the whole text without splitting it
//! into words first, bytes for characters that are not in the vocabulary, no token added in front.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;

use serde_json::Value;

type Token = u32;

pub struct Tokenizer {
    vocabulary: HashMap<String, Token>,
    /// Rank and result of each pair that may be merged.
    merges: HashMap<(Token, Token), (u32, Token)>,
    /// The tokens `<0x00>` to `<0xFF>`.
    bytes: Vec<Token>,
    /// Texts that are one token wherever they stand.
    special: Vec<(String, Token)>,
}

impl Tokenizer {
    /// Reads a file of the library `tokenizers`.
    pub fn parse(file: &[u8]) -> io::Result<Tokenizer> {
        let file: Value = serde_json::from_slice(file)?;
        read(&file)
            .ok_or_else(|| io::Error::other("tokenizer: not the byte pair encoding of Llama 2"))
    }

    pub fn len(&self) -> usize {
        self.vocabulary.len()
    }

    pub fn encode(&self, text: &str) -> Vec<Token> {
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some((at, length, token)) = self.next_special(rest) {
            self.encode_plain(&rest[..at], &mut tokens);
            tokens.push(token);
            rest = &rest[at + length..];
        }
        self.encode_plain(rest, &mut tokens);
        tokens
    }

    /// Where the next special token is, how long it is, and which.
    fn next_special(&self, text: &str) -> Option<(usize, usize, Token)> {
        let found = |(name, token): &(String, Token)| Some((text.find(name)?, name.len(), *token));
        self.special.iter().filter_map(found).min()
    }

    fn encode_plain(&self, text: &str, tokens: &mut Vec<Token>) {
        if text.is_empty() {
            return;
        }
        let mut symbols = Vec::new();
        let mut utf8 = [0; 4];
        for character in std::iter::once(' ').chain(text.chars()) {
            let character = if character == ' ' {
                '\u{2581}'
            } else {
                character
            };
            let character = &*character.encode_utf8(&mut utf8);
            match self.vocabulary.get(character) {
                Some(&token) => symbols.push(token),
                None => symbols.extend(character.bytes().map(|byte| self.bytes[usize::from(byte)])),
            }
        }
        self.merge(symbols, tokens);
    }

    /// Merges the pair of lowest rank, the leftmost of these first, until no pair is left that may be merged.
    fn merge(&self, mut symbols: Vec<Token>, tokens: &mut Vec<Token>) {
        // A merge keeps the left symbol and unlinks the right one.
        let end = symbols.len();
        let mut next: Vec<usize> = (1..=end).collect();
        let mut previous: Vec<usize> = (0..end).map(|at| at.wrapping_sub(1)).collect();
        let mut alive = vec![true; end];
        let mut queue = BinaryHeap::new();
        let offer = |queue: &mut BinaryHeap<_>, symbols: &[Token], left: usize, right: usize| {
            if let Some(&(rank, merged)) = self.merges.get(&(symbols[left], symbols[right])) {
                queue.push(Reverse((rank, left, merged)));
            }
        };
        for right in 1..end {
            offer(&mut queue, &symbols, right - 1, right);
        }
        while let Some(Reverse((rank, left, merged))) = queue.pop() {
            let right = next[left];
            // An entry is out of date when one of its symbols was merged meanwhile.
            let current = || self.merges.get(&(symbols[left], symbols[right]));
            if !alive[left] || right == end || current() != Some(&(rank, merged)) {
                continue;
            }
            symbols[left] = merged;
            alive[right] = false;
            next[left] = next[right];
            if next[left] != end {
                previous[next[left]] = left;
                offer(&mut queue, &symbols, left, next[left]);
            }
            if left != 0 {
                offer(&mut queue, &symbols, previous[left], left);
            }
        }
        tokens.extend(
            symbols
                .iter()
                .zip(alive)
                .filter(|(_, alive)| *alive)
                .map(|(token, _)| token),
        );
    }
}

fn read(file: &Value) -> Option<Tokenizer> {
    let model = &file["model"];
    let vocabulary: HashMap<String, Token> = model["vocab"]
        .as_object()?
        .iter()
        .map(|(name, token)| Some((name.clone(), token.as_u64()? as Token)))
        .collect::<Option<_>>()?;
    let merges = model["merges"]
        .as_array()?
        .iter()
        .zip(0..)
        .map(|(pair, rank)| {
            let (left, right) = pair.as_str()?.split_once(' ')?;
            let token = |name: &str| vocabulary.get(name).copied();
            let merged = token(&format!("{left}{right}"))?;
            Some(((token(left)?, token(right)?), (rank, merged)))
        });
    let merges = merges.collect::<Option<_>>()?;
    let bytes = (0..=255).map(|byte| vocabulary.get(&format!("<0x{byte:02X}>")).copied());
    let bytes = bytes.collect::<Option<_>>()?;
    let special = file["added_tokens"].as_array()?.iter().map(|token| {
        let content = token["content"].as_str()?.to_owned();
        Some((content, token["id"].as_u64()? as Token))
    });
    let special = special.collect::<Option<_>>()?;
    Some(Tokenizer {
        vocabulary,
        merges,
        bytes,
        special,
    })
}
