//! The live view on a terminal.

use std::io;
use std::time::Duration;

use chrono::{Local, TimeZone as _};
use ratatui::DefaultTerminal;
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Cell, Paragraph, Row, Sparkline, Table, Wrap};

use super::Wish;
use super::figures::{Figures, Stage, grouped};

/// Time between two pictures.
const STEP: Duration = Duration::from_millis(200);
/// Narrower, and the two upper boxes stand one below the other.
const WIDE: u16 = 76;

/// Owns the terminal; dropping it gives the terminal back, and so does a panic.
pub(super) struct View {
    terminal: DefaultTerminal,
    ink: Ink,
}

/// The colours, or none.
#[derive(Clone, Copy, Debug)]
struct Ink {
    colour: bool,
}

impl Ink {
    fn of(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    fn label(self) -> Style {
        if self.colour { Style::new().fg(Color::DarkGray) } else { Style::new().add_modifier(Modifier::DIM) }
    }

    fn strong(self, colour: Color) -> Style {
        self.of(colour).add_modifier(Modifier::BOLD)
    }

    /// For counts that should be zero.
    fn alarm(self, count: u64) -> Style {
        if count == 0 { Style::new() } else { self.strong(Color::Red) }
    }

    fn block(self, title: impl Into<Line<'static>>) -> Block<'static> {
        Block::bordered().border_type(BorderType::Rounded).border_style(self.label()).title(title)
    }
}

impl View {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When it cannot be set up.
    pub(super) fn open() -> io::Result<View> {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Ok(View { terminal: ratatui::try_init()?, ink: Ink { colour } })
    }

    /// Draws the figures, then waits a little for a key.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn show(&mut self, figures: &Figures) -> io::Result<Wish> {
        let ink = self.ink;
        self.terminal.draw(|frame| draw(frame, figures, ink))?;
        let mut wait = STEP;
        while event::poll(wait)? {
            match event::read()? {
                Event::Key(key) if key.kind == KeyEventKind::Press => {
                    let control = key.modifiers.contains(KeyModifiers::CONTROL);
                    match key.code {
                        KeyCode::Char('q' | 'Q') | KeyCode::Esc => return Ok(Wish::End),
                        KeyCode::Char('c') if control => return Ok(Wish::End),
                        _ => {}
                    }
                }
                Event::Resize(..) => return Ok(Wish::GoOn),
                _ => {}
            }
            wait = Duration::ZERO;
        }
        Ok(Wish::GoOn)
    }
}

impl Drop for View {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

fn draw(frame: &mut Frame<'_>, figures: &Figures, ink: Ink) {
    let area = frame.area();
    let wide = area.width >= WIDE;
    let upper = if wide { 9 } else { 16 };
    // A long topology takes two lines where there is room.
    let long = figures.topology.chars().count() >= usize::from(area.width);
    let foot = if long && area.height >= 24 { 3 } else { 2 };
    let [head, upper, board, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(upper),
        Constraint::Min(4),
        Constraint::Length(foot),
    ])
    .areas(area);
    draw_head(frame, head, figures, ink);
    let halves = [Constraint::Fill(1), Constraint::Length(if wide { 38 } else { 9 })];
    let [flow, health] =
        if wide { Layout::horizontal(halves) } else { Layout::vertical(halves) }.areas(upper);
    draw_flow(frame, flow, figures, ink);
    draw_health(frame, health, figures, ink);
    draw_board(frame, board, figures, ink);
    draw_foot(frame, foot, figures, ink);
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, figures: &Figures, ink: Ink) {
    let clock = |duration: Duration| format!("{:02}:{:02}", duration.as_secs() / 60, duration.as_secs() % 60);
    let time = match figures.duration {
        Some(duration) => format!("{} of {}", clock(figures.lasted), clock(duration)),
        None => clock(figures.lasted),
    };
    let left = Line::from(vec![
        Span::styled(" riacho ", ink.strong(Color::Cyan).add_modifier(Modifier::REVERSED)),
        Span::raw(format!(" {}", figures.title)),
    ]);
    let right = Span::styled(format!(" {time} "), Style::new().add_modifier(Modifier::BOLD));
    let width = u16::try_from(right.width()).unwrap_or(area.width);
    let [name, corner] = Layout::horizontal([Constraint::Min(8), Constraint::Length(width)]).areas(area);
    frame.render_widget(Paragraph::new(left), name);
    frame.render_widget(Paragraph::new(Line::from(right)), corner);
}

fn draw_flow(frame: &mut Frame<'_>, area: Rect, figures: &Figures, ink: Ink) {
    let block = ink.block(" Records processed per second ");
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let [numbers, graph] = Layout::vertical([Constraint::Length(2), Constraint::Min(1)]).areas(inside);
    let lines = vec![
        Line::from(vec![
            Span::styled(grouped(figures.records_per_s as u64), ink.strong(Color::Green)),
            Span::styled(" now   ", ink.label()),
            Span::raw(grouped(mean(figures))),
            Span::styled(" mean", ink.label()),
        ]),
        Line::from(vec![
            Span::raw(grouped(figures.progress.records)),
            Span::styled(" processed   ", ink.label()),
            Span::raw(grouped(figures.board.outputs)),
            Span::styled(" written", ink.label()),
        ]),
    ];
    frame.render_widget(Paragraph::new(lines), numbers);
    let shown = usize::from(graph.width);
    let bars = figures.bars.get(figures.bars.len().saturating_sub(shown)..).unwrap_or_default();
    // From zero and with some air, so that a steady stream looks steady; a single spike may be cut off.
    let mut sorted = bars.to_vec();
    sorted.sort_unstable();
    let usual = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
    let top = (usual + usual / 3).max(1);
    let bars = bars.iter().map(|bar| *bar.min(&top));
    frame.render_widget(Sparkline::default().data(bars).max(top).style(ink.of(Color::Green)), graph);
}

fn mean(figures: &Figures) -> u64 {
    let seconds = figures.lasted.as_secs_f64();
    if seconds > 0.0 { (figures.progress.records as f64 / seconds) as u64 } else { 0 }
}

fn draw_health(frame: &mut Frame<'_>, area: Rect, figures: &Figures, ink: Ink) {
    let progress = &figures.progress;
    let (state, colour) = match figures.stage {
        Stage::Starting => ("joining the group".to_owned(), Color::Yellow),
        Stage::Running => (figures.state.to_string(), Color::Green),
        Stage::Closing => ("closing the last windows".to_owned(), Color::Yellow),
    };
    let row = |label: &'static str, spans: Vec<Span<'static>>| {
        let mut line = vec![Span::styled(format!("{label:<9}"), ink.label())];
        line.extend(spans);
        Line::from(line)
    };
    let small = |text: &'static str| Span::styled(text, ink.label());
    let number = |number: u64| Span::raw(grouped(number));
    let (compared, wrong) = figures.compared;
    let mut lag = vec![number(figures.lag()), small(" records")];
    if figures.held {
        lag.push(Span::styled("  generator waits", ink.of(Color::Yellow)));
    }
    let lines = vec![
        row("state", vec![Span::styled(state, ink.strong(colour))]),
        row("lag", lag),
        row(
            "commits",
            vec![
                Span::raw(format!("{:.1}", figures.commits_per_s)),
                small(" /s, last "),
                Span::raw(format!("{:.1}", progress.last_commit.as_secs_f64() * 1e3)),
                small(" ms"),
            ],
        ),
        row(
            "aborted",
            vec![
                Span::styled(grouped(progress.aborts), ink.alarm(progress.aborts)),
                small("   restored "),
                number(progress.restored),
            ],
        ),
        row(
            "windows",
            vec![
                number(figures.windows_open() as u64),
                small(" open, "),
                number(figures.board.windows_closed as u64),
                small(" closed, "),
                number(progress.tasks as u64),
                small(" tasks"),
            ],
        ),
        row(
            "late",
            vec![
                number(progress.late),
                small("   dead "),
                Span::styled(grouped(progress.dead_letters), ink.alarm(progress.dead_letters)),
                small("   unusual "),
                number(figures.board.anomalies),
            ],
        ),
        row(
            "proof",
            vec![
                number(compared),
                small(" totals right, "),
                Span::styled(grouped(wrong), ink.alarm(wrong)),
                small(" wrong"),
            ],
        ),
    ];
    frame.render_widget(Paragraph::new(lines).block(ink.block(" Health ")), area);
}

fn draw_board(frame: &mut Frame<'_>, area: Rect, figures: &Figures, ink: Ink) {
    let board = &figures.board;
    let time = |at: riacho::Timestamp| match Local.timestamp_millis_opt(at.as_millis()) {
        chrono::LocalResult::Single(time) => time.format("%H:%M:%S").to_string(),
        _ => String::new(),
    };
    let title = match &board.window {
        Some(window) => format!(
            " Top vendors, window {} to {}, {} vendors ",
            time(window.start),
            time(window.end),
            grouped(board.vendors as u64)
        ),
        None => " Top vendors ".to_owned(),
    };
    let block = ink.block(title);
    let widest = board.top.first().map_or(1, |row| row.total.0.max(1));
    // Narrow terminals lose the columns from the right.
    let bar_width = area.width.saturating_sub(70).min(40);
    let shown = match area.width {
        0..42 => 2,
        42..56 => 4,
        56..72 => 5,
        _ => 7,
    };
    let right = |text: String| Cell::from(Line::from(text).alignment(Alignment::Right));
    let rows = board.top.iter().enumerate().map(|(place, row)| {
        let filled = i64::from(bar_width) * row.total.0.max(0) / widest;
        let cells = [
            right((place + 1).to_string()),
            Cell::from(row.vendor.to_string()),
            right(money(row.total.0)),
            right(grouped(row.count)),
            right(money(row.mean.0)),
            right(row.currencies.to_string()),
            Cell::from(Span::styled("█".repeat(usize::try_from(filled).unwrap_or(0)), ink.of(Color::Cyan))),
        ];
        Row::new(cells.into_iter().take(shown))
    });
    let widths = [
        Constraint::Length(3),
        Constraint::Min(13),
        Constraint::Length(14),
        Constraint::Length(12),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Length(bar_width),
    ];
    let names = ["", "vendor", "total", "transactions", "mean", "currencies", ""];
    let header = Row::new(names.into_iter().take(shown).enumerate().map(|(at, name)| {
        Cell::from(Line::from(name).alignment(if at >= 2 { Alignment::Right } else { Alignment::Left }))
    }));
    let table =
        Table::new(rows, widths.into_iter().take(shown)).header(header.style(ink.label())).block(block);
    frame.render_widget(table, area);
}

/// An amount with its thousands apart.
fn money(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.unsigned_abs();
    format!("{sign}{}.{:02}", grouped(cents / 100), cents % 100)
}

fn draw_foot(frame: &mut Frame<'_>, area: Rect, figures: &Figures, ink: Ink) {
    let keys = match figures.stage {
        Stage::Closing => "closing; q gives up",
        Stage::Starting | Stage::Running => "q ends and proves",
    };
    let mut last = vec![Span::raw(" "), Span::styled(keys, Style::new().add_modifier(Modifier::BOLD))];
    if let Some(url) = &figures.page_url {
        last.push(Span::styled(format!("   {url}"), ink.label()));
    }
    let [topology, keys] = Layout::vertical([Constraint::Min(1), Constraint::Length(1)]).areas(area);
    let topology = Rect { x: topology.x + 1, width: topology.width.saturating_sub(2), ..topology };
    let text = Paragraph::new(figures.topology.as_str()).style(ink.label()).wrap(Wrap { trim: true });
    frame.render_widget(text, topology);
    frame.render_widget(Paragraph::new(Line::from(last)), keys);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use riacho::lifecycle::ClientState;
    use riacho::{Snapshot, Timestamp, Window};

    use super::super::board::{self, Standing};
    use super::*;
    use crate::transactions::money::Cents;

    fn figures() -> Figures {
        let vendor = |number: i64| board::Row {
            vendor: format!("vendor_{number:06}").into(),
            count: 1_000,
            total: Cents(123_456_789 / number),
            mean: Cents(12_345),
            currencies: 4,
        };
        Figures {
            title: "embedded Kafka 127.0.0.1:9092  exactly_once_v2  2 threads".to_owned(),
            stage: Stage::Running,
            state: ClientState::Running,
            page_url: Some("http://127.0.0.1:9464/".to_owned()),
            topology: "financial_transactions → totals, profiles → aggregated_transactions".to_owned(),
            lasted: Duration::from_secs(65),
            duration: None,
            progress: Snapshot { records: 1_300_000, aborts: 2, late: 17, ..Snapshot::default() },
            sent: 1_301_000,
            held: false,
            records_per_s: 20_123.4,
            commits_per_s: 19.8,
            bars: vec![20_000; 10],
            board: Standing {
                window: Some(Window { start: Timestamp(0), end: Timestamp(5_000) }),
                top: (1..=40).map(vendor).collect(),
                vendors: 1_000,
                ..Standing::default()
            },
            compared: (8_000, 0),
        }
    }

    fn drawn(width: u16, height: u16, colour: bool) -> Terminal<TestBackend> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, &figures(), Ink { colour })).unwrap();
        terminal
    }

    #[test]
    fn eighty_by_twenty_four_shows_every_figure() {
        let screen = drawn(80, 24, true).backend().to_string();
        for text in [
            "riacho",
            "exactly_once_v2",
            "01:05",
            "20,123",
            "1,300,000",
            "1,000 records",
            "19.8",
            "8,000 totals right",
            "vendor_000001",
            "1,234,567.89",
            "aggregated_transactions",
            "q ends and proves",
            "http://127.0.0.1:9464/",
            "aborted  2",
        ] {
            assert!(screen.contains(text), "{text:?} is not in\n{screen}");
        }
    }

    #[test]
    fn any_size_can_be_drawn() {
        for width in [1, 2, 9, 20, 41, 55, 71, 75, 76, 79, 200] {
            for height in [1, 2, 5, 12, 23, 24, 60] {
                drawn(width, height, true);
            }
        }
    }

    #[test]
    fn without_colour_there_is_none() {
        let terminal = drawn(100, 30, false);
        assert!(
            terminal
                .backend()
                .buffer()
                .content
                .iter()
                .all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset)
        );
    }
}
