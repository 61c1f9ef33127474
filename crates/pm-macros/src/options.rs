//! The options in the parentheses of `#[pm::task(..)]`.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{Error, Expr, LitStr, Token, parenthesized};

#[derive(Default)]
pub(crate) struct Options {
    /// An expression of type `String`, or of that of `format_args!`.
    pub(crate) id: Option<TokenStream>,
    pub(crate) kind: Option<Expr>,
    /// Names, as strings, and values.
    pub(crate) attrs: Vec<(LitStr, TokenStream)>,
    pub(crate) no_cancel: bool,
    /// An expression of type `CancelPolicy`.
    pub(crate) on_cancel: Option<Expr>,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut options = Self::default();
        let mut seen = Vec::new();
        while !input.is_empty() {
            let name: Ident = input.parse()?;
            if seen.contains(&name) {
                return Err(Error::new(name.span(), format!("option `{name}` is given twice")));
            }
            match name.to_string().as_str() {
                "id" => options.id = Some(id(input)?),
                "kind" => {
                    input.parse::<Token![=]>()?;
                    options.kind = Some(input.parse()?);
                }
                "attrs" => {
                    let attrs;
                    parenthesized!(attrs in input);
                    let attrs = Punctuated::<Attr, Token![,]>::parse_terminated(&attrs)?;
                    options.attrs = attrs.into_iter().map(|attr| (attr.name, attr.value)).collect();
                }
                "no_cancel" => options.no_cancel = true,
                "on_cancel" => {
                    input.parse::<Token![=]>()?;
                    options.on_cancel = Some(input.parse()?);
                }
                other => {
                    let known = "the options are `id = ..`, `kind = ..`, `attrs(name = value, ..)`, \
                                 `on_cancel = ..` and `no_cancel`";
                    return Err(Error::new(name.span(), format!("unknown option `{other}`; {known}")));
                }
            }
            seen.push(name);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

/// Parses an id: a string literal is a format string, any other expression is displayed.
fn id(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    input.parse::<Token![=]>()?;
    let value: Expr = input.parse()?;
    Ok(match &value {
        Expr::Lit(literal) if matches!(literal.lit, syn::Lit::Str(_)) => quote!(::std::format!(#value)),
        // The parentheses are for `a + b`; the span is that of the value without `Display`.
        _ => quote_spanned!(value.span()=> ::std::string::ToString::to_string(&(#value))),
    })
}

/// `name`, `name = value` or `"any name" = value`.
struct Attr {
    name: LitStr,
    value: TokenStream,
}

impl Parse for Attr {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(LitStr) {
            let name = input.parse()?;
            input.parse::<Token![=]>()?;
            return Ok(Self { name, value: input.parse::<Expr>()?.into_token_stream() });
        }
        let name: Ident = input.parse()?;
        let value = if input.parse::<Option<Token![=]>>()?.is_some() {
            input.parse::<Expr>()?.into_token_stream()
        } else {
            name.to_token_stream()
        };
        Ok(Self { name: LitStr::new(&crate::expand::plain(&name), name.span()), value })
    }
}
