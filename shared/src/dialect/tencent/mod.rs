//! Tencent Chat's push callbacks: what became of pushes that Tencent took to the vendors itself.
//!
//! Sources: <https://trtc.io/document/67552> (`Push.OfflinePush`), <https://trtc.io/document/67551> (`Push.AllMemberPush`),
//! <https://trtc.io/document/34354> (how webhooks are called).

pub mod address;
pub mod answer;
pub mod callback;
mod event;

/// A callback about pushes, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Pushes of messages.
    OfflinePush,
    /// Pushes of tasks: to everybody, to tags, to one person.
    AllMemberPush,
}

impl Command {
    const ALL: [Self; 2] = [Self::OfflinePush, Self::AllMemberPush];

    /// `CallbackCommand`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OfflinePush => "Push.OfflinePush",
            Self::AllMemberPush => "Push.AllMemberPush",
        }
    }

    /// The command of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|command| command.name() == name)
    }
}
