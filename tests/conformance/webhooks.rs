//! Webhooks, from the first put to the last delivery.

use crate::steps::{create, execution, executions, reaches};
use serde_json::{Value, json};
use tests::{
    client::{Answer, Client},
    deliveries::{Delivery, push},
    folder::Folder,
    pipelines::{commands, github, pipeline, source_action, stage},
    random::Random,
    server::Server,
};

const ARN: &str = "arn:aws:codepipeline:us-east-1:123456789012:webhook:hook";
const SECRET: &str = "It's a Secret to Everybody";

fn shop() -> Value {
    pipeline("shop", vec![stage("Source", vec![github()]), stage("Build", vec![commands("Say", &["true"])])])
}

fn webhook(authentication: &str, configuration: Value) -> Value {
    json!({ "webhook": {
        "name": "hook", "targetPipeline": "shop", "targetAction": "Checkout",
        "filters": [{ "jsonPath": "$.ref", "matchEquals": "refs/heads/{Branch}" }],
        "authentication": authentication, "authenticationConfiguration": configuration,
    } })
}

fn signed_hook() -> Value {
    webhook("GITHUB_HMAC", json!({ "SecretToken": SECRET }))
}

#[track_caller]
fn put(client: &Client, input: &Value) -> String {
    client.call("PutWebhook", input)["webhook"]["url"].as_str().unwrap().to_owned()
}

fn listed(client: &Client) -> Vec<Value> {
    client.call("ListWebhooks", &json!({}))["webhooks"].as_array().unwrap().clone()
}

#[track_caller]
fn is_started(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.json());
    assert_eq!(answer.json()["started"], true, "{}", answer.json());
    answer.json()["pipelineExecutionId"].as_str().unwrap().to_owned()
}

#[track_caller]
fn is_idle(answer: &Answer, why: &str) {
    assert_eq!(answer.status, 200, "{}", answer.json());
    assert_eq!(answer.json()["started"], false, "{}", answer.json());
    assert!(answer.json()["message"].as_str().unwrap().contains(why), "{}", answer.json());
}

#[test]
fn a_signed_push_starts_its_commit_once_and_nothing_else_starts() {
    let folder = Folder::repository(&shop(), &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    create(client, &shop(), "Succeeded");
    let made = client.call("PutWebhook", &signed_hook())["webhook"].clone();
    assert_eq!(made["arn"], ARN);
    assert_eq!(made["definition"]["authenticationConfiguration"], json!({ "SecretToken": "****" }));
    assert_eq!(made.get("lastTriggered"), None);
    let url = made["url"].as_str().unwrap();
    assert!(url.starts_with(&format!("{}/trigger?t=", server.url())) && url.ends_with("&v=1"), "{url}");
    assert_eq!(listed(client), std::slice::from_ref(&made));

    // The commit of the push is fetched, though the branch has moved on since.
    let pushed = folder.commit("Pushed");
    folder.commit("Later");
    let delivery = Delivery::new(url, &push("main", &pushed))
        .with("x-github-event", "push")
        .with("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
        .signed(SECRET);
    let id = is_started(&delivery.send(client));
    reaches(client, "shop", &id, "Succeeded");
    let told = execution(client, "shop", &id);
    assert_eq!(told["trigger"], json!({ "triggerType": "Webhook", "triggerDetail": ARN }));
    assert_eq!(told["artifactRevisions"][0]["revisionId"], pushed);
    assert!(listed(client)[0]["lastTriggered"].is_number());
    for _ in 0..3 {
        assert_eq!(is_started(&delivery.send(client)), id, "a copy of the same delivery");
    }
    assert_eq!(executions(client, "shop").len(), 2);
    let at_once =
        Delivery::new(url, &push("main", &pushed)).with("x-github-delivery", "at-once").signed(SECRET);
    let ids: Vec<String> = std::thread::scope(|scope| {
        let sends: Vec<_> = (0..12).map(|_| scope.spawn(|| is_started(&at_once.send(client)))).collect();
        sends.into_iter().map(|send| send.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|other| *other == ids[0] && *other != id), "{ids:?}");
    assert_eq!(executions(client, "shop").len(), 3);

    let plain = Delivery::new(url, &push("main", &pushed)).with("x-github-event", "push");
    assert_eq!(plain.send(client).status, 403);
    assert_eq!(plain.clone().signed("another").send(client).status, 403);
    let mut changed = plain.clone().signed(SECRET);
    changed.body.push(b' ');
    assert_eq!(changed.send(client).status, 403);
    let both = plain.clone().signed("another").signed_with_sha1(SECRET);
    assert_eq!(both.send(client).status, 403, "the better signature counts");
    let other = Delivery::new(url, &push("side", &pushed)).with("x-github-event", "push").signed(SECRET);
    is_idle(&other.send(client), "`$.ref` is `refs/heads/main`");
    let ping = Delivery::new(url, &json!({ "zen": "Keep it logically awesome.", "hook_id": 1 }));
    is_idle(&ping.with("x-github-event", "ping").signed(SECRET).send(client), "ping");
    let mut gone = push("main", "0000000000000000000000000000000000000000");
    gone["deleted"] = json!(true);
    is_idle(&Delivery::new(url, &gone).signed(SECRET).send(client), "deleted");
    assert_eq!(executions(client, "shop").len(), 3);

    // What every server of the folder knows.
    assert!(server.stop().success());
    let server = Server::start(&folder);
    let client = &server.client;
    let url = listed(client)[0]["url"].as_str().unwrap().to_owned();
    let again = Delivery { target: Delivery::new(&url, &json!({})).target, ..delivery };
    assert_eq!(is_started(&again.send(client)), id);
    let sha1 = Delivery::new(&url, &push("main", &pushed)).signed_with_sha1(SECRET);
    reaches(client, "shop", &is_started(&sha1.send(client)), "Succeeded");
    assert!(server.stop().success());
    for file in ["log.sqlite", "log.sqlite-wal"] {
        let bytes = std::fs::read(folder.state().join(file)).unwrap_or_default();
        assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()), "{file}");
    }
    let audited = folder.towpath(&["audit", "verify", "--dir", ".towpath"]);
    assert_eq!(audited.code, Some(0), "{}{}", audited.out, audited.err);
}

#[test]
fn a_webhook_keeps_its_address_tags_and_secret_until_it_is_deleted() {
    let folder = Folder::repository(&shop(), &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    create(client, &shop(), "Succeeded");
    let mut input = signed_hook();
    input["tags"] = json!([{ "key": "team", "value": "shop" }, { "key": "a", "value": "" }]);
    let url = put(client, &input);
    let sorted = json!([{ "key": "a", "value": "" }, { "key": "team", "value": "shop" }]);
    assert_eq!(listed(client)[0]["tags"], sorted);
    assert_eq!(put(client, &signed_hook()), url);
    let mut masked = webhook("GITHUB_HMAC", json!({ "SecretToken": "****" }));
    masked["webhook"]["filters"] =
        json!([{ "jsonPath": "$.head_commit.modified", "matchEquals": "README.md" }]);
    assert_eq!(put(client, &masked), url);
    assert_eq!(listed(client)[0]["tags"], sorted, "an update without tags keeps them");
    assert_eq!(listed(client)[0]["definition"]["filters"], masked["webhook"]["filters"]);
    // Another branch than the action's: the newest commit of its own is fetched.
    let head = folder.git(&["rev-parse", "main"]);
    let other = push("side", "1111111111111111111111111111111111111111");
    let id = is_started(&Delivery::new(&url, &other).signed(SECRET).send(client));
    reaches(client, "shop", &id, "Succeeded");
    assert_eq!(execution(client, "shop", &id)["artifactRevisions"][0]["revisionId"], head);

    put(client, &webhook("GITHUB_HMAC", json!({ "SecretToken": "changed" })));
    let own = Delivery::new(&url, &push("main", &head));
    assert_eq!(own.clone().signed(SECRET).send(client).status, 403);
    is_started(&own.clone().signed("changed").send(client));
    let kept = std::fs::read_dir(folder.state().join("secrets/values")).unwrap().count();
    assert_eq!(kept, 1, "the secret that was replaced is gone");

    for _ in 0..2 {
        client.call("DeleteWebhook", &json!({ "name": "hook" }));
    }
    assert!(listed(client).is_empty());
    assert_eq!(own.signed("changed").send(client).status, 404);
    assert_eq!(std::fs::read_dir(folder.state().join("secrets/values")).unwrap().count(), 0);
    client.refused("PutWebhook", &masked, "InvalidWebhookAuthenticationParametersException");
    let mut plain = signed_hook();
    plain["webhook"]["filters"] = json!([]);
    client.refused("PutWebhook", &json!({ "webhook": { "name": "hook" } }), "ValidationException");
    assert_ne!(put(client, &plain), url);
    assert_eq!(listed(client)[0]["tags"], json!([]));
}

#[test]
fn what_a_webhook_may_not_be_is_refused_by_its_own_error() {
    let folder = Folder::repository(&shop(), &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    create(client, &shop(), "Succeeded");
    let refused = |change: &dyn Fn(&mut Value), code: &str| {
        let mut input = webhook("UNAUTHENTICATED", json!({}));
        change(&mut input["webhook"]);
        client.refused("PutWebhook", &input, code).message
    };
    let with = |authentication: &str, configuration: Value| {
        refused(
            &|webhook| {
                webhook["authentication"] = json!(authentication);
                webhook["authenticationConfiguration"] = configuration.clone();
            },
            "InvalidWebhookAuthenticationParametersException",
        )
    };
    assert!(with("GITHUB_HMAC", json!({})).contains("'SecretToken'"));
    assert!(
        with("GITHUB_HMAC", json!({ "SecretToken": "s", "AllowedIPRange": "0.0.0.0/0" }))
            .contains("only one")
    );
    assert!(with("IP", json!({ "AllowedIPRange": "10.0.0.0" })).contains("CIDR"));
    assert!(with("IP", json!({ "SecretToken": "s" })).contains("'AllowedIPRange'"));
    assert!(with("UNAUTHENTICATED", json!({ "SecretToken": "s" })).contains("no property"));
    let filter = |path: &str, equals: Option<&str>| {
        let filter = match equals {
            Some(equals) => json!({ "jsonPath": path, "matchEquals": equals }),
            None => json!({ "jsonPath": path }),
        };
        refused(
            &|webhook| webhook["filters"] = json!([filter.clone()]),
            "InvalidWebhookFilterPatternException",
        )
    };
    assert!(filter("$.commits.length()", None).contains("the function `length()`"));
    assert!(filter("$.commits[?(@.id > 1)]", None).contains("the operator `>`"));
    assert!(filter("$.ref[", None).contains("`$.ref[`") || filter("$.ref[", None).contains("'$.ref['"));
    assert!(filter("$.ref", Some("{Nothing}")).contains("{Nothing}"));
    assert!(filter("$.ref", Some("{OAuthToken}")).contains("{OAuthToken}"));
    let six = json!(vec![json!({ "jsonPath": "$.ref" }); 6]);
    refused(&|webhook| webhook["filters"] = six.clone(), "ValidationException");
    refused(&|webhook| webhook["filters"] = json!([{ "jsonPath": "" }]), "ValidationException");
    refused(&|webhook| webhook["authentication"] = json!("BASIC"), "ValidationException");
    refused(&|webhook| webhook["targetPipeline"] = json!("none"), "PipelineNotFoundException");
    for action in ["None", "Say"] {
        let told = refused(&|webhook| webhook["targetAction"] = json!(action), "ValidationException");
        assert!(told.contains(action) && told.contains("source action"), "{told}");
    }
    let tagged = |tags: Value| {
        let mut input = webhook("UNAUTHENTICATED", json!({}));
        input["tags"] = tags;
        input
    };
    let system = tagged(json!([{ "key": "aws:x", "value": "" }]));
    client.refused("PutWebhook", &system, "InvalidTagsException");
    let many: Vec<Value> = (0..51).map(|n| json!({ "key": format!("k{n}"), "value": "" })).collect();
    client.refused("PutWebhook", &tagged(json!(many)), "TooManyTagsException");
    for operation in ["RegisterWebhookWithThirdParty", "DeregisterWebhookWithThirdParty"] {
        client.refused(operation, &json!({ "webhookName": "none" }), "WebhookNotFoundException");
    }
    client.refused("ListWebhooks", &json!({ "NextToken": "1-00000000-00" }), "InvalidNextTokenException");
    assert!(listed(client).is_empty(), "a refusal leaves nothing behind");
}

#[test]
fn a_caller_is_known_by_its_address_or_not_at_all() {
    let mut definition = shop();
    definition["pipeline"]["stages"][0]["actions"][0] = source_action("main", false);
    let folder = Folder::repository(&definition, &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    create(client, &definition, "Succeeded");
    let with = |authentication: &str, configuration: Value| {
        let mut input = webhook(authentication, configuration);
        input["webhook"]["filters"] = json!([{ "jsonPath": "$.commits[?(@.distinct == true)].id" }]);
        put(client, &input)
    };
    let body = push("main", &folder.git(&["rev-parse", "main"]));
    let url = with("IP", json!({ "AllowedIPRange": "127.0.0.0/8" }));
    is_started(&Delivery::new(&url, &body).send(client));
    with("IP", json!({ "AllowedIPRange": "10.0.0.0/8" }));
    // Anybody can write a header: without a proxy that is trusted it says nothing.
    let forwarded = Delivery::new(&url, &body).with("x-forwarded-for", "10.1.2.3");
    assert_eq!(forwarded.send(client).status, 403);
    with("UNAUTHENTICATED", json!({}));
    let mut form = Delivery::new(&url, &body);
    form.content_type = "application/x-www-form-urlencoded".into();
    let hex: String = form.body.iter().map(|byte| format!("%{byte:02x}")).collect();
    form.body = format!("x=1&payload={hex}").into_bytes();
    is_started(&form.send(client));
    is_idle(&Delivery::new(&url, &json!({ "commits": [{ "distinct": false }] })).send(client), "nothing at");
    let mut broken = Delivery::new(&url, &body);
    broken.body.truncate(20);
    assert_eq!(broken.send(client).status, 400);
    assert!(broken.send(client).json()["message"].as_str().unwrap().contains("not JSON"));

    client.call("DeletePipeline", &json!({ "name": "shop" }));
    is_idle(&Delivery::new(&url, &body).send(client), "no pipeline 'shop'");
    create(client, &definition, "Succeeded");
    with("IP", json!({ "AllowedIPRange": "10.0.0.0/8" }));
    assert!(server.stop().success());
    let server = Server::start_with(
        &folder,
        &["--client-ip-header", "X-Forwarded-For", "--public-url", "https://hooks.example.com/towpath/"],
    );
    let client = &server.client;
    let url = listed(client)[0]["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with("https://hooks.example.com/towpath/trigger?t="), "{url}");
    let here = url.replace("/towpath/", "/");
    is_started(&Delivery::new(&here, &body).with("x-forwarded-for", "8.8.8.8, 10.1.2.3").send(client));
    let made_up = Delivery::new(&here, &body).with("x-forwarded-for", "10.1.2.3, 8.8.8.8");
    assert_eq!(made_up.send(client).status, 403);
    assert_eq!(Delivery::new(&here, &body).send(client).status, 403);
}

#[test]
fn webhooks_are_listed_by_name_in_pages_of_any_size() {
    let folder = Folder::repository(&shop(), &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    create(client, &shop(), "Succeeded");
    for name in ["bee", "ant", "Cow", "dog@1"] {
        let mut input = webhook("UNAUTHENTICATED", json!({}));
        input["webhook"]["name"] = json!(name);
        let url = put(client, &input);
        is_idle(&Delivery::new(&url, &json!({})).send(client), "$.ref");
    }
    for size in 1..=5 {
        let (mut names, mut input) = (Vec::new(), json!({ "MaxResults": size }));
        loop {
            let page = client.call("ListWebhooks", &input);
            let entries = page["webhooks"].as_array().unwrap();
            names.extend(entries.iter().map(|entry| entry["definition"]["name"].clone()));
            match page.get("NextToken") {
                Some(token) => input["NextToken"] = token.clone(),
                None => break,
            }
        }
        assert_eq!(names, ["Cow", "ant", "bee", "dog@1"], "pages of {size}");
    }
    for bad in [0, 101] {
        client.refused("ListWebhooks", &json!({ "MaxResults": bad }), "ValidationException");
    }
    let unauthenticated = &listed(client)[0]["definition"]["authenticationConfiguration"];
    assert_eq!(*unauthenticated, json!({}), "present though empty");
}

const SEED: u64 = 35;
const DELIVERIES: usize = 1_500;

#[test]
fn no_delivery_however_mangled_brings_an_internal_failure() {
    let folder = Folder::repository(&shop(), &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    create(client, &shop(), "Succeeded");
    let mut input = webhook("UNAUTHENTICATED", json!({}));
    let url = put(client, &input);
    let good = Delivery::new(&url, &push("side", "1111111111111111111111111111111111111111"));
    let mut random = Random::new(SEED);
    let mut seen = std::collections::BTreeMap::<u16, usize>::new();
    let letters: Vec<char> = "$..[]*?()@=!'\"\\,:-0129ab{} ü".chars().collect();
    for round in 0..DELIVERIES {
        if round % 10 == 0 {
            let path: String = (0..=random.below(24)).map(|_| *random.pick(&letters)).collect();
            input["webhook"]["filters"] =
                json!([{ "jsonPath": format!("${path}"), "matchEquals": "{Branch}{" }]);
            let answer = client.post("PutWebhook", input.to_string().as_bytes()).unwrap();
            tests::conforming::check("PutWebhook", &answer);
            assert!(answer.status < 500, "{path}: {:?}", answer.refusal());
        }
        let mut delivery = good.clone();
        match random.below(6) {
            0 => delivery.body.truncate(random.below(delivery.body.len())),
            1 => delivery.body = vec![b'['; random.below(4_000)],
            2 => delivery.target.truncate(random.below(delivery.target.len()).max(1)),
            3 => delivery.content_type = "application/x-www-form-urlencoded".into(),
            4 => {
                let at = random.below(delivery.body.len());
                delivery.body[at] = u8::try_from(random.below(256)).unwrap();
            }
            _ => {
                let names = ["x-hub-signature", "x-hub-signature-256", "x-github-delivery", "x-github-event"];
                let long = "é".repeat(random.below(600));
                let values: [&str; 4] = ["", "sha256=", "ping", &long];
                let (name, value): (&str, &str) = (random.pick::<&str>(&names), random.pick::<&str>(&values));
                delivery = delivery.with(name, value);
            }
        }
        let answer = delivery.send(client);
        assert!(answer.status < 500, "round {round}: {delivery:?}: {answer:?}");
        *seen.entry(answer.status).or_default() += 1;
    }
    assert!(seen.len() >= 3 && seen[&200] > 100, "the mangling is too strong or too weak: {seen:?}");
    assert_eq!(client.get(&good.target).unwrap().status, 405);
    let long = Delivery { body: vec![b' '; 11 << 20], ..good };
    assert_eq!(long.send(client).status, 413);
    assert_eq!(client.get("/healthz").unwrap().status, 200);
    assert_eq!(executions(client, "shop").len(), 1, "none of this was a push to its branch");
}
