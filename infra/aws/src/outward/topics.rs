//! Messages to topics of SNS.

use super::not_told;
use crate::client::{Client, Service};
use engine::outward::{OutwardError, TopicMessage, Topics};

/// Bytes of a message, most.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// The topics that this client may publish to.
#[derive(Debug, Clone)]
pub struct SnsTopics(Client);

impl SnsTopics {
    /// By this client.
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }
}

impl Topics for SnsTopics {
    async fn publish(&self, message: TopicMessage) -> Result<(), OutwardError> {
        let refused = |text: String| Err(OutwardError::Refused(text));
        // `arn:<partition>:sns:<region>:<account>:<name>`
        let parts: Vec<&str> = message.topic.split(':').collect();
        let &["arn", _, "sns", region, _, _] = parts.as_slice() else {
            return refused(format!("this is not the ARN of a topic: `{}`", message.topic));
        };
        if message.message.len() > MESSAGE_BYTES_MAX {
            let (bytes, topic) = (message.message.len(), &message.topic);
            return refused(format!("a message of {bytes} bytes for `{topic}`, at most {MESSAGE_BYTES_MAX}"));
        }
        let client = if region == self.0.region() { self.0.clone() } else { self.0.in_region(region) };
        client
            .query(Service::Sns, "Publish", &params(&message))
            .await
            .map(drop)
            .map_err(|error| not_told(&error))
    }
}

fn params(message: &TopicMessage) -> Vec<(String, String)> {
    let mut params = vec![("TopicArn".to_owned(), message.topic.clone())];
    let mut add = |name: &str, value: &str| params.push((name.to_owned(), value.to_owned()));
    add("Message", &message.message);
    if let Some(subject) = &message.subject {
        add("Subject", subject);
    }
    if message.by_protocol {
        add("MessageStructure", "json");
    }
    for (number, (name, value)) in (1..).zip(&message.attributes) {
        let entry = format!("MessageAttributes.entry.{number}");
        add(&format!("{entry}.Name"), name);
        add(&format!("{entry}.Value.DataType"), "String");
        add(&format!("{entry}.Value.StringValue"), value);
    }
    if message.topic.ends_with(".fifo") {
        add("MessageGroupId", &message.group);
        add("MessageDeduplicationId", &message.deduplication);
    }
    params
}
