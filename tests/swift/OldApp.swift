// An app as apps for the Python version of the proxy are written: port 8000 by heart, completions
// that touch the app's own state, and the proxy's folder with its configuration in the resources.

import Cocoa

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

#if !canImport(AppKit)
// With AppKit, `@main` at the delegate does this.
@main
@MainActor
enum Main {
    static let delegate = AppDelegate()

    static func main() {
        NSApplication.shared.delegate = delegate
        NSApplication.shared.run()
    }
}
#endif

#if canImport(AppKit)
@main
#endif
class AppDelegate: NSObject, NSApplicationDelegate {
    var ready = false

    func applicationDidFinishLaunching(_ aNotification: Notification) {
        ProxyManager.shared.ensureProxyRunning { success, error in
            if success {
                self.ready = true
                self.setupApp()
            } else {
                self.showProxyError(error)
            }
        }
    }

    func applicationWillTerminate(_ aNotification: Notification) {
        ProxyManager.shared.stopProxy()
        print("stopped: \(!ProxyManager.shared.isProxyRunning())")
    }

    private func setupApp() {
        print("ready: \(ready), running: \(ProxyManager.shared.isProxyRunning())")
        let url = URL(string: "http://localhost:8000/v1/chat/completions")!
        var request = URLRequest(url: url)
        request.httpMethod = "POST"
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        let body: [String: Any] = [
            "model": "default",
            "messages": [["role": "user", "content": "Hello!"]],
        ]
        request.httpBody = try? JSONSerialization.data(withJSONObject: body)
        let task = URLSession.shared.dataTask(with: request) { data, response, error in
            if let httpResponse = response as? HTTPURLResponse {
                let provider = httpResponse.value(forHTTPHeaderField: "X-Provider")
                let model = httpResponse.value(forHTTPHeaderField: "X-Model")
                let status = httpResponse.statusCode
                print("answered: \(status) by \(provider ?? "?") with \(model ?? "?")")
            }
            DispatchQueue.main.async {
                self.refreshProviderStats()
            }
        }
        task.resume()
    }

    private func refreshProviderStats() {
        ProxyManager.shared.getStatus { status in
            guard let providers = status?["providers"] as? [[String: Any]] else {
                return
            }
            for provider in providers {
                let name = provider["name"] as? String ?? "unknown"
                let requests = provider["request_count"] as? Int ?? 0
                let isLimited = provider["is_rate_limited"] as? Bool ?? false
                print("provider \(name): \(requests) requests today, limited: \(isLimited)")
            }
            ProxyManager.shared.reloadConfig { success in
                print("reloaded: \(success)")
                NSApplication.shared.terminate(nil)
            }
        }
    }

    private func showProxyError(_ error: String?) {
        let alert = NSAlert()
        alert.messageText = "Failed to start LLM service"
        alert.informativeText = error ?? "Unknown error"
        alert.alertStyle = .critical
        alert.runModal()
        NSApplication.shared.terminate(nil)
    }
}
