//! A headless browser that runs a script in a page and hands back what it wrote.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const NAMES: [&str; 5] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
];
const PATIENCE: Duration = Duration::from_secs(120);

/// The first browser on the path.
pub fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let places = NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |f| f.join(name)));
    places.into_iter().find(|place| place.is_file())
}

/// Opens `page` in a window of that width, runs `script`, which sets `result`, and returns that.
pub fn result_of(browser: &Path, page: &str, width: u32, script: &str) -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    let driver = format!(
        "<script>(() => {{ let result; try {{ {script} }} catch (why) {{ result = String(why); }}
         const pre = document.createElement('pre'); pre.id = 'result';
         pre.textContent = encodeURIComponent(JSON.stringify(result));
         document.body.append(pre); }})();</script></body>"
    );
    let (before, after) = page.rsplit_once("</body>").unwrap();
    std::fs::write(&file, format!("{before}{driver}{after}")).unwrap();
    let dom = dump(browser, folder.path(), &file, width);
    let (_, text) = dom.split_once("<pre id=\"result\">").expect(&dom);
    let (text, _) = text.split_once("</pre>").unwrap();
    serde_json::from_str(&decoded(text)).unwrap()
}

fn dump(browser: &Path, folder: &Path, file: &Path, width: u32) -> String {
    let out = folder.join("dom.html");
    let mut child = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--dump-dom",
        ])
        .args(["--disable-dev-shm-usage", "--hide-scrollbars"])
        .arg(format!("--window-size={width},900"))
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .arg(format!("file://{}", file.display()))
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&out).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("the browser did not end within {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    std::fs::read_to_string(out).unwrap()
}

/// Undoes `encodeURIComponent`, by which no character of a result can be taken for markup.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let code = std::str::from_utf8(&tail[..2]).unwrap();
            bytes.push(u8::from_str_radix(code, 16).unwrap());
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).unwrap()
}
