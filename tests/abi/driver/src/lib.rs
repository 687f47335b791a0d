//! Compiled once per version of the driver API and kept, so that every later host proves to load it.

use adit_plugin_api::{
    Config, Context, Description, Error, Host, HttpRequest, HttpResponse, Launch, Miner,
    PerformanceMetrics, ProcessPlan, Reply, Result, StartPlan, export_driver, json,
};

struct Fixture(Host);

impl Miner for Fixture {
    fn create(context: Context) -> Result<Self> {
        log::info!("made for {:?}", context.miner);
        Ok(Self(context.host))
    }

    fn describe(&self) -> Description {
        let pool = json!({ "type": "string" });
        Description {
            name: "Fixture".to_owned(),
            algorithms: vec!["rx/0".to_owned()],
            config_schema: json!({ "properties": { "pool": pool }, "required": ["pool"] }),
            #[cfg(feature = "next")]
            tags: vec!["next".to_owned()],
            ..Description::default()
        }
    }

    fn start(&self, config: &Config, launch: &Launch) -> Result<StartPlan> {
        let args = vec![config.text("pool")?.to_owned(), launch.api_port.to_string()];
        let program = launch.data_dir.join("fixture");
        Ok(StartPlan::Process(ProcessPlan { program, args, ..ProcessPlan::default() }))
    }

    fn stats(&self, _: &Launch, replies: &[Reply]) -> Result<PerformanceMetrics> {
        let reply = replies.first().ok_or(Error::unavailable("no reply"))?.json()?;
        let hashrate = reply["hashrate"].as_f64();
        Ok(PerformanceMetrics { hashrate, ..PerformanceMetrics::default() })
    }

    /// `/now` asks the host for what only the next version has, `/keep` has it store the body.
    fn request(&self, request: &HttpRequest) -> Result<HttpResponse> {
        match request.path.as_str() {
            "/keep" => {
                self.0.put("kept", &request.body)?;
                let kept = self.0.get("kept")?.unwrap_or_default();
                Ok(HttpResponse::json(&json!(String::from_utf8_lossy(&kept))))
            }
            #[cfg(feature = "next")]
            "/now" => Ok(HttpResponse::json(&json!(self.0.now_ms()?))),
            "/panic" => panic!("panic on demand"),
            other => Err(Error::unsupported(format!("no route {other}"))),
        }
    }

    #[cfg(feature = "next")]
    fn explain(&self, topic: &str) -> Result<String> {
        Ok(format!("{topic} at {}", self.0.now_ms()?))
    }
}

export_driver!(Fixture, { id: "fixture" });
