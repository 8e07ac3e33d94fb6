//! Text from strangers in every sink.

use eval::run::RunFolder;
use eval::{Cell, Figure, Mark, Panel, Row, Scale, Scaling, Series};
use quick_xml::Reader;
use quick_xml::events::Event;
use report::store::StoredRun;
use report::{page, render, results};

use crate::support::{Workspace, claims, write_cell};

const ATTACK: &str = "</td></script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>]]> \
    | =1+1 \\end{tabular} \u{202e}txt \u{1b}[2J\u{9b}31m \u{0} --";

/// A run in which every text that can come from outside is hostile.
fn hostile() -> (Workspace, StoredRun) {
    let workspace = Workspace::new();
    let mut claims = claims();
    let hostile = |text: &mut String| *text = format!("{ATTACK}{}", "x".repeat(20_000));
    for claim in &mut claims {
        for text in [
            &mut claim.says,
            &mut claim.place,
            &mut claim.unit,
            &mut claim.reason,
        ] {
            hostile(text);
        }
        for text in [&mut claim.id, &mut claim.test, &mut claim.measures] {
            hostile(text);
        }
        if let Some(estimate) = &mut claim.estimate {
            hostile(&mut estimate.method);
        }
    }
    let path = workspace.run("20261122T180000Z-abcdef12", Scale::Quick, claims);
    workspace.fail_a_cell(&path, &format!("{ATTACK}{}", "y".repeat(10_000_000)));
    let folder = RunFolder::new(&path);
    let mut plan = folder.plan().unwrap();
    let cell = Cell::new(ATTACK, 0).with(ATTACK, ATTACK);
    let rows = [
        Row::new(ATTACK, 1.0, ATTACK)
            .tag(ATTACK, ATTACK)
            .item(ATTACK),
        Row::failed(ATTACK, ATTACK, "z".repeat(10_000_000)).tag(ATTACK, "b"),
    ];
    write_cell(&folder, &cell, &rows);
    let lines = format!("{}\n", serde_json::json!({ "text": ATTACK }));
    std::fs::write(folder.cell(&cell.id()).join("transcript.jsonl"), lines).unwrap();
    plan.cells.insert(0, cell);
    eval::fs::write_json(&folder.file("plan.json"), &plan).unwrap();
    eval::fs::write_json(&folder.file("figures.json"), &[figure()]).unwrap();
    std::fs::write(
        workspace.root().join("results/demo/published.csv"),
        "source,table,model,condition,dataset,metric,value,unit,note\n\
         <script>,=1,|,c,d,m,1,bits,\"x\ny\"\n",
    )
    .unwrap();
    let run = StoredRun::open(workspace.root(), &path).unwrap();
    (workspace, run)
}

fn figure() -> Figure {
    let series = Series {
        name: ATTACK.into(),
        mark: Mark::Bars,
        points: vec![[0.0, 1.0], [7.0, 1e300]],
        intervals: vec![[0.0, 1.0]],
        values: Vec::new(),
    };
    let panel = Panel {
        title: ATTACK.into(),
        x_label: ATTACK.into(),
        y_label: ATTACK.into(),
        x_scaling: Scaling::Category,
        y_scaling: Scaling::Linear,
        categories: vec![ATTACK.into()],
        series: vec![series],
    };
    Figure {
        id: ATTACK.into(),
        title: ATTACK.into(),
        caption: ATTACK.into(),
        panels: vec![panel],
    }
}

/// Element and attribute names of a page, in order, after checking that every element that opens
/// closes and that every id is unique.
fn checked(html: &str) -> Vec<String> {
    const VOID: [&str; 3] = ["meta", "br", "link"];
    let mut reader = Reader::from_str(html);
    reader.config_mut().check_end_names = false;
    let (mut open, mut names, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        match reader.read_event().unwrap() {
            Event::Start(element) | Event::Empty(element) if is_void(&element, &VOID) => {}
            Event::Start(element) => {
                let name = String::from_utf8(element.name().as_ref().to_vec()).unwrap();
                for attribute in element.html_attributes() {
                    let attribute = attribute.unwrap();
                    let key = String::from_utf8(attribute.key.as_ref().to_vec()).unwrap();
                    if key == "id" {
                        ids.push(attribute.value.to_vec());
                    }
                    names.push(format!("{name}.{key}"));
                }
                names.push(name.clone());
                open.push(name);
            }
            Event::End(element) => {
                let name = String::from_utf8(element.name().as_ref().to_vec()).unwrap();
                assert_eq!(
                    open.pop(),
                    Some(name),
                    "near byte {}",
                    reader.buffer_position()
                );
            }
            Event::Eof => break,
            _ => {}
        }
    }
    assert!(open.is_empty(), "{open:?} stay open");
    let n_ids = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), n_ids, "ids are unique");
    names
}

fn is_void(element: &quick_xml::events::BytesStart<'_>, void: &[&str]) -> bool {
    void.iter()
        .any(|name| name.as_bytes() == element.name().as_ref())
}

fn assert_harmless(html: &str) {
    for name in checked(html) {
        let attribute = name.split_once('.').map(|(_, attribute)| attribute);
        assert!(
            !matches!(name.as_str(), "script" | "img" | "iframe" | "object"),
            "{name}"
        );
        assert!(
            !attribute.is_some_and(|a| a.starts_with("on") || a == "src"),
            "{name}"
        );
    }
    for code in ['\u{1b}', '\u{202e}', '\u{9b}', '\u{0}'] {
        assert!(!html.contains(code), "{code:?}");
    }
}

#[test]
fn a_page_of_hostile_texts_is_well_formed_and_harmless() {
    let (workspace, run) = hostile();
    let path = render::render(&run).unwrap();
    let html = std::fs::read_to_string(&path).unwrap();
    assert_harmless(&html);
    assert!(
        html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"),
        "the text is shown, not lost"
    );
    assert!(
        html.len() < 2_000_000,
        "long texts are cut: {} bytes",
        html.len()
    );
    let index = page::index_page(workspace.root()).unwrap();
    assert_harmless(&index);
    assert!(index.contains("href=\"demo/20261122T180000Z-abcdef12/report.html\""));
}

#[test]
fn the_page_of_an_ordinary_run_loads_nothing() {
    let workspace = Workspace::new();
    let path = workspace.run("20261122T180000Z-abcdef12", Scale::Quick, claims());
    let run = StoredRun::open(workspace.root(), &path).unwrap();
    let html = std::fs::read_to_string(render::render(&run).unwrap()).unwrap();
    assert_harmless(&html);
    let addresses = html
        .match_indices("href=\"")
        .map(|(at, found)| &html[at + found.len()..]);
    for address in addresses {
        assert!(address.starts_with('#') || address.starts_with("https://arxiv.org/abs/"));
    }
    assert!(!html.contains("url(") && !html.contains("@import"));
}

#[test]
fn every_other_format_of_hostile_texts_is_harmless() {
    let (_workspace, run) = hostile();
    render::render(&run).unwrap();
    let sheet = results::sheet(&run.summary);
    let report = std::fs::read_to_string(run.folder.file("report.md")).unwrap();
    let mut texts = vec![sheet.terminal(100), sheet.markdown(), report];
    let mut documents = vec![sheet.latex()];
    for entry in std::fs::read_dir(run.folder.file("tables")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read(&path).unwrap();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => check_csv(&String::from_utf8(text).unwrap()),
            Some("md") => texts.push(String::from_utf8(text).unwrap()),
            Some("tex") => documents.push(String::from_utf8(text).unwrap()),
            _ => {}
        }
    }
    for document in &documents {
        assert_eq!(document.matches("\\end{tabular}").count(), 1);
    }
    for text in texts.into_iter().chain(documents) {
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}') && !text.contains('\u{0}'));
        assert!(
            !text.contains("<script>") || text.contains('─'),
            "a terminal may show brackets"
        );
        assert!(text.len() < 300_000);
    }
}

fn check_csv(text: &str) {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    for record in reader.records() {
        for cell in &record.unwrap() {
            let formula = cell.trim_start().starts_with(['=', '+', '-', '@']);
            assert!(!formula || cell.parse::<f64>().is_ok(), "{cell}");
        }
    }
}
