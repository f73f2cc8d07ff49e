// An app that starts the proxy, says where it is, and stays until it is killed.
// Usage: victim PROGRAM FOLDER PORT

import Foundation

@main
enum Victim {
    static func main() {
        let arguments = CommandLine.arguments
        var settings = ProxyManager.Settings()
        settings.program = URL(fileURLWithPath: arguments[1])
        settings.folder = URL(fileURLWithPath: arguments[2])
        settings.preferredPort = UInt16(arguments[3]) ?? 0
        let manager = ProxyManager(settings: settings)
        manager.ensureProxyRunning { success, error in
            let process = manager.processIdentifier ?? 0
            let address = manager.baseURL?.absoluteString ?? ""
            let line = success ? "\(address) \(process)\n" : "\(error ?? "")\n"
            try? FileHandle.standardOutput.write(contentsOf: Data(line.utf8))
        }
        RunLoop.main.run()
    }
}
