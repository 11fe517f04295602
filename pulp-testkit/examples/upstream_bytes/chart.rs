//! Bars, as an SVG that reads in light and in dark.

use std::fmt::Write as _;

use crate::Cost;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 210.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 56.0;
const ROW: f64 = 34.0;
const BAR: f64 = 20.0;

/// A bar for each crowd: how many bytes the upstream gave.
pub fn bars(costs: &[Cost]) -> String {
    let most = costs.iter().map(|cost| cost.bytes).max().unwrap_or(1).max(1) as f64;
    let height = TOP + ROW * costs.len() as f64 + 16.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"system-ui, sans-serif\" font-size=\"14\" \
         role=\"img\" aria-labelledby=\"title\">\n\
         <title id=\"title\">Bytes that the upstream gave for one cold file of 100 MiB, by the number of clients</title>\n\
         <style>text {{ fill: #1f2328 }} .ours {{ fill: #1a7f37 }} .other {{ fill: #bc4c00 }}\n\
         @media (prefers-color-scheme: dark) {{ text {{ fill: #e6edf3 }} .ours {{ fill: #3fb950 }} .other {{ fill: #f0883e }} }}</style>\n\
         <text x=\"16\" y=\"28\" font-size=\"16\" font-weight=\"600\">One cold file of 100 MiB: bytes from the upstream</text>\n"
    );
    for (at, cost) in costs.iter().enumerate() {
        let y = TOP + ROW * at as f64;
        let width = ((WIDTH - LEFT - RIGHT) * cost.bytes as f64 / most).max(2.0);
        let class = if cost.who == "Pulp" { "other" } else { "ours" };
        let clients = if cost.clients == 1 { "client" } else { "clients" };
        let requests = if cost.gets == 1 { "request" } else { "requests" };
        let text = y + BAR * 0.72;
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{text:.1}\" text-anchor=\"end\">{}, {} {clients}</text>\
             <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\" rx=\"3\"/>\
             <text x=\"{:.1}\" y=\"{text:.1}\">{} MiB, {} {requests}</text>",
            LEFT - 10.0,
            cost.who,
            cost.clients,
            LEFT + width + 8.0,
            cost.bytes >> 20,
            cost.gets
        );
    }
    svg.push_str("</svg>\n");
    svg
}
