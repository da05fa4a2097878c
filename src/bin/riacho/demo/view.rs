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
use ratatui::widgets::{Block, BorderType, Cell, Paragraph, Row, Sparkline, Table};

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
    let [head, upper, board, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(upper),
        Constraint::Min(4),
        Constraint::Length(2),
    ])
    .areas(area);
    draw_head(frame, head, figures, ink);
    let halves = [Constraint::Fill(1), Constraint::Length(if wide { 38 } else { 9 })];
    let [flow, health] = if wide { Layout::horizontal(halves) } else { Layout::vertical(halves) }.areas(upper);
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
    frame.render_widget(Paragraph::new(left), area);
    let right = Line::from(vec![Span::raw("  "), Span::styled(time, Style::new().add_modifier(Modifier::BOLD)), Span::raw(" ")]);
    let width = u16::try_from(right.width()).unwrap_or(area.width).min(area.width);
    let corner = Rect { x: area.right() - width, width, ..area };
    frame.render_widget(Paragraph::new(right).alignment(Alignment::Right), corner);
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
    // From zero and with some air, so that a steady stream looks steady.
    let top = bars.iter().max().map_or(1, |max| max + max / 8).max(1);
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
    let mut lag = vec![number(figures.lag()), small(" records")];
    if figures.held {
        lag.push(Span::styled("  generator waits", ink.of(Color::Yellow)));
    }
    let lines = vec![
        row("state", vec![Span::styled(state, ink.strong(colour))]),
        row("lag", lag),
        row("commits", vec![
            Span::raw(format!("{:.1}", figures.commits_per_s)),
            small(" /s, last "),
            Span::raw(format!("{:.1}", progress.last_commit.as_secs_f64() * 1e3)),
            small(" ms"),
        ]),
        row("aborted", vec![
            Span::styled(grouped(progress.aborts), ink.alarm(progress.aborts)),
            small("   restored "),
            number(progress.restored),
        ]),
        row("windows", vec![
            number(progress.windows_open as u64),
            small(" open, "),
            number(progress.windows_closed),
            small(" closed"),
        ]),
        row("late", vec![
            number(progress.late),
            small("   dead letters "),
            Span::styled(grouped(progress.dead_letters), ink.alarm(progress.dead_letters)),
        ]),
        row("unusual", vec![number(figures.board.anomalies), small(" transactions")]),
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
    let bar_width = usize::from(area.width.saturating_sub(70).min(40));
    let right = |text: String| Cell::from(Line::from(text).alignment(Alignment::Right));
    let rows = board.top.iter().enumerate().map(|(place, row)| {
        let filled = usize::try_from(i64::try_from(bar_width).unwrap_or(0) * row.total.0.max(0) / widest).unwrap_or(0);
        Row::new(vec![
            right((place + 1).to_string()),
            Cell::from(row.vendor.to_string()),
            right(grouped(row.count)),
            right(money(row.total.0)),
            right(money(row.mean.0)),
            right(row.currencies.to_string()),
            Cell::from(Span::styled("█".repeat(filled.min(bar_width)), ink.of(Color::Cyan))),
        ])
    });
    let widths = [
        Constraint::Length(3),
        Constraint::Min(14),
        Constraint::Length(12),
        Constraint::Length(17),
        Constraint::Length(12),
        Constraint::Length(10),
        Constraint::Length(u16::try_from(bar_width).unwrap_or(0)),
    ];
    let names = ["", "vendor", "transactions", "total", "mean", "currencies", ""];
    let header = Row::new(names.into_iter().enumerate().map(|(at, name)| {
        Cell::from(Line::from(name).alignment(if (2..=5).contains(&at) { Alignment::Right } else { Alignment::Left }))
    }));
    let table = Table::new(rows, widths).header(header.style(ink.label())).block(block);
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
        _ => "q ends and proves",
    };
    let mut last = vec![Span::raw(" "), Span::styled(keys, Style::new().add_modifier(Modifier::BOLD))];
    if let Some(url) = &figures.metrics_url {
        last.push(Span::styled(format!("   {url}"), ink.label()));
    }
    let lines = vec![Line::styled(format!(" {}", figures.topology), ink.label()), Line::from(last)];
    frame.render_widget(Paragraph::new(lines), area);
}
