//! The seam between a text that was given as the beginning of an answer, and the words of the
//! provider that goes on with it. Some repeat the whole text, some its end, and some only the white
//! space that they took off it. The first words are held back until they have told which.
//!
//! No text is to come twice, none is to be lost. Where a repetition and new words that are the same
//! cannot be told apart, the answer is no continuation. The first line that fits decides:
//!
//! | What comes | What becomes of it |
//! |---|---|
//! | the whole text, if it [says much](says_much) | left out |
//! | the whole text of 4 bytes or more else, or one that repeats itself | no continuation |
//! | a distinctive end of the text, where a line or a sentence ends at the joint | no continuation |
//! | a distinctive end of the text, that ends as the text before it does | no continuation |
//! | a distinctive end of the text else | left out |
//! | the word that the text ends inside of, from its first letter, at least 4 bytes | left out |
//! | the text's beginning within the first 160 bytes, and from there the whole text, if it is long | left out, with what stands before it |
//! | the text's beginning within the first 160 bytes else | no continuation |
//! | the one space that the text ends with | left out |
//! | anything else | new |
//!
//! Long is a text of more than 160 bytes: nobody says that again by chance.
//! An end is distinctive if it [says much](says_much) and stands in the text only once. A word is
//! one of letters only. Neither is a repetition itself: figures and `haha` do go on like that.
//! Nobody begins an answer with a small letter, a figure or a comma: such words are new at once.

use std::ops::ControlFlow;

use memchr::memmem;

use super::NO_COINCIDENCE;

/// Bytes at the end of the text among which a repetition of the end only is looked for.
const LONGEST_TAIL: usize = 4096;

/// Bytes of several words that do not come again by chance.
const SEVERAL_WORDS: usize = 12;

/// Bytes of the first words among which an answer may be begun anew, behind a "Sure!" or a fence.
/// It bounds what is held back while nothing has come again.
const WINDOW: usize = 160;

/// Bytes of the shortest part of a word that does not come twice by chance.
const PART_OF_WORD: usize = 4;

/// Bytes at the end of rows that begin alike.
const PART_OF_ROW: usize = 4;

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
    /// Whether this provider is known to repeat the whole.
    may_repeat: bool,
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
    /// Whether the client has waited long enough for words that may be a beginning.
    is_late: bool,
}

impl Seam {
    pub(super) fn after(sent: &str, may_repeat: bool) -> Self {
        let text = sent.trim_end();
        Self {
            sent: text.to_owned(),
            blank: sent[text.len()..].to_owned(),
            may_repeat,
            beginning: distinctive_beginning(text),
            held: String::new(),
            open: Vec::new(),
            repeated: 0,
            anew: None,
            is_late: false,
        }
    }

    /// What nothing speaks against is new from now on.
    pub(super) const fn hurry(&mut self) {
        self.is_late = true;
    }

    /// Whether something came that the client has not seen.
    pub(super) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Takes the next piece of text: what of all that came is new, as soon as that is known.
    pub(super) fn push(&mut self, text: &str) -> ControlFlow<Result<String, Other>> {
        let known = self.words().len();
        self.held.push_str(text);
        if self.lead().len() > WINDOW {
            return ControlFlow::Break(Ok(self.held.clone()));
        }
        if known == 0 {
            self.open = self.beginnings();
        }
        self.compare(known);
        if !self.open.is_empty() || self.words().is_empty() {
            return ControlFlow::Continue(());
        }
        match self.verdict() {
            Verdict::Ambiguous => ControlFlow::Break(Err(Other)),
            Verdict::Again => self.behind(self.lead().len() + self.repeated),
            Verdict::New => self.push_new(),
        }
    }

    /// The words are no repetition from their first one on; they may become one.
    fn push_new(&mut self) -> ControlFlow<Result<String, Other>> {
        self.find_beginning();
        match self.anew {
            Some((at, same)) if same == self.sent.len() && self.is_long() => self.behind(at + same),
            Some((_, same)) if same == self.sent.len() => ControlFlow::Break(Err(Other)),
            Some((at, same)) if at + same < self.held.len() => ControlFlow::Break(Err(Other)),
            Some(_) => ControlFlow::Continue(()),
            None if self.may_begin_anew() => ControlFlow::Continue(()),
            None => ControlFlow::Break(Ok(self.as_new())),
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
            Some((at, same)) if same == self.sent.len() && self.is_long() => {
                self.without(at + same)
            }
            Some(_) => Err(Other),
            None if is_begun_anew => Err(Other),
            None => Ok(self.as_new()),
        }
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
        if at == 0 && self.may_repeat {
            return Verdict::Again;
        }
        if let Some(unit) = repeated_unit(end) {
            // What repeats itself may go on like that; nobody can tell whether it was begun anew.
            return if says_much(unit) { Verdict::Ambiguous } else { Verdict::New };
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
        let is_row = common_end(self.sent[..at].trim_end(), end) >= PART_OF_ROW;
        if is_row || self.is_end_of_sentence() { Verdict::Ambiguous } else { Verdict::Again }
    }

    /// What the whole text is that came again.
    fn verdict_of_whole(&self) -> Verdict {
        if self.beginning > 0 || self.is_part_of_word(&self.sent) {
            Verdict::Again
        } else if self.sent.len() < PART_OF_WORD {
            Verdict::New
        } else {
            Verdict::Ambiguous
        }
    }

    /// Whether the text is so long that nobody says all of it again by chance.
    const fn is_long(&self) -> bool {
        self.sent.len() > WINDOW
    }

    /// Whether a line or a sentence is over at the joint, so that the same one may follow.
    fn is_end_of_sentence(&self) -> bool {
        let is_line = [self.blank.as_str(), self.lead()].iter().any(|it| it.contains(['\n', '\r']));
        let closing = ['"', '\'', ')', ']', '*', '_', '”', '’', '»'];
        is_line
            || self.sent.trim_end_matches(closing).ends_with(['.', '!', '?', '…', '。', '！', '？'])
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

    /// Whether the beginning of `sent` may still come among the first words.
    fn may_begin_anew(&self) -> bool {
        let beginning = &self.sent.as_bytes()[..self.beginning];
        let held = self.held.as_bytes();
        let is_open = |at: usize| beginning.starts_with(&held[at..]);
        let from = held.len().saturating_sub(self.beginning);
        let may_come = held.len() < WINDOW && !self.is_late && begins_an_answer(self.words());
        self.beginning > 0 && (may_come || (from..WINDOW.min(held.len())).any(is_open))
    }

    /// What stands behind a repetition that ends at byte `at`, once its white space is there, too.
    fn behind(&self, at: usize) -> ControlFlow<Result<String, Other>> {
        let rest = &self.held[at..];
        if rest.len() < self.blank.len() && self.blank.starts_with(rest) {
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(self.without(at))
    }

    /// What stands behind a repetition that ends at byte `at`, without the white space that ends
    /// what was sent. Where a word goes on instead of that, it is another word.
    fn without(&self, at: usize) -> Result<String, Other> {
        let rest = &self.held[at..];
        if !self.blank.is_empty() && rest.starts_with(|char: char| !char.is_whitespace()) {
            return Err(Other);
        }
        let pairs = rest.chars().zip(self.blank.chars());
        let same = pairs.take_while(|(one, other)| one == other);
        Ok(rest[same.map(|(char, _)| char.len_utf8()).sum()..].to_owned())
    }

    /// What came, where nothing is repeated but one space. More of them, and line ends, are part
    /// of a layout, and may well go on.
    fn as_new(&self) -> String {
        let is_double = self.blank == " " && self.lead() == " ";
        if is_double { self.words().to_owned() } else { self.held.clone() }
    }
}

/// Whether an answer could begin so. Scripts without small letters leave it open.
fn begins_an_answer(words: &str) -> bool {
    let inside = [',', '.', ';', ':', '!', '?', ')', ']', '}', '%', '-', '…', '’', '”'];
    let first = words.chars().next();
    first.is_none_or(|char| !(char.is_lowercase() || char.is_numeric() || inside.contains(&char)))
}

/// What a text says again and again, at least twice and a part of the last time; white space
/// between two times may be missing at the end.
fn repeated_unit(text: &str) -> Option<&str> {
    let period = text.len() - longest_border(text.as_bytes());
    let unit = text.get(..period).filter(|unit| !unit.is_empty())?;
    (text.len() >= period * 2 || text.len() >= period + unit.trim_end().len()).then_some(unit)
}

/// Bytes of the longest end of a text that is its beginning, too, and not all of it.
fn longest_border(text: &[u8]) -> usize {
    let mut borders = vec![0_usize; text.len()];
    for at in 1..text.len() {
        let mut border = borders[at - 1];
        while border > 0 && text[border] != text[at] {
            border = borders[border - 1];
        }
        borders[at] = border + usize::from(text[border] == text[at]);
    }
    borders.last().copied().unwrap_or(0)
}

/// How many bytes two texts have in common at their beginning.
fn alike(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

/// How many bytes two texts have in common at their end.
fn common_end(one: &str, other: &str) -> usize {
    one.bytes().rev().zip(other.bytes().rev()).take_while(|(a, b)| a == b).count()
}

/// Bytes of the beginning of a text that do not come again by chance, 0 if it has no such one. A
/// text that begins with a rule or a frame has a longer one.
fn distinctive_beginning(text: &str) -> usize {
    let lengths = [1, 2, 4].map(|times| text.ceil_char_boundary(times * NO_COINCIDENCE));
    lengths.into_iter().find(|length| says_much(&text[..*length])).unwrap_or(0)
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
        assert_new("Hello.\n", "\nWorld", "\nWorld");
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
            if let Ok(new) = new_of(sent, &[came], false) {
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
        assert_new("abababab", "abababab", "abababab");
    }

    #[test]
    fn a_text_that_repeats_itself_is_known() {
        for (text, unit) in [
            ("aaa", Some("a")),
            ("ha ha", Some("ha ")),
            ("ha ha h", Some("ha ")),
            ("abcab", None),
            ("Hello", None),
            ("", None),
        ] {
            assert_eq!(repeated_unit(text), unit, "{text}");
        }
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
            assert_eq!(Seam::after(SENT, false).push(came).is_continue(), is_held, "{came}");
        }
        let mut seam = Seam::after(SENT, false);
        assert!(seam.push("Sure").is_continue());
        seam.hurry();
        assert_eq!(seam.push("ly"), ControlFlow::Break(Ok("Surely".to_owned())));
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
        assert_eq!(new_of(sent, &[came], false), Err(Other), "{sent:?} + {came:?}");
        let chars: Vec<String> = came.chars().map(String::from).collect();
        let pieces: Vec<&str> = chars.iter().map(String::as_str).collect();
        let mut seam = Seam::after(sent, false);
        let broke = pieces.iter().map(|piece| seam.push(piece)).find(ControlFlow::is_break);
        let seen = broke.unwrap_or_else(|| ControlFlow::Break(seam.end()));
        assert_eq!(seen, ControlFlow::Break(Err(Other)), "{sent:?} + {came:?}");
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
        let mut seam = Seam::after("Hello ", false);
        assert!(seam.push(&" ".repeat(WINDOW)).is_continue());
        assert!(seam.push(" ").is_break());
        let mut seam = Seam::after(SENT, false);
        assert!(seam.push(&"X".repeat(WINDOW - 1)).is_continue());
        assert!(seam.push("X").is_break());
        let mut seam = Seam::after("Too short", false);
        assert!(seam.push("x").is_break(), "there is nothing to wait for");
        let long = "a".repeat(1 << 20);
        let mut seam = Seam::after(&long, false);
        let pieces = (0..99).take_while(|_| seam.push("aaaaaaaaaaaaaaab").is_continue()).count();
        assert!(pieces < 98, "{pieces}");
    }
}
