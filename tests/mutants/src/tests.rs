//! Each genre on a small source: what the text becomes, and what is left out.

use std::collections::BTreeSet;

use crate::locate::{Left, locate};
use crate::mutant::{Genre, Mutant, Place, Source};
use crate::render::{Rendered, render};

/// A mutant whose place starts with the first `at` of the source. (Where an operator ends, nobody asks.)
fn mutant(number: u32, source: &str, genre: Genre, at: &str, replacement: &str) -> Mutant {
    let place = |offset: usize| {
        let before = &source[..offset];
        let line = before.rfind('\n').map_or(0, |at| at + 1);
        Place { line: before.matches('\n').count() + 1, column: before[line..].chars().count() + 1 }
    };
    let start = source.find(at).expect("the place is in the source");
    let (start, end) = (place(start), place(start + at.len()));
    Mutant {
        number,
        name: String::new(),
        file: String::new(),
        genre,
        replacement: replacement.to_owned(),
        start,
        end,
    }
}

fn rewrite(source: &str, mutants: &[Mutant]) -> Rendered {
    let source = Source::new(source);
    let located = locate(&source, &mutants.iter().collect::<Vec<_>>(), &BTreeSet::new()).unwrap();
    assert_eq!(located.left, [], "every mutant has its place");
    let rendered = render(source.text, located.edits);
    syn::parse_file(&rendered.text).expect("what comes out is Rust");
    rendered
}

/// The text, with the switches written short.
fn text(source: &str, mutants: &[Mutant]) -> String {
    rewrite(source, mutants).text.replace("crate::mutation::on", "on")
}

#[test]
fn a_function_returns_before_its_first_statement() {
    let source = "fn f(n: u8) -> u8 {\n    let m = n;\n    m\n}\n";
    let mutants = [
        mutant(1, source, Genre::FnValue, "let m = n;\n    m", "0"),
        mutant(2, source, Genre::FnValue, "let m = n;\n    m", "1"),
    ];
    let expected =
        "fn f(n: u8) -> u8 {\n    if on(1) { return 0; } if on(2) { return 1; } let m = n;\n    m\n}\n";
    assert_eq!(text(source, &mutants), expected);
}

#[test]
fn a_binary_operator_makes_a_choice_of_the_whole_expression() {
    let source = "fn f(é: u8) -> bool { 'é' == 'e' || é < 3 }";
    let mutants = [
        mutant(1, source, Genre::BinaryOperator, "<", "<="),
        mutant(2, source, Genre::BinaryOperator, "<", "=="),
    ];
    let expected =
        "fn f(é: u8) -> bool { 'é' == 'e' || (if on(1) { é <= 3 } else if on(2) { é == 3 } else { é < 3 }) }";
    assert_eq!(text(source, &mutants), expected);
}

#[test]
fn choices_nest_and_a_variant_keeps_the_plain_operands() {
    let source = "fn f(a: u8) -> bool { !(a > 1) && a & 2 == 0 }";
    let mutants = [
        mutant(1, source, Genre::BinaryOperator, "&&", "||"),
        mutant(2, source, Genre::UnaryOperator, "!", ""),
        mutant(3, source, Genre::BinaryOperator, "& 2", "|"),
    ];
    let expected = "fn f(a: u8) -> bool { (if on(1) { !(a > 1) || a & 2 == 0 } else \
                    { (if on(2) { (a > 1) } else { !(a > 1) }) && (if on(3) { a | 2 } else { a & 2 }) == 0 }) }";
    assert_eq!(text(source, &mutants), expected);
}

#[test]
fn an_assignment_with_an_operator_is_an_expression_as_well() {
    let source = "fn f(a: &mut u8) { *a &= 1; }";
    let mutants = [mutant(1, source, Genre::BinaryOperator, "&=", "|=")];
    assert_eq!(text(source, &mutants), "fn f(a: &mut u8) { (if on(1) { *a |= 1 } else { *a &= 1 }); }");
}

#[test]
fn an_arm_goes_by_a_guard() {
    let source = "fn f(a: u8) -> u8 { match a { 1 => 2, 3 if a > 2 => 4, _ => 5 } }";
    let mutants = [
        mutant(1, source, Genre::MatchArm, "1 => 2,", ""),
        mutant(2, source, Genre::MatchArm, "3 if a > 2 => 4,", ""),
    ];
    let expected = "fn f(a: u8) -> u8 { match a { 1 if !on(1) => 2, \
                    3 if (if on(2) { false } else { a > 2 }) => 4, _ => 5 } }";
    assert_eq!(text(source, &mutants), expected);
}

#[test]
fn a_guard_is_decided_beforehand_and_shares_its_choice_with_its_operator() {
    let source = "fn f(a: u8) -> u8 { match a { 3 if a > 2 => 4, _ => 5 } }";
    let mutants = [
        mutant(1, source, Genre::MatchArmGuard, "a > 2", "true"),
        mutant(2, source, Genre::MatchArmGuard, "a > 2", "false"),
        mutant(3, source, Genre::BinaryOperator, "> 2", ">="),
    ];
    let expected = "fn f(a: u8) -> u8 { match a { 3 if (if on(1) { true } else if on(2) { false } \
                    else if on(3) { a >= 2 } else { a > 2 }) => 4, _ => 5 } }";
    assert_eq!(text(source, &mutants), expected);
}

#[test]
fn a_field_is_left_to_the_base() {
    let source = "fn f() -> S { S { a: 1, b: 2, ..S::default() } }";
    let mutants = [mutant(1, source, Genre::StructField, "a: 1,", "")];
    let expected = "fn f() -> S { (if on(1) { S {  b: 2, ..S::default() } } else { S { a: 1, b: 2, ..S::default() } }) }";
    assert_eq!(text(source, &mutants), expected);
}

#[test]
fn a_constant_function_is_constant_no_longer() {
    let source = "const fn f(a: u8) -> u8 { a | 1 }\nconst fn g() -> u8 { f(1) }\n";
    let mutants = [mutant(1, source, Genre::BinaryOperator, "|", "&")];
    let expected = " fn f(a: u8) -> u8 { (if on(1) { a & 1 } else { a | 1 }) }\n fn g() -> u8 { f(1) }\n";
    assert_eq!(text(source, &mutants), expected);
}

#[test]
fn what_the_compiler_computes_and_what_has_no_name_is_left_out() {
    let source = "const A: u8 = 1 << 2;\nconst fn f() -> [u8; 2 + 1] { A - 1 }\n\
                  fn g() -> impl Iterator<Item = u8> { once(1) }\nfn h() { [0; 6 / 2] }\n\
                  impl<T> S<T> { const fn f() -> u8 { 1 % 2 } }\n";
    let mutants = [
        mutant(0, source, Genre::BinaryOperator, "<<", ">>"),
        mutant(1, source, Genre::BinaryOperator, "-", "+"),
        mutant(2, source, Genre::FnValue, "once(1)", "empty()"),
        mutant(3, source, Genre::BinaryOperator, "/", "*"),
        mutant(4, source, Genre::BinaryOperator, "A -", "+"),
        mutant(5, source, Genre::BinaryOperator, "%", "/"),
    ];
    // The hyphen of `->` comes first, and no operator stands there.
    let constant = BTreeSet::from(["f".to_owned(), "S::f".to_owned()]);
    let located = locate(&Source::new(source), &mutants.iter().collect::<Vec<_>>(), &constant).unwrap();
    let reasons: Vec<_> = located.left.iter().map(|(_, why)| *why).collect();
    let (constant, opaque, nothing) = (Left::Constant, Left::Opaque, Left::NotFound);
    assert_eq!(reasons, [constant, nothing, opaque, constant, nothing, constant]);
    assert_eq!(located.edits, []);
}

#[test]
fn the_compilers_places_lead_back_to_the_mutant() {
    let source = "fn f(a: u8) -> bool { a == 1 && a != 2 }";
    let mutants = [
        mutant(0, source, Genre::BinaryOperator, "&&", "||"),
        mutant(1, source, Genre::BinaryOperator, "!=", "=="),
        mutant(2, source, Genre::FnValue, "a == 1 && a != 2", "true"),
    ];
    let rendered = rewrite(source, &mutants);
    let own = |number: u32| {
        let region = rendered.regions.iter().find(|region| region.number == number).unwrap();
        (&rendered.text[region.own.clone()], &rendered.text[region.whole.clone()])
    };
    let inner = "(if crate::mutation::on(1) { a == 2 } else { a != 2 })";
    assert_eq!(own(1), ("a == 2", inner));
    assert_eq!(own(0).0, "a == 1 || a != 2");
    assert_eq!(
        own(0).1,
        format!("(if crate::mutation::on(0) {{ a == 1 || a != 2 }} else {{ a == 1 && {inner} }})")
    );
    assert_eq!(own(2).0, "if crate::mutation::on(2) { return true; } ");
}
