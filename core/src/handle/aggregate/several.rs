//! Several aggregations as one: their output has the shape that they have.

use std::collections::BTreeMap;

use super::{Aggregate, AggregateObjects, AggregateWithin, Answer, Question, name_within};
use crate::error::Result;
use crate::handle::document::Document;

/// A shape of several aggregations, with how it asks and reads.
macro_rules! shape {
    (
        [$($generics:tt)*] $shape:ty => $output:ty, of $($inner:ident)*;
        |$this:ident, $name:ident, $question:ident| $ask:expr;
        |$answer:ident| $read:expr
    ) => {
        #[diagnostic::do_not_recommend]
        impl<T: Document, $($inner: Aggregate<T>,)* $($generics)*> Aggregate<T> for $shape {
            type Output = $output;

            fn ask(&self, $name: &str, $question: &mut Question) {
                let $this = self;
                $ask
            }

            fn read(&self, $name: &str, $answer: &mut Answer<'_, T>) -> Result<Self::Output> {
                let $this = self;
                $read
            }
        }

        #[diagnostic::do_not_recommend]
        impl<T: Document, $($inner: AggregateWithin<T>,)* $($generics)*> AggregateWithin<T>
            for $shape
        {
        }

        #[diagnostic::do_not_recommend]
        impl<T: Document, $($inner: AggregateObjects<T>,)* $($generics)*> AggregateObjects<T>
            for $shape
        {
        }
    };
}

shape! {
    [] () => (), of;
    |_this, _name, _question| {};
    |_answer| Ok(())
}
shape! {
    [] Option<A> => Option<A::Output>, of A;
    |this, name, question| if let Some(inner) = this {
        inner.ask(name, question);
    };
    |answer| this.as_ref().map(|inner| inner.read(name, answer)).transpose()
}
shape! {
    [] Vec<A> => Vec<A::Output>, of A;
    |this, name, question| for (at, inner) in this.iter().enumerate() {
        inner.ask(&name_within(name, at), question);
    };
    |answer| {
        let inner = this.iter().enumerate();
        inner.map(|(at, inner)| inner.read(&name_within(name, at), answer)).collect()
    }
}
shape! {
    [const N: usize] [A; N] => Vec<A::Output>, of A;
    |this, name, question| for (at, inner) in this.iter().enumerate() {
        inner.ask(&name_within(name, at), question);
    };
    |answer| {
        let inner = this.iter().enumerate();
        inner.map(|(at, inner)| inner.read(&name_within(name, at), answer)).collect()
    }
}
shape! {
    [] BTreeMap<String, A> => BTreeMap<String, A::Output>, of A;
    |this, name, question| for (own, inner) in this {
        inner.ask(&name_within(name, own), question);
    };
    |answer| {
        let inner = this.iter();
        inner
            .map(|(own, inner)| Ok((own.clone(), inner.read(&name_within(name, own), answer)?)))
            .collect()
    }
}

macro_rules! tuple {
    ($($inner:ident $at:tt),+) => {
        shape! {
            [] ($($inner,)+) => ($($inner::Output,)+), of $($inner)+;
            |this, name, question| {
                $(this.$at.ask(&name_within(name, $at), question);)+
            };
            |answer| Ok(($(this.$at.read(&name_within(name, $at), answer)?,)+))
        }
    };
}
tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
