//! The seam between a text that was given as the beginning of an answer, and the words of the
//! provider that goes on with it. Some repeat the whole text, some its end, and some only the white
//! space that they took off it. The first words are held back until they have told which.

use std::ops::ControlFlow;

use memchr::memmem;

use super::NO_COINCIDENCE;

/// Bytes at the end of the text among which a repetition of the end only is looked for. It bounds
/// what is held back, too.
const LONGEST_TAIL: usize = 4096;

/// Bytes of several words that do not come again by chance.
const SEVERAL_WORDS: usize = 12;

/// What came says something else than what was sent, after a beginning that was the same.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Other;

/// The first words of a provider that was given the text so far.
#[derive(Debug, Clone)]
pub(super) struct Seam {
    /// What the client has, without the white space at its end.
    sent: String,
    /// That white space.
    blank: String,
    /// Whether this provider is known to repeat the whole.
    may_repeat: bool,
    /// What has come and was held back.
    held: String,
    /// Where in `sent` a repetition may have begun that is not over yet, in rising order.
    open: Vec<usize>,
    /// Bytes of the longest repetition that has come to its end.
    repeated: usize,
    /// Bytes at which the words ceased to be like the beginning of `sent`.
    like_beginning: usize,
}

impl Seam {
    pub(super) fn after(sent: &str, may_repeat: bool) -> Self {
        let text = sent.trim_end();
        Self {
            sent: text.to_owned(),
            blank: sent[text.len()..].to_owned(),
            may_repeat,
            held: String::new(),
            open: Vec::new(),
            repeated: 0,
            like_beginning: 0,
        }
    }

    /// Whether something came that the client has not seen.
    pub(super) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Takes the next piece of text: what of all that came is new, as soon as that is known.
    pub(super) fn push(&mut self, text: &str) -> ControlFlow<Result<String, Other>> {
        let known = self.words().len();
        self.held.push_str(text);
        if known == 0 {
            self.open = self.beginnings();
        }
        self.compare(known);
        let is_undecided = !self.open.is_empty() || self.words().is_empty();
        if is_undecided && self.held.len() - self.words().len() <= LONGEST_TAIL {
            return ControlFlow::Continue(());
        }
        if !self.is_repetition() {
            self.repeated = 0;
            let is_other = self.began_alike();
            return ControlFlow::Break(if is_other { Err(Other) } else { Ok(self.joint()) });
        }
        let rest = &self.words()[self.repeated..];
        if rest.len() < self.blank.len() && self.blank.starts_with(rest) {
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(Ok(self.joint()))
    }

    /// What is new of all that came, now that nothing more comes.
    pub(super) fn end(&mut self) -> Result<String, Other> {
        let is_begun_anew = self.open.first() == Some(&0) && says_much(self.words());
        if !self.is_repetition() {
            self.repeated = 0;
            if is_begun_anew || self.began_alike() {
                return Err(Other);
            }
        }
        Ok(self.joint())
    }

    /// Whether the answer was begun anew and turned out another one: a long likeness is no chance.
    fn began_alike(&self) -> bool {
        let same = self.words().char_indices().take_while(|(at, _)| *at < self.like_beginning);
        let end = same.last().map_or(0, |(at, _)| at);
        self.like_beginning >= NO_COINCIDENCE && says_much(&self.words()[..end])
    }

    /// What came, from its first word on: white space may have been put before a repetition.
    fn words(&self) -> &str {
        self.held.trim_start()
    }

    /// Where a repetition may have begun, now that the first word is there.
    fn beginnings(&self) -> Vec<usize> {
        let Some(first) = self.words().bytes().next() else { return Vec::new() };
        let sent = self.sent.as_bytes();
        let tail = sent.len().saturating_sub(LONGEST_TAIL).max(1);
        let in_tail = (tail..sent.len()).filter(|at| sent[*at] == first);
        let whole = (sent.first() == Some(&first)).then_some(0);
        whole.into_iter().chain(in_tail).collect()
    }

    /// Goes on comparing at byte `known` of the words.
    fn compare(&mut self, known: usize) {
        let open = std::mem::take(&mut self.open);
        let mut still = Vec::new();
        for at in open {
            let (told, came) = (&self.sent.as_bytes()[at..], self.words().as_bytes());
            let same = known + alike(&told[known..], &came[known..]);
            let (is_over, is_open) = (same == told.len(), same == came.len());
            if at == 0 {
                self.like_beginning = same;
            }
            if is_over {
                self.repeated = self.repeated.max(same);
            }
            if is_open && !is_over {
                still.push(at);
            }
        }
        self.open = still;
    }

    /// Whether what came again did so by no chance: it says enough, and `sent` does not say it more
    /// than once itself. If the longest repetition is one of chance, so are the shorter ones.
    fn is_repetition(&self) -> bool {
        let at = self.sent.len() - self.repeated;
        if at == 0 && self.may_repeat {
            return true;
        }
        let end = &self.sent[at..];
        says_much(end) && memmem::find(self.sent.as_bytes(), end.as_bytes()) == Some(at)
    }

    /// What is new: what came without the repetition, and without the white space at the joint
    /// that the client has already.
    fn joint(&self) -> String {
        if self.repeated > 0 {
            let rest = &self.words()[self.repeated..];
            let pairs = rest.chars().zip(self.blank.chars());
            let same = pairs.take_while(|(one, other)| one == other);
            return rest[same.map(|(char, _)| char.len_utf8()).sum()..].to_owned();
        }
        let words = self.words();
        let blank = &self.held[..self.held.len() - words.len()];
        let is_double = !blank.is_empty() && blank == self.blank;
        if is_double { words.to_owned() } else { self.held.clone() }
    }
}

/// How many bytes two texts have in common at their beginning.
fn alike(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

/// Whether a text says so much that it does not come again by chance.
fn says_much(text: &str) -> bool {
    let meaningful: usize =
        text.chars().filter(|char| char.is_alphanumeric()).map(char::len_utf8).sum();
    let mut words = text.split_whitespace().filter(|word| word.contains(char::is_alphanumeric));
    let first = words.next();
    let has_several = words.any(|word| Some(word) != first);
    meaningful >= NO_COINCIDENCE || has_several && text.trim().len() >= SEVERAL_WORDS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is new of a continuation that came in these pieces.
    fn new_of(sent: &str, pieces: &[&str], may_repeat: bool) -> Result<String, Other> {
        let mut seam = Seam::after(sent, may_repeat);
        let mut pieces = pieces.iter();
        while let Some(piece) = pieces.next() {
            if let ControlFlow::Break(new) = seam.push(piece) {
                return new.map(|new| pieces.fold(new, |all, piece| all + piece));
            }
        }
        seam.end()
    }

    /// In one piece and in many, which must not differ.
    #[track_caller]
    fn assert_new(sent: &str, came: &str, expected: &str) {
        assert_eq!(new_of(sent, &[came], false).as_deref(), Ok(expected), "{sent:?} + {came:?}");
        let chars: Vec<String> = came.chars().map(String::from).collect();
        let pieces: Vec<&str> = chars.iter().map(String::as_str).collect();
        assert_eq!(new_of(sent, &pieces, false).as_deref(), Ok(expected), "{sent:?} + {came:?}");
    }

    const SENT: &str = "First we mix the flour.\nThen the eggs go in, one by one, and";

    #[test]
    fn the_repeated_end_is_swallowed() {
        assert_new(SENT, "Then the eggs go in, one by one, and all is well.", " all is well.");
        assert_new(SENT, " go in, one by one, and all is well.", " all is well.");
        assert_new(SENT, "one by one, and all", " all");
        assert_new(SENT, &format!("{SENT} all"), " all");
        assert_new("那么我们现在开始讨论这个问题", "我们现在开始讨论这个问题的答案", "的答案");
    }

    #[test]
    fn what_comes_again_by_chance_stays() {
        assert_new(SENT, " and on", " and on");
        assert_new(SENT, "one, and", "one, and");
        assert_new("The cat and the", " cat and the dog", " cat and the dog");
        assert_new("| a | b |\n| a | b |", "| a | b |\n| c | d |", "| a | b |\n| c | d |");
        let rule = "-".repeat(60);
        assert_new(&rule, &rule, &rule);
        assert_new("He laughed: ha ha ha ha ha", "ha ha ha ha ha!", "ha ha ha ha ha!");
    }

    #[test]
    fn white_space_at_the_joint_is_not_doubled() {
        assert_new("Hello ", " world", "world");
        assert_new("Hello.\n\n", "\n\nWorld", "World");
        assert_new("Hello", " world", " world");
        assert_new("Hello ", "\nworld", "\nworld");
        assert_new("if x:\n    ", "    y()", "    y()");
        assert_new("Hello there, all ", "Hello there, all of you", "of you");
        assert_new("Hello there, all.\n\n", "Hello there, all.\n\nYou", "You");
        assert_new("Hello there, all.\n\n", "Hello there, all. You", " You");
        assert_new("Hello there, all ", " Hello there, all of you", "of you");
        assert_new("Hello ", " ", "");
        assert_new("Hello there, all\u{2003}", "Hello there, all\u{2002}x", "\u{2002}x");
    }

    #[test]
    fn an_answer_begun_anew_that_is_another_one_is_no_continuation() {
        let short = "First we mix the flour.";
        assert_eq!(new_of(SENT, &[short], false), Err(Other), "it ends early");
        let other = "First we mix the flour.\nThen comes the milk.";
        assert_eq!(new_of(SENT, &[other], false), Err(Other));
        assert_new(SENT, "First we rest.", "First we rest.");
    }

    #[test]
    fn no_more_than_the_tail_is_held_back() {
        let mut seam = Seam::after("Hello ", false);
        assert!(seam.push(&" ".repeat(LONGEST_TAIL)).is_continue());
        assert!(seam.push(" ").is_break());
        let long = "a".repeat(1 << 20);
        let mut seam = Seam::after(&long, false);
        let pieces = (0..99).take_while(|_| seam.push("aaaaaaaaaaaaaaab").is_continue()).count();
        assert!(pieces < 98, "{pieces}");
    }
}
