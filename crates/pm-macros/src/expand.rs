//! The expansion of `#[pm::task]`: a function that describes a task and runs the original body as that task.
//!
//! Names defined here are invisible to the body (`mixed_site`), and errors have the span of their cause.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens as _, quote_spanned};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned as _;
use syn::{
    AngleBracketedGenericArguments, Attribute, Error, GenericArgument, PathArguments, PathSegment, ReturnType,
    Signature, Token, Type, TypeParamBound, Visibility, braced,
};

use crate::options::Options;

/// A function, with its body as tokens.
struct Function {
    attrs: Vec<Attribute>,
    vis: Visibility,
    sig: Signature,
    inner_attrs: Vec<Attribute>,
    body: TokenStream,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let begin = input.fork();
        let sig = input.parse::<Signature>().map_err(|error| {
            if is_function(&begin) {
                error
            } else {
                Error::new(error.span(), "`#[pm::task]` applies to functions only")
            }
        })?;
        if input.peek(Token![;]) {
            return Err(Error::new(sig.ident.span(), "a function without a body cannot run as a task"));
        }
        let content;
        braced!(content in input);
        let inner_attrs = content.call(Attribute::parse_inner)?;
        Ok(Self { attrs, vis, sig, inner_attrs, body: content.parse()? })
    }
}

pub(crate) fn expand(options: TokenStream, function: TokenStream) -> syn::Result<TokenStream> {
    let options: Options = syn::parse2(options)?;
    let Function { attrs, vis, sig, inner_attrs, body } = syn::parse2(function)?;
    check(&sig, &options)?;

    let here = Span::mixed_site();
    let builder = builder(&sig, &options);
    // Errors of the type have its span.
    let (there, ty) = match &sig.output {
        ReturnType::Default => (here, quote_spanned!(here=> ())),
        ReturnType::Type(_, ty) => (here.located_at(ty.span()), ty.to_token_stream()),
    };
    let is_async = sig.asyncness.is_some();
    let boxed = if is_async { None } else { output_of_boxed_future(&sig.output) };
    let polls = is_async || boxed.is_some();
    let returns_result = boxed.or(output_type(&sig.output)).is_some_and(is_result);
    let run = match (options.no_cancel, returns_result) {
        (false, _) if polls => "run",
        (false, _) => "run_sync",
        (true, true) if polls => "run_result_uncancellable",
        (true, true) => "run_result_sync_uncancellable",
        (true, false) if polls => "run_uncancellable",
        (true, false) => "run_sync_uncancellable",
    };
    let run = Ident::new(run, there);
    // An async block cannot declare its type; without that, coercions to the return type would fail.
    let body = quote_spanned!(here=> { if false { return ::pm::__macros::type_of_output::<#ty>(); } { #body } });
    let body = if is_async { quote_spanned!(here=> async move #body) } else { quote_spanned!(here=> move || #body) };
    let body = if boxed.is_some() {
        // The body is evaluated at once, as it may use arguments that do not live as long as the future. The task
        // starts with the first poll.
        quote_spanned!(there=> {
            let future = (#body)();
            ::std::boxed::Box::pin(async move { ::pm::__macros::#run(task, future).await })
        })
    } else if is_async {
        quote_spanned!(there=> ::pm::__macros::#run(task, #body).await)
    } else {
        let ends_with_the_call = quote_spanned!(there=> <#ty as ::pm::__macros::NotAFutureOrWrittenInFull<_>>::CHECKED);
        quote_spanned!(there=> { () = #ends_with_the_call; ::pm::__macros::#run(task, #body) })
    };
    Ok(quote_spanned! {here=>
        #(#attrs)* #vis #sig {
            #(#inner_attrs)*
            let task = #builder;
            #body
        }
    })
}

/// Returns the name of a function or an attribute, without `r#`.
pub(crate) fn plain(name: &Ident) -> String {
    let name = name.to_string();
    name.strip_prefix("r#").map_or(name.clone(), str::to_owned)
}

fn builder(sig: &Signature, options: &Options) -> TokenStream {
    let here = Span::mixed_site();
    let begin = match &options.id {
        Some(id) => quote_spanned!(here=> ::pm::task(&#id)),
        None => quote_spanned!(here=> ::pm::unnamed()),
    };
    let kind = match &options.kind {
        Some(kind) => kind.to_token_stream(),
        None => plain(&sig.ident).to_token_stream(),
    };
    let attrs = options.attrs.iter().map(|(name, value)| quote_spanned!(value.span()=> .attr(#name, #value)));
    let on_cancel = options.on_cancel.iter().map(|policy| quote_spanned!(policy.span()=> .on_cancel(#policy)));
    quote_spanned!(here=> #begin.kind(#kind) #(#attrs)* #(#on_cancel)*)
}

/// Refuses functions that cannot be tasks, with advice.
fn check(sig: &Signature, options: &Options) -> syn::Result<()> {
    let refuse = |span, words: &str| Err(Error::new(span, words));
    if let Some(token) = &sig.constness {
        return refuse(token.span(), "a `const fn` cannot run as a task, as the compiler may call it");
    }
    if let Some(abi) = &sig.abi {
        return refuse(abi.span(), "an `extern` function cannot run as a task; let it call one that does");
    }
    match &sig.output {
        ReturnType::Default if !options.no_cancel => refuse(
            sig.ident.span(),
            "a cancelled task needs something to return: write `-> Result<(), E>` with `E: From<pm::Cancelled>`, such \
             as `pm::Cancelled` itself, or `#[pm::task(no_cancel)]`",
        ),
        ReturnType::Type(_, ty) if matches!(**ty, Type::Never(_)) => refuse(
            ty.span(),
            "a task that never returns cannot be stopped: return `Result<std::convert::Infallible, pm::Cancelled>`",
        ),
        ReturnType::Type(_, ty) if mentions(&ty.to_token_stream(), "impl") => {
            refuse(ty.span(), "a task cannot return `impl Trait`: name the type, or return a `Box<dyn Trait>`")
        }
        _ => Ok(()),
    }
}

/// Returns `true` if `fn` follows its possible qualifiers.
fn is_function(begin: ParseStream<'_>) -> bool {
    let before = ["const", "async", "unsafe", "extern"];
    let words =
        |input: ParseStream<'_>| input.call(Ident::parse_any).is_ok_and(|word| before.iter().any(|it| word == it));
    while !begin.peek(Token![fn]) && words(begin) {
        let _ = begin.parse::<Option<syn::LitStr>>();
    }
    begin.peek(Token![fn])
}

fn output_type(output: &ReturnType) -> Option<&Type> {
    match output {
        ReturnType::Default => None,
        ReturnType::Type(_, ty) => Some(ty),
    }
}

fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        Type::Group(group) => last_segment(&group.elem),
        Type::Paren(paren) => last_segment(&paren.elem),
        _ => None,
    }
}

/// Returns `true` if a type is named `Result`, as those of `std`, `io` and `anyhow`.
fn is_result(ty: &Type) -> bool {
    last_segment(ty).is_some_and(|last| last.ident == "Result")
}

fn arguments(segment: &PathSegment) -> Option<&AngleBracketedGenericArguments> {
    match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => Some(arguments),
        _ => None,
    }
}

fn last_type(segment: &PathSegment) -> Option<&Type> {
    arguments(segment)?.args.iter().rev().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// Returns the output of a boxed future that a function returns: `Pin<Box<dyn Future<Output = T>>>`, as the methods of
/// `async-trait` do, or `BoxFuture<T>` and `LocalBoxFuture<T>` of the crate `futures`.
fn output_of_boxed_future(output: &ReturnType) -> Option<&Type> {
    let outer = last_segment(output_type(output)?)?;
    if outer.ident == "BoxFuture" || outer.ident == "LocalBoxFuture" {
        return last_type(outer);
    }
    let inner = last_segment(last_type(outer).filter(|_| outer.ident == "Pin")?)?;
    let Type::TraitObject(object) = last_type(inner).filter(|_| inner.ident == "Box")? else { return None };
    object.bounds.iter().find_map(|bound| match bound {
        TypeParamBound::Trait(bound) => {
            let future = bound.path.segments.last().filter(|last| last.ident == "Future")?;
            arguments(future)?.args.iter().find_map(|argument| match argument {
                GenericArgument::AssocType(named) if named.ident == "Output" => Some(&named.ty),
                _ => None,
            })
        }
        _ => None,
    })
}

fn mentions(tokens: &TokenStream, word: &str) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(name) => name == word,
        TokenTree::Group(group) => mentions(&group.stream(), word),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    #[track_caller]
    fn refused(options: TokenStream, function: TokenStream, words: &str) {
        let error = expand(options, function).expect_err("it was accepted");
        assert!(error.to_string().contains(words), "{error}");
    }

    #[test]
    fn functions_that_cannot_run_as_a_task_are_refused_with_advice() {
        let none = TokenStream::new;
        refused(
            none(),
            quote!(
                fn f() {}
            ),
            "or `#[pm::task(no_cancel)]`",
        );
        refused(
            none(),
            quote!(
                const fn f() -> Result<(), E> {
                    Ok(())
                }
            ),
            "a `const fn` cannot",
        );
        refused(
            none(),
            quote!(
                extern "C" fn f() -> Result<(), E> {
                    Ok(())
                }
            ),
            "an `extern` function cannot",
        );
        refused(
            none(),
            quote!(
                async fn f() -> ! {
                    loop {}
                }
            ),
            "return `Result<std::convert::Infallible",
        );
        refused(
            none(),
            quote!(
                fn f() -> Result<impl Fn(), E> {
                    Ok(|| ())
                }
            ),
            "return a `Box<dyn Trait>`",
        );
        refused(
            none(),
            quote!(
                fn f(&self) -> Result<(), E>;
            ),
            "without a body",
        );
        refused(
            none(),
            quote!(
                struct Fn {
                    f: u8,
                }
            ),
            "applies to functions only",
        );
        refused(none(), quote!(impl Store { fn f() {} }), "applies to functions only");
        refused(
            none(),
            quote!(
                pub static F: fn() = f;
            ),
            "applies to functions only",
        );
    }

    #[test]
    fn boxed_futures_are_known_by_their_types() {
        let output = |ty: TokenStream| {
            let output: ReturnType = syn::parse2(quote!(-> #ty)).unwrap();
            output_of_boxed_future(&output).map(|ty| ty.to_token_stream().to_string())
        };
        assert_eq!(output(quote!(Pin<Box<dyn Future<Output = u32> + Send + 'a>>)).as_deref(), Some("u32"));
        let written = quote!(::core::pin::Pin<Box<dyn ::core::future::Future<Output = Result<u8, E>> + 'async_trait>>);
        assert_eq!(output(written).as_deref(), Some("Result < u8 , E >"));
        assert_eq!(output(quote!(futures::future::BoxFuture<'static, u8>)).as_deref(), Some("u8"));
        assert_eq!(output(quote!(LocalBoxFuture<'_, ()>)).as_deref(), Some("()"));
        for other in [quote!(Pin<Box<dyn Stream<Item = u8>>>), quote!(Box<dyn Fn()>), quote!(Result<u8, E>), quote!(u8)]
        {
            assert_eq!(output(other), None);
        }
    }

    #[test]
    fn wrong_options_are_refused_with_the_known_ones() {
        let function = || {
            quote!(
                fn f() -> Result<(), E> {
                    Ok(())
                }
            )
        };
        refused(quote!(name = "x"), function(), "unknown option `name`; the options are `id = ..`");
        refused(quote!(id = "x", id = "y"), function(), "option `id` is given twice");
        refused(quote!(id "x"), function(), "expected `=`");
        refused(quote!(kind), function(), "expected `=`");
        refused(quote!(attrs(rows.len())), function(), "expected `,`");
        refused(quote!(attrs("http.method")), function(), "expected `=`");
        refused(quote!(no_cancel attrs()), function(), "expected `,`");
        refused(quote!("x"), function(), "expected identifier");
    }
}
