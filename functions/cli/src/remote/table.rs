//! Tables for people: columns as wide as what stands in them.

use std::fmt::Write;

/// Spaces between columns.
const GAP: usize = 2;

/// Prints rows below a heading. A cell may be coloured: its width is that of its visible letters.
pub fn print(heading: &[&str], rows: &[Vec<String>]) {
    anstream::print!("{}", laid_out(heading, rows));
}

fn laid_out(heading: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = heading.iter().map(|cell| width(cell)).collect();
    for row in rows {
        for (column, cell) in row.iter().enumerate().take(widths.len()) {
            widths[column] = widths[column].max(width(cell));
        }
    }
    let mut out = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (cell, wide) in cells.zip(&widths) {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "{cell}{}", " ".repeat(wide - width(cell).min(*wide) + GAP));
        }
        out.push_str(text.trim_end());
        out.push('\n');
    };
    line(&mut heading.iter().copied());
    rows.iter().for_each(|row| line(&mut row.iter().map(String::as_str)));
    out
}

/// Letters that are seen: without the codes of colours.
fn width(text: &str) -> usize {
    let mut letters = text.chars();
    let mut seen = 0;
    while let Some(letter) = letters.next() {
        match letter {
            '\u{1b}' => drop(letters.by_ref().find(|letter| *letter == 'm')),
            _ => seen += 1,
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other_whatever_their_colours() {
        let rows = [
            vec!["a".to_owned(), "\u{1b}[31mFailed\u{1b}[0m".to_owned(), "x".to_owned()],
            vec!["longer".to_owned(), "ok".to_owned(), "y".to_owned()],
        ];
        let text = laid_out(&["NAME", "STATUS", "Z"], &rows);
        assert_eq!(text, "NAME    STATUS  Z\na       \u{1b}[31mFailed\u{1b}[0m  x\nlonger  ok      y\n");
    }
}
