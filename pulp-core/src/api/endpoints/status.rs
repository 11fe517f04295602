//! `status/` and `livez/`: for everybody.

use http::StatusCode;
use serde_json::{Value as Json, json};

use crate::api::request::Request;
use crate::api::response;
use crate::api::router::Answer;
use crate::clock::to_wire;
use crate::plugin::PluginDescriptor;
use crate::tasks::AppRole;
use crate::{CORE, Pulp};

/// How this Pulp does.
pub(crate) async fn status(request: Request) -> Answer {
    let pulp = request.cx.pulp();
    let settings = pulp.settings();
    let connected = pulp.db().is_alive().await;
    let mut versions = vec![component(&CORE)];
    versions.extend(pulp.registry().plugins().iter().map(component));
    Ok(response::json(
        StatusCode::OK,
        &json!({
            "versions": versions,
            "online_workers": online(pulp, AppRole::Worker, connected).await,
            "online_api_apps": online(pulp, AppRole::Api, connected).await,
            "online_content_apps": online(pulp, AppRole::Content, connected).await,
            "database_connection": {"connected": connected},
            // What Pulp says where it has no cache in Redis.
            "redis_connection": {"connected": false},
            "storage": space(pulp).await,
            "content_settings": {
                "content_origin": settings.content_origin,
                "content_path_prefix": settings.content_path_prefix,
            },
            "domain_enabled": settings.domain_enabled,
        }),
    ))
}

/// That the process answers.
pub(crate) async fn alive(_: Request) -> Answer {
    Ok(response::empty(StatusCode::OK))
}

fn component(plugin: &PluginDescriptor) -> Json {
    json!({
        "component": plugin.label,
        "version": plugin.version,
        "package": plugin.package,
        "module": plugin.module,
        "domain_compatible": plugin.domain_compatible,
    })
}

/// Without a database the status is still told, only not who is there.
async fn online(pulp: &Pulp, role: AppRole, connected: bool) -> Json {
    if !connected {
        return json!([]);
    }
    let apps = pulp.tasks().online(role).await.unwrap_or_default();
    apps.iter().map(|app| json!({"name": app.name, "last_heartbeat": to_wire(app.last_heartbeat), "versions": app.versions.0})).collect()
}

/// Bytes of the file system of the data directory; nothing where the system does not tell.
async fn space(pulp: &Pulp) -> Json {
    let directory = pulp.data_dir().to_owned();
    let told = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&directory)).await;
    let Ok(Ok(told)) = told else { return Json::Null };
    let (total, free) = (told.f_blocks * told.f_frsize, told.f_bavail * told.f_frsize);
    json!({"total": total, "used": total - told.f_bfree * told.f_frsize, "free": free})
}
