//! Where tokenizers and templates are found on disk.

use std::path::Path;

use model::chat::{Message, Role};
use model::text::{ChatTemplate, EncodeOptions, RenderOptions, Tokenizer};

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

fn hello() -> [Message; 1] {
    [Message {
        role: Role::User,
        content: "hello".to_owned(),
        reasoning: None,
    }]
}

fn rendered(folder: &Path, name: Option<&str>) -> eval::Result<String> {
    ChatTemplate::from_folder(folder, name)?.render(&hello(), &RenderOptions::answer())
}

#[test]
fn a_folder_s_template_is_a_text_a_list_or_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let absent = rendered(folder, None).unwrap_err();
    assert!(
        absent.to_string().contains("has no chat template"),
        "{absent}"
    );
    assert!(absent.next_step().unwrap().contains("plain_turns"));

    let text = r#"{"chat_template": "one {{ bos_token }} {{ messages[0].content }}",
        "bos_token": {"content": "<s>"}}"#;
    write(folder, "tokenizer_config.json", text);
    assert_eq!(rendered(folder, None).unwrap(), "one <s> hello");

    let list = r#"{"chat_template": [{"name": "default", "template": "d"},
        {"name": "tool_use", "template": "t"}]}"#;
    write(folder, "tokenizer_config.json", list);
    assert_eq!(rendered(folder, None).unwrap(), "d");
    assert_eq!(rendered(folder, Some("tool_use")).unwrap(), "t");
    let unknown = rendered(folder, Some("rag")).unwrap_err();
    assert!(unknown.to_string().contains("`rag`"), "{unknown}");
    assert!(unknown.next_step().unwrap().contains("tool_use"));

    write(folder, "chat_template.jinja", "file\n");
    assert_eq!(rendered(folder, None).unwrap(), "file");
    assert_eq!(rendered(folder, Some("tool_use")).unwrap(), "t");

    write(folder, "tokenizer_config.json", "{");
    let broken = rendered(folder, None).unwrap_err();
    assert!(
        broken.to_string().contains("tokenizer_config.json"),
        "{broken}"
    );
}

#[test]
fn a_folder_s_tokenizer_knows_its_special_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let missing = Tokenizer::open(folder).unwrap_err();
    assert!(missing.to_string().contains("tokenizer.json"), "{missing}");

    write(
        folder,
        "tokenizer.json",
        include_str!("../fixtures/text/small_tokenizer.json"),
    );
    let tokenizer = Tokenizer::open(folder).unwrap();
    assert_eq!((tokenizer.bos(), tokenizer.eos()), (None, None));

    write(
        folder,
        "tokenizer_config.json",
        r#"{"eos_token": "<|im_end|>"}"#,
    );
    let tokenizer = Tokenizer::open(&folder.join("tokenizer.json")).unwrap();
    assert_eq!(tokenizer.eos(), tokenizer.id_of("<|im_end|>"));
    let ids = tokenizer
        .encode("café <|im_end|>", EncodeOptions::CHAT)
        .unwrap();
    assert_eq!(ids.last().copied(), tokenizer.eos());

    write(folder, "tokenizer.json", r#"{"model": {"type": "BPE"}}"#);
    assert!(Tokenizer::open(folder).is_err());
    write(folder, "tokenizer.json", "not json");
    let broken = Tokenizer::open(folder).unwrap_err();
    assert!(broken.to_string().contains("no valid JSON"), "{broken}");
}
