//! Cost against size, both by powers of ten, as an SVG that reads in light and in dark.

use std::fmt::Write as _;

use crate::steps::Costs;
use crate::table::thousands;

const WIDTH: f64 = 800.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 214.0;
const TOP: f64 = 60.0;
const PLOT: f64 = 300.0;
const GAP: f64 = 96.0;

/// What is drawn: the step, how many milliseconds one of its value is, what it is called, and its class.
const LINES: [(&str, f64, &str, &str); 5] = [
    ("on_demand sync, s", 1_000.0, "sync on demand", "sync"),
    ("publish, s", 1_000.0, "publish", "publish"),
    ("version that adds ten units, ms", 1.0, "a version of ten more", "ten"),
    ("first page of a version, ms", 1.0, "first page of a version", "page"),
    ("diff of neighbours, ms", 1.0, "diff of neighbours", "diff"),
];

/// A plot for each database.
pub fn lines(all: &[Costs]) -> String {
    let mut engines: Vec<&str> = all.iter().map(|costs| costs.engine.as_str()).collect();
    engines.dedup();
    let height = TOP + (PLOT + GAP) * engines.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"system-ui, sans-serif\" font-size=\"13\" \
         role=\"img\" aria-labelledby=\"title\">\n\
         <title id=\"title\">Time against the number of units in a repository, on each database</title>\n\
         <style>text {{ fill: #1f2328 }} .grid {{ stroke: #d1d9e0 }} polyline {{ fill: none; stroke-width: 2 }}\n\
         .sync {{ stroke: #0969da }} .publish {{ stroke: #8250df }} .ten {{ stroke: #1a7f37 }} .page {{ stroke: #bc4c00 }} .diff {{ stroke: #9a6700 }}\n\
         @media (prefers-color-scheme: dark) {{ text {{ fill: #e6edf3 }} .grid {{ stroke: #3d444d }}\n\
         .sync {{ stroke: #4493f8 }} .publish {{ stroke: #ab7df8 }} .ten {{ stroke: #3fb950 }} .page {{ stroke: #f0883e }} .diff {{ stroke: #d29922 }} }}</style>\n"
    );
    for (at, engine) in engines.iter().enumerate() {
        let some: Vec<&Costs> = all.iter().filter(|costs| costs.engine == *engine).collect();
        plot(&mut svg, TOP + (PLOT + GAP) * at as f64, engine, &some);
    }
    svg.push_str("</svg>\n");
    svg
}

fn plot(svg: &mut String, top: f64, engine: &str, some: &[&Costs]) {
    let sizes: Vec<f64> = some.iter().map(|costs| (costs.units.max(1) as f64).log10()).collect();
    let (least, most) = (sizes.first().copied().unwrap_or(3.0), sizes.last().copied().unwrap_or(6.0));
    let x = |size: f64| LEFT + (WIDTH - LEFT - RIGHT) * (size - least) / (most - least).max(1.0);
    // From a millisecond to a thousand seconds.
    let y = |milliseconds: f64| top + PLOT * (1.0 - milliseconds.max(1.0).log10() / 6.0);
    let _ = writeln!(svg, "<text x=\"16\" y=\"{:.1}\" font-size=\"16\" font-weight=\"600\">{engine}</text>", top - 24.0);
    for (power, name) in ["1 ms", "10 ms", "100 ms", "1 s", "10 s", "100 s", "1,000 s"].iter().enumerate() {
        let at = y(10f64.powi(power as i32));
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            at + 4.0
        );
    }
    for (costs, size) in some.iter().zip(&sizes) {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            x(*size),
            top + PLOT + 20.0,
            thousands(costs.units)
        );
    }
    let mut names: Vec<(f64, &str)> = Vec::new();
    for (step, unit, name, class) in LINES {
        let points: Vec<(f64, f64)> =
            some.iter().zip(&sizes).filter_map(|(costs, size)| Some((x(*size), y(costs.get(step)? * unit)))).collect();
        let Some(end) = points.last() else { continue };
        let drawn: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(svg, "<polyline class=\"{class}\" points=\"{}\"/>", drawn.join(" "));
        names.push((end.1, name));
    }
    // Beside the ends of the lines, and not over one another.
    names.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free = f64::MIN;
    for (at, name) in names {
        let at = at.max(free);
        free = at + 17.0;
        let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\">{name}</text>", WIDTH - RIGHT + 10.0, at + 4.0);
    }
}
