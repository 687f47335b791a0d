//! The dashboard in a browser, as somebody sees and uses it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    browser::Browser,
    host::{Host, build},
};

/// Longest wait for anything on a page: browsers are slow on busy machines.
const PATIENCE: Duration = Duration::from_secs(90);

/// Keys as WebDriver names them.
pub(crate) const TAB: &str = "\u{E004}";
pub(crate) const ENTER: &str = "\u{E007}";
pub(crate) const ESCAPE: &str = "\u{E00C}";

/// Notes what the page itself would not tell anybody.
const WITNESS: &str = "
    window.complaints = [];
    addEventListener('securitypolicyviolation', (it) =>
        complaints.push(`policy: ${it.violatedDirective} ${it.blockedURI} ${it.sample}`));
    addEventListener('error', (it) => complaints.push(`error: ${it.message}`), true);
    addEventListener('unhandledrejection', (it) => complaints.push(`rejected: ${it.reason}`));
";

/// A page, until this is dropped.
pub(crate) struct Page(Browser);

impl Page {
    /// A browser that shows nothing yet.
    pub(crate) fn open() -> Self {
        let page = Self(Browser::start());
        page.0.tell("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": WITNESS }));
        page
    }

    /// The dashboard of `host`, entered by the link that `adit up` prints.
    pub(crate) fn of(host: &Host) -> Self {
        let page = Self::open();
        page.enter(host);
        page
    }

    /// Opens the link of `host` and waits until the page is live.
    pub(crate) fn enter(&self, host: &Host) {
        self.go(&format!("{}#token={}", pages(host), token(host)));
        self.wait("the page to be live", "return document.querySelector('.link.on')");
    }

    pub(crate) fn go(&self, address: &str) {
        self.0.command("/url", &json!({ "url": address })).unwrap();
    }

    /// Turns to the page `#/…` of the dashboard, without loading it anew.
    pub(crate) fn turn(&self, hash: &str) {
        self.run("location.hash = arguments[0]", &[json!(hash)]);
    }

    /// What a script returns; null for a script that fails.
    pub(crate) fn look(&self, script: &str) -> Value {
        self.0.run(script, &[]).unwrap_or_default()
    }

    /// What a script that must not fail returns.
    pub(crate) fn run(&self, script: &str, arguments: &[Value]) -> Value {
        self.0.run(script, arguments).unwrap()
    }

    /// Waits until a script returns something that counts as true.
    pub(crate) fn wait(&self, what: &str, script: &str) -> Value {
        let mut seen = Value::Null;
        self.until(what, || {
            seen = self.look(script);
            ![json!(null), json!(false), json!(0), json!("")].contains(&seen)
        });
        seen
    }

    /// Waits until `done`; when that never comes, says what the page shows.
    pub(crate) fn until(&self, what: &str, mut done: impl FnMut() -> bool) {
        let began = Instant::now();
        while !done() {
            if began.elapsed() > PATIENCE {
                self.shoot("failed");
                let text = self.look("return document.body.innerText");
                panic!("waited {PATIENCE:?} for {what}; {:?}\n{text}", self.complaints());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the page shows `text` somewhere.
    pub(crate) fn wait_for_text(&self, text: &str) {
        self.until(text, || self.shows(text));
    }

    fn shows(&self, text: &str) -> bool {
        let shown = "return document.body.innerText.includes(arguments[0])";
        self.run(shown, &[json!(text)]) == true
    }

    /// Clicks the first button or link that says `label`, as soon as it takes clicks.
    pub(crate) fn click(&self, label: &str) {
        self.click_at(&labelled(label));
    }

    /// Clicks what says `label` until the page says `text`, which it does for a moment only.
    pub(crate) fn click_until_said(&self, label: &str, text: &str) {
        self.until(text, || {
            // It is not there while it says the other thing.
            drop(self.0.touch(&labelled(label), "click", &json!({})));
            self.shows(text)
        });
    }

    /// Clicks what the XPath leads to.
    pub(crate) fn click_at(&self, path: &str) {
        self.until(path, || self.0.touch(path, "click", &json!({})).is_ok());
    }

    /// Replaces what the field with this id holds by typing.
    pub(crate) fn fill(&self, id: &str, text: &str) {
        let field = format!("//*[@id='{id}']");
        self.until(id, || {
            self.0.touch(&field, "clear", &json!({})).is_ok()
                && self.0.touch(&field, "value", &json!({ "text": text })).is_ok()
        });
    }

    /// Gives a file to the field with this id.
    pub(crate) fn give_file(&self, id: &str, file: &Path) {
        let (field, text) = (format!("//*[@id='{id}']"), json!({ "text": file }));
        self.until(id, || self.0.touch(&field, "value", &text).is_ok());
    }

    /// Has what the page lets one download saved in `folder`.
    pub(crate) fn downloads_to(&self, folder: &Path) {
        let how = json!({ "behavior": "allow", "downloadPath": folder });
        self.0.tell("Browser.setDownloadBehavior", &how);
    }

    /// Chooses in the list with this id.
    pub(crate) fn choose(&self, id: &str, label: &str) {
        self.click_at(&format!("//select[@id='{id}']//option[normalize-space()=\"{label}\"]"));
    }

    /// Presses keys, wherever the focus is.
    pub(crate) fn press(&self, keys: &str) {
        self.0.press(keys);
    }

    /// What the clipboard holds. Pages may not read it; the driver lets this one.
    pub(crate) fn pasted(&self) -> Value {
        let permission =
            json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
        self.0.tell("Browser.grantPermissions", &permission);
        self.run("return (window.clipboard ?? navigator.clipboard).readText()", &[])
    }

    /// Gives the page a size in CSS pixels.
    pub(crate) fn resize(&self, width: u32, height: u32) {
        // A browser that calls itself mobile would zoom out until everything fits.
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1,
                           "mobile": false });
        self.0.tell("Emulation.setDeviceMetricsOverride", &size);
        self.wait("the size", &format!("return innerWidth === {width}"));
    }

    /// Pretends that the system prefers `light` or `dark`.
    pub(crate) fn prefer(&self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.0.tell("Emulation.setEmulatedMedia", &features);
    }

    /// Saves what is shown as `target/screenshots/NAME.png`.
    pub(crate) fn shoot(&self, name: &str) {
        let size = &self.0.tell("Page.getLayoutMetrics", &json!({}))["cssContentSize"];
        let height = size["height"].as_f64().unwrap().min(2400.0);
        let clip = json!({ "x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1 });
        let wanted = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let picture = self.0.tell("Page.captureScreenshot", &wanted);
        let bytes = data_encoding::BASE64.decode(picture["data"].as_str().unwrap().as_bytes());
        fs::create_dir_all(screenshots()).unwrap();
        fs::write(screenshots().join(format!("{name}.png")), bytes.unwrap()).unwrap();
    }

    /// What the browser or the page complained about since it was asked last, or since the page
    /// was loaded.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let own = self.look("return (window.complaints ?? []).splice(0)");
        let own: Vec<String> = serde_json::from_value(own).unwrap_or_default();
        own.into_iter().chain(self.0.log()).collect()
    }
}

/// Where the button or link that says `label` is, once it takes clicks.
fn labelled(label: &str) -> String {
    let says = format!("normalize-space()=\"{label}\" or @aria-label=\"{label}\"");
    format!("//button[not(@disabled)][{says}] | //a[{says}]")
}

/// Address of the dashboard of `host`.
pub(crate) fn pages(host: &Host) -> String {
    format!("{}/", host.base.strip_suffix("/api/v1/mining").unwrap())
}

/// The admin's token of `host`.
pub(crate) fn token(host: &Host) -> String {
    fs::read_to_string(host.state().join("token")).unwrap().trim().to_owned()
}

/// Where pictures are saved, for people to look at.
fn screenshots() -> PathBuf {
    // target/<profile>/ is beside it.
    build().parent().unwrap().join("screenshots")
}
