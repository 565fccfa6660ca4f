//! Finds the syntax of each mutant and says how the text has to change for it to stand beside the original.
//!
//! The text is spliced, not printed anew from the syntax: what is not mutated stays byte for byte what it was.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::mutant::{Genre, Mutant, Source};

/// How the question is written whether a mutant is switched on.
pub fn switch(number: u32) -> String {
    format!("crate::mutation::on({number})")
}

/// A change to the text of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Edit {
    /// The expression in `range` becomes one of its variants, or stays with what is mutated inside of it.
    Choice { range: Range<usize>, variants: Vec<Variant> },
    /// Something new that a mutant needs.
    Insert { at: usize, variant: Variant },
    /// Something that no mutant can stand beside.
    Delete { range: Range<usize> },
}

impl Edit {
    pub const fn start(&self) -> usize {
        match self {
            Self::Choice { range, .. } | Self::Delete { range } => range.start,
            Self::Insert { at, .. } => *at,
        }
    }
}

/// What a mutant puts into the text.
#[derive(Debug, PartialEq, Eq)]
pub struct Variant {
    pub number: u32,
    pub text: String,
}

/// Why a mutant is not in the build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// It stands where the compiler computes a value: no switch can be asked there.
    Constant,
    /// A function whose return type has no name: two returns would be two types.
    Opaque,
    /// Nothing of its genre stands at its place.
    NotFound,
}

/// The edits of a file.
#[derive(Debug, Default)]
pub struct Located {
    pub edits: Vec<Edit>,
    pub left: Vec<(u32, Left)>,
    /// The `const fn`s that lose their `const`: `Type::name`, or the name alone.
    pub unconst: BTreeSet<String>,
}

/// Finds `mutants` in `source`. The functions in `constant` are used in constants and keep their `const`.
pub fn locate(source: &Source, mutants: &[&Mutant], constant: &BTreeSet<String>) -> syn::Result<Located> {
    let file = syn::parse_file(source.text)?;
    let mut wanted: HashMap<_, Vec<&Mutant>> = HashMap::new();
    for mutant in mutants {
        wanted.entry((mutant.genre, source.offset(mutant.start))).or_default().push(mutant);
    }
    let mut finder = Finder { source, wanted, constant, constants: 0, of: None, found: Located::default() };
    finder.visit_file(&file);
    let mut found = finder.found;
    for missed in finder.wanted.values().flatten() {
        found.left.push((missed.number, Left::NotFound));
    }
    found.left.sort_by_key(|(number, _)| *number);
    Ok(found)
}

struct Finder<'a> {
    source: &'a Source<'a>,
    /// By genre and offset; what was found is taken out.
    wanted: HashMap<(Genre, usize), Vec<&'a Mutant>>,
    constant: &'a BTreeSet<String>,
    /// How many constants the walk is inside of.
    constants: usize,
    /// The type whose `impl` the walk is inside of.
    of: Option<String>,
    found: Located,
}

impl<'a> Finder<'a> {
    /// The mutants of a genre at a place that a switch can be asked at.
    fn take(&mut self, genre: Genre, at: usize) -> Vec<&'a Mutant> {
        let found = self.wanted.remove(&(genre, at)).unwrap_or_default();
        if self.constants > 0 {
            self.leave(&found, Left::Constant);
            return Vec::new();
        }
        found
    }

    fn leave(&mut self, mutants: &[&Mutant], why: Left) {
        self.found.left.extend(mutants.iter().map(|mutant| (mutant.number, why)));
    }

    /// Makes the mutants variants of the expression in `range`; `text` is what the expression is under each.
    fn choose(&mut self, range: Range<usize>, variants: Vec<Variant>) {
        if variants.is_empty() {
            return;
        }
        let same = self.found.edits.iter_mut().find_map(|edit| match edit {
            Edit::Choice { range: other, variants } if *other == range => Some(variants),
            _ => None,
        });
        match same {
            Some(there) => there.extend(variants),
            None => self.found.edits.push(Edit::Choice { range, variants }),
        }
    }

    /// The text of `within` with `gone` replaced.
    fn spliced(source: &Source, within: &Range<usize>, gone: Range<usize>, with: &str) -> String {
        format!("{}{with}{}", &source.text[within.start..gone.start], &source.text[gone.end..within.end])
    }

    /// A function: returns at its start, and `const` where it has to go.
    fn function(&mut self, signature: &syn::Signature, block: &syn::Block, walk: impl FnOnce(&mut Self)) {
        let name = signature.ident.to_string();
        let name = self.of.as_ref().map_or(name.clone(), |of| format!("{of}::{name}"));
        let stays = signature.constness.is_some() && self.constant.contains(&name);
        self.constants += usize::from(stays);
        if let Some(first) = block.stmts.first() {
            let at = self.source.range(first.span()).start;
            let opaque = matches!(&signature.output, syn::ReturnType::Type(_, output) if has_impl(output));
            let returns = self.take(Genre::FnValue, at);
            if opaque {
                self.leave(&returns, Left::Opaque);
            } else {
                self.found.edits.extend(returns.iter().map(|mutant| {
                    let text = format!("if {} {{ return {}; }} ", switch(mutant.number), mutant.replacement);
                    Edit::Insert { at, variant: Variant { number: mutant.number, text } }
                }));
            }
        }
        walk(self);
        self.constants -= usize::from(stays);
        // Even without a mutant: it may call one that has.
        if let Some(word) = signature.constness.filter(|_| !stays) {
            self.found.edits.push(Edit::Delete { range: self.source.range(word.span()) });
            self.found.unconst.insert(name);
        }
    }

    /// What a macro makes may call mutants, too: `const` goes before every `fn`.
    fn unconst_tokens(&mut self, tokens: TokenStream) {
        let mut before: Option<Ident> = None;
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.unconst_tokens(group.stream()),
                TokenTree::Ident(ident) => {
                    let word = before.replace(ident.clone()).filter(|word| ident == "fn" && word == "const");
                    if let Some(word) = word {
                        self.found.edits.push(Edit::Delete { range: self.source.range(word.span()) });
                    }
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => before = None,
            }
        }
    }

    fn constant(&mut self, walk: impl FnOnce(&mut Self)) {
        self.constants += 1;
        walk(self);
        self.constants -= 1;
    }
}

/// Whether a return type has `impl Trait` in it.
fn has_impl(output: &syn::Type) -> bool {
    struct Search(bool);
    impl Visit<'_> for Search {
        fn visit_type_impl_trait(&mut self, _: &syn::TypeImplTrait) {
            self.0 = true;
        }
    }
    let mut search = Search(false);
    search.visit_type(output);
    search.0
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block, |finder| visit::visit_item_fn(finder, item));
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let of = match &*item.self_ty {
            syn::Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
            _ => None,
        };
        let outside = std::mem::replace(&mut self.of, of);
        visit::visit_item_impl(self, item);
        self.of = outside;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block, |finder| visit::visit_impl_item_fn(finder, item));
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        match &item.default {
            Some(block) => self.function(&item.sig, block, |finder| visit::visit_trait_item_fn(finder, item)),
            None => visit::visit_trait_item_fn(self, item),
        }
    }

    fn visit_expr_binary(&mut self, node: &'ast syn::ExprBinary) {
        let (source, range, operator) =
            (self.source, self.source.range(node.span()), self.source.range(node.op.span()));
        let variants = self.take(Genre::BinaryOperator, operator.start).into_iter().map(|mutant| {
            let text = Self::spliced(source, &range, operator.clone(), &mutant.replacement);
            Variant { number: mutant.number, text }
        });
        let variants = variants.collect();
        self.choose(range, variants);
        visit::visit_expr_binary(self, node);
    }

    fn visit_expr_unary(&mut self, node: &'ast syn::ExprUnary) {
        let (source, range, operator) =
            (self.source, self.source.range(node.span()), self.source.range(node.op.span()));
        let variants = self.take(Genre::UnaryOperator, operator.start).into_iter().map(|mutant| {
            let text = Self::spliced(source, &range, operator.clone(), &mutant.replacement);
            Variant { number: mutant.number, text }
        });
        let variants = variants.collect();
        self.choose(range, variants);
        visit::visit_expr_unary(self, node);
    }

    fn visit_arm(&mut self, node: &'ast syn::Arm) {
        let start = self.source.range(node.span()).start;
        let gone: Vec<_> = self.take(Genre::MatchArm, start).iter().map(|mutant| mutant.number).collect();
        if let Some((_, guard)) = &node.guard {
            let range = self.source.range(guard.span());
            let decided = self.take(Genre::MatchArmGuard, range.start).into_iter();
            let mut variants: Vec<_> = decided
                .map(|mutant| Variant { number: mutant.number, text: mutant.replacement.clone() })
                .collect();
            // An arm that never fits is as good as gone.
            variants.extend(gone.into_iter().map(|number| Variant { number, text: "false".to_owned() }));
            self.choose(range, variants);
        } else {
            let at = self.source.range(node.pat.span()).end;
            self.found.edits.extend(gone.into_iter().map(|number| {
                let text = format!(" if !{}", switch(number));
                Edit::Insert { at, variant: Variant { number, text } }
            }));
        }
        visit::visit_arm(self, node);
    }

    fn visit_expr_struct(&mut self, node: &'ast syn::ExprStruct) {
        let (source, range) = (self.source, self.source.range(node.span()));
        let mut variants = Vec::new();
        for field in &node.fields {
            let start = source.range(field.span()).start;
            variants.extend(self.take(Genre::StructField, start).into_iter().map(|mutant| {
                let text = Self::spliced(source, &range, start..source.offset(mutant.end), "");
                Variant { number: mutant.number, text }
            }));
        }
        self.choose(range, variants);
        visit::visit_expr_struct(self, node);
    }

    fn visit_macro(&mut self, node: &'ast syn::Macro) {
        self.unconst_tokens(node.tokens.clone());
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.constant(|finder| visit::visit_item_const(finder, item));
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.constant(|finder| visit::visit_impl_item_const(finder, item));
    }

    fn visit_trait_item_const(&mut self, item: &'ast syn::TraitItemConst) {
        self.constant(|finder| visit::visit_trait_item_const(finder, item));
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.constant(|finder| visit::visit_item_static(finder, item));
    }

    fn visit_expr_const(&mut self, node: &'ast syn::ExprConst) {
        self.constant(|finder| visit::visit_expr_const(finder, node));
    }

    fn visit_type_array(&mut self, node: &'ast syn::TypeArray) {
        self.visit_type(&node.elem);
        self.constant(|finder| finder.visit_expr(&node.len));
    }

    fn visit_expr_repeat(&mut self, node: &'ast syn::ExprRepeat) {
        self.visit_expr(&node.expr);
        self.constant(|finder| finder.visit_expr(&node.len));
    }
}
