//! A manifest as Croissant 1.0 metadata: JSON-LD that other tools read.
//!
//! The context is the one of the specification
//! (<https://docs.mlcommons.org/croissant/docs/croissant-spec.html>, version 1.0, appendix 1).
//! `contentUrl` is the address of the file where a hub or git source gives it whole; else it is
//! the file's name, relative to the folder of the manifest.

use serde_json::{Map, Value, json};

use crate::manifest::{ColumnKind, FileEntry, Manifest, Table};
use crate::name::encode_path;
use crate::source::{Kind, Layout, RepoType};

/// The metadata of one data set.
#[must_use]
pub fn export(manifest: &Manifest) -> Value {
    let licence = &manifest.licence;
    let licence = match (licence.is_spdx, &licence.url) {
        (_, Some(url)) => url.clone(),
        (true, None) => format!("https://spdx.org/licenses/{}.html", licence.name),
        (false, None) => licence.name.clone(),
    };
    let creators: Vec<Value> = manifest
        .creators
        .iter()
        .map(|name| json!({ "@type": "sc:Person", "name": name }))
        .collect();
    let files = manifest.files.iter();
    let tables = files
        .clone()
        .filter_map(|file| Some(record_set(file, file.table.as_ref()?)));
    json!({
        "@context": context(),
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": manifest.name.replace('/', "-"),
        "description": manifest.description,
        "version": semantic(&manifest.version),
        "license": licence,
        "url": manifest.homepage,
        "creator": creators,
        "datePublished": manifest.published,
        "citeAs": manifest.citation,
        "distribution": files.map(|file| file_object(manifest, file)).collect::<Vec<_>>(),
        "recordSet": tables.collect::<Vec<_>>(),
    })
}

fn file_object(manifest: &Manifest, file: &FileEntry) -> Value {
    json!({
        "@type": "cr:FileObject",
        "@id": file.name,
        "name": file.name,
        "contentUrl": content_url(manifest, file),
        "contentSize": format!("{} B", file.bytes),
        "encodingFormat": media_type(file),
        "sha256": file.sha256.as_hex(),
    })
}

fn record_set(file: &FileEntry, table: &Table) -> Value {
    let id = file
        .name
        .rsplit_once('.')
        .map_or(file.name.as_str(), |(stem, _)| stem);
    let mut fields = Vec::new();
    for group in &table.columns {
        let data_type = match group.kind {
            ColumnKind::Integer => "sc:Integer",
            ColumnKind::Float => "sc:Float",
        };
        for column in group.names() {
            fields.push(json!({
                "@type": "cr:Field",
                "@id": format!("{id}/{column}"),
                "name": column,
                "dataType": data_type,
                "source": {
                    "fileObject": { "@id": file.name },
                    "extract": { "column": column },
                },
            }));
        }
    }
    json!({
        "@type": "cr:RecordSet",
        "@id": id,
        "name": id,
        "description": format!("{} rows of `{}`.", table.rows, file.name),
        "field": fields,
    })
}

fn content_url(manifest: &Manifest, file: &FileEntry) -> String {
    let url = manifest.sources.iter().find_map(|source| {
        let [piece] = source.pieces.get(&file.name)?.as_slice() else {
            return None;
        };
        let path = encode_path(&piece.from);
        match &source.kind {
            Kind::Vendored => Some(encode_path(&file.name)),
            Kind::Hub {
                repo,
                repo_type,
                revision,
            } => {
                let folder = match repo_type {
                    RepoType::Model => "",
                    RepoType::Dataset => "datasets/",
                };
                let revision = revision.replace('/', "%2F");
                Some(format!(
                    "https://huggingface.co/{folder}{repo}/resolve/{revision}/{path}"
                ))
            }
            Kind::Git {
                host,
                layout,
                repo,
                commit,
            } => Some(match layout {
                Layout::Raw => format!("{host}/{repo}/{commit}/{path}"),
                Layout::Gitlab => format!("{host}/{repo}/-/raw/{commit}/{path}"),
                Layout::Gitea => format!("{host}/{repo}/raw/commit/{commit}/{path}"),
            }),
            Kind::Generated { .. }
            | Kind::Mirror { .. }
            | Kind::Pip { .. }
            | Kind::Manual { .. } => None,
        }
    });
    url.unwrap_or_else(|| encode_path(&file.name))
}

/// The media type of the manifest, else the one of the file's extension.
fn media_type(file: &FileEntry) -> &str {
    if let Some(media_type) = &file.media_type {
        return media_type;
    }
    match file.name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("parquet") => "application/x-parquet",
        Some("csv") => "text/csv",
        Some("tsv") => "text/tab-separated-values",
        Some("json") => "application/json",
        Some("jsonl") => "application/jsonlines",
        Some("txt" | "md") => "text/plain",
        Some("zip") => "application/zip",
        _ => "application/octet-stream",
    }
}

/// Croissant asks for a semantic version; a bare `1` or `1.2` is filled up with zeros.
fn semantic(version: &str) -> String {
    let numbers: Vec<&str> = version.split('.').collect();
    let numeric = numbers
        .iter()
        .all(|part| !part.is_empty() && part.parse::<u64>().is_ok());
    match (numeric, numbers.len()) {
        (true, 1) => format!("{version}.0.0"),
        (true, 2) => format!("{version}.0"),
        _ => version.to_owned(),
    }
}

fn context() -> Value {
    let mut context = Map::new();
    context.insert("@language".to_owned(), json!("en"));
    context.insert("@vocab".to_owned(), json!("https://schema.org/"));
    context.insert("sc".to_owned(), json!("https://schema.org/"));
    context.insert("cr".to_owned(), json!("http://mlcommons.org/croissant/"));
    context.insert(
        "rai".to_owned(),
        json!("http://mlcommons.org/croissant/RAI/"),
    );
    context.insert("dct".to_owned(), json!("http://purl.org/dc/terms/"));
    context.insert("conformsTo".to_owned(), json!("dct:conformsTo"));
    context.insert(
        "data".to_owned(),
        json!({ "@id": "cr:data", "@type": "@json" }),
    );
    context.insert(
        "dataType".to_owned(),
        json!({ "@id": "cr:dataType", "@type": "@vocab" }),
    );
    context.insert(
        "examples".to_owned(),
        json!({ "@id": "cr:examples", "@type": "@json" }),
    );
    for word in [
        "citeAs",
        "column",
        "equivalentProperty",
        "extract",
        "field",
        "fileObject",
        "fileProperty",
        "fileSet",
        "format",
        "includes",
        "isLiveDataset",
        "jsonPath",
        "key",
        "md5",
        "parentField",
        "path",
        "recordSet",
        "references",
        "regex",
        "repeated",
        "replace",
        "samplingRate",
        "separator",
        "source",
        "subField",
        "transform",
    ] {
        context.insert(word.to_owned(), json!(format!("cr:{word}")));
    }
    Value::Object(context)
}
