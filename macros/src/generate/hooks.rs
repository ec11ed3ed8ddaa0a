//! The server's side of the server enum: the topics' trait, and the way from a topic's index and
//! key to its hooks. When a hook is asked is the runtime's.

use proc_macro2::TokenStream;

use super::describe::index;
use crate::fallback;
use crate::hygiene::code;
use crate::model::{Model, Server, Topic};

/// ```text
/// pub trait ChatTopics: Send + Sync + 'static {
///     fn may_subscribe_room(&self, who: &Principal, room: &RoomId)
///     -> impl Future<Output = Result<(), Denied>> + Send;
///     fn room_snapshot(&self, cx: &TopicCx, room: &RoomId)
///     -> impl Future<Output = Result<ChatEventHistory, ChatError>> + Send;
/// }
/// ```
pub(super) fn topics(model: &Model, server: &Server) -> TokenStream {
    if server.topics().is_empty() {
        return TokenStream::new();
    }
    let (vis, ident) = (model.vis(), model.ident());
    let name = server.protocol().ident("Topics", ident);
    let hooks = server.topics().iter().map(|topic| declared(model, server, topic));
    let doc = format!(
        " Answers for the topics of [`{ident}`]: who may follow one, and what its state is."
    );
    let message = format!("`{{Self}}` does not answer for the topics of `{ident}`");
    let note =
        format!("write `impl {name} for {{Self}}`, with an `async fn may_subscribe_..` per topic");
    code! {
        #[doc = #doc]
        ///
        /// # Cancellation
        /// A hook is dropped at its next await when the node's time for hooks is over, or nobody
        /// waits for it any more.
        #[diagnostic::on_unimplemented(message = #message, note = #note)]
        #[allow(deprecated, clippy::ptr_arg)]
        #vis trait #name: ::core::marker::Send + ::core::marker::Sync + 'static {
            #(#hooks)*
        }
    }
}

/// The declarations of one topic's hooks.
fn declared(model: &Model, server: &Server, topic: &Topic) -> TokenStream {
    let (private, error) = (model.private(), server.error());
    let (name, field, ty) = (topic.ident(), topic.field(), topic.ty());
    let (authorize, hook) = (topic.authorize(), topic.snapshot_hook());
    let may = format!(
        " Whether `who` may follow the topic [`{name}`] of this key. Asked for each subscription."
    );
    let snapshot = topic.snapshot().map(|state| {
        let doc = format!(
            " The state of the topic [`{name}`] of this key, at least as fresh as `cx` says."
        );
        code! {
            #[doc = #doc]
            fn #hook(
                &self,
                cx: &#private::TopicCx,
                #field: &#ty,
            ) -> impl ::core::future::Future<
                Output = ::core::result::Result<#state, #error>,
            > + ::core::marker::Send;
        }
    });
    code! {
        #[doc = #may]
        fn #authorize(
            &self,
            who: &#private::Principal,
            #field: &#ty,
        ) -> impl ::core::future::Future<
            Output = ::core::result::Result<(), #private::Denied>,
        > + ::core::marker::Send;
        #snapshot
    }
}

/// One match per hook: read the key, ask the application.
pub(super) fn hooks(model: &Model, server: &Server) -> TokenStream {
    let (private, ident) = (model.private(), model.ident());
    if server.topics().is_empty() {
        return fallback::hooks(private, ident);
    }
    let name = server.protocol().ident("Topics", ident);
    let (authorize, snapshot) = (authorize(model, server), snapshot(model, server));
    code! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl<__H: #name> #private::TopicHooks<__H> for #ident {
            #authorize
            #snapshot
        }
    }
}

fn authorize(model: &Model, server: &Server) -> TokenStream {
    let private = model.private();
    let arms = server.topics().iter().enumerate().map(|(at, topic)| {
        let (at, hook, ty) = (index(at), topic.authorize(), topic.ty());
        code! {
            #at => {
                let key = #private::decode_topic_key::<#ty>(&key)?;
                #private::authorized(handler.#hook(&who, &key).await)
            }
        }
    });
    code! {
        async fn authorize(
            handler: &__H,
            who: #private::Principal,
            topic: u16,
            key: ::std::string::String,
        ) -> ::core::result::Result<(), #private::Unauthorized> {
            match topic {
                #(#arms)*
                _ => #private::unknown_topic(),
            }
        }
    }
}

/// `None` if no topic has a snapshot.
fn snapshot(model: &Model, server: &Server) -> Option<TokenStream> {
    let private = model.private();
    let topics = server.topics().iter().enumerate();
    let arms = topics.filter(|(_, topic)| topic.snapshot().is_some()).map(|(at, topic)| {
        let (at, hook, ty) = (index(at), topic.snapshot_hook(), topic.ty());
        code! {
            #at => {
                let key = #private::snapshot_key::<#ty>(&key)?;
                #private::snapshot_outcome(cx.codec(), handler.#hook(&cx, &key).await)
            }
        }
    });
    let arms: Vec<TokenStream> = arms.collect();
    (!arms.is_empty()).then(|| {
        code! {
            async fn snapshot(
                handler: &__H,
                cx: #private::TopicCx,
                topic: u16,
                key: ::std::string::String,
            ) -> #private::SnapshotOutcome {
                match topic {
                    #(#arms)*
                    other => #private::no_snapshot(other),
                }
            }
        }
    })
}
