//! What the sender gets to see. Everything that it sent is shown without letting it act on a terminal or a page.

use portline::Printable;

use crate::upload::Row;

pub(crate) const HTML: &str = "text/html; charset=utf-8";
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";

pub(crate) const FORM: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>form_upload</title>
<style>body{font:16px/1.5 sans-serif;max-width:50em;margin:3em auto;padding:0 1em}label{display:block;margin:1em 0}
td,th{text-align:left;padding:.2em 1em .2em 0;overflow-wrap:anywhere}</style>
<h1>Upload</h1>
<form method=post action=/ enctype=multipart/form-data>
<label>A note <input name=note></label>
<label>Files <input type=file name=file multiple></label>
<button>Send</button>
</form>
";

/// A table of the parts.
pub(crate) fn table(rows: &[Row]) -> String {
    let cells: Vec<[String; 5]> = rows.iter().map(cells).collect();
    let heads = ["field", "file", "type", "bytes", "stored as, or value"].map(str::to_owned);
    let mut widths = [0_usize; 5];
    for row in cells.iter().chain([&heads]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().min(40).max(*width);
        }
    }
    let mut out = String::new();
    let rule = widths.map(|width| "─".repeat(width));
    for row in [&heads, &rule].into_iter().chain(&cells) {
        let [field, file, kind, bytes, stored] = row;
        let [a, b, c, d, _] = widths;
        out.push_str(&format!("{field:<a$}  {file:<b$}  {kind:<c$}  {bytes:>d$}  {stored}\n"));
    }
    out
}

/// The same as a page.
pub(crate) fn html(rows: &[Row]) -> String {
    let mut out = FORM.replace("<h1>Upload</h1>", "<h1>Received</h1>\n<table>");
    let at = out.find("<form").unwrap_or(out.len());
    let mut body = String::from("<tr><th>field<th>file<th>type<th>bytes<th>stored as, or value\n");
    for row in rows {
        body.push_str("<tr>");
        for cell in cells(row) {
            body.push_str("<td>");
            for character in cell.chars() {
                match character {
                    '<' => body.push_str("&lt;"),
                    '&' => body.push_str("&amp;"),
                    other => body.push(other),
                }
            }
        }
        body.push('\n');
    }
    body.push_str("</table>\n");
    out.insert_str(at, &body);
    out
}

fn cells(row: &Row) -> [String; 5] {
    // A line end in a name would break the table.
    let shown = |bytes: &[u8]| Printable(bytes).to_string().replace('\n', "\\n").replace('\t', "\\t");
    [
        shown(&row.name),
        row.filename.as_deref().map_or_else(|| "–".into(), shown),
        shown(&row.content_type),
        row.size.to_string(),
        row.stored.clone().unwrap_or_else(|| shown(&row.text)),
    ]
}
