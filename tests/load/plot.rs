//! The requests of each minute as a picture (SVG), for the documentation.

use std::fmt::Write as _;

use crate::report::{Report, Span};
use crate::{CLOCK_BACK, CLOCK_FORWARD, CUT, DEVICES, END, HOUR, OUTAGE, STEADY, THROTTLED};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 40.0;

/// The requests per second between two lines of the grid.
const GRID: f64 = 5.0;

pub(crate) fn draw(report: &Report) -> String {
    let most = report.per_second.iter().copied().fold(0.0, f64::max);
    let scale = Scale { top: (most / GRID).ceil() * GRID };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<style>rect.page {{ fill: #fff }} text {{ fill: #333 }} .grid {{ stroke: #ddd }} \
         .load {{ fill: none; stroke: #0b6bcb }} .steady {{ stroke: #c2410c; stroke-dasharray: 6 4 }} \
         .incident {{ fill: #999; opacity: .2 }}</style>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n\
         <text x=\"{LEFT}\" y=\"18\" font-size=\"14\">Requests per second at the provider, {DEVICES} devices, tokens of an \
         hour, each minute of two days</text>\n"
    );
    grid(&mut svg, &scale);
    incidents(&mut svg);
    let steady = report.mean(STEADY);
    for (times, label) in [(1.0, "usual"), (3.0, "3 times")] {
        let y = scale.y(steady * times);
        line(&mut svg, "steady", (LEFT, y), (WIDTH - RIGHT, y));
        text(&mut svg, (LEFT + 4.0, y - 4.0), "start", label);
    }
    let points = report.per_second.iter().zip(0_u32..).map(|(load, minute)| {
        let (x, y) = (Scale::x(f64::from(minute) * 60.0), scale.y(*load));
        format!("{x:.1},{y:.1}")
    });
    let points = points.collect::<Vec<_>>().join(" ");
    let _ = writeln!(svg, "<polyline class=\"load\" points=\"{points}\"/>");
    svg + "</svg>\n"
}

struct Scale {
    /// The requests per second at the upper edge.
    top: f64,
}

impl Scale {
    fn x(second: f64) -> f64 {
        LEFT + second / seconds(END) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, per_second: f64) -> f64 {
        HEIGHT - BOTTOM - per_second / self.top * (HEIGHT - TOP - BOTTOM)
    }
}

fn grid(svg: &mut String, scale: &Scale) {
    let mut per_second = 0.0;
    while per_second <= scale.top {
        let y = scale.y(per_second);
        line(svg, "grid", (LEFT, y), (WIDTH - RIGHT, y));
        text(svg, (LEFT - 6.0, y + 4.0), "end", &per_second.to_string());
        per_second += GRID;
    }
    for hour in (0..=END / HOUR).step_by(6) {
        text(svg, (Scale::x(seconds(hour * HOUR)), HEIGHT - BOTTOM + 18.0), "middle", &format!("{hour} h"));
    }
}

fn incidents(svg: &mut String) {
    let spans = [
        (OUTAGE, "start", "provider down"),
        (THROTTLED, "end", "HTTP 429"),
        (CUT, "end", "no power"),
        (Span { from: CLOCK_FORWARD, to: CLOCK_BACK }, "end", "clocks wrong"),
    ];
    for (Span { from, to }, anchor, label) in spans {
        let (left, right) = (Scale::x(seconds(from)), Scale::x(seconds(to)));
        let (width, height) = (right - left, HEIGHT - TOP - BOTTOM);
        let _ = writeln!(
            svg,
            "<rect class=\"incident\" x=\"{left:.1}\" y=\"{TOP}\" width=\"{width:.1}\" height=\"{height}\"/>"
        );
        let x = if anchor == "start" { left } else { right };
        text(svg, (x, TOP - 6.0), anchor, label);
    }
}

fn line(svg: &mut String, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    let _ = writeln!(svg, "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>");
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

/// Whole seconds, of which two days have few.
fn seconds(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}
