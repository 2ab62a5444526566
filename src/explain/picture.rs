//! An account as a picture: the hooks as a map, the packet's way through them, and the rule or check that had the last word. SVG, written by
//! hand: it stands alone, without scripts, fonts or anything else to fetch.

mod scene;

use std::fmt::Write;

use super::account::Account;
use crate::base::bytes;
use crate::rule::Hook;
use scene::{Card, Node, Scene, Tone};

/// The picture as a document of its own. The same account makes the same bytes.
pub fn draw(account: &Account) -> String {
    let scene = Scene::of(account);
    let tried = scene.tried.len().min(LONGEST_LIST);
    let height = LIST_TOP + if tried == 0 { 0.0 } else { 44.0 + tried as f64 * 24.0 };
    let mut svg = Svg {
        text: String::with_capacity(16 << 10),
    };
    let _ = write!(
        svg.text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\" font-family=\"system-ui, 'DejaVu Sans', 'Helvetica Neue', Arial, sans-serif\">\n<title>{}</title>\n\
         <style>.mono {{ font-family: ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace }}</style>\n<defs>",
        escaped(&format!("{}: {}", scene.packet, scene.verdict))
    );
    for (name, colour) in [("idle", IDLE), ("way", scene.tone.strong()), ("answer", ANSWER)] {
        let _ = write!(
            svg.text,
            "<marker id=\"{name}\" viewBox=\"0 0 10 10\" refX=\"8.5\" refY=\"5\" markerWidth=\"9\" markerHeight=\"9\" \
             markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0,0.8 L10,5 L0,9.2 z\" fill=\"{colour}\"/></marker>"
        );
    }
    svg.text.push_str("</defs>\n");
    svg.box_at((0.0, 0.0, WIDTH, height), 0.0, "#ffffff", "none", 0.0);
    head(&mut svg, &scene);
    for edge in EDGES {
        let (class, tone) = if scene.way.contains(&(edge.from, edge.to)) {
            ("way", scene.tone.strong())
        } else if scene.answers.contains(&(edge.from, edge.to)) {
            ("answer", ANSWER)
        } else {
            ("idle", IDLE)
        };
        let width = if class == "idle" { 2.0 } else { 3.5 };
        let dash = if class == "answer" {
            " stroke-dasharray=\"7 5\""
        } else {
            ""
        };
        let _ = writeln!(
            svg.text,
            "<path d=\"{}\" fill=\"none\" stroke=\"{tone}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"{dash} \
             marker-end=\"url(#{class})\"/>",
            edge.path
        );
    }
    for card in &scene.cards {
        card.draw(&mut svg, &scene);
    }
    ends(&mut svg, &scene);
    list(&mut svg, &scene, tried);
    svg.text.push_str("</svg>\n");
    svg.text
}

impl Card {
    fn draw(&self, svg: &mut Svg, scene: &Scene) {
        let (x, y) = place(self.hook);
        let height = CARD_HEAD + self.rows.len() as f64 * ROW + 8.0;
        let answers = scene.answers.iter().any(|(_, to)| *to == Node::Hook(self.hook));
        let (line, width) = match (self.met, self.stopped) {
            (true, true) => (scene.tone.strong(), 2.5),
            (true, false) => ("#334155", 2.0),
            (false, _) if answers => (ANSWER, 1.5),
            (false, _) => (IDLE, 1.5),
        };
        svg.box_at(
            (x, y, CARD, height),
            10.0,
            if self.met { "#ffffff" } else { "#fbfcfd" },
            line,
            width,
        );
        let ink = if self.met { "#0f172a" } else { "#94a3b8" };
        svg.words(
            (x + 14.0, y + 22.0),
            13.5,
            ink,
            " font-weight=\"700\" letter-spacing=\"0.6\"",
            self.hook.chain(),
        );
        for (at, row) in self.rows.iter().enumerate() {
            let top = y + CARD_HEAD + at as f64 * ROW;
            let baseline = top + 15.0;
            if row.last_word {
                svg.box_at(
                    (x + 6.0, top, CARD - 12.0, ROW - 1.0),
                    5.0,
                    scene.tone.soft(),
                    scene.tone.strong(),
                    1.2,
                );
            }
            let ink = match (&row.said, row.last_word) {
                (_, true) => scene.tone.strong(),
                (Some(_), false) => "#334155",
                (None, false) => "#a3afc0",
            };
            let weight = if row.last_word { " font-weight=\"700\"" } else { "" };
            svg.words((x + 14.0, baseline), 11.5, ink, weight, row.stage);
            if let Some(said) = &row.said {
                let attributes = format!(" text-anchor=\"end\" class=\"mono\"{weight}");
                svg.words((x + CARD - 13.0, baseline), 10.5, ink, &attributes, &cut(said, 25));
            }
        }
        if self.stopped {
            svg.stop_sign((x + CARD - 3.0, y + 3.0), scene.tone.strong());
        }
    }
}

fn head(svg: &mut Svg, scene: &Scene) {
    let tone = scene.tone;
    svg.box_at((0.0, 0.0, WIDTH, 96.0), 0.0, tone.soft(), "none", 0.0);
    svg.box_at((0.0, 0.0, 8.0, 96.0), 0.0, tone.strong(), "none", 0.0);
    let number = match scene.number {
        0 => String::new(),
        number => format!("packet {number}   "),
    };
    svg.words(
        (32.0, 38.0),
        17.0,
        "#0f172a",
        " class=\"mono\" font-weight=\"700\"",
        &cut(&scene.packet, 92),
    );
    let badge = 26.0 + scene.verdict.len() as f64 * 12.5;
    svg.box_at(
        (WIDTH - 32.0 - badge, 18.0, badge, 32.0),
        16.0,
        tone.strong(),
        "none",
        0.0,
    );
    svg.words(
        (WIDTH - 32.0 - badge / 2.0, 40.0),
        16.0,
        "#ffffff",
        " text-anchor=\"middle\" font-weight=\"700\" letter-spacing=\"1\"",
        &scene.verdict,
    );
    let state = scene
        .state
        .as_deref()
        .map_or(String::new(), |state| format!("{state}   "));
    let caption = match scene.tone {
        Tone::Good => "let through by ",
        Tone::Bad => "stopped: ",
        Tone::Between => "",
    };
    let line = format!("{number}{state}{caption}{}", scene.decided);
    svg.words(
        (32.0, 72.0),
        13.5,
        tone.strong(),
        " class=\"mono\" xml:space=\"preserve\"",
        &cut(&line, 140),
    );
}

/// What is not a hook: where it came from, routing, the router itself, where it went.
fn ends(svg: &mut Svg, scene: &Scene) {
    let used = |node: Node| {
        let of = |edges: &[(Node, Node)]| edges.iter().any(|(from, to)| *from == node || *to == node);
        (of(&scene.way), of(&scene.answers))
    };
    let pill = |svg: &mut Svg, (x, y, width): (f64, f64, f64), node: Node, title: &str, name: Option<&str>| {
        let (line, ink) = match used(node) {
            (true, _) => ("#334155", "#0f172a"),
            (false, true) => (ANSWER, ANSWER),
            (false, false) => (IDLE, "#94a3b8"),
        };
        svg.box_at((x, y - 24.0, width, 48.0), 24.0, "#f8fafc", line, 2.0);
        let middle = x + width / 2.0;
        match name {
            Some(name) => {
                svg.words((middle, y - 3.0), 10.5, ink, " text-anchor=\"middle\"", title);
                svg.words(
                    (middle, y + 13.0),
                    13.0,
                    ink,
                    " text-anchor=\"middle\" font-weight=\"700\"",
                    &cut(name, 12),
                );
            }
            None => svg.words(
                (middle, y + 5.0),
                12.5,
                ink,
                " text-anchor=\"middle\" font-weight=\"600\"",
                title,
            ),
        }
    };
    let came = scene.way.iter().any(|(from, _)| *from == Node::In);
    pill(
        svg,
        (24.0, MIDDLE, 92.0),
        Node::In,
        "in by",
        scene.input.as_deref().filter(|_| came).or(Some("\u{2013}")),
    );
    pill(
        svg,
        (WIDTH - 116.0, MIDDLE, 92.0),
        Node::Out,
        "out by",
        scene.output.as_deref().or(Some("\u{2013}")),
    );
    pill(
        svg,
        (ROUTING - 110.0, 618.0, 220.0),
        Node::Router,
        "the router itself",
        None,
    );
    // The routing decision.
    let (asked, lost) = match &scene.routing {
        Some((_, lost)) if scene.way.iter().any(|(_, to)| *to == Node::Routing) => (true, *lost),
        _ => (false, false),
    };
    let (line, ink) = match (asked, lost) {
        (true, true) => (scene.tone.strong(), scene.tone.strong()),
        (true, false) => ("#334155", "#0f172a"),
        (false, _) => (IDLE, "#94a3b8"),
    };
    let _ = writeln!(
        svg.text,
        "<path d=\"M{},{MIDDLE} L{ROUTING},{} L{},{MIDDLE} L{ROUTING},{} z\" fill=\"#f8fafc\" stroke=\"{line}\" stroke-width=\"2\" \
         stroke-linejoin=\"round\"/>",
        ROUTING - 58.0,
        MIDDLE - 40.0,
        ROUTING + 58.0,
        MIDDLE + 40.0
    );
    svg.words(
        (ROUTING, MIDDLE + 4.0),
        12.0,
        ink,
        " text-anchor=\"middle\" font-weight=\"600\"",
        "routing",
    );
    if let Some((way, _)) = scene.routing.as_ref().filter(|_| asked) {
        svg.words(
            (ROUTING, MIDDLE - 52.0),
            11.0,
            ink,
            " text-anchor=\"middle\"",
            &cut(way, 44),
        );
    }
    if lost {
        svg.stop_sign((ROUTING + 58.0, MIDDLE), scene.tone.strong());
    }
    if let Some(answer) = &scene.answer {
        svg.words(
            (ROUTING + 126.0, 640.0),
            11.0,
            ANSWER,
            " font-weight=\"700\"",
            "and the router sends",
        );
        svg.words(
            (ROUTING + 126.0, 657.0),
            10.5,
            ANSWER,
            " class=\"mono\"",
            &cut(answer, 105),
        );
    }
}

fn list(svg: &mut Svg, scene: &Scene, tried: usize) {
    if tried == 0 {
        return;
    }
    svg.words(
        (32.0, LIST_TOP + 6.0),
        13.0,
        "#0f172a",
        " font-weight=\"700\"",
        &scene.tried_in,
    );
    let left_out = scene.tried.len() - tried;
    if left_out > 0 {
        let text = format!("({left_out} before these did not match)");
        svg.words((330.0, LIST_TOP + 6.0), 11.5, "#64748b", "", &text);
    }
    for (at, (matched, text, why)) in scene.tried[left_out..].iter().enumerate() {
        let y = LIST_TOP + 32.0 + at as f64 * 24.0;
        let is_last = at + 1 == tried;
        if is_last {
            svg.box_at(
                (24.0, y - 16.0, WIDTH - 48.0, 23.0),
                6.0,
                scene.tone.soft(),
                scene.tone.strong(),
                1.2,
            );
        }
        let (sign, ink) = match (matched, is_last) {
            (true, true) => ("\u{2713}", scene.tone.strong()),
            (true, false) => ("\u{2713}", "#334155"),
            (false, _) => ("\u{2717}", "#94a3b8"),
        };
        svg.words((36.0, y), 12.0, ink, " font-weight=\"700\"", sign);
        let weight = if is_last { " font-weight=\"700\"" } else { "" };
        let ink = if *matched { ink } else { "#64748b" };
        let room = if why.is_empty() { 150 } else { 88 };
        let attributes = format!(" class=\"mono\" xml:space=\"preserve\"{weight}");
        svg.words((58.0, y), 11.5, ink, &attributes, &cut(text, room));
        svg.words(
            (WIDTH - 36.0, y),
            11.0,
            "#b45309",
            " text-anchor=\"end\"",
            &cut(why, 76),
        );
    }
}

struct Svg {
    text: String,
}

impl Svg {
    fn box_at(
        &mut self,
        (x, y, width, height): (f64, f64, f64, f64),
        radius: f64,
        fill: &str,
        line: &str,
        line_width: f64,
    ) {
        let _ = writeln!(
            self.text,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{radius}\" fill=\"{fill}\" stroke=\"{line}\" \
             stroke-width=\"{line_width}\"/>"
        );
    }

    fn words(&mut self, (x, y): (f64, f64), size: f64, ink: &str, attributes: &str, words: &str) {
        let _ = writeln!(
            self.text,
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" fill=\"{ink}\"{attributes}>{}</text>",
            escaped(words)
        );
    }

    fn stop_sign(&mut self, (x, y): (f64, f64), colour: &str) {
        let _ = writeln!(
            self.text,
            "<g><circle cx=\"{x}\" cy=\"{y}\" r=\"13\" fill=\"{colour}\" stroke=\"#ffffff\" stroke-width=\"2.5\"/>\
             <path d=\"M{},{} l9,9 m0,-9 l-9,9\" stroke=\"#ffffff\" stroke-width=\"2.8\" stroke-linecap=\"round\"/></g>",
            x - 4.5,
            y - 4.5
        );
    }
}

/// Text for XML, without what XML cannot hold.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for next in text.chars() {
        match next {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            next if next.is_control() => out.push('\u{fffd}'),
            next => bytes::push_visible(&mut out, next),
        }
    }
    out
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => {
            let mut short: String = text.chars().take(most - 1).collect();
            short.push('\u{2026}');
            short
        }
    }
}

struct Edge {
    from: Node,
    to: Node,
    path: &'static str,
}

const fn edge(from: Node, to: Node, path: &'static str) -> Edge {
    Edge { from, to, path }
}

/// Where a hook's card stands.
fn place(hook: Hook) -> (f64, f64) {
    match hook {
        Hook::Prerouting => (150.0, 155.0),
        Hook::Forward => (636.0, 177.0),
        Hook::Postrouting => (930.0, 177.0),
        Hook::Input => (385.0, 366.0),
        Hook::Output => (783.0, 366.0),
    }
}

const EDGES: [Edge; 9] = [
    edge(Node::In, Node::Hook(Hook::Prerouting), "M116,232 H148"),
    edge(Node::Hook(Hook::Prerouting), Node::Routing, "M384,232 H442"),
    edge(Node::Routing, Node::Hook(Hook::Forward), "M560,232 H634"),
    edge(
        Node::Hook(Hook::Forward),
        Node::Hook(Hook::Postrouting),
        "M870,232 H928",
    ),
    edge(Node::Hook(Hook::Postrouting), Node::Out, "M1164,232 H1202"),
    edge(Node::Routing, Node::Hook(Hook::Input), "M502,272 V364"),
    edge(Node::Hook(Hook::Input), Node::Router, "M502,520 V592"),
    edge(Node::Router, Node::Hook(Hook::Output), "M612,618 H900 V566"),
    edge(
        Node::Hook(Hook::Output),
        Node::Hook(Hook::Postrouting),
        "M900,366 V328 H1047 V290",
    ),
];

const WIDTH: f64 = 1320.0;
/// The height of the upper row's middle.
const MIDDLE: f64 = 232.0;
const ROUTING: f64 = 502.0;
const CARD: f64 = 234.0;
const CARD_HEAD: f64 = 34.0;
const ROW: f64 = 22.0;
const LIST_TOP: f64 = 690.0;
const LONGEST_LIST: usize = 14;
const IDLE: &str = "#cbd5e1";
const ANSWER: &str = "#7c3aed";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::account::Told;
    use crate::explain::why::tests::said;

    #[test]
    fn whatever_a_packet_holds_the_picture_is_well_formed() {
        let nasty = "<&>\"'\u{1}\u{7f}é".repeat(40);
        let account = Account {
            number: 7,
            family: None,
            verdict: "DROP".into(),
            state: Some(nasty.clone()),
            decided_by: Vec::new(),
            steps: vec![
                Told::Arrived {
                    interface: Some(nasty.clone()),
                    packet: nasty.clone(),
                },
                Told::Hook {
                    hook: "PREROUTING".into(),
                },
                Told::Route {
                    way: nasty.clone(),
                    route: None,
                    rule: None,
                    again: false,
                },
                Told::Stopped {
                    how: "dropped".into(),
                    reason: nasty.clone(),
                    by_rules: false,
                },
                Told::RouterSends { packet: nasty },
            ],
        };
        for account in [
            account,
            Account {
                number: 0,
                family: None,
                verdict: String::new(),
                state: None,
                decided_by: Vec::new(),
                steps: Vec::new(),
            },
        ] {
            let svg = draw(&account);
            let without_tags: String = svg
                .split('<')
                .map(|part| part.split_once('>').map_or(part, |it| it.1))
                .collect();
            assert!(!without_tags.contains(['<', '>']), "{svg}");
            assert!(!svg.chars().any(|it| it.is_control() && it != '\n'), "{svg}");
            assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
            assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
        }
    }

    /// Of what was tried each line is below the one before it, and the frame is around the last.
    #[test]
    fn whose_rules_decided_is_drawn() {
        for (tool, from, to, whose) in [
            ("iptables", "10.0.0.2:1", "192.0.2.9:80", ""),
            ("ip6tables", "[2001:db8::2]:1", "[2001:db8:1::9]:80", "IPv6's "),
        ] {
            let send = format!("send lan tcp {from} > {to} S\ntrace --json");
            let of_policy = said(&format!("{tool} -A FORWARD -p udp\n{send}"));
            let of_rule = said(&format!("{tool} -A FORWARD -p tcp -j DROP\n{send}"));
            for (story, decided) in [
                (
                    of_policy,
                    format!("let through by the policy of {whose}filter FORWARD<"),
                ),
                (of_rule, format!("stopped: rule 1 of {whose}filter FORWARD:")),
            ] {
                let account: Account = serde_json::from_str(&story).unwrap();
                let svg = draw(&account).replace("&#39;", "'");
                assert!(svg.contains(&decided), "{decided}: {svg}");
            }
        }
    }

    #[test]
    fn the_rule_that_decided_stands_in_its_frame() {
        let story = said(
            "iptables -A FORWARD -p udp -j ACCEPT\niptables -A FORWARD -s 10.0.0.9 -j ACCEPT\niptables -A FORWARD -s 10.0.0.2 -j DROP\n\
             send lan tcp 10.0.0.2:1 > 192.0.2.9:80 S\ntrace --json",
        );
        let account: Account = serde_json::from_str(&story).unwrap();
        let svg = draw(&account);
        let number = |line: &str, name: &str| -> f64 {
            let (_, behind) = line.split_once(&format!(" {name}=\"")).unwrap();
            behind.split('"').next().unwrap().parse().unwrap()
        };
        let line_of = |rule: &str| {
            let line = svg.lines().find(|line| line.contains(rule));
            number(line.unwrap_or_else(|| panic!("{rule} is not in\n{svg}")), "y")
        };
        let lines = [1, 2, 3].map(|rule| line_of(&format!("FORWARD {rule}:")));
        assert!(lines.is_sorted_by(|one, next| next - one >= 20.0), "{lines:?}");
        let frames: Vec<&str> = svg
            .lines()
            .filter(|line| line.starts_with("<rect") && line.contains(" height=\"23\""))
            .collect();
        let [frame] = frames[..] else { panic!("{frames:?}") };
        let right = number(frame, "x") + number(frame, "width");
        assert!((0.9 * WIDTH..WIDTH).contains(&right), "{frame}");
        let (top, bottom) = (number(frame, "y"), number(frame, "y") + 23.0);
        assert!(
            lines[1] < top && top + 10.0 < lines[2] && lines[2] < bottom,
            "{lines:?}, {frame}"
        );
    }
}
