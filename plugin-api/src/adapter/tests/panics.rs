use super::*;

/// Panics in the entry point that the object is named after.
struct Bad(String);

impl Bad {
    fn enter(&self, entry: &str) {
        assert_ne!(self.0, entry, "as told");
    }
}

impl Drop for Bad {
    fn drop(&mut self) {
        // A panic while another unwinds would end the process.
        if !thread::panicking() {
            self.enter("drop");
        }
    }
}

impl Miner for Bad {
    fn create(context: Context) -> Result<Self> {
        let miner = context.miner.unwrap_or_default();
        assert_ne!(miner, "create", "as told");
        Ok(Self(miner))
    }

    fn describe(&self) -> Description {
        self.enter("describe");
        Description::default()
    }

    fn start(&self, _: &Config, _: &Launch) -> Result<StartPlan> {
        self.enter("start");
        Ok(StartPlan::Unknown)
    }

    fn install(&self, _: &Target) -> Result<InstallPlan> {
        self.enter("install");
        Ok(InstallPlan::Unknown)
    }

    fn uninstall(&self, _: &Installed) -> Result<()> {
        self.enter("uninstall");
        Ok(())
    }

    fn version(&self, _: &str) -> Result<String> {
        self.enter("version");
        Ok(String::new())
    }

    fn stop(&self, _: &Launch) -> StopPlan {
        self.enter("stop");
        StopPlan::default()
    }

    fn probes(&self, _: &Launch) -> Vec<Probe> {
        self.enter("probes");
        Vec::new()
    }

    fn stats(&self, _: &Launch, _: &[Reply]) -> Result<PerformanceMetrics> {
        self.enter("stats");
        Ok(PerformanceMetrics::default())
    }

    fn output(&self, _: &[&str]) -> Vec<Observation> {
        self.enter("output");
        Vec::new()
    }

    fn command(&self, _: &Command, _: &Launch) -> Result<CommandPlan> {
        self.enter("command");
        Ok(CommandPlan::default())
    }

    fn request(&self, _: &HttpRequest) -> Result<HttpResponse> {
        self.enter("request");
        Ok(HttpResponse::json(&Value::Null))
    }

    fn message(&self, _: &PeerId, _: &[u8]) -> Result<Vec<u8>> {
        self.enter("message");
        Ok(Vec::new())
    }

    fn is_healthy(&self) -> bool {
        self.enter("is_healthy");
        true
    }
}

/// Asks everything of an object named `miner`; the errors by entry point.
fn ask_all(miner: &str) -> Vec<(&'static str, Error)> {
    let host = testing::host();
    let context = Context { miner: Some(miner.to_owned()), ..host.context() };
    let driver = match testing::through_abi::<Bad>(&context) {
        Ok(driver) => driver,
        Err(error) => return vec![("create", error)],
    };
    let launch = testing::launch();
    let results = [
        ("describe", driver.describe().err()),
        ("install", driver.install(&Target::default()).err()),
        ("uninstall", driver.uninstall(&Installed::default()).err()),
        ("version", driver.version("").err()),
        ("start", driver.start(&Config::default(), &launch).err()),
        ("stop", driver.stop(&launch).err()),
        ("probes", driver.probes(&launch).err()),
        ("stats", driver.stats(&launch, &[]).err()),
        ("output", driver.output(&[""]).err()),
        ("command", driver.command(&Command::default(), &launch).err()),
        ("request", driver.request(&HttpRequest::default()).err()),
        ("message", driver.message(&PeerId(String::new()), b"").err()),
        ("is_healthy", driver.is_healthy().err()),
    ];
    results.into_iter().filter_map(|(entry, error)| Some((entry, error?))).collect()
}

#[test]
fn a_panic_is_contained_in_every_entry_point() {
    let entries = [
        "create",
        "describe",
        "install",
        "uninstall",
        "version",
        "start",
        "stop",
        "probes",
        "stats",
        "output",
        "command",
        "request",
        "message",
        "is_healthy",
    ];
    for entry in entries {
        let errors = ask_all(entry);
        assert_eq!(errors.len(), 1, "{entry}: {errors:?}");
        assert_eq!((errors[0].0, errors[0].1.kind), (entry, ErrorKind::Panicked));
        let start = format!("the driver panicked in {entry}: ");
        let message = &errors[0].1.message;
        assert!(message.starts_with(&start) && message.contains("as told"), "{message}");
    }
}

#[test]
fn a_panic_of_a_drop_is_contained() {
    assert_eq!(ask_all("drop"), []);
    assert_eq!(ask_all("nothing"), []);
}

#[test]
fn what_a_host_of_another_make_sends_is_an_error_and_no_panic() {
    let host = testing::host();
    let object = || crate::remote::host_object(host.handle().services().clone());
    for context in ["", "null", "[1]", "{\"miner\":1}", "{"] {
        let error = create::<Bad>(object(), context).into_result().err().unwrap();
        assert!(error.message.contains("the context cannot be read"), "{context}: {error:?}");
    }
    let driver = create::<Bad>(object(), "{\"more\":1}").unwrap();
    for bad in ["", "nul", "[1]", "{\"steps\":"] {
        let bad = RStr::from(bad);
        let good = RStr::from("{}");
        let body = RSlice::from(&b""[..]);
        driver.install(bad).unwrap_err();
        driver.uninstall(bad).unwrap_err();
        driver.start(bad, good).unwrap_err();
        driver.start(good, bad).unwrap_err();
        driver.stop(bad).unwrap_err();
        driver.probes(bad).unwrap_err();
        driver.stats(bad, "[]".into(), body).unwrap_err();
        driver.stats(good, bad, body).unwrap_err();
        driver.command(bad, good).unwrap_err();
        driver.command(good, bad).unwrap_err();
        driver.request(bad, body).unwrap_err();
    }
}

/// Services that panic, also when they are dropped.
struct BadHost;

impl Drop for BadHost {
    fn drop(&mut self) {
        panic!("the services panic when they are dropped");
    }
}

impl Services for BadHost {
    fn log(&self, _: LogLevel, _: &str, _: &str) {
        panic!("log");
    }

    fn storage_get(&self, _: &str) -> Result<Option<Vec<u8>>> {
        panic!("storage_get");
    }

    fn storage_put(&self, _: &str, _: Option<&[u8]>) -> Result<()> {
        panic!("storage_put");
    }

    fn storage_keys(&self, _: &str) -> Result<Vec<String>> {
        panic!("storage_keys");
    }

    fn publish(&self, _: &PerformanceMetrics) -> Result<()> {
        panic!("publish");
    }

    fn send(&self, _: &PeerId, _: &[u8]) -> Result<Vec<u8>> {
        panic!("send");
    }
}

#[test]
fn a_panic_of_the_hosts_services_is_an_error_for_the_driver() {
    let host = Host::new(Arc::new(DriverEnd(crate::remote::host_object(Arc::new(BadHost)))));
    host.log(LogLevel::Info, "lost");
    let metrics = PerformanceMetrics::default();
    let errors = [
        host.get("k").unwrap_err(),
        host.put("k", b"").unwrap_err(),
        host.keys("k").unwrap_err(),
        host.publish(&metrics).unwrap_err(),
        host.send(&PeerId("p".into()), b"").unwrap_err(),
    ];
    let names = ["storage_get", "storage_put", "storage_keys", "publish", "send"];
    for (error, name) in errors.iter().zip(names) {
        assert_eq!(error.kind, ErrorKind::Panicked);
        assert_eq!(error.message, format!("the host panicked in {name}: {name}"));
    }
    drop(host);
}
