//! The client's side of the server enum: a trait per topic, whose methods are called by whatever
//! happens there, and the way from an item to its method. When one is called is the runtime's.

use proc_macro2::{Ident, TokenStream};

use super::message::{attributes, members};
use super::parameters::{many, parameters};
use crate::hygiene::{code, derived};
use crate::model::{Kind, Message, Model, Payload, Server, Topic, unknown_method};

pub(super) fn views(model: &Model, server: &Server) -> TokenStream {
    let topics = server.topics().iter().enumerate();
    topics
        .map(|(at, topic)| {
            let (view, dispatch) = (view(model, at, topic), dispatch(model, at, topic));
            code!(#view #dispatch)
        })
        .collect()
}

/// Beside a mistake: whatever follows a topic is a view of it.
pub(super) fn stand_ins<'a>(model: &Model, topics: impl Iterator<Item = &'a Topic>) -> TokenStream {
    let private = model.private();
    let topics = topics.map(|topic| {
        let key = derived(topic.ident());
        code! {
            #[automatically_derived]
            impl<__V: ::core::marker::Send> #private::TopicView<__V> for #key {}
        }
    });
    topics.collect()
}

/// The messages of a topic that a view has methods for.
fn happenings(model: &Model, at: usize) -> impl Iterator<Item = &Message> {
    model.messages().iter().filter(move |message| match message.kind() {
        Kind::Event { topic } | Kind::TopicVolatile { topic, .. } => *topic == at,
        _ => false,
    })
}

/// ```text
/// pub trait RoomView: Send {
///     fn posted(&mut self, room: RoomId, id: MessageId) -> impl Future<Output = ()> + Send;
///     fn room_reset(&mut self, state: ChatEventHistory, reason: SnapshotReason)
///     -> impl Future<Output = ()> + Send;
///     fn room_resumed(&mut self, from: Position, count: u64) -> impl Future<Output = ()> + Send;
///     fn unknown(&mut self, message: UnknownMessage) -> impl Future<Output = ()> + Send;
/// }
/// ```
fn view(model: &Model, at: usize, topic: &Topic) -> TokenStream {
    let (private, vis, key, name) = (model.private(), model.vis(), topic.ident(), topic.view());
    let lints = model.lints();
    let events = happenings(model, at).map(|message| method(model, message));
    let (reset, unknown) = (reset(model, topic), unknown(model));
    let resumed = derived(&topic.resumed());
    let doc = format!(
        " What happens in a topic [`{key}`], a method for each: a client's `handle` calls them, \
         one after the other, and asks for more when they have ended."
    );
    code! {
        #[doc = #doc]
        ///
        /// # Cancellation
        /// A method is dropped at its next await when what `handle` returned is dropped.
        #(#lints)*
        #vis trait #name: ::core::marker::Send {
            #(#events)*
            #reset
            /// The connection was lost and is back, and nothing was missed: the topic goes on after
            /// `from`, with `count` events that were published meanwhile. Does nothing by default.
            fn #resumed(
                &mut self,
                _from: #private::Position,
                _count: ::core::primitive::u64,
            ) -> impl ::core::future::Future<Output = ()> + ::core::marker::Send {
                ::core::future::ready(())
            }
            #unknown
        }
    }
}

fn method(model: &Model, message: &Message) -> TokenStream {
    let attrs = attributes(message, &format!(" [`{}::{}`].", model.ident(), message.ident()));
    let (method, parameters) = (derived(message.method()), parameters(message, &code!(message)));
    let allow = many(message);
    code! {
        #attrs
        #allow
        fn #method(
            &mut self,
            #parameters
        ) -> impl ::core::future::Future<Output = ()> + ::core::marker::Send;
    }
}

fn reset(model: &Model, topic: &Topic) -> TokenStream {
    let (private, reset) = (model.private(), derived(&topic.reset()));
    match topic.snapshot() {
        Some(state) => code! {
            /// The topic's state: at the beginning, and after a gap. What came before is to be
            /// forgotten, and what follows is applied by identity, as the state may contain some of
            /// it.
            fn #reset(
                &mut self,
                state: #state,
                reason: #private::SnapshotReason,
            ) -> impl ::core::future::Future<Output = ()> + ::core::marker::Send;
        },
        None => code! {
            /// Events were missed for good.
            fn #reset(
                &mut self,
                gap: #private::Gap,
            ) -> impl ::core::future::Future<Output = ()> + ::core::marker::Send;
        },
    }
}

fn unknown(model: &Model) -> Option<TokenStream> {
    let (private, method) = (model.private(), derived(&unknown_method(model.unknown()?)));
    Some(code! {
        /// Something that this build does not know, from a newer server. Does nothing by default.
        fn #method(
            &mut self,
            _message: #private::UnknownMessage,
        ) -> impl ::core::future::Future<Output = ()> + ::core::marker::Send {
            ::core::future::ready(())
        }
    })
}

fn dispatch(model: &Model, at: usize, topic: &Topic) -> TokenStream {
    let (private, ident, name) = (model.private(), model.ident(), topic.view());
    let (key, lints) = (derived(topic.ident()), model.lints());
    let arms: Vec<TokenStream> =
        happenings(model, at).map(|message| arm(ident, &name, message)).collect();
    let unknown = model.unknown().map(|variant| {
        let (variant, method) = (derived(variant), derived(&unknown_method(variant)));
        code!(#ident::#variant(__message) => <__V as #name>::#method(__view, __message).await,)
    });
    // What belongs to other topics does not come here.
    let rest = (arms.len() < model.messages().len()).then(|| code!(_ => {}));
    let (reset, resumed) = (derived(&topic.reset()), derived(&topic.resumed()));
    let reset = match topic.snapshot() {
        Some(state) => code! {
            async fn snapshot(
                __view: &mut __V,
                __state: #state,
                __reason: #private::SnapshotReason,
            ) {
                <__V as #name>::#reset(__view, __state, __reason).await;
            }
        },
        None => code! {
            async fn gap(__view: &mut __V, __gap: #private::Gap) {
                <__V as #name>::#reset(__view, __gap).await;
            }
        },
    };
    code! {
        #[automatically_derived]
        #(#lints)*
        impl<__V: #name> #private::TopicView<__V> for #key {
            async fn event(__view: &mut __V, __event: #ident) {
                match __event {
                    #(#arms)*
                    #unknown
                    #rest
                }
            }
            #reset
            async fn resumed(
                __view: &mut __V,
                __from: #private::Position,
                __count: ::core::primitive::u64,
            ) {
                <__V as #name>::#resumed(__view, __from, __count).await;
            }
        }
    }
}

fn arm(ident: &Ident, name: &Ident, message: &Message) -> TokenStream {
    let (variant, method) = (derived(message.ident()), derived(message.method()));
    match message.payload() {
        Payload::Own(_) => code! {
            #ident::#variant(__message) => <__V as #name>::#method(__view, __message).await,
        },
        Payload::Generated(generated) if generated.fields().is_empty() => code! {
            #ident::#variant { .. } => <__V as #name>::#method(__view).await,
        },
        Payload::Generated(generated) => {
            let (fields, members) = (generated.idents(), members(message, generated));
            code! {
                #ident::#variant { #(#members),* } => {
                    <__V as #name>::#method(__view, #(#fields),*).await;
                }
            }
        }
    }
}
