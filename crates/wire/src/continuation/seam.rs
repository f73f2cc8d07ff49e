//! The seam between a text that was given as the beginning of an answer, and the words of the
//! provider that goes on with it. Some repeat the whole text, some its end, and some only the white
//! space that they took off it. The first words are held back until they have told which.
//!
//! No text is to come twice, none is to be lost. Where a repetition and new words that are the same
//! cannot be told apart, the answer is no continuation. The first line that fits decides:
//!
//! | What comes | What becomes of it |
//! |---|---|
//! | the whole text, if it [says much](says_much) and is long or no line or sentence ends at the joint | left out |
//! | the whole text else, or an end of it that says much again and again | no continuation |
//! | a distinctive end of the text, where a line or a sentence ends in it or at the joint | no continuation |
//! | a distinctive end of the text, that ends as the text before it does | no continuation |
//! | a distinctive end of the text else | left out |
//! | the word that the text ends inside of, from its first letter, at least 4 bytes | left out |
//! | the text's beginning within the first 160 bytes, and from there the whole text, if it is long | left out, with what stands before it |
//! | the text's beginning within the first 160 bytes else | no continuation |
//! | the one space that the text ends with, before a word | left out |
//! | anything else | new |
//!
//! A provider that was told by a flag to go on is believed: what it says is new, but for the whole
//! text, if that is long or if the provider is known to repeat it.
//!
//! Long is a text of more than 160 bytes: nobody says that again by chance.
//! An end is distinctive if it [says much](says_much) and stands in the text only once. A word is
//! one of letters only. Neither repeats itself: figures and `haha` do go on like that, and so does
//! a long text of nothing else.
//! Nobody begins an answer with a small letter, a figure or a comma: such words are new at once.
//! Others are shown after a while all the same, see [`Seam::release`]; where the text's beginning
//! comes behind words that were shown, the answer is no continuation.
//!
//! The one space: many chat templates trim what they are given, so that a model which goes on puts
//! the space before its first word again. One space too many or too few is equally wrong, and the
//! former is what happens, so one is left out where a word follows. It stays where a second one
//! is likely to be meant: before anything but a letter or figure, as before a remark in code, and
//! in a text that has several spaces between words elsewhere, as in columns.

use memchr::memmem;

use super::likeness::{
    alike, begins_an_answer, common_end, distinctive_beginning, end_with_one_word, ends_a_sentence,
    has_wide_gaps, repeated_unit, says_much, spans_sentences,
};

/// Bytes at the end of the text among which a repetition of the end only is looked for.
const LONGEST_TAIL: usize = 4096;

/// Bytes of the first words among which an answer may be begun anew, behind a "Sure!" or a fence.
/// It bounds what is held back while nothing has come again.
const WINDOW: usize = 160;

/// Bytes of the shortest part of a word that does not come twice by chance.
const PART_OF_WORD: usize = 4;

/// Bytes at the end of rows that begin alike.
const PART_OF_ROW: usize = 4;

/// How a provider goes on with a text that it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// It is known to, and may begin anew or repeat something all the same.
    Unknown,
    /// It was told to by a flag of its own.
    GoesOn,
    /// It was told to by a flag of its own, and says the whole text again before that.
    Repeats,
}

/// What came says something else than what was sent, or cannot be told from it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Other;

/// What the first words are, next to the end of what was sent.
#[derive(Debug, Clone, Copy)]
enum Verdict {
    New,
    Again,
    Ambiguous,
}

/// The first words of a provider that was given the text so far.
#[derive(Debug, Clone)]
pub(super) struct Seam {
    /// What the client has, without the white space at its end.
    sent: String,
    /// That white space.
    blank: String,
    habit: Habit,
    /// Bytes of the beginning of `sent` that do not come again by chance; 0 if there are none.
    beginning: usize,
    /// What has come and was held back.
    held: String,
    /// Where in `sent` a repetition may have begun that is not over yet, in rising order.
    open: Vec<usize>,
    /// Bytes of the longest repetition that has come to its end.
    repeated: usize,
    /// Where in `held` the answer was begun anew, and how many bytes of `sent` came from there on.
    anew: Option<(usize, usize)>,
    /// Bytes of `held` that were shown or left out.
    taken: usize,
    /// Whether the client has waited long enough for words that may be a beginning.
    is_late: bool,
    /// Whether all that is still to come is new.
    is_over: bool,
}

impl Seam {
    pub(super) fn after(sent: &str, habit: Habit) -> Self {
        let text = sent.trim_end();
        let beginning = match habit {
            // Nothing but the whole of a long text is taken for a repetition.
            Habit::GoesOn | Habit::Repeats if text.len() <= WINDOW => 0,
            Habit::Unknown | Habit::GoesOn | Habit::Repeats => distinctive_beginning(text),
        };
        Self {
            sent: text.to_owned(),
            blank: sent[text.len()..].to_owned(),
            habit,
            beginning,
            held: String::new(),
            open: Vec::new(),
            repeated: 0,
            anew: None,
            taken: 0,
            is_late: false,
            is_over: false,
        }
    }

    /// Whether something came that the client has not seen.
    pub(super) const fn holds(&self) -> bool {
        self.held.len() > self.taken
    }

    /// Whether some of that would be shown if the client had waited long enough.
    pub(super) const fn is_waiting(&self) -> bool {
        self.holds() && !self.is_late
    }

    /// Whether all that is still to come is new.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// No longer holds back what is only held for the chance that the answer is begun anew, and
    /// gives it. What is the same as the text so far may be a repetition, and stays.
    pub(super) fn release(&mut self) -> String {
        self.is_late = true;
        let is_same = self.words().is_empty() || !self.open.is_empty() || self.anew.is_some();
        if is_same || !matches!(self.verdict(), Verdict::New) {
            return String::new();
        }
        let end = self.may_begin_anew().unwrap_or(self.held.len());
        self.show(end)
    }

    /// Takes the next piece of text: what of all that came is new, as far as that is known.
    pub(super) fn push(&mut self, text: &str) -> Result<String, Other> {
        let known = self.words().len();
        self.held.push_str(text);
        if self.lead().len() > WINDOW {
            return Ok(self.show_all());
        }
        if known == 0 {
            self.open = self.beginnings();
        }
        self.compare(known);
        if !self.open.is_empty() || self.words().is_empty() {
            return Ok(String::new());
        }
        match self.verdict() {
            Verdict::Ambiguous => Err(Other),
            Verdict::Again => self.behind(self.lead().len() + self.repeated),
            Verdict::New => self.push_new(),
        }
    }

    /// The words are no repetition from their first one on; they may become one.
    fn push_new(&mut self) -> Result<String, Other> {
        self.find_beginning();
        match self.anew {
            Some((at, same)) if same == self.sent.len() => self.without_preamble(at + same, false),
            Some((at, same)) if at + same < self.held.len() => Err(Other),
            Some(_) if self.taken > 0 => Err(Other),
            Some(_) => Ok(String::new()),
            None => match self.may_begin_anew() {
                Some(at) if self.is_late => Ok(self.show(at)),
                Some(_) => Ok(String::new()),
                None => Ok(self.show_all()),
            },
        }
    }

    /// What is new of all that came, now that nothing more comes.
    pub(super) fn end(&mut self) -> Result<String, Other> {
        let is_begun_anew = self.open.first() == Some(&0) && says_much(self.words());
        match self.verdict() {
            Verdict::Ambiguous => return Err(Other),
            Verdict::Again => return self.without(self.lead().len() + self.repeated),
            Verdict::New => self.find_beginning(),
        }
        match self.anew {
            Some((at, same)) if same == self.sent.len() => self.without_preamble(at + same, true),
            Some(_) => Err(Other),
            None if is_begun_anew => Err(Other),
            None => Ok(self.show_all()),
        }
    }

    /// What stands behind an answer begun anew that has caught up at byte `at`, if that was no
    /// chance and no words before it were shown.
    fn without_preamble(&mut self, at: usize, is_end: bool) -> Result<String, Other> {
        if self.taken > 0 || !self.is_long() {
            return Err(Other);
        }
        if is_end { self.without(at) } else { self.behind(at) }
    }

    /// Shows all that came.
    fn show_all(&mut self) -> String {
        self.is_over = true;
        self.show(self.held.len())
    }

    /// Shows what came up to byte `end`, without a space that the client has.
    fn show(&mut self, end: usize) -> String {
        let start = if self.taken == 0 && self.is_space_doubled() { 1 } else { self.taken };
        if end <= start {
            return String::new();
        }
        self.taken = end;
        self.held[start..end].to_owned()
    }

    /// What came, from its first word on: white space may have been put before a repetition.
    fn words(&self) -> &str {
        self.held.trim_start()
    }

    /// The white space before the first word.
    fn lead(&self) -> &str {
        &self.held[..self.held.len() - self.words().len()]
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
            if is_over {
                self.repeated = self.repeated.max(same);
            }
            if is_open && !is_over {
                still.push(at);
            }
        }
        self.open = still;
    }

    /// What the longest repetition is. If it is one of chance, so are the shorter ones.
    fn verdict(&self) -> Verdict {
        let at = self.sent.len() - self.repeated;
        let end = &self.sent[at..];
        if end.is_empty() {
            return Verdict::New;
        }
        if at == 0 && self.habit == Habit::Repeats {
            return Verdict::Again;
        }
        if self.habit != Habit::Unknown {
            let is_whole = at == 0 && self.beginning > 0;
            return if is_whole { Verdict::Again } else { Verdict::New };
        }
        if let Some(unit) = repeated_unit(end) {
            // What repeats itself may go on like that; nobody can tell whether it was begun anew.
            let may_be_anew = says_much(unit) || at == 0 && !self.is_long();
            return if may_be_anew { Verdict::Ambiguous } else { Verdict::New };
        }
        if at == 0 {
            return self.verdict_of_whole();
        }
        if self.is_part_of_word(end) {
            return Verdict::Again;
        }
        if !says_much(end) || memmem::find(self.sent.as_bytes(), end.as_bytes()) != Some(at) {
            return Verdict::New;
        }
        // Lines and rows that begin alike: `- Do not run in here\n- Do not run `.
        let before = self.sent[..at].trim_end();
        let is_row = common_end(before, end) >= PART_OF_ROW || end_with_one_word(before, end);
        // A row's end and the next one's beginning, `no |\n|`: the next may be equal.
        let may_be_meant = is_row || spans_sentences(end) || self.is_end_of_sentence();
        if may_be_meant { Verdict::Ambiguous } else { Verdict::Again }
    }

    /// What the whole text is that came again, and does not repeat itself.
    fn verdict_of_whole(&self) -> Verdict {
        // Who is to say a sentence or a line several times goes on by saying it.
        let may_be_meant = !self.is_long() && self.is_end_of_sentence();
        let is_again = self.beginning > 0 && !may_be_meant || self.is_part_of_word(&self.sent);
        if is_again { Verdict::Again } else { Verdict::Ambiguous }
    }

    /// Whether the text is so long that nobody says all of it again by chance.
    const fn is_long(&self) -> bool {
        self.sent.len() > WINDOW
    }

    /// Whether a line or a sentence is over at the joint, so that the same one may follow.
    fn is_end_of_sentence(&self) -> bool {
        let is_line = [self.blank.as_str(), self.lead()].iter().any(|it| it.contains(['\n', '\r']));
        is_line || ends_a_sentence(&self.sent)
    }

    /// Whether `end` is the word inside of which `sent` ends, and came again right at the joint.
    fn is_part_of_word(&self, end: &str) -> bool {
        let is_of_word = |char: char| char.is_alphanumeric() || char == '_';
        self.blank.is_empty()
            && self.lead().is_empty()
            && end.len() >= PART_OF_WORD
            && end.chars().all(|char| char.is_alphabetic() || char == '_')
            && !self.sent[..self.sent.len() - end.len()].ends_with(is_of_word)
    }

    /// Looks for the beginning of `sent` among the first words, and goes on comparing from there.
    fn find_beginning(&mut self) {
        let (sent, held) = (self.sent.as_bytes(), self.held.as_bytes());
        if self.anew.is_none() && self.beginning > 0 {
            let first = &held[..held.len().min(WINDOW + self.beginning)];
            self.anew = memmem::find(first, &sent[..self.beginning]).map(|at| (at, 0));
        }
        if let Some((at, same)) = &mut self.anew {
            *same += alike(&sent[*same..], &held[*at + *same..]);
        }
    }

    /// From which byte of the first words on the beginning of `sent` may still come.
    fn may_begin_anew(&self) -> Option<usize> {
        if self.beginning == 0 {
            return None;
        }
        let beginning = &self.sent.as_bytes()[..self.beginning];
        let held = self.held.as_bytes();
        let from = held.len().saturating_sub(self.beginning).max(self.taken);
        let begun = (from..WINDOW.min(held.len())).find(|at| beginning.starts_with(&held[*at..]));
        let may_come = held.len() < WINDOW && begins_an_answer(self.words());
        begun.or_else(|| may_come.then_some(held.len()))
    }

    /// What stands behind a repetition that ends at byte `at`, once its white space is there, too.
    fn behind(&mut self, at: usize) -> Result<String, Other> {
        let rest = &self.held[at..];
        if rest.len() < self.blank.len() && self.blank.starts_with(rest) {
            return Ok(String::new());
        }
        self.without(at)
    }

    /// What stands behind a repetition that ends at byte `at`, without the white space that ends
    /// what was sent. Where a word goes on instead of that, it is another word.
    fn without(&mut self, at: usize) -> Result<String, Other> {
        let rest = &self.held[at..];
        if !self.blank.is_empty() && rest.starts_with(|char: char| !char.is_whitespace()) {
            return Err(Other);
        }
        let pairs = rest.chars().zip(self.blank.chars());
        let same = pairs.take_while(|(one, other)| one == other);
        let new = rest[same.map(|(char, _)| char.len_utf8()).sum()..].to_owned();
        self.taken = self.held.len();
        self.is_over = true;
        Ok(new)
    }

    /// Whether the one space that ends what was sent came again, before a word. More of them, and
    /// line ends, are part of a layout, and may well go on.
    fn is_space_doubled(&self) -> bool {
        self.blank == " "
            && self.lead() == " "
            && self.words().starts_with(char::is_alphanumeric)
            && !has_wide_gaps(&self.sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is new of a continuation that came in these pieces.
    fn new_of(sent: &str, pieces: &[&str], habit: Habit) -> Result<String, Other> {
        let mut seam = Seam::after(sent, habit);
        let mut new = String::new();
        for piece in pieces {
            new += &if seam.is_over() { (*piece).to_owned() } else { seam.push(piece)? };
        }
        if seam.is_over() { Ok(new) } else { Ok(new + &seam.end()?) }
    }

    /// In one piece and in many, which must not differ.
    #[track_caller]
    fn assert_new(sent: &str, came: &str, expected: &str) {
        assert_eq!(
            new_of(sent, &[came], Habit::Unknown).as_deref(),
            Ok(expected),
            "{sent:?} + {came:?}"
        );
        let chars: Vec<String> = came.chars().map(String::from).collect();
        let pieces: Vec<&str> = chars.iter().map(String::as_str).collect();
        assert_eq!(
            new_of(sent, &pieces, Habit::Unknown).as_deref(),
            Ok(expected),
            "{sent:?} + {came:?}"
        );
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
        let rule = "-".repeat(WINDOW + 1);
        assert_new(&rule, &rule, &rule);
        assert_new("He laughed: ha ha ha ha ha", "ha ha ha ha ha!", "ha ha ha ha ha!");
    }

    #[test]
    fn white_space_at_the_joint_is_not_doubled() {
        assert_new("Hello ", " world", "world");
        assert_new("Hello.\n", "\nWorld", "\nWorld");
        assert_new("Hello", " world", " world");
        assert_new("Hello ", "\nworld", "\nworld");
        assert_new("if x:\n    ", "    y()", "    y()");
        assert_new("Hello there, all ", "Hello there, all of you", "of you");
        let long = format!("{SENT} so on, until {} of them are in.", "many ".repeat(20));
        assert_new(&format!("{long}\n\n"), &format!("{long}\n\nYou"), "You");
        assert_new(&format!("{long}\n\n"), &format!("{long} You"), " You");
        assert_new("Hello there, all ", " Hello there, all of you", "of you");
        assert_new("Hello ", " ", " ");
        assert_new("Hello there, all\u{2003}", "Hello there, all\u{2002}x", "\u{2002}x");
    }

    #[test]
    fn a_short_text_that_comes_again_behind_its_last_line_or_sentence_may_be_meant() {
        for (sent, came) in [
            ("Hello there, all.\n\n", "Hello there, all.\n\nYou"),
            ("Hello there, all.\n\n", "Hello there, all. You"),
            ("All work and no play.\n", "All work and no play.\nAll work and no play.\n"),
            ("We will, we will rock you\n", "We will, we will rock you\nSing it!"),
            ("Row, row, row your boat", "\nRow, row, row your boat\n"),
            ("Say it again: \"I will be good.\" ", "Say it again: \"I will be good.\" Now"),
        ] {
            assert_eq!(new_of(sent, &[came], Habit::Unknown), Err(Other), "{sent:?}");
        }
        assert_new("We will, we will rock", "We will, we will rock you", " you");
    }

    #[test]
    fn rows_that_begin_alike_are_never_taken_for_a_repetition() {
        for (sent, came) in [
            (
                "INSERT INTO t VALUES (1, 'a');\nINSERT INTO ",
                "t VALUES (1, 'a');\nINSERT INTO t VALUES (2, 'b');\n",
            ),
            ("| 1 | 2 | 3 |\n| 1 | 2 | ", "3 |\n| 1 | 2 | 4 |\n"),
            ("for a in b:\n    print(a, b)\n    pri", "nt(a, b)\n    print(c, d)\n"),
            ("- Do not run in here\n- Do not run ", "in here\n- Do not run out there\n"),
        ] {
            if let Ok(new) = new_of(sent, &[came], Habit::Unknown) {
                assert_eq!(new, came, "{sent:?}");
            }
        }
        assert_other("{\"items\":[{\"id\":0,\"nam", "{\"items\":[{\"id\":0,\"name\":1}]}");
    }

    #[test]
    fn what_may_be_meant_twice_is_never_left_out_in_silence() {
        assert_other("the cat. The cat sat on the mat. ", "The cat sat on the mat. Again.");
        let line = "All work and no play makes Jack a dull boy.\n";
        assert_other(&line.repeat(3), &line.repeat(3));
        assert_other(&format!("Intro. {}", line.repeat(3)), &line.repeat(3));
        let letters = "e".repeat(60);
        assert_new(&format!("ID36 {}", &letters[20..]), &letters, &letters);
        for whole in ["abababab", "11", "```", "ha ha"] {
            assert_other(whole, &format!("{whole} and more"));
        }
    }

    #[test]
    fn the_whole_text_that_comes_again_is_no_continuation_from_one_byte_on() {
        for (sent, came) in [
            ("Yes", "Yes. That is right."),
            ("I", "I think so."),
            ("I ", "I think so."),
            ("好", "好的"),
            ("42", "\n42"),
        ] {
            assert_other(sent, came);
        }
        assert_new(" \n", " \nYes", " \nYes");
    }

    #[test]
    fn an_end_that_spans_lines_or_sentences_may_be_meant() {
        let head = "| item | price | stock |\n|---|---|---|\n";
        for (sent, came) in [
            (format!("{head}| pear | 1 | no |\n|"), " pear | 1 | no |\n| apple | 2 | yes |\n"),
            (format!("{head}| pear | 1 | no |\n| "), "pear | 1 | no |\n| apple | 2 | yes |\n"),
            ("the cat sat on the mat\nth".into(), "e cat sat on the mat\nthe cat"),
            ("He sat. The cat saw it! The".into(), " cat saw it! The cat saw it!"),
            ("He saw it. (No, he did not.) The".into(), "he did not.) The end"),
            ("他说。我们现在开始讨论这个问题。我们".into(), "现在开始讨论这个问题。我们不"),
        ] {
            assert_other(&sent, came);
        }
        assert_new("He is 1.5 m tall, and v2.0 has", "1.5 m tall, and v2.0 has all", " all");
    }

    #[test]
    fn an_end_that_the_text_has_begun_to_repeat_may_be_meant() {
        let line = "We all live in a yellow submarine, We";
        assert_other(line, " all live in a yellow submarine, We all live");
        assert_other("| 1 | no | 2 pears |", " no | 2 pears | yes |");
    }

    #[test]
    fn words_that_begin_no_answer_are_new_at_once() {
        for (came, is_held) in [
            (" all", false),
            (", too", false),
            (" 7", false),
            ("Sure", true),
            ("```", true),
            (" 好", true),
        ] {
            let mut seam = Seam::after(SENT, Habit::Unknown);
            assert_eq!(seam.push(came).unwrap().is_empty(), is_held, "{came}");
            assert_eq!((seam.is_over(), seam.is_waiting()), (!is_held, is_held), "{came}");
        }
    }

    #[test]
    fn an_answer_begun_anew_that_is_another_one_is_no_continuation() {
        let short = "First we mix the flour.";
        assert_eq!(new_of(SENT, &[short], Habit::Unknown), Err(Other), "it ends early");
        let other = "First we mix the flour.\nThen comes the milk.";
        assert_eq!(new_of(SENT, &[other], Habit::Unknown), Err(Other));
        assert_new(SENT, "First we rest.", "First we rest.");
    }

    #[test]
    fn longer_white_space_at_the_joint_is_layout_and_stays() {
        assert_new("Hello.\n\n", "\n\nWorld", "\n\nWorld");
        assert_new("Hello", "\n\n\n\n\n\n\n\nWorld", "\n\n\n\n\n\n\n\nWorld");
        for run in ["\n".repeat(8), " ".repeat(8), "\t".to_owned(), "\n  ".to_owned()] {
            let came = format!("{run}x");
            assert_new(&format!("Hello{run}"), &came, &came);
        }
    }

    #[track_caller]
    fn assert_other(sent: &str, came: &str) {
        assert_eq!(new_of(sent, &[came], Habit::Unknown), Err(Other), "{sent:?} + {came:?}");
        let chars: Vec<String> = came.chars().map(String::from).collect();
        let pieces: Vec<&str> = chars.iter().map(String::as_str).collect();
        assert_eq!(new_of(sent, &pieces, Habit::Unknown), Err(Other), "{sent:?} + {came:?}");
    }

    #[test]
    fn an_answer_begun_anew_behind_other_words_is_swallowed_with_them() {
        let long = format!(
            "{SENT} so on, until all that was on the table is in the bowl, and{}",
            " so".repeat(30)
        );
        for before in ["Sure! ", "```\n", "Of course. Here is the text:\n\n", "\n", "Fi"] {
            assert_new(&long, &format!("{before}{long} all"), " all");
            assert_new(&format!("{long} "), &format!("{before}{long} of"), "of");
            if before != "\n" {
                assert_other(SENT, &format!("{before}{SENT} all"));
            }
            assert_other(SENT, &format!("{before}First we mix the flour.\nThen comes the milk."));
            assert_other(SENT, &format!("{before}First we mix the flour.\nThen"));
        }
        // Of a short text it may well be the next row.
        assert_other("The capital of ", "France is Paris. The capital of Spain is Madrid.");
        assert_other("Knock, knock.", "\nWho is there?\nKnock, knock.\nAgain?");
        let far = format!("{} ", "x".repeat(WINDOW));
        assert_new(SENT, &format!("{far}{SENT}"), &format!("{far}{SENT}"));
        assert_new(SENT, "Sure! First we rest.", "Sure! First we rest.");
    }

    #[test]
    fn a_line_that_comes_again_may_be_meant() {
        let rows = "id,name\n1,John Smith\n";
        assert_other(rows, "1,John Smith\n2,Jane\n");
        assert_other(rows.trim_end(), "\n1,John Smith\n2,Jane\n");
        assert_other(rows, "1,John Smithson\n");
        assert_other(rows, "Sure! id,name\n1,John Smithson\n");
        let verse = "One of us knows the way.\nNobody sings along tonight\nand the bells ring out,";
        let chorus = "Nobody sings along tonight\nand the bells ring out,";
        assert_other(&format!("{verse}\n\n"), chorus);
        assert_other(verse, &format!("\n\n{chorus}"));
        // One that the text itself says twice goes on so.
        let rows = "id,name\n1,John Smith\n1,John Smith\n";
        assert_new(rows, "1,John Smith\n", "1,John Smith\n");
        assert_new("id,name\n1,John Smith", "1,John Smith\n2,Jane", "\n2,Jane");
    }

    #[test]
    fn the_word_that_the_text_ends_inside_of_is_not_said_twice() {
        for (word, rest) in
            [("capi", "tal"), ("contin", "ent"), ("republic", "an"), ("this", " is")]
        {
            let sent = format!("It is a {word}");
            assert_new(&sent, &format!("{word}{rest} of it"), &format!("{rest} of it"));
        }
        let long = "internationaliza";
        assert_new(&format!("The {long}"), &format!("{long}tion"), "tion");
        for (sent, came) in [
            ("He said that", " that was it"),
            ("He said that ", "that was it"),
            ("0.1234", "1234"),
            ("He said haha", "haha"),
            ("unthinking", "thinking"),
            ("It is abc", "abc"),
        ] {
            assert_new(sent, came, came);
        }
        assert_new("Hello world. Hello", "Hello world. Hello there", " there");
    }

    #[test]
    fn no_more_than_the_window_is_held_back_where_nothing_comes_again() {
        let mut seam = Seam::after("Hello ", Habit::Unknown);
        assert_eq!(seam.push(&" ".repeat(WINDOW)).as_deref(), Ok(""));
        assert_eq!(seam.push(" "), Ok(" ".repeat(WINDOW + 1)));
        let mut seam = Seam::after(SENT, Habit::Unknown);
        assert_eq!(seam.push(&"X".repeat(WINDOW - 1)).as_deref(), Ok(""));
        assert_eq!(seam.push("X"), Ok("X".repeat(WINDOW)));
        let mut seam = Seam::after("Too short", Habit::Unknown);
        assert_eq!(seam.push("x").as_deref(), Ok("x"), "there is nothing to wait for");
        let long = "a".repeat(1 << 20);
        let mut seam = Seam::after(&long, Habit::Unknown);
        let mut push = || seam.push("aaaaaaaaaaaaaaab");
        let pieces = (0..99).take_while(|_| push().is_ok_and(|new| new.is_empty())).count();
        assert!(pieces < 98, "{pieces}");
    }

    #[test]
    fn words_that_may_be_a_beginning_are_shown_in_the_end() {
        let mut seam = Seam::after(SENT, Habit::Unknown);
        assert_eq!(seam.push("Sure").as_deref(), Ok(""));
        assert_eq!(seam.release(), "Sure");
        assert!(!seam.holds() && !seam.is_waiting());
        assert_eq!(seam.release(), "", "once");
        assert_eq!(seam.push("ly, a").as_deref(), Ok("ly, a"));
        // What may be the beginning is watched for all the same.
        assert_eq!(seam.push(" Fi").as_deref(), Ok(" "));
        assert_eq!(seam.release(), "");
        assert_eq!(seam.push("ve").as_deref(), Ok("Five"));
        assert_eq!(seam.push(" First").as_deref(), Ok(" "));
        assert_eq!(seam.end().as_deref(), Ok("First"));
    }

    #[test]
    fn what_comes_again_is_not_shown_however_long_it_takes() {
        for (first, rest, new) in [
            ("First we mix", " the flour.\nThen the eggs go in, one by one, and all", " all"),
            (" ", "one by one, and all", " all"),
            ("go in, one", " by one, and all", " all"),
            ("Then the eggs go in, one by one, and", " all", " all"),
            ("One", " at a time", "One at a time"),
            (" ", "One", " One"),
            ("The", " butter", "The butter"),
        ] {
            let mut seam = Seam::after(SENT, Habit::Unknown);
            let mut seen = seam.push(first).unwrap();
            seen += &seam.release();
            seen += &seam.push(rest).unwrap();
            seen += &if seam.is_over() { String::new() } else { seam.end().unwrap() };
            assert_eq!(seen, new, "{first:?} {rest:?}");
        }
    }

    #[test]
    fn an_answer_begun_anew_behind_words_that_were_shown_is_no_continuation() {
        let long = format!("{SENT} so on,{}", " and so".repeat(30));
        let mut seam = Seam::after(&long, Habit::Unknown);
        seam.push("Sure! ").unwrap();
        assert_eq!(seam.release(), "Sure! ");
        let mut shown = String::new();
        let anew = long.chars().map(|char| seam.push(char.encode_utf8(&mut [0; 4])));
        let broke = anew.into_iter().try_for_each(|new| new.map(|new| shown += &new));
        assert_eq!((broke, shown.as_str()), (Err(Other), ""));
    }

    #[test]
    fn who_was_told_to_go_on_is_believed() {
        let long = format!("{SENT} so on, until all is in the bowl,{}", " and so".repeat(20));
        for (sent, came) in [
            (SENT, "Then the eggs go in, one by one, and all is well."),
            (SENT, "First we mix the flour.\nThen comes the milk."),
            (SENT, "Sure! First we mix the flour."),
            ("It is a repub", "republic"),
            ("<svg>\n<rect width=\"10\"/>\n", "<rect width=\"10\"/>\n</svg>"),
            ("Row, row, row your boat\n", "Row, row, row your boat\ngently"),
            ("999", "999 bottles"),
            (&long, "and so on"),
        ] {
            assert_eq!(new_of(sent, &[came], Habit::GoesOn).as_deref(), Ok(came), "{sent:?}");
        }
        for habit in [Habit::GoesOn, Habit::Repeats] {
            let whole = format!("{long} it ends");
            assert_eq!(new_of(&long, &[&whole], habit).as_deref(), Ok(" it ends"));
        }
        assert_eq!(new_of("999", &["999 bottles"], Habit::Repeats).as_deref(), Ok(" bottles"));
    }

    #[test]
    fn many_equal_lines_may_be_followed_by_more() {
        let line = "    print(x)\n";
        for habit in [Habit::Unknown, Habit::GoesOn] {
            let pieces = vec![line; 67];
            let new = new_of(&line.repeat(33), &pieces, habit);
            assert_eq!(new.as_deref(), Ok(line.repeat(67).as_str()), "{habit:?}");
        }
    }

    #[test]
    fn a_second_space_stays_where_it_may_be_meant() {
        assert_new("She said ", " hello", "hello");
        assert_new("She said, ", " 42", "42");
        assert_new("x = 1 ", " # one", " # one");
        assert_new("| a ", " | b", " | b");
        assert_new("a   1\nb   2\nc ", "  3", "  3");
        assert_new("a  1\nb  2\nc ", " 3", " 3");
        assert_new("One.  Two. ", " Three.", " Three.");
        assert_new("- a\n  - b and ", " c", "c");
    }
}
