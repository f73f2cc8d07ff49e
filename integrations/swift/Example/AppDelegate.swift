// The smallest app that brings its own proxy: it starts it, asks one question, shows the answer
// and who gave it, and quits.
//
//     swiftc -parse-as-library ../ProxyManager.swift AppDelegate.swift -o Example
//     GROQ_API_KEY=... PATH=folder-of-llm-proxy:$PATH ./Example

import Cocoa

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

@main
@MainActor
enum Example {
    static let delegate = AppDelegate()

    /// Stands for the storyboard, which would make the delegate.
    static func main() {
        NSApplication.shared.delegate = delegate
        NSApplication.shared.run()
    }
}

class AppDelegate: NSObject, NSApplicationDelegate {
    func applicationDidFinishLaunching(_ notification: Notification) {
        // A real app takes its keys from the Keychain here:
        // ProxyManager.shared.settings.environment["GROQ_API_KEY"] = keyFromKeychain
        ProxyManager.shared.ensureProxyRunning { success, error in
            if success {
                self.ask("Hello!")
            } else {
                self.show("The proxy did not start", error ?? "")
            }
        }
    }

    func applicationWillTerminate(_ notification: Notification) {
        ProxyManager.shared.stopProxy()
    }

    private func ask(_ question: String) {
        Task {
            do {
                let (provider, text) = try await answer(to: question)
                show("\(provider) says", text)
            } catch {
                show("No answer", error.localizedDescription)
            }
        }
    }

    private func answer(to question: String) async throws -> (provider: String, text: String) {
        // Costs next to nothing while the proxy runs, and brings it back when it does not.
        let base = try await ProxyManager.shared.start()
        var request = URLRequest(url: base.appendingPathComponent("v1/chat/completions"))
        request.httpMethod = "POST"
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        request.httpBody = try JSONSerialization.data(withJSONObject: [
            "model": "default",
            "messages": [["role": "user", "content": question]],
        ])
        let (data, response) = try await URLSession.shared.data(for: request)
        let reply = try JSONDecoder().decode(Reply.self, from: data)
        let provider = (response as? HTTPURLResponse)?.value(forHTTPHeaderField: "X-Provider")
        return (provider ?? "Nobody", reply.text)
    }

    private func show(_ title: String, _ text: String) {
        let alert = NSAlert()
        alert.messageText = title
        alert.informativeText = text
        alert.runModal()
        NSApplication.shared.terminate(nil)
    }
}

/// An answer or an error in OpenAI's form.
private struct Reply: Decodable {
    struct Choice: Decodable { let message: Message }
    struct Message: Decodable { let content: String? }

    let choices: [Choice]?
    let error: Failure?

    struct Failure: Decodable { let message: String }

    var text: String {
        choices?.first?.message.content ?? error?.message ?? "nothing"
    }
}
