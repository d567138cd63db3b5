//! QR codes as a phone sees them: pictures, and the half blocks of a terminal painted as one.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::process::run_tool;

/// Pixels per module of the picture of a terminal.
const SCALE: usize = 6;

/// What a terminal looks like where nothing is written, and so the colour of what is written on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Terminal {
    LightOnDark,
    DarkOnLight,
}

/// Decodes the code in a picture; `None` if there is none that can be read.
#[track_caller]
pub(crate) fn decode(picture: &Path) -> Option<String> {
    let mut zbarimg = Command::new("zbarimg");
    zbarimg.args(["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable"]).arg(picture);
    let output = zbarimg.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.trim_end_matches('\n').to_owned()).filter(|text| !text.is_empty())
}

/// Paints an SVG picture on `background`, as a page does, and decodes it.
#[track_caller]
pub(crate) fn decode_svg(svg: &[u8], background: &str, folder: &Path) -> Option<String> {
    let (from, to) = (folder.join("qr.svg"), folder.join("qr.png"));
    fs::write(&from, svg).unwrap();
    let mut convert = Command::new("rsvg-convert");
    convert.args(["--width", "400", "--background-color", background, "--output"]).arg(&to).arg(&from);
    run_tool(&mut convert);
    decode(&to)
}

/// A line of a terminal, as cells of character, whether the ink is light, and whether the paper is.
type Cells = Vec<(char, bool, bool)>;

/// Paints the QR code among the lines that were written to a terminal, and decodes it.
#[track_caller]
pub(crate) fn decode_terminal(output: &str, terminal: Terminal, folder: &Path) -> Option<String> {
    let lines = code_lines(output, terminal);
    let columns = lines.first().map_or(0, Vec::len);
    // A terminal does not end with the code, and what surrounds it is not white everywhere.
    let border = 2;
    let (width, height) = ((columns + 2 * border) * SCALE, (2 * lines.len() + 2 * border) * SCALE);
    let mut pixels = format!("P5 {width} {height} 255\n").into_bytes();
    let paper = terminal == Terminal::DarkOnLight;
    for y in 0..height {
        for x in 0..width {
            let (row, column) = (y / SCALE, x / SCALE);
            let light = row
                .checked_sub(border)
                .and_then(|row| lines.get(row / 2).map(|cells| (row, cells)))
                .zip(column.checked_sub(border))
                .and_then(|((row, cells), column)| cells.get(column).map(|cell| half(*cell, row % 2 == 0)))
                .unwrap_or(paper);
            pixels.push(if light { 255 } else { 0 });
        }
    }
    let picture = folder.join(format!("{terminal:?}.pgm"));
    fs::write(&picture, pixels).unwrap();
    decode(&picture)
}

/// How many columns the QR code takes.
pub(crate) fn code_columns(output: &str) -> usize {
    code_lines(output, Terminal::LightOnDark).first().map_or(0, Vec::len)
}

/// Whether the upper or the lower half of a cell is light.
fn half((character, ink, paper): (char, bool, bool), upper: bool) -> bool {
    match character {
        '█' => ink,
        '▀' if upper => ink,
        '▄' if !upper => ink,
        _ => paper,
    }
}

/// The longest run of lines that are all of half blocks and equally long.
fn code_lines(output: &str, terminal: Terminal) -> Vec<Cells> {
    let mut longest = Vec::new();
    let mut run: Vec<Cells> = Vec::new();
    for line in output.lines() {
        let cells = cells(line.trim_end_matches('\r'), terminal);
        let drawn = cells.len() >= 21 && cells.iter().all(|(character, ..)| matches!(character, '█' | '▀' | '▄' | ' '));
        if !drawn || run.first().is_some_and(|first| first.len() != cells.len()) {
            run.clear();
        }
        if drawn {
            run.push(cells);
        }
        if run.len() > longest.len() {
            longest.clone_from(&run);
        }
    }
    longest
}

/// What a terminal shows of a line, with the colours that its escape sequences choose.
fn cells(line: &str, terminal: Terminal) -> Cells {
    let own_ink = terminal == Terminal::LightOnDark;
    let (mut ink, mut paper) = (own_ink, !own_ink);
    let mut cells = Cells::new();
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character != '\u{1b}' {
            cells.push((character, ink, paper));
            continue;
        }
        let sequence: String = characters.by_ref().skip(1).take_while(|c| !c.is_ascii_alphabetic()).collect();
        let numbers: Vec<u32> = sequence.split(';').map(|number| number.parse().unwrap_or(0)).collect();
        match numbers[..] {
            [0] => (ink, paper) = (own_ink, !own_ink),
            [38, 5, foreground, 48, 5, background] => (ink, paper) = (is_light(foreground), is_light(background)),
            // Anything else is not what a QR code is drawn with.
            _ => {}
        }
    }
    cells
}

/// The two colours of the palette of 256 that are the same on every terminal: black and white of the colour cube.
fn is_light(colour: u32) -> bool {
    match colour {
        16 => false,
        231 => true,
        other => panic!("colour {other} depends on the terminal's theme"),
    }
}
