//! What is written as a text, or as a table when there is more to say.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::manifest::{Arg, Pick, PickTable};

enum Either<T> {
    Text(String),
    Table(T),
}

/// Makes something of either.
struct Reader<T, F> {
    expecting: &'static str,
    make: F,
    table: PhantomData<T>,
}

fn reader<T, F>(expecting: &'static str, make: F) -> Reader<T, F> {
    Reader { expecting, make, table: PhantomData }
}

impl<'de, T: Deserialize<'de>, O, F: Fn(Either<T>) -> O> Visitor<'de> for Reader<T, F> {
    type Value = O;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.expecting)
    }

    fn visit_str<E>(self, text: &str) -> Result<O, E> {
        Ok((self.make)(Either::Text(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<O, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|it| (self.make)(Either::Table(it)))
    }
}

impl<'de> Deserialize<'de> for Arg {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(reader("a word, or a table with if and args", |it| match it {
            Either::Text(word) => Self::Word(word),
            Either::Table(table) => Self::If(table),
        }))
    }
}

impl<'de> Deserialize<'de> for Pick {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let expecting =
            "a JSON pointer such as \"/hashrate/total\", or a table with pointer or regex";
        from.deserialize_any(reader(expecting, |it| match it {
            Either::Text(pointer) => {
                Self(PickTable { pointer: Some(pointer), ..PickTable::default() })
            }
            Either::Table(table) => Self(table),
        }))
    }
}
