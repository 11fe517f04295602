//! Bearer tokens of an OpenID Connect issuer, which the tests are.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use http::{Method, Response};
use pulp_core::body::Body;
use pulp_core::clock::{Clock, ManualClock, SystemClock};
use pulp_core::settings::Settings;
use pulp_testkit::{Engine, Prepare, Server, both_databases};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value as Json, json};

use super::world::{Answer, REPOSITORIES, World};

/// A key that signs tokens.
enum Signer {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    /// Making one takes too long for a test: this one is on file.
    fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::from_pkcs8(include_bytes!("oidc/rsa.pk8")).unwrap())
    }

    fn p256() -> Self {
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        Self::P256(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &SystemRandom::new()).unwrap())
    }

    fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap().as_ref()).unwrap())
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    /// The public key, as a set of keys has it.
    fn public(&self, id: &str) -> Json {
        match self {
            Self::Rsa(key) => {
                let public = PublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({"kty": "RSA", "kid": id, "use": "sig", "alg": "RS256", "n": encoded(&public.n), "e": encoded(&public.e)})
            }
            Self::P256(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "kid": id, "crv": "P-256", "x": encoded(x), "y": encoded(y)})
            }
            Self::Ed25519(key) => json!({"kty": "OKP", "kid": id, "crv": "Ed25519", "x": encoded(key.public_key().as_ref())}),
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
            Self::P256(key) => key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    /// A token with this header.
    fn token_with(&self, header: Json, claims: &Json) -> String {
        let signed = format!("{}.{}", encoded(header.to_string().as_bytes()), encoded(claims.to_string().as_bytes()));
        let signature = encoded(&self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn token(&self, id: &str, claims: &Json) -> String {
        self.token_with(json!({"typ": "JWT", "alg": self.algorithm(), "kid": id}), claims)
    }
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What the issuer answers.
#[derive(Default)]
struct State {
    keys: Mutex<Vec<Json>>,
    /// What the discovery document says instead.
    said: Mutex<Option<Json>>,
    fetched: AtomicUsize,
}

impl State {
    fn answer(&self, url: &str, path: &str) -> Option<Json> {
        match path {
            "/realm/.well-known/openid-configuration" => {
                let said = self.said.lock().unwrap().clone();
                Some(said.unwrap_or_else(|| json!({"issuer": format!("{url}/realm"), "jwks_uri": format!("{url}/keys")})))
            }
            "/keys" => {
                self.fetched.fetch_add(1, Ordering::Relaxed);
                Some(json!({"keys": *self.keys.lock().unwrap()}))
            }
            _ => None,
        }
    }
}

/// A Pulp that believes an issuer.
struct Believing {
    world: World,
    clock: ManualClock,
    issuer: String,
    state: Arc<State>,
    _server: Server,
}

#[async_trait::async_trait]
impl Prepare for Believing {
    async fn prepare(engine: Engine) -> Option<Self> {
        let state = Arc::<State>::default();
        let server = {
            let state = Arc::clone(&state);
            Server::start(move |request| {
                let url = format!("http://{}", request.headers()["host"].to_str().unwrap());
                let answer = state.answer(&url, request.uri().path());
                async move {
                    let status = if answer.is_some() { 200 } else { 404 };
                    Response::builder().status(status).body(Body::from(answer.unwrap_or_default().to_string())).unwrap()
                }
            })
            .await
        };
        let issuer = format!("{}/realm", server.url());
        let mut settings = Settings::default();
        settings.oidc_issuer = Some(issuer.clone());
        settings.oidc_audience = Some("pulp".to_owned());
        settings.oidc_groups_claim = Some("groups".to_owned());
        let clock = ManualClock::new(SystemClock.now());
        let world = World::at(engine, settings, clock.clone()).await?;
        Some(Self { world, clock, issuer, state, _server: server })
    }
}

impl Believing {
    /// What a good token says.
    fn claims(&self, name: &str) -> Json {
        let now = self.clock.now().timestamp();
        json!({"iss": self.issuer, "aud": "pulp", "sub": name, "iat": now, "nbf": now, "exp": now + 300})
    }

    /// From now on the issuer has these keys.
    fn publish(&self, keys: &[(&str, &Signer)]) {
        *self.state.keys.lock().unwrap() = keys.iter().map(|(id, key)| key.public(id)).collect();
    }

    fn fetched(&self) -> usize {
        self.state.fetched.load(Ordering::Relaxed)
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        self.world.send(Method::GET, path, &[("authorization", &format!("Bearer {token}"))], "").await
    }

    async fn ask(&self, token: &str) -> Answer {
        self.get("login/", token).await
    }
}

both_databases! {
    async fn whoever_the_issuer_signs_for_may_ask(believing: Believing) {
        let keys = [("a", Signer::rsa()), ("b", Signer::p256()), ("c", Signer::ed25519())];
        believing.publish(&keys.each_ref().map(|(id, key)| (*id, key)));
        for (id, key) in &keys {
            let token = key.token(id, &believing.claims("ann"));
            assert_eq!(believing.ask(&token).await.with(200)["username"], "ann", "{id}");
        }
        assert_eq!(believing.fetched(), 1);
        // Whoever is new may do nothing.
        let token = keys[1].1.token("b", &believing.claims("bob"));
        assert_eq!(believing.get(REPOSITORIES, &token).await.with(200)["count"], 0);
        believing.get("users/", &token).await.with(403);
        // A token need not say which key it is, and may be for others, too.
        let mut claims = believing.claims("ann");
        claims["aud"] = json!(["other", "pulp"]);
        let token = keys[1].1.token_with(json!({"alg": "ES256"}), &claims);
        believing.ask(&token).await.with(200);
        let record = believing.world.send(Method::DELETE, "orphans/", &[("authorization", &format!("Bearer {token}"))], "").await;
        record.with(403);
        let record = believing.world.get("audit/?username=ann").await.with(200)["results"][0].clone();
        assert_eq!(record["authentication"], "oidc");
    }

    async fn tokens_that_are_not_right_let_nobody_in(believing: Believing) {
        let (key, other) = (Signer::p256(), Signer::p256());
        believing.publish(&[("a", &key)]);
        let changed = |name: &str, value: Json| {
            let mut claims = believing.claims("admin");
            claims[name] = value;
            key.token("a", &claims)
        };
        let now = believing.clock.now().timestamp();
        let good = key.token("a", &believing.claims("admin"));
        believing.ask(&good).await.with(200);
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let header = signed.split_once('.').unwrap().0;
        let forged = format!("{header}.{}.{signature}", encoded(believing.claims("root").to_string().as_bytes()));
        let unsigned = format!("{}.{}.", encoded(br#"{"alg":"none"}"#), encoded(believing.claims("admin").to_string().as_bytes()));
        for (token, why) in [
            (changed("iss", json!("http://127.0.0.1/realm")), "another issuer"),
            (changed("iss", Json::Null), "no issuer"),
            (changed("aud", json!("other")), "another audience"),
            (changed("aud", json!([])), "no audience"),
            (changed("exp", json!(now - 31)), "expired"),
            (changed("exp", Json::Null), "no end"),
            (changed("exp", json!("soon")), "an end that is none"),
            (changed("nbf", json!(now + 31)), "not yet valid"),
            (changed("nbf", json!("soon")), "a beginning that is none"),
            (changed("sub", json!("")), "no name"),
            (changed("sub", json!(1)), "a name that is none"),
            (changed("sub", json!("x".repeat(151))), "a long name"),
            (other.token("a", &believing.claims("admin")), "another key of the same name"),
            (key.token("b", &believing.claims("admin")), "a key that is not known"),
            (key.token_with(json!({"alg": "RS256", "kid": "a"}), &believing.claims("admin")), "another algorithm"),
            (key.token_with(json!({"alg": "HS256", "kid": "a"}), &believing.claims("admin")), "a secret"),
            (key.token_with(json!({"alg": "ES256", "kid": "a", "crit": ["x"]}), &believing.claims("admin")), "something unknown"),
            (forged, "other claims"),
            (unsigned, "no signature"),
            (format!("{signed}.{}", encoded(&[0; 64])), "an empty signature"),
            ("a.b.c".to_owned(), "nonsense"),
            (format!("{good}{}", "x".repeat(17_000)), "too long"),
        ] {
            believing.ask(&token).await.with(401);
            assert_eq!(believing.world.get("users/?username=root").await.with(200)["count"], 0, "{why}");
        }
        // Clocks may differ a little.
        for (name, value) in [("exp", now - 29), ("nbf", now + 29)] {
            believing.ask(&changed(name, json!(value))).await.with(200);
        }
        believing.clock.advance(TimeDelta::seconds(331));
        believing.ask(&good).await.with(401);
    }

    async fn new_keys_are_found_and_old_ones_forgotten(believing: Believing) {
        let (old, new) = (Signer::p256(), Signer::ed25519());
        believing.publish(&[("old", &old)]);
        believing.ask(&old.token("old", &believing.claims("ann"))).await.with(200);
        believing.publish(&[("new", &new)]);
        // The keys were fetched a moment ago: they are not fetched again.
        for _ in 0..3 {
            believing.ask(&new.token("new", &believing.claims("ann"))).await.with(401);
        }
        assert_eq!(believing.fetched(), 1);
        believing.ask(&old.token("old", &believing.claims("ann"))).await.with(200);
        believing.clock.advance(TimeDelta::seconds(61));
        believing.ask(&new.token("new", &believing.claims("ann"))).await.with(200);
        assert_eq!(believing.fetched(), 2);
        believing.ask(&old.token("old", &believing.claims("ann"))).await.with(401);
        // One that nobody misses is gone after an hour.
        believing.publish(&[]);
        believing.clock.advance(TimeDelta::minutes(59));
        believing.ask(&new.token("new", &believing.claims("ann"))).await.with(200);
        believing.clock.advance(TimeDelta::minutes(2));
        believing.ask(&new.token("new", &believing.claims("ann"))).await.with(401);
    }

    async fn an_issuer_that_is_away_is_waited_for(believing: Believing) {
        let key = Signer::p256();
        believing.publish(&[("a", &key)]);
        for said in [json!({"issuer": "http://127.0.0.1/other", "jwks_uri": believing.issuer}), json!({"issuer": believing.issuer}), json!({"issuer": believing.issuer, "jwks_uri": "http://issuer.example/keys"}), json!([])] {
            *believing.state.said.lock().unwrap() = Some(said);
            believing.clock.advance(TimeDelta::seconds(61));
            let refused = believing.ask(&key.token("a", &believing.claims("ann"))).await;
            assert_eq!(refused.with(503), json!({"detail": "The issuer of tokens cannot be reached at the moment; try again."}));
        }
        *believing.state.said.lock().unwrap() = None;
        believing.clock.advance(TimeDelta::seconds(61));
        believing.ask(&key.token("a", &believing.claims("ann"))).await.with(200);
        // What is known of it counts while it is away.
        *believing.state.said.lock().unwrap() = Some(json!({}));
        believing.clock.advance(TimeDelta::hours(2));
        believing.ask(&key.token("a", &believing.claims("ann"))).await.with(200);
    }

    async fn the_issuer_may_say_in_which_groups_somebody_is(believing: Believing) {
        let (world, key) = (&believing.world, Signer::p256());
        believing.publish(&[("a", &key)]);
        let repository = world.repository("a").await;
        for group in ["readers", "writers"] {
            world.group(group, &[]).await;
        }
        world.post(&format!("{repository}add_role/"), json!({"role": "shelf.shelfrepository_viewer", "groups": ["readers"]})).await.with(201);
        let token = |groups: Json| {
            let mut claims = believing.claims("ann");
            claims["groups"] = groups;
            key.token("a", &claims)
        };
        let groups = async || {
            let ann = world.get("users/?username=ann").await.with(200)["results"][0].clone();
            ann["groups"].as_array().unwrap().iter().map(|group| group["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        for (said, wanted, count) in [
            (json!(["readers", "unknown"]), &["readers"] as &[&str], 1),
            (json!(["readers", "writers"]), &["readers", "writers"], 1),
            (json!("writers"), &["writers"], 0),
            (json!({"not": "a list"}), &[], 0),
            (json!(["readers"]), &["readers"], 1),
            (Json::Null, &[], 0),
        ] {
            assert_eq!(believing.get(REPOSITORIES, &token(said.clone())).await.with(200)["count"], count, "{said}");
            assert_eq!(groups().await, wanted, "{said}");
        }
    }

    async fn without_an_issuer_its_tokens_say_nothing(world: World) {
        let key = Signer::p256();
        let token = key.token("a", &json!({"iss": "https://issuer.example", "aud": "pulp", "sub": "admin", "exp": 9_999_999_999_u64}));
        let refused = world.send(Method::GET, "login/", &[("authorization", &format!("Bearer {token}"))], "").await;
        assert_eq!(refused.with(401), json!({"detail": "Authentication credentials were not provided."}));
    }
}

#[tokio::test]
async fn an_issuer_that_nobody_should_believe_is_a_mistake_in_the_settings() {
    for (issuer, audience, wrong) in [
        ("http://issuer.example", Some("pulp"), "oidc_issuer:"),
        ("issuer", Some("pulp"), "oidc_issuer:"),
        ("https://issuer.example", None, "oidc_audience:"),
        ("https://issuer.example", Some(""), "oidc_audience:"),
    ] {
        let mut settings = Settings::default();
        settings.oidc_issuer = Some(issuer.to_owned());
        settings.oidc_audience = audience.map(str::to_owned);
        let directory = tempfile::tempdir().unwrap();
        let refused = pulp_core::Pulp::builder().data_dir(directory.path()).settings(settings).build().await.unwrap_err().to_string();
        assert!(refused.contains(wrong), "{refused}");
    }
}
