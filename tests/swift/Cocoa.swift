// The few words of AppKit that the apps in these tests use, so that they compile and run where
// there is no AppKit. Isolation is AppKit's.

@_exported import Foundation

@MainActor
public protocol NSApplicationDelegate: AnyObject {
    func applicationDidFinishLaunching(_ notification: Notification)
    func applicationWillTerminate(_ notification: Notification)
}

@MainActor
public final class NSApplication {
    public static let shared = NSApplication()
    public var delegate: (any NSApplicationDelegate)?

    public func run() {
        DispatchQueue.main.async {
            MainActor.assumeIsolated {
                let launched = Notification(name: Notification.Name("launched"))
                NSApplication.shared.delegate?.applicationDidFinishLaunching(launched)
            }
        }
        RunLoop.main.run()
    }

    public func terminate(_ sender: Any?) {
        delegate?.applicationWillTerminate(Notification(name: Notification.Name("terminating")))
        exit(0)
    }
}

/// Says on stdout what it would show.
@MainActor
public final class NSAlert {
    public enum Style { case critical, informational, warning }
    public var messageText = ""
    public var informativeText = ""
    public var alertStyle = Style.warning

    public init() {}

    @discardableResult
    public func runModal() -> Int {
        print("\(messageText): \(informativeText)")
        return 0
    }
}
