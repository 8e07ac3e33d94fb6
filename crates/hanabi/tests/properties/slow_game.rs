//! The rules as a person would keep them on paper: lists of cards and of what was said about each,
//! no masks, no ids but those of the text. Shares no code with the engine.

/// A card with its place in the deck and everything that hints said about it: what was named (a
/// colour 0–4, or 10 and a rank) and whether the card was one of those shown.
#[derive(Clone, Debug)]
pub struct SlowCard {
    pub order: usize,
    pub colour: usize,
    pub rank: usize,
    pub said: Vec<(usize, bool)>,
}

impl SlowCard {
    fn is(&self, named: usize) -> bool {
        if named < 10 {
            self.colour == named
        } else {
            self.rank == named - 10
        }
    }

    /// Whether a card of that colour and rank fits everything that was said.
    pub fn may_be(&self, colour: usize, rank: usize) -> bool {
        let fits = |named: usize| named == colour || named == rank + 10;
        self.said
            .iter()
            .all(|(named, shown)| fits(*named) == *shown)
    }
}

/// A game on paper.
#[derive(Clone, Debug)]
pub struct SlowGame {
    pub hands: Vec<Vec<SlowCard>>,
    pub deck: Vec<SlowCard>,
    pub discards: Vec<SlowCard>,
    pub played: Vec<SlowCard>,
    pub tokens: usize,
    pub lives: usize,
    pub to_move: usize,
    /// Moves still to be made once the deck is empty.
    pub moves_left: Option<usize>,
}

impl SlowGame {
    /// `cards` are colour and rank in dealing order.
    pub fn deal(n_players: usize, cards: &[(usize, usize)]) -> Self {
        let card = |(order, (colour, rank)): (usize, &(usize, usize))| SlowCard {
            order,
            colour: *colour,
            rank: *rank,
            said: Vec::new(),
        };
        let mut deck: Vec<SlowCard> = cards.iter().enumerate().map(card).collect();
        let hand = if n_players <= 3 { 5 } else { 4 };
        let hands = (0..n_players)
            .map(|_| deck.drain(..hand).collect())
            .collect();
        Self {
            hands,
            deck,
            discards: Vec::new(),
            played: Vec::new(),
            tokens: 8,
            lives: 3,
            to_move: 0,
            moves_left: None,
        }
    }

    pub fn height(&self, colour: usize) -> usize {
        self.played
            .iter()
            .filter(|card| card.colour == colour)
            .count()
    }

    pub fn end(&self) -> Option<&'static str> {
        if self.lives == 0 {
            Some("life")
        } else if self.played.len() == 25 {
            Some("complete")
        } else {
            (self.moves_left == Some(0)).then_some("cards")
        }
    }

    fn hand_size(&self) -> usize {
        if self.hands.len() <= 3 { 5 } else { 4 }
    }

    /// What an id says: the seat that is told and what is named.
    fn hint(&self, id: usize) -> Option<(usize, usize)> {
        let n_others = self.hands.len() - 1;
        let place = id.checked_sub(2 * self.hand_size())?;
        let (kind, place) = (place / (5 * n_others), place % (5 * n_others));
        let to = (self.to_move + 1 + place / 5) % self.hands.len();
        match kind {
            0 => Some((to, place % 5)),
            1 => Some((to, 10 + place % 5 + 1)),
            _ => None,
        }
    }

    pub fn is_legal(&self, id: usize) -> bool {
        if self.end().is_some() {
            return false;
        }
        let (hand, own) = (self.hand_size(), self.hands[self.to_move].len());
        if id < hand {
            return id < own && self.tokens < 8;
        }
        if id < 2 * hand {
            return id - hand < own;
        }
        self.hint(id).is_some_and(|(to, named)| {
            self.tokens > 0 && self.hands[to].iter().any(|card| card.is(named))
        })
    }

    /// Makes a legal move.
    pub fn make(&mut self, id: usize) {
        let last_round = self.deck.is_empty();
        let hand = self.hand_size();
        if let Some((to, named)) = self.hint(id) {
            self.tokens -= 1;
            for card in &mut self.hands[to] {
                let shown = card.is(named);
                card.said.push((named, shown));
            }
        } else {
            let card = self.hands[self.to_move].remove(id % hand);
            if id < hand {
                self.tokens += 1;
                self.discards.push(card);
            } else if card.rank == self.height(card.colour) + 1 {
                if card.rank == 5 && self.tokens < 8 {
                    self.tokens += 1;
                }
                self.played.push(card);
            } else {
                self.lives -= 1;
                self.discards.push(card);
            }
            if !self.deck.is_empty() {
                let drawn = self.deck.remove(0);
                self.hands[self.to_move].push(drawn);
            }
        }
        if last_round {
            let left = self.moves_left.unwrap_or(self.hands.len());
            self.moves_left = Some(left - 1);
        }
        self.to_move = (self.to_move + 1) % self.hands.len();
    }
}
