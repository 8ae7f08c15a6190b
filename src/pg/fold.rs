//! Text for a psql window of 100 columns, in lines that fit beside the other columns of its table.

/// Lines of at most `line` columns. Breaks between words where it can, and inside a word that is longer than a line.
pub fn folded(text: &str, line: usize) -> String {
    let lines: Vec<String> = text.lines().flat_map(|text| lines_of(text, line)).collect();
    lines.join("\n")
}

fn lines_of(paragraph: &str, line: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in paragraph.split([' ', '\t']) {
        let wide: usize = word.chars().map(columns).sum();
        if used > 0 && used + 1 + wide > line {
            lines.push(String::new());
            used = 0;
        } else if used > 0 {
            push(&mut lines, ' ');
            used += 1;
        }
        for character in word.chars() {
            if used + columns(character) > line {
                lines.push(String::new());
                used = 0;
            }
            // psql would print a control character as four.
            push(
                &mut lines,
                if character.is_control() {
                    ' '
                } else {
                    character
                },
            );
            used += columns(character);
        }
    }
    lines
}

fn push(lines: &mut [String], character: char) {
    if let Some(line) = lines.last_mut() {
        line.push(character);
    }
}

/// Scripts that are written in squares take two columns.
fn columns(character: char) -> usize {
    match character {
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' => 2,
        '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' => 2,
        '\u{1f300}'..='\u{1faff}' | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}
