//! Reading a URL's query and path.

/// The value of `name` in a URL's query.
pub(crate) fn query_value(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == name && !value.is_empty()).then(|| percent_decoded(&value.replace('+', " ")))
    })
}

/// Text with its `%XX` undone.
pub(crate) fn percent_decoded(text: &str) -> String {
    let digit = |byte: u8| (byte as char).to_digit(16);
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = match &bytes[at..] {
            [b'%', high, low, ..] => digit(*high).zip(digit(*low)),
            _ => None,
        };
        plain.push(escaped.map_or(bytes[at], |(high, low)| (high * 16 + low) as u8));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&plain).into_owned()
}
