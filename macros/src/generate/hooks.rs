//! The server's side of the server enum: the topics' trait, and the way from a topic's index and
//! key to its hooks. When a hook is asked is the runtime's.

use proc_macro2::{Ident, TokenStream};
use syn::Type;

use super::describe::index;
use crate::attr::bare;
use crate::fallback;
use crate::hygiene::{code, derived};
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
    let (vis, ident, lints) = (model.vis(), model.ident(), model.lints());
    let name = server.protocol().ident("Topics", ident);
    let hooks = server.topics().iter().map(|topic| declared(model, server, topic));
    let doc = format!(
        " Answers for the topics of [`{ident}`]: who may follow one, and what its state is."
    );
    let ptr_arg = server.topics().iter().any(|topic| is_owned_text(topic.ty()));
    let ptr_arg = ptr_arg.then(|| code!(#[allow(clippy::ptr_arg)]));
    code! {
        #[doc = #doc]
        ///
        /// # Cancellation
        /// A hook is dropped at its next await when the node's time for hooks is over, or nobody
        /// waits for it any more.
        #ptr_arg
        #(#lints)*
        #vis trait #name: ::core::marker::Send + ::core::marker::Sync + 'static {
            #(#hooks)*
        }
    }
}

/// Whether clippy would rather have a slice: a hook gets the key's type, whatever it is.
fn is_owned_text(ty: &Type) -> bool {
    let Type::Path(path) = bare(ty) else { return false };
    let last = path.path.segments.last().map(|last| last.ident.to_string());
    last.is_some_and(|last| ["String", "Vec", "PathBuf", "OsString", "Cow"].contains(&&*last))
}

/// The declarations of one topic's hooks.
fn declared(model: &Model, server: &Server, topic: &Topic) -> TokenStream {
    let (private, error) = (model.private(), server.error());
    let (name, field, ty) = (topic.ident(), topic.field(), topic.ty());
    let (authorize, hook) = (derived(&topic.authorize()), derived(&topic.snapshot_hook()));
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
    let (private, ident, lints) = (model.private(), model.ident(), model.lints());
    if server.topics().is_empty() {
        return fallback::hooks(private, ident);
    }
    let name = server.protocol().ident("Topics", ident);
    let (authorize, snapshot) = (authorize(model, server, &name), snapshot(model, server, &name));
    code! {
        #[automatically_derived]
        #(#lints)*
        impl<__H: #name> #private::TopicHooks<__H> for #ident {
            #authorize
            #snapshot
        }
    }
}

fn authorize(model: &Model, server: &Server, name: &Ident) -> TokenStream {
    let private = model.private();
    let arms = server.topics().iter().enumerate().map(|(at, topic)| {
        let (at, hook, ty) = (index(at), derived(&topic.authorize()), topic.ty());
        code! {
            #at => {
                let __key = #private::decode_topic_key::<#ty>(&__key)?;
                #private::authorized(<__H as #name>::#hook(__handler, &__who, &__key).await)
            }
        }
    });
    code! {
        async fn authorize(
            __handler: &__H,
            __who: #private::Principal,
            __topic: ::core::primitive::u16,
            __key: ::std::string::String,
        ) -> ::core::result::Result<(), #private::Unauthorized> {
            match __topic {
                #(#arms)*
                _ => #private::unknown_topic(),
            }
        }
    }
}

/// `None` if no topic has a snapshot.
fn snapshot(model: &Model, server: &Server, name: &Ident) -> Option<TokenStream> {
    let private = model.private();
    let topics = server.topics().iter().enumerate();
    let arms = topics.filter(|(_, topic)| topic.snapshot().is_some()).map(|(at, topic)| {
        let (at, hook, ty) = (index(at), derived(&topic.snapshot_hook()), topic.ty());
        code! {
            #at => {
                let __key = #private::snapshot_key::<#ty>(&__key)?;
                #private::snapshot_outcome(
                    #private::TopicCx::codecs(&__cx),
                    <__H as #name>::#hook(__handler, &__cx, &__key).await,
                )
            }
        }
    });
    let arms: Vec<TokenStream> = arms.collect();
    (!arms.is_empty()).then(|| {
        code! {
            async fn snapshot(
                __handler: &__H,
                __cx: #private::TopicCx,
                __topic: ::core::primitive::u16,
                __key: ::std::string::String,
            ) -> #private::SnapshotOutcome {
                match __topic {
                    #(#arms)*
                    __other => #private::no_snapshot(__other),
                }
            }
        }
    })
}
