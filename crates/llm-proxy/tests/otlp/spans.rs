//! As much of OTLP's protobuf form as the tests look at.

use std::collections::BTreeMap;

/// A span as a collector gets it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Span {
    pub(crate) trace: Vec<u8>,
    pub(crate) id: Vec<u8>,
    pub(crate) parent: Vec<u8>,
    pub(crate) name: String,
    /// 2 is a server's, 3 a client's.
    pub(crate) kind: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) attributes: BTreeMap<String, String>,
    /// 2 is an error.
    pub(crate) status: u64,
}

/// The spans of one export.
pub(crate) fn spans(export: &[u8]) -> Vec<Span> {
    let below = |bytes: &[u8], number| -> Vec<Vec<u8>> {
        fields(bytes).filter(|field| field.0 == number).map(|field| field.1.bytes()).collect()
    };
    let scopes = below(export, 1).into_iter().flat_map(|resource| below(&resource, 2));
    scopes.flat_map(|scope| below(&scope, 2)).map(|span| read(&span)).collect()
}

fn read(bytes: &[u8]) -> Span {
    let mut span = Span::default();
    for (number, value) in fields(bytes) {
        match number {
            1 => span.trace = value.bytes(),
            2 => span.id = value.bytes(),
            4 => span.parent = value.bytes(),
            5 => span.name = value.text(),
            6 => span.kind = value.number(),
            7 => span.start = value.number(),
            8 => span.end = value.number(),
            9 => span.attributes.extend([attribute(&value.bytes())]),
            15 => {
                let status = value.bytes();
                let code = fields(&status).find(|field| field.0 == 3);
                span.status = code.map_or(0, |field| field.1.number());
            }
            _ => {}
        }
    }
    span
}

fn attribute(bytes: &[u8]) -> (String, String) {
    let [mut name, mut told] = [String::new(), String::new()];
    for (number, value) in fields(bytes) {
        match number {
            1 => name = value.text(),
            _ => {
                told = fields(&value.bytes()).map(|(_, value)| value.text()).collect();
            }
        }
    }
    (name, told)
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl Field<'_> {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.to_vec(),
            Self::Number(number) => panic!("{number} for bytes"),
        }
    }

    fn number(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            Self::Bytes(bytes) => panic!("{bytes:?} for a number"),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }
}

/// The numbers and values of a message's fields.
fn fields(mut rest: &[u8]) -> impl Iterator<Item = (u64, Field<'_>)> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let tag = varint(&mut rest);
        let fixed = |rest: &mut &[u8], length: usize| {
            let (value, after) = rest.split_at(length);
            *rest = after;
            value.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
        };
        let value = match tag & 7 {
            0 => Field::Number(varint(&mut rest)),
            1 => Field::Number(fixed(&mut rest, 8)),
            2 => {
                let length = usize::try_from(varint(&mut rest)).unwrap();
                let (value, after) = rest.split_at(length);
                rest = after;
                Field::Bytes(value)
            }
            5 => Field::Number(fixed(&mut rest, 4)),
            other => panic!("wire type {other}"),
        };
        Some((tag >> 3, value))
    })
}

fn varint(rest: &mut &[u8]) -> u64 {
    let length = rest.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    let (value, after) = rest.split_at(length);
    *rest = after;
    value.iter().rev().fold(0, |number, byte| number << 7 | u64::from(byte & 0x7f))
}
