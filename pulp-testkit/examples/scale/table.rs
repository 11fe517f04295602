//! What came out, as a table for people and one for programs.

use std::fmt::Write as _;

use crate::steps::{Costs, STEPS};

/// A column for each size, a table for each database.
pub fn markdown(all: &[Costs]) -> String {
    let mut text = String::new();
    let mut engines: Vec<&str> = all.iter().map(|costs| costs.engine.as_str()).collect();
    engines.dedup();
    for engine in engines {
        let some: Vec<&Costs> = all.iter().filter(|costs| costs.engine == engine).collect();
        let _ = write!(text, "\n| {engine}, units |");
        for costs in &some {
            let _ = write!(text, " {} |", thousands(costs.units));
        }
        text.push_str("\n|---|");
        text.push_str(&"---:|".repeat(some.len()));
        text.push('\n');
        for step in STEPS {
            let _ = write!(text, "| {step} |");
            for costs in &some {
                let _ = write!(text, " {} |", costs.get(step).map_or_else(String::new, |value| shown(step, value)));
            }
            text.push('\n');
        }
    }
    text
}

/// One line for each figure: database, units, step, value.
pub fn csv(all: &[Costs]) -> String {
    let mut text = "database,units,step,value\n".to_owned();
    for costs in all {
        for (step, value) in &costs.values {
            let _ = writeln!(text, "{},{},\"{step}\",{value}", costs.engine, costs.units);
        }
    }
    text
}

/// Reads what [`csv`] has written.
pub fn read(text: &str) -> Vec<Costs> {
    let mut all: Vec<Costs> = Vec::new();
    for line in text.lines().skip(1) {
        let (Some((front, value)), Some(step)) = (line.rsplit_once(','), line.split('"').nth(1)) else { continue };
        let mut front = front.split(',');
        let (Some(engine), Some(units)) = (front.next(), front.next().and_then(|units| units.parse().ok())) else { continue };
        // Of a step that there is no more, nothing is said.
        let (Some(step), Ok(value)) = (STEPS.into_iter().find(|known| *known == step), value.parse()) else { continue };
        match all.iter_mut().find(|costs| costs.engine == engine && costs.units == units) {
            Some(costs) => costs.values.push((step, value)),
            None => all.push(Costs { engine: engine.to_owned(), units, values: vec![(step, value)] }),
        }
    }
    all
}

/// A value in the unit that the name of its step ends with.
fn shown(step: &str, value: f64) -> String {
    match step.rsplit(", ").next().unwrap_or_default() {
        "ms" if value < 10.0 => format!("{value:.1}"),
        "s" => format!("{value:.2}"),
        _ => format!("{value:.0}"),
    }
}

/// A number with its thousands apart.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
