//! An account as a picture: the hooks as a map, the packet's way through them, and the rule or check that had the last word. SVG, written by
//! hand: it stands alone, without scripts, fonts or anything else to fetch.

use std::fmt::Write;

use super::account::{Account, Told};
use crate::engine::{HOOKS, Stage};
use crate::rule::Hook;

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

/// What of an account the picture shows.
struct Scene {
    packet: String,
    number: u64,
    verdict: String,
    state: Option<String>,
    tone: Tone,
    /// The sentence that says what decided.
    decided: String,
    cards: Vec<Card>,
    way: Vec<(Node, Node)>,
    answers: Vec<(Node, Node)>,
    input: Option<String>,
    output: Option<String>,
    /// Where routing sent it, and whether it was lost there.
    routing: Option<(String, bool)>,
    reached_router: bool,
    /// What the router sent because of it.
    answer: Option<String>,
    /// Where the last word was spoken, and every rule that was tried there.
    tried_in: String,
    tried: Vec<(bool, String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tone {
    Good,
    Bad,
    Between,
}

impl Tone {
    fn strong(self) -> &'static str {
        match self {
            Self::Good => "#15803d",
            Self::Bad => "#c81e1e",
            Self::Between => "#b45309",
        }
    }

    fn soft(self) -> &'static str {
        match self {
            Self::Good => "#e8f7ee",
            Self::Bad => "#fdecec",
            Self::Between => "#fdf3e1",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    In,
    Hook(Hook),
    Routing,
    Router,
    Out,
}

/// One hook.
struct Card {
    hook: Hook,
    /// The packet came here.
    met: bool,
    rows: Vec<Row>,
    stopped: bool,
}

struct Row {
    stage: &'static str,
    said: Option<String>,
    /// What had the last word about the packet.
    last_word: bool,
}

impl Scene {
    fn of(account: &Account) -> Self {
        let first = account.steps.iter().find_map(|told| match told {
            Told::Arrived { interface, packet } => Some((interface.clone(), packet.clone())),
            _ => None,
        });
        let (input, packet) = first.unwrap_or_default();
        let tone = match account.verdict.as_str() {
            "ACCEPT" => Tone::Good,
            "STOLEN" | "QUEUE" => Tone::Between,
            _ => Tone::Bad,
        };
        let mut scene = Self {
            packet,
            number: account.number,
            verdict: account.verdict.clone(),
            state: account.state.clone(),
            tone,
            decided: String::new(),
            cards: HOOKS.iter().map(|(hook, stages)| Card::new(*hook, stages)).collect(),
            way: Vec::new(),
            answers: Vec::new(),
            input,
            output: None,
            routing: None,
            reached_router: false,
            answer: None,
            tried_in: String::new(),
            tried: Vec::new(),
        };
        scene.way = way(account.of_the_packet());
        scene.fill(account);
        scene.decide(account);
        // Of several the one that left is shown, such as the error after a redirect that was lost.
        let starts = (0..account.steps.len()).filter(|at| matches!(account.steps[*at], Told::RouterSends { .. }));
        let own = starts
            .map(|at| {
                let ends = |told: &Told| matches!(told, Told::GoesOn | Told::RouterSends { .. });
                let rest = account.steps[at + 1..].iter().position(ends);
                &account.steps[at..rest.map_or(account.steps.len(), |rest| at + 1 + rest)]
            })
            .max_by_key(|own| own.iter().any(|told| matches!(told, Told::Sent { .. })))
            .unwrap_or(&[]);
        if let Some(Told::RouterSends { packet }) = own.first() {
            scene.answer = Some(packet.clone());
        }
        let left = own.iter().find_map(|told| match told {
            Told::Sent { interface, .. } => Some(interface.clone()),
            _ => None,
        });
        scene.output = scene.output.or(left);
        scene.answers = way(own.iter());
        scene
    }

    fn fill(&mut self, account: &Account) {
        let mut at: Option<Hook> = None;
        let mut stage = "";
        for told in account.of_the_packet() {
            match told {
                Told::Hook { hook } => {
                    at = Hook::ALL.into_iter().find(|it| it.chain() == hook);
                    stage = "";
                    if let Some(card) = self.card(at) {
                        card.met = true;
                    }
                }
                Told::Table { table, .. } => stage = table_name(table),
                Told::Reassembled { .. } => self.say(at, "defragment", "whole".to_owned()),
                Told::Conntrack { state, .. } => {
                    stage = "conntrack";
                    self.say(at, stage, state.clone().unwrap_or_else(|| "dropped".to_owned()));
                }
                Told::Rule {
                    chain,
                    number,
                    decides: true,
                    action,
                    ..
                } => {
                    let hook = at.map_or("", Hook::chain);
                    let action = action.split_whitespace().next().unwrap_or("");
                    let place = if chain == hook {
                        String::new()
                    } else {
                        format!("{chain} ")
                    };
                    self.say(at, stage, format!("{place}rule {number}: {action}"));
                }
                Told::Policy { policy, .. } => self.say(at, stage, format!("policy {policy}")),
                Told::NatNotAsked { .. } => self.say(at, "nat", "not asked".to_owned()),
                Told::Nat { nat, after, .. } => {
                    let mut ends = after.split(" > ");
                    let end = match nat.as_str() {
                        "source" => ends.next(),
                        _ => ends.nth(1),
                    };
                    let end = end.unwrap_or(after).split(' ').next().unwrap_or("");
                    self.say(at, "nat", format!("\u{2192} {end}"));
                }
                Told::Helper { helper, heard, .. } => {
                    stage = HELPER;
                    let what = if heard.contains("is expected") {
                        "expects a flow"
                    } else {
                        "read"
                    };
                    self.say(at, stage, format!("{helper} {what}"));
                }
                Told::Route { way, .. } => self.routing = Some((way.clone(), false)),
                Told::Sent { interface, .. } => self.output = Some(interface.clone()),
                // What came round through lo, too.
                Told::Arrived {
                    interface: Some(interface),
                    ..
                } => self.input = Some(interface.clone()),
                Told::Delivered { .. } => self.reached_router = true,
                Told::Stopped { how, .. } => {
                    // At a table, at another stage, or (with no stage since the last hook) at the routing decision.
                    let in_routing = matches!(
                        account.of_the_packet().take_while(|it| !std::ptr::eq(*it, told)).last(),
                        Some(Told::Route { .. })
                    );
                    if in_routing {
                        if let Some((_, lost)) = &mut self.routing {
                            *lost = true;
                        }
                    } else if let Some(card) = self.card(at) {
                        card.stopped = true;
                        if how == "held"
                            && let Some(row) = card.rows.iter_mut().find(|row| row.stage == "defragment")
                        {
                            row.said = Some("held".to_owned());
                            row.last_word = true;
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Who had the last word, and what was tried there.
    fn decide(&mut self, account: &Account) {
        let stopped = account.of_the_packet().find_map(|told| match told {
            Told::Stopped { how, reason, .. } => Some((how, reason)),
            _ => None,
        });
        let word = account.last_word();
        if let Some(word) = word {
            let mut hook = "";
            let mut table_here = "";
            for told in account.of_the_packet() {
                match told {
                    Told::Hook { hook: here } => hook = here,
                    Told::Table { table, .. } => {
                        table_here = table;
                        if hook == word.hook && *table == word.table {
                            self.tried.clear();
                        }
                    }
                    Told::Rule {
                        chain,
                        number,
                        depth,
                        rule,
                        matched,
                        why,
                        ..
                    } if hook == word.hook && table_here == word.table => {
                        let indent = "\u{a0}\u{a0}".repeat(*depth);
                        let text = format!("{indent}{chain} {number}: {rule}");
                        self.tried.push((*matched, text, why.clone().unwrap_or_default()));
                    }
                    Told::Policy { chain, policy, .. } if hook == word.hook && table_here == word.table => {
                        self.tried
                            .push((true, format!("policy of {chain}: {policy}"), String::new()));
                    }
                    _ => {}
                }
            }
            self.tried_in = format!("Tried in table {} at {}", word.table, word.hook);
            let text = account.of_the_packet().find_map(|told| match told {
                Told::Rule {
                    table,
                    chain,
                    number,
                    rule,
                    decides: true,
                    ..
                } if *table == word.table && *chain == word.chain && Some(*number) == word.rule => Some(rule.clone()),
                _ => None,
            });
            self.decided = match (word.rule, text) {
                (Some(number), Some(text)) => format!("rule {number} of {} {}:  {text}", word.table, word.chain),
                (Some(number), None) => format!("rule {number} of {} {}", word.table, word.chain),
                (None, _) => format!("the policy of {} {}", word.table, word.chain),
            };
            let hook = Hook::ALL.into_iter().find(|it| it.chain() == word.hook);
            let stage = table_name(&word.table);
            if let Some(card) = self.card(hook)
                && let Some(row) = card.rows.iter_mut().find(|row| row.stage == stage)
            {
                row.last_word = true;
            }
        }
        match stopped {
            Some((how, reason)) if word.is_none() && self.tone == Tone::Between => {
                self.decided = format!("{how} {reason}");
            }
            Some((_, reason)) if word.is_none() => reason.clone_into(&mut self.decided),
            None if word.is_none() => "no table was asked".clone_into(&mut self.decided),
            _ => {}
        }
    }

    fn card(&mut self, hook: Option<Hook>) -> Option<&mut Card> {
        let hook = hook?;
        self.cards.iter_mut().find(|card| card.hook == hook)
    }

    fn say(&mut self, hook: Option<Hook>, stage: &str, what: String) {
        if let Some(card) = self.card(hook)
            && let Some(row) = card.rows.iter_mut().find(|row| row.stage == stage)
        {
            // What NAT wrote says more than which rule made it do so.
            row.said = Some(what);
        }
    }
}

fn way<'a>(told: impl Iterator<Item = &'a Told>) -> Vec<(Node, Node)> {
    let mut edges = Vec::new();
    let mut here: Option<Node> = None;
    for told in told {
        let next = match told {
            Told::Arrived { interface: Some(_), .. } => Node::In,
            Told::Arrived { interface: None, .. } | Told::RouterSends { .. } => {
                here = None;
                Node::Router
            }
            Told::Hook { hook } => match Hook::ALL.into_iter().find(|it| it.chain() == hook) {
                Some(hook) => Node::Hook(hook),
                None => continue,
            },
            Told::Route { .. } if here == Some(Node::Hook(Hook::Prerouting)) => Node::Routing,
            Told::Sent { .. } => Node::Out,
            Told::Delivered { .. } => Node::Router,
            _ => continue,
        };
        if let Some(from) = here {
            edges.push((from, next));
        }
        here = Some(next);
    }
    edges
}

impl Card {
    fn new(hook: Hook, stages: &[(i32, Stage)]) -> Self {
        let rows = stages
            .iter()
            .map(|(_, stage)| Row {
                stage: match stage {
                    Stage::Nat(_) => "nat",
                    Stage::Confirm => HELPER,
                    stage => stage.name(),
                },
                said: None,
                last_word: false,
            })
            .collect();
        Self {
            hook,
            met: false,
            rows,
            stopped: false,
        }
    }

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
            next => out.push(next),
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

fn table_name(name: &str) -> &'static str {
    crate::rule::Table::from_name(name).map_or("", crate::rule::Table::name)
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

/// Flows are confirmed there, too, of which there is nothing to say.
const HELPER: &str = "helper";
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

    #[test]
    fn whatever_a_packet_holds_the_picture_is_well_formed() {
        let nasty = "<&>\"'\u{1}\u{7f}é".repeat(40);
        let account = Account {
            number: 7,
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
}
