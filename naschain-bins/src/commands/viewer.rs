//! The pages of a search, while it runs: `search --open`.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use naschain_train::{Dataset, Options};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::artifacts::data_place::shown_name;
use crate::cli::program::print;
use crate::coordinator::Coordinator;
use crate::coordinator::activity::RunActivity;
use crate::server;
use crate::server::listen::{Listening, bind, serve};
use crate::server::served_run::ServedRun;

/// Connections of browsers, at most.
const MAX_CONNECTIONS: usize = 256;

/// The pages of a search, for programs on this machine.
pub(super) struct Viewer {
    address: String,
    serving: JoinHandle<Result<()>>,
}

impl Viewer {
    /// The pages, if they are wanted.
    pub(super) async fn open_if(
        is_wanted: bool,
        coordinator: &Arc<Coordinator>,
        dir: &Path,
        dataset: &Arc<Dataset>,
        options: Options,
    ) -> Result<Option<Viewer>> {
        if !is_wanted {
            return Ok(None);
        }
        Viewer::open(coordinator, dir, dataset, options)
            .await
            .map(Some)
    }

    /// Serves the pages at a free port, says where, and opens them in a browser.
    async fn open(
        coordinator: &Arc<Coordinator>,
        dir: &Path,
        dataset: &Arc<Dataset>,
        options: Options,
    ) -> Result<Viewer> {
        let listener: TcpListener = bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let title = shown_name(dir, &coordinator.spec().data.name);
        let served = ServedRun::new(title, dir, dataset.clone(), options);
        let router = server::viewer_router(coordinator.clone(), Arc::new(served));
        let router = router.layer(from_fn(only_this_machine));
        let listening = Listening {
            tls: None,
            max_connections: MAX_CONNECTIONS,
            behind_proxy: false,
        };
        let serving = tokio::spawn(serve(listener, router, listening, std::future::pending()));
        print(&format!("live at {address}\n"))?;
        if let Err(error) = open::that_detached(&address) {
            tracing::warn!("no browser could be opened ({error}); open {address} yourself");
        }
        Ok(Viewer { address, serving })
    }

    /// Goes on serving until the process is asked to stop.
    pub(super) async fn stay(&self, coordinator: &Coordinator) -> Result<()> {
        // A search that was ended before its end goes on no more.
        coordinator.set_activity(RunActivity::Ended);
        print(&format!(
            "the pages stay at {} until you press Ctrl-C\n",
            self.address
        ))?;
        crate::shutdown::shutdown().await;
        Ok(())
    }
}

/// Refuses requests that a page of another site makes by giving its own name this machine's address.
async fn only_this_machine(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if ["127.0.0.1", "localhost"].contains(&name) {
        return next.run(request).await;
    }
    let text = "this address is for browsers on this machine only\n";
    (StatusCode::FORBIDDEN, text).into_response()
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
