//! What all expansions have in common, item by item. How one of them reads is for `expansion`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::visit::{self, Visit};
use syn::{DeriveInput, Ident, ImplItem, ItemImpl, parse_quote};

use crate::expand::derive;
use crate::symbol::CLIENT_METHODS;

/// Every `impl`, also those in blocks and in `if_client! { .. }`.
#[derive(Default)]
struct Impls(Vec<ItemImpl>);

impl Impls {
    fn of(input: &DeriveInput) -> Vec<ItemImpl> {
        let mut found = Self::default();
        found.read(derive(input));
        found.0
    }

    fn read(&mut self, tokens: TokenStream) {
        let file = syn::parse2(tokens).expect("the expansion is a list of items");
        self.visit_file(&file);
    }
}

impl<'ast> Visit<'ast> for Impls {
    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        self.0.push(item.clone());
        visit::visit_item_impl(self, item);
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        let name = &item.mac.path.segments.last().expect("a path has segments").ident;
        if name == "if_client" || name == "if_server" {
            self.read(item.mac.tokens.clone());
        }
    }
}

fn chat() -> DeriveInput {
    parse_quote! {
        #[ws(client, protocol = "chat", version = "1.0", server = ChatEvent)]
        enum ChatCommand {}
    }
}

fn is(ty: &syn::Type, name: &str) -> bool {
    matches!(ty, syn::Type::Path(path) if path.path.is_ident(name))
}

#[test]
fn the_names_that_no_method_may_have_are_those_of_every_client() {
    let impls = Impls::of(&chat());
    let own = impls.iter().find(|item| item.trait_.is_none() && is(&item.self_ty, "ChatClient"));
    let own = own.expect("a client has methods").items.iter().map(|item| match item {
        ImplItem::Fn(function) => function.sig.ident.to_string(),
        other => unreachable!("a client has methods and nothing else: {}", quote!(#other)),
    });
    let mut found: Vec<String> = own.collect();
    // The handle's one trait that a method of that name would hide.
    found.push("clone".to_owned());
    assert_eq!(found, CLIENT_METHODS);
}

#[test]
fn the_documentation_lists_the_names_that_no_method_may_have() {
    let docs = include_str!("../../docs/derive.md").replace('\n', " ");
    let (_, list) = docs.split_once("whose names no message may have: ").expect("it is there");
    let (list, _) = list.split_once('.').expect("a sentence ends");
    let found: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    assert_eq!(found, CLIENT_METHODS);
}

/// Enums of every role, with each kind of message; and the same with mistakes.
fn enums() -> Vec<DeriveInput> {
    let messages = quote! {
        #[ws(client, protocol = "chat", version = "1.0", server = ChatEvent, error = ChatError)]
        enum ChatCommand {
            #[ws(request(reply = u64))] Post { room: u64 },
            #[ws(command)] Read(Read),
            #[ws(volatile(latest_by = room))] Typing { room: u64 },
        }
    };
    let events = quote! {
        #[ws(server, protocol = "chat", topic(Room, key = room: u64))]
        enum ChatEvent {
            #[ws(event(Room))] Posted(Posted),
            #[ws(snapshot(Room))] History { room: u64 },
            #[ws(volatile(Room))] Typing { room: u64 },
            #[ws(unknown)] Unknown(UnknownMessage),
        }
    };
    let errors = quote! {
        #[ws(error)]
        enum ChatError { Muted, Full { limit: u64 }, #[ws(unknown)] Unknown(UnknownMessage) }
    };
    let mistakes = quote! {
        #[ws(server, protocol = "chat")] enum A { #[ws(evnt(Room))] Posted(Posted) }
        #[ws(client, protocol = "chat")] enum B {}
        #[ws(server)] enum C { #[ws(event(Room))] Posted(Posted) }
        #[ws(error)] struct D;
        enum E {}
    };
    let file: syn::File = parse_quote!(#messages #events #errors #mistakes);
    let inputs = file.items.into_iter().map(|item| parse_quote!(#item));
    inputs.collect()
}

#[test]
fn every_implementation_of_a_trait_says_that_it_is_derived() {
    let mut traits = 0;
    for input in enums() {
        for item in Impls::of(&input) {
            let of_trait = item.trait_.is_some();
            let said = item.attrs.iter().any(|attr| attr.path().is_ident("automatically_derived"));
            assert_eq!(said, of_trait, "{}: {}", input.ident, quote!(#item));
            traits += usize::from(of_trait);
        }
    }
    assert!(traits > 20, "only {traits} were looked at");
}

#[test]
fn a_client_hands_nothing_on_that_it_does_not_name() {
    let traits: Vec<Ident> = Impls::of(&chat())
        .into_iter()
        .filter(|item| is(&item.self_ty, "ChatClient"))
        .filter_map(|item| item.trait_)
        .map(|(path, _)| path.segments.last().expect("a path has segments").ident.clone())
        .collect();
    assert_eq!(traits, ["ClientStub"]);
}

#[test]
fn nothing_is_allowed_that_a_user_could_forbid() {
    for input in enums() {
        let expansion = derive(&input).to_string();
        assert!(!expansion.contains("allow"), "{}: {expansion}", input.ident);
    }
}

/// Local variables and parameters, also those in `if_client! { .. }`.
#[derive(Default)]
struct Locals(Vec<String>);

impl Locals {
    fn read(&mut self, tokens: TokenStream) {
        self.visit_file(&syn::parse2(tokens).expect("the expansion is a list of items"));
    }
}

impl<'ast> Visit<'ast> for Locals {
    fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
        self.0.push(pattern.ident.to_string());
    }

    // Without a body, a parameter is a name and not a pattern.
    fn visit_trait_item(&mut self, _: &'ast syn::TraitItem) {}

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        let name = &item.mac.path.segments.last().expect("a path has segments").ident;
        if name != "compile_error" {
            self.read(item.mac.tokens.clone());
        }
    }
}

#[test]
fn a_local_variable_is_a_field_or_has_a_name_of_ours() {
    let fields = ["room", "limit"];
    let mut ours = 0;
    for input in enums() {
        let mut locals = Locals::default();
        locals.read(derive(&input));
        for name in locals.0.iter().filter(|name| !fields.contains(&name.as_str())) {
            assert!(name.starts_with("__"), "{}: `{name}`", input.ident);
            ours += 1;
        }
    }
    assert!(ours > 20, "only {ours} were looked at");
}
