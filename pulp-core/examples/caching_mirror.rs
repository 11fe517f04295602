//! A caching mirror inside a plain hyper application: `caching_mirror MANIFEST_URL DATA_DIRECTORY ADDRESS`.
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pulp_core::{Pulp, body::Body, model::Policy, plugins::file::Files};
use tokio::net::TcpListener;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Serves the mirror.
pub async fn serve(manifest: &str, data: &str, listener: TcpListener) -> Result<()> {
    let pulp = Pulp::builder().data_dir(data).build().await?;
    let files = Files::of(&pulp);
    let upstream = files.remote("isos", manifest, Policy::OnDemand).await?;
    let isos = files.repository("isos").await?;
    isos.sync(&upstream, true).await?;
    isos.publish().await?;
    isos.distribute("isos").await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let content = pulp.content();
        let service = service_fn(move |request: Request<Incoming>| {
            let content = content.clone();
            async move {
                Ok::<_, std::convert::Infallible>(match request.uri().path() {
                    "/" => Response::new(Body::from("The application's own page. Files: /pulp/content/isos/")),
                    _ => content.handle(request.map(Body::new)).await,
                })
            }
        });
        let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        tokio::spawn(async move { server.serve_connection(TokioIo::new(stream), service).await.map_err(|error| eprintln!("{error}")) });
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, manifest, data, address] = arguments.as_slice() else { return Err("give MANIFEST_URL DATA_DIRECTORY ADDRESS".into()) };
    serve(manifest, data, TcpListener::bind(address).await?).await
}
