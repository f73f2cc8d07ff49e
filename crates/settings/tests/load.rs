//! Finding files: the order of configurations and of `.env` layers.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::{Path, PathBuf};

use settings::{Env, LoadError, LoadRequest, Loaded, load, platform_dirs};
use tempfile::TempDir;

struct Folders {
    root: TempDir,
}

impl Folders {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for dir in ["work", "platform", "other"] {
            fs::create_dir(root.path().join(dir)).unwrap();
        }
        Self { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn put(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
        fs::write(self.path(name), text).unwrap();
        self
    }

    fn request(&self, pairs: &[(&str, &str)]) -> LoadRequest {
        LoadRequest {
            explicit: None,
            env_file: None,
            working_dir: self.path("work"),
            platform_dirs: vec![self.path("platform")],
            env: Env::from_pairs(pairs.iter().copied()),
        }
    }
}

fn key(loaded: &Loaded) -> &str {
    loaded.settings.providers[0].keys[0].secret.expose()
}

#[test]
fn the_working_directory_comes_before_the_platforms_folder() {
    let folders = Folders::new();
    let env = [("GROQ_API_KEY", "gsk_1")];
    folders.put("platform/config.yaml", "providers: [groq]\nserver: {port: 1}\n");
    let loaded = load(folders.request(&env)).unwrap();
    assert_eq!(loaded.source, Some(folders.path("platform/config.yaml")));
    folders.put("work/config.yaml", "providers: [groq]\nserver: {port: 2}\n");
    let loaded = load(folders.request(&env)).unwrap();
    assert_eq!(
        (loaded.settings.server.port, loaded.source),
        (2, Some(folders.path("work/config.yaml")))
    );
}

#[test]
fn the_given_file_comes_first_and_must_exist() {
    let folders = Folders::new();
    folders
        .put("work/config.yaml", "providers: [groq]\n")
        .put("other/c.yaml", "providers: [xai]\n");
    let explicit =
        |name: &str| LoadRequest { explicit: Some(folders.path(name)), ..folders.request(&[]) };
    assert_eq!(load(explicit("other/c.yaml")).unwrap().source, Some(folders.path("other/c.yaml")));
    let error = load(explicit("other/none.yaml")).unwrap_err().to_string();
    assert!(error.contains("none.yaml: the file does not exist"), "{error}");
    let error = load(explicit("other")).unwrap_err().to_string();
    assert!(error.contains("cannot be read"), "{error}");
}

#[test]
fn without_a_file_the_keys_of_the_environment_decide_in_the_catalogues_order() {
    let folders = Folders::new();
    let loaded = load(folders.request(&[
        ("GROQ_API_KEY", "gsk_1"),
        ("GROK_API_KEY", "xai-1"),
        ("MISTRAL_API_KEY", "your-api-key"),
        ("CLOUDFLARE_API_TOKEN", "cf1"),
        ("GITHUB_TOKEN", "ghp_1"),
        ("OLLAMA_API_KEY", "o1"),
    ]))
    .unwrap();
    let names: Vec<&str> = loaded.settings.providers.iter().map(|p| p.name.as_str()).collect();
    assert_eq!((names, loaded.source), (vec!["xai", "groq"], None));
}

#[test]
fn without_a_file_and_keys_the_variables_are_named() {
    let error = load(Folders::new().request(&[])).unwrap_err();
    let LoadError::NoProviders { looked_for } = &error else { panic!("{error}") };
    for name in ["XAI_API_KEY", "GROQ_API_KEY", "OPENROUTER_API"] {
        assert!(looked_for.iter().any(|known| known == name), "{name}");
    }
    assert!(!looked_for.iter().any(|known| known == "GITHUB_TOKEN"));
    assert!(error.to_string().contains("looked for XAI_API_KEY"));
}

#[test]
fn env_files_lie_in_layers_under_the_real_environment() {
    let folders = Folders::new();
    folders
        .put("other/c.yaml", "providers: [{name: groq, api_key: '${A}${B}${C}${D}'}]\n")
        .put("other/given.env", "A=given\nB=given\n")
        .put("other/.env", "A=beside\nB=beside\nC=beside\n")
        .put("work/.env", "A=work\nB=work\nC=work\nD=work\nbroken line\n");
    let loaded = load(LoadRequest {
        explicit: Some(folders.path("other/c.yaml")),
        env_file: Some(folders.path("other/given.env")),
        ..folders.request(&[("A", "real")])
    })
    .unwrap();
    assert_eq!(key(&loaded), "realgivenbesidework");
    assert_eq!(loaded.env_files.len(), 3);
    assert!(loaded.settings.warnings[0].ends_with(".env:5: the line is not NAME=value"));
}

#[test]
fn an_env_file_in_the_working_directory_is_enough() {
    let folders = Folders::new();
    folders.put("work/.env", "GROQ_API_KEY=gsk_file\r\n");
    let loaded = load(folders.request(&[])).unwrap();
    assert_eq!(key(&loaded), "gsk_file");
}

#[test]
fn a_given_env_file_must_exist() {
    let folders = Folders::new();
    let request = LoadRequest { env_file: Some(folders.path("none.env")), ..folders.request(&[]) };
    assert!(load(request).unwrap_err().to_string().contains("none.env"));
}

#[test]
fn files_that_are_no_text_or_too_large_are_problems() {
    let folders = Folders::new();
    folders.put("work/config.yaml", b"a: 1\nb: \xff\xfe\n");
    let error = load(folders.request(&[])).unwrap_err().to_string();
    assert!(error.contains("line 2 is not UTF-8"), "{error}");
    folders.put("work/config.yaml", vec![b' '; 2 << 20]);
    let error = load(folders.request(&[])).unwrap_err().to_string();
    assert!(error.contains("larger than 1 MiB"), "{error}");
}

#[test]
fn the_ca_file_lies_beside_the_configuration() {
    let folders = Folders::new();
    folders.put("work/config.yaml", "providers: [groq]\nserver: {ca_file: ca.pem}\n");
    let loaded = load(folders.request(&[])).unwrap();
    assert_eq!(loaded.settings.server.ca_file, Some(folders.path("work/ca.pem")));
}

#[test]
fn the_platforms_folder_follows_its_variables() {
    let env = Env::from_pairs([("HOME", "/home/me"), ("XDG_CONFIG_HOME", "relative")]);
    assert!(platform_dirs(&env).contains(&Path::new("/home/me/.config/llm-proxy").to_owned()));
    let env = Env::from_pairs([("HOME", "/home/me"), ("XDG_CONFIG_HOME", "/xdg")]);
    assert!(platform_dirs(&env).contains(&Path::new("/xdg/llm-proxy").to_owned()));
    assert!(platform_dirs(&Env::default()).is_empty());
}

#[test]
fn messages_name_a_file_of_the_working_directory_in_short() {
    let folders = Folders::new();
    folders.put("work/config.yaml", "providers: [cerebas]\n");
    let request =
        LoadRequest { explicit: Some(PathBuf::from("config.yaml")), ..folders.request(&[]) };
    for request in [request, folders.request(&[])] {
        let error = load(request).unwrap_err().to_string();
        assert!(error.starts_with("config.yaml:1:13: provider \"cerebas\""), "{error}");
    }
}

#[test]
fn a_broken_key_in_the_environment_is_named() {
    let error =
        load(Folders::new().request(&[("GROQ_API_KEY", "gsk\nnever")])).unwrap_err().to_string();
    assert!(
        error.starts_with("environment: provider \"groq\": GROQ_API_KEY: the key holds"),
        "{error}"
    );
    assert!(!error.contains("never"));
}
