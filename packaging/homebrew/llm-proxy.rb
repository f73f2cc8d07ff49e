# Builds from a checkout: a tap sets `url` and `sha256` to a release's source instead of `head`.
#   brew install --HEAD ./packaging/homebrew/llm-proxy.rb
class LlmProxy < Formula
  desc "One address in front of many LLM providers that rotates before you notice"
  homepage "file://#{File.expand_path("../..", __dir__)}"
  license "MIT"
  head "file://#{File.expand_path("../..", __dir__)}", using: :git, branch: "main"

  depends_on "rust" => :build

  def install
    system "cargo", "install", *std_cargo_args(path: "crates/llm-proxy")
    generate_completions_from_executable(bin/"llm-proxy", "completions")
    (buildpath/"man").mkpath
    system bin/"llm-proxy", "man", buildpath/"man"
    man1.install Dir["man/*.1"]
  end

  service do
    run [opt_bin/"llm-proxy", "serve"]
    keep_alive successful_exit: false
    log_path var/"log/llm-proxy.log"
    error_log_path var/"log/llm-proxy.log"
  end

  def caveats
    <<~TEXT
      Write a configuration and put your keys into the .env beside it:
        mkdir -p ~/.config/llm-proxy && llm-proxy init ~/.config/llm-proxy
    TEXT
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/llm-proxy --version") unless build.head?
    system bin/"llm-proxy", "demo", "--once", "--port", "0"
  end
end
