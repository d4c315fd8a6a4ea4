//! What calls need around them.

/// What a call needs around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Around {
    /// One statement that reads.
    Read,
    /// Several statements that read one state of the data.
    Snapshot,
    /// One statement that writes.
    Write,
    /// Several statements that take effect together.
    Transaction,
    /// Statements that change the schema.
    Schema,
}

impl Around {
    /// Whether the call may write.
    pub(crate) fn writes(self) -> bool {
        !matches!(self, Self::Read | Self::Snapshot)
    }
}

/// How the transaction goes back to where the call began.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Undo {
    /// There is none: a statement that is refused leaves nothing behind.
    Nothing,
    /// There is none either, and each statement takes effect by itself.
    Alone,
    /// The transaction is the call's own.
    Own,
    /// There is a savepoint around the call.
    Call,
    /// There is a savepoint around a part of the bulk.
    Part,
}

impl Undo {
    /// Whether nothing is lost with all that the transaction did, if there is one.
    pub(crate) fn is_of_the_call(self) -> bool {
        matches!(self, Self::Alone | Self::Own)
    }

    /// The statements that undo, if there is something to undo.
    pub(crate) fn sql(self) -> Option<&'static str> {
        match self {
            Self::Nothing | Self::Alone => None,
            Self::Own => Some("ROLLBACK; BEGIN"),
            Self::Call => Some("ROLLBACK TO SAVEPOINT strongroom_call"),
            Self::Part => Some("ROLLBACK TO SAVEPOINT strongroom_part"),
        }
    }
}
