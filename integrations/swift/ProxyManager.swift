// Runs the bundled `llm-proxy` for an app: starts it, finds out where it listens, starts it again
// after a crash, stops it.
//
// Add this file to the app's target and the program to its bundle. It needs Foundation and Swift
// 5.9 or newer, in the Swift 5 or the Swift 6 language mode. The guide for app authors is
// docs/integrating-a-mac-app.md in the repository of llm-proxy.

import Foundation

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// One app's view of the proxy.
///
/// Everything here may be called from any thread. Completions run on the main queue, and a call
/// never leaves its completion out.
public final class ProxyManager: @unchecked Sendable {
    /// The one that an app normally uses. Give it its `settings` before the first start.
    public static let shared = ProxyManager()

    /// Posted on the main queue, with the manager as its object, whenever `state` has changed.
    public static let stateDidChange = Notification.Name("ProxyManagerStateDidChange")

    /// What an app may want otherwise. The defaults suit an app that bundles the program and leaves
    /// the rest to its user.
    public struct Settings: Sendable {
        /// The program; nil looks for `llm-proxy` in the app's bundle, then in `PATH`.
        public var program: URL?
        /// The configuration file; nil takes `config.yaml` in `folder`, else one in the bundle's
        /// resources, else none: the proxy then uses the providers whose keys it is given.
        public var configuration: URL?
        /// The proxy's working directory, made where it is missing; nil is
        /// `Application Support/<app>/llm-proxy`.
        public var folder: URL?
        /// Added to the app's own environment for the proxy. The place for keys, such as
        /// `["GROQ_API_KEY": key]`: no other program's user sees them, and no command line shows
        /// them.
        public var environment: [String: String] = [:]
        /// The port to listen on. When something else has it, or for 0, a free one is taken.
        public var preferredPort: UInt16 = 8000
        /// Whether a proxy that runs on `preferredPort` already, whoever started it, is used.
        public var reusesRunningProxy = true
        /// One of `server.api_keys`, for a configuration that has them.
        public var clientKey: String?
        /// Where the proxy's output goes; nil is `Logs/<app>/llm-proxy.log` in the user's library,
        /// or a file in `folder` where there is no library.
        public var logFile: URL?
        /// The size in bytes at which the log file is set aside as `.1`, in place of an older one.
        public var logLimit = 1_000_000
        /// How many seconds a start may last. The first one after an installation is slow.
        public var startTimeout: TimeInterval = 30
        /// How often in a row a proxy that ends by itself is started again.
        public var restartLimit = 5
        /// Seconds before the first of these restarts; each further one waits twice as long, at
        /// most 30 seconds.
        public var restartDelay: TimeInterval = 0.5

        /// The defaults.
        public init() {}
    }

    /// What has become of the proxy.
    public enum State: Sendable, Equatable {
        /// Not started, stopped by `stopProxy`, or ended in good order by somebody else.
        case stopped
        /// Not accepting requests yet.
        case starting
        /// Accepting requests at this address; `own` is false when somebody else started it.
        case running(URL, own: Bool)
        /// It ended by itself, for the reason given, and is started again in a moment.
        case restarting(String)
        /// It cannot be had until something changes. `ensureProxyRunning` tries anew.
        case failed(Failure)
    }

    /// Why there is no proxy, in words that can be shown to a user.
    public enum Failure: LocalizedError, Sendable, Equatable {
        /// The program is in none of these places.
        case programNotFound([String])
        /// The configuration is wrong, or there is neither one nor a key: the program's own words.
        case badConfiguration(String)
        /// It could not be started, or ended: why, and the program's last words.
        case ended(String)
        /// It did not answer within this many seconds.
        case silent(TimeInterval)
        /// It was stopped meanwhile, or never started.
        case notRunning

        /// The failure as a sentence.
        public var errorDescription: String? {
            switch self {
            case .programNotFound(let places):
                return "llm-proxy was not found; looked for " + places.joined(separator: ", ")
            case .badConfiguration(let message), .ended(let message):
                return message
            case .silent(let seconds):
                return "llm-proxy did not answer within \(seconds) seconds"
            case .notRunning:
                return "llm-proxy is not running"
            }
        }
    }

    private typealias Waiter = @Sendable (Result<URL, Failure>) -> Void

    /// Everything below is touched on this queue alone, which never waits for anything but a file.
    private let queue = DispatchQueue(label: "llm-proxy")
    private var current: Settings
    private var phase = State.stopped
    private var child: Child?
    private var waiters: [Waiter] = []
    /// Counts starts and stops, so that what belongs to an earlier one is recognised and dropped.
    private var turn = 0
    private var crashes = 0
    private var listeningSince = DispatchTime.now()

    /// A manager of its own, for an app that wants more than one proxy.
    public init(settings: Settings = Settings()) {
        current = settings
    }

    deinit {
        child?.terminate()
    }

    // MARK: - The present state

    /// What the next start goes by. A running proxy stays as it was started.
    public var settings: Settings {
        get { queue.sync { current } }
        set { queue.sync { current = newValue } }
    }

    /// What has become of the proxy, as far as is known without asking it.
    public var state: State {
        queue.sync { phase }
    }

    /// The address of the proxy, such as `http://127.0.0.1:8000`, or nil while there is none.
    /// An OpenAI client wants it with `/v1` behind it.
    public var baseURL: URL? {
        queue.sync { phase.url }
    }

    /// The process that was started here, or nil.
    public var processIdentifier: Int32? {
        queue.sync { child?.process.processIdentifier }
    }

    // MARK: - With completions

    /// Sees to it that a proxy accepts requests, and tells whether one does, and if not, why.
    ///
    /// Uses one that runs already, else starts one. Costs one request over loopback when all is
    /// well, so that it may precede each conversation.
    @preconcurrency
    public func ensureProxyRunning(
        completion: @escaping @MainActor @Sendable (Bool, String?) -> Void
    ) {
        queue.async { self.enter(own: false, telling(completion)) }
    }

    /// Starts a proxy of this app's own, also where another one could be used; does nothing if it
    /// runs already.
    ///
    /// - Parameter settings: Replaces `settings` from now on.
    @preconcurrency
    public func startProxy(
        settings: Settings? = nil,
        completion: @escaping @MainActor @Sendable (Bool, String?) -> Void
    ) {
        queue.async {
            self.current = settings ?? self.current
            self.enter(own: true, telling(completion))
        }
    }

    /// Stops the proxy if it was started here, and returns when it is gone. One that somebody else
    /// started goes on.
    ///
    /// Blocks for a moment, and for at most five seconds while answers are still streaming.
    public func stopProxy() {
        queue.sync(execute: dismiss)?.end()
    }

    /// Whether a proxy answers, at `baseURL` or else at the preferred port. Blocks for at most a
    /// second; `isRunning` does not.
    public func isProxyRunning() -> Bool {
        let answered = Once(false)
        let asked = DispatchSemaphore(value: 0)
        askHealth { healthy in
            answered.value = healthy
            asked.signal()
        }
        return asked.wait(timeout: .now() + Patience.glance) == .success && answered.value
    }

    /// The proxy's `GET /status`, or nil when there is none.
    @preconcurrency
    public func getStatus(completion: @escaping @MainActor @Sendable ([String: Any]?) -> Void) {
        ask("GET", "status") { result in
            DispatchQueue.main.async {
                let data = try? result.get()
                MainActor.assumeIsolated { completion(data.flatMap(dictionary)) }
            }
        }
    }

    /// Lets the proxy read its configuration anew and tells whether it was good. A bad one changes
    /// nothing; `reload` tells what is wrong with it.
    @preconcurrency
    public func reloadConfig(completion: @escaping @MainActor @Sendable (Bool) -> Void) {
        ask("POST", "reload") { result in
            DispatchQueue.main.async {
                MainActor.assumeIsolated { completion((try? result.get()) != nil) }
            }
        }
    }

    // MARK: - With async and await

    /// Does what `ensureProxyRunning` does and returns the address.
    ///
    /// - Throws: `Failure`.
    @discardableResult
    public func start() async throws -> URL {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { self.enter(own: false) { continuation.resume(with: $0) } }
        }
    }

    /// Does what `stopProxy` does, without blocking.
    public func stop() async {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                self.stopProxy()
                continuation.resume()
            }
        }
    }

    /// Does what `isProxyRunning` does, without blocking.
    public func isRunning() async -> Bool {
        await withCheckedContinuation { continuation in
            askHealth { continuation.resume(returning: $0) }
        }
    }

    /// The proxy's `GET /status`.
    ///
    /// - Throws: `Failure`.
    public func status() async throws -> [String: Any] {
        let data = try await withCheckedThrowingContinuation { continuation in
            ask("GET", "status") { continuation.resume(with: $0) }
        }
        guard let status = dictionary(data) else {
            throw Failure.ended("llm-proxy answered with something else than its status")
        }
        return status
    }

    /// Lets the proxy read its configuration anew.
    ///
    /// - Throws: `Failure`; with the file, line and reason where the configuration is bad.
    public func reload() async throws {
        _ = try await withCheckedThrowingContinuation { continuation in
            ask("POST", "reload") { continuation.resume(with: $0) }
        }
    }

    // MARK: - Starting

    private func enter(own: Bool, _ waiter: @escaping Waiter) {
        switch phase {
        case .starting where own:
            waiters.append { result in
                if case .running(_, own: false) = self.phase {
                    self.enter(own: true, waiter)
                } else {
                    waiter(result)
                }
            }
        case .starting:
            waiters.append(waiter)
        case .running(let url, own: let isOwn):
            waiters.append(waiter)
            if own && !isOwn {
                begin(own: true)
            } else {
                confirm(url)
            }
        case .stopped, .failed:
            crashes = 0
            waiters.append(waiter)
            begin(own: own)
        case .restarting:
            waiters.append(waiter)
            begin(own: own)
        }
    }

    /// Replaces a proxy that no longer answers.
    private func confirm(_ url: URL) {
        let turn = turn
        probe(url, within: Patience.liveness) { occupant in
            guard turn == self.turn, case .running(url, let own) = self.phase else { return }
            if occupant == .proxy {
                self.settle(self.phase)
            } else {
                self.discardChild()
                self.begin(own: own)
            }
        }
    }

    /// Looks who has the preferred port before taking it: on macOS a second listener could slip
    /// in front of one that listens on all addresses.
    private func begin(own: Bool, afterCollision: Bool = false) {
        turn += 1
        let turn = turn
        change(to: .starting)
        guard let url = localURL(current.preferredPort), current.preferredPort != 0 else {
            return launch(port: 0, own: own)
        }
        probe(url, within: Patience.discovery) { occupant in
            guard turn == self.turn else { return }
            if occupant == .proxy && !own && self.current.reusesRunningProxy {
                self.settle(.running(url, own: false))
            } else if occupant == .nobody && !afterCollision {
                self.launch(port: self.current.preferredPort, own: own)
            } else {
                self.launch(port: 0, own: own)
            }
        }
    }

    private func launch(port: UInt16, own: Bool) {
        let places = Places(current)
        guard let program = places.program() else {
            return settle(.failed(.programNotFound(places.programs.map(\.path))))
        }
        let started = Child(queue: queue, log: LogFile(places.logFile, limit: current.logLimit))
        child = started
        started.onListening = { [weak self, weak started] url in
            guard let self, let started, self.child === started else { return }
            self.listeningSince = .now()
            self.settle(.running(url, own: true))
        }
        started.onEnd = { [weak self, weak started] ending in
            guard let self, let started, self.child === started else { return }
            self.child = nil
            self.ended(ending, port: port, own: own)
        }
        do {
            try places.makeFolder()
            try started.run(program, arguments: places.arguments(port: port), in: places)
        } catch {
            child = nil
            let why = "\(program.path) cannot be started: \(error.localizedDescription)"
            return settle(.failed(.ended(why)))
        }
        let limit = current.startTimeout
        queue.asyncAfter(deadline: .now() + limit) { [weak self, weak started] in
            guard let self, let started, self.child === started else { return }
            guard self.phase == .starting else { return }
            self.discardChild()
            self.settle(.failed(.silent(limit)))
        }
    }

    // MARK: - Ending

    private func ended(_ ending: Ending, port: UInt16, own: Bool) {
        let wasRunning = phase != .starting
        switch ending.code {
        case ExitCode.good where wasRunning:
            settle(.stopped)
        case ExitCode.badConfiguration:
            settle(.failed(.badConfiguration(ending.message)))
        case ExitCode.addressInUse where !wasRunning && port != 0:
            begin(own: own, afterCollision: true)
        default:
            if wasRunning || crashes > 0 {
                restart(after: ending, port: port, own: own, ranUntilNow: wasRunning)
            } else {
                settle(.failed(.ended(ending.message)))
            }
        }
    }

    /// Starts a proxy that ended by itself again, at the same port if it can be had.
    private func restart(after ending: Ending, port: UInt16, own: Bool, ranUntilNow: Bool) {
        if ranUntilNow && DispatchTime.now() > listeningSince + Patience.goodRun {
            crashes = 0
        }
        guard crashes < current.restartLimit else {
            return settle(.failed(.ended("llm-proxy ended again and again: \(ending.message)")))
        }
        crashes += 1
        let port = phase.url?.port.flatMap(UInt16.init(exactly:)) ?? port
        let delay = min(current.restartDelay * pow(2, Double(crashes - 1)), Patience.longestPause)
        turn += 1
        let turn = turn
        change(to: .restarting(ending.message))
        queue.asyncAfter(deadline: .now() + delay) { [weak self] in
            guard let self, turn == self.turn else { return }
            self.change(to: .starting)
            self.launch(port: port, own: own)
        }
    }

    /// Forgets the proxy; what was started here is handed over to be ended.
    private func dismiss() -> Child? {
        turn += 1
        let dismissed = child
        child = nil
        settle(.stopped)
        return dismissed
    }

    private func discardChild() {
        let discarded = child
        child = nil
        discarded?.kill()
    }

    private func change(to state: State) {
        guard state != phase else { return }
        phase = state
        DispatchQueue.main.async {
            NotificationCenter.default.post(name: Self.stateDidChange, object: self)
        }
    }

    /// Ends a start, well or not, and tells everyone who waits for it.
    private func settle(_ state: State) {
        change(to: state)
        let told = waiters
        waiters = []
        let result = state.result
        told.forEach { $0(result) }
    }

    // MARK: - Asking

    private enum Occupant {
        case nobody, proxy, other
    }

    /// Finds out who listens at an address. A proxy counts only if it also serves us: its
    /// configuration may ask for a key that we do not have.
    private func probe(
        _ url: URL, within: TimeInterval, then: @escaping @Sendable (Occupant) -> Void
    ) {
        let key = current.clientKey
        Exchange.send("GET", url.appendingPathComponent("health"), within: within) { health in
            guard case .answer(200, let data) = health, isHealthy(data) else {
                return self.queue.async { then(health == .refused ? .nobody : .other) }
            }
            let status = url.appendingPathComponent("status")
            Exchange.send("GET", status, key: key, within: within) { reply in
                var serves = false
                if case .answer(200, _) = reply { serves = true }
                self.queue.async { [serves] in then(serves ? .proxy : .other) }
            }
        }
    }

    private func askHealth(then: @escaping @Sendable (Bool) -> Void) {
        let url = queue.sync { phase.url ?? localURL(current.preferredPort) }
        guard let url else { return then(false) }
        let health = url.appendingPathComponent("health")
        Exchange.send("GET", health, within: Patience.glance) { reply in
            guard case .answer(200, let data) = reply else { return then(false) }
            then(isHealthy(data))
        }
    }

    private func ask(
        _ method: String, _ path: String, then: @escaping @Sendable (Result<Data, Failure>) -> Void
    ) {
        let (url, key) = queue.sync { (phase.url, current.clientKey) }
        guard let url = url?.appendingPathComponent(path) else {
            return then(.failure(.notRunning))
        }
        Exchange.send(method, url, key: key, within: Patience.liveness) { reply in
            switch reply {
            case .answer(200, let data): then(.success(data))
            case .answer(let status, let data): then(.failure(refusal(status, data)))
            case .refused: then(.failure(.notRunning))
            case .failed: then(.failure(.silent(Patience.liveness)))
            }
        }
    }
}

// MARK: - Values

/// How long things may take, in seconds.
private enum Patience {
    /// A look that somebody blocks for.
    static let glance: TimeInterval = 1
    /// Who has the preferred port.
    static let discovery: TimeInterval = 2
    /// A proxy that is silent for so long hangs: it answers these requests in under a millisecond.
    static let liveness: TimeInterval = 5
    /// For requests that are being answered when the proxy is told to end.
    static let lastAnswers: TimeInterval = 2
    /// For what is left after they were cut off.
    static let lastWords: TimeInterval = 1.5
    /// A proxy that lived for so long was no failed restart.
    static let goodRun: TimeInterval = 60
    /// Between two restarts.
    static let longestPause: TimeInterval = 30
}

/// The exit codes of `llm-proxy`.
private enum ExitCode {
    static let good: Int32 = 0
    static let badConfiguration: Int32 = 2
    static let addressInUse: Int32 = 3
}

extension ProxyManager.State {
    fileprivate var url: URL? {
        if case .running(let url, _) = self { return url }
        return nil
    }

    fileprivate var result: Result<URL, ProxyManager.Failure> {
        switch self {
        case .running(let url, _): return .success(url)
        case .failed(let failure): return .failure(failure)
        case .stopped, .starting, .restarting: return .failure(.notRunning)
        }
    }
}

/// How the program ended.
private struct Ending {
    /// The exit code, or nil after a signal.
    let code: Int32?
    /// What it said on stderr, or else how it ended.
    let message: String
}

/// A value that two threads hand over with a semaphore between them.
private final class Once<Value>: @unchecked Sendable {
    var value: Value

    init(_ value: Value) {
        self.value = value
    }
}

private func telling(
    _ completion: @escaping @MainActor @Sendable (Bool, String?) -> Void
) -> @Sendable (Result<URL, ProxyManager.Failure>) -> Void {
    { result in
        DispatchQueue.main.async {
            MainActor.assumeIsolated {
                switch result {
                case .success: completion(true, nil)
                case .failure(let failure): completion(false, failure.localizedDescription)
                }
            }
        }
    }
}

private func localURL(_ port: UInt16) -> URL? {
    URL(string: "http://127.0.0.1:\(port)")
}

private func dictionary(_ data: Data) -> [String: Any]? {
    (try? JSONSerialization.jsonObject(with: data)) as? [String: Any]
}

/// Other programs are healthy too, but only ours tells its version there.
private func isHealthy(_ data: Data) -> Bool {
    let health = dictionary(data)
    return health?["status"] as? String == "healthy" && health?["version"] is String
}

private func refusal(_ status: Int, _ data: Data) -> ProxyManager.Failure {
    let error = dictionary(data)?["error"] as? [String: Any]
    let message = error?["message"] as? String ?? "llm-proxy answered with status \(status)"
    return status == 400 ? .badConfiguration(message) : .ended(message)
}

// MARK: - Places

/// Where everything is, for one start.
private struct Places {
    let programs: [URL]
    let folder: URL
    let logFile: URL
    private let settings: ProxyManager.Settings

    init(_ settings: ProxyManager.Settings) {
        let files = FileManager.default
        let app = Places.appName
        let support = files.urls(for: .applicationSupportDirectory, in: .userDomainMask).first
        let library = files.urls(for: .libraryDirectory, in: .userDomainMask).first
        self.settings = settings
        programs = settings.program.map { [$0] } ?? Places.usualPrograms
        folder = settings.folder
            ?? (support ?? files.temporaryDirectory).appendingPathComponent("\(app)/llm-proxy")
        logFile = settings.logFile
            ?? library?.appendingPathComponent("Logs/\(app)/llm-proxy.log")
            ?? folder.appendingPathComponent("llm-proxy.log")
    }

    func program() -> URL? {
        programs.first(where: isProgram)
    }

    func makeFolder() throws {
        try FileManager.default.createDirectory(
            at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    /// Keys are never among them: every user of the machine can read a command line.
    func arguments(port: UInt16) -> [String] {
        let arguments = [
            "serve", "--host", "127.0.0.1", "--port", String(port), "--exit-with-parent",
            "--state", folder.appendingPathComponent("state").path,
        ]
        return arguments + (configuration.map { ["--config", $0.path] } ?? [])
    }

    var environment: [String: String] {
        ProcessInfo.processInfo.environment.merging(settings.environment) { _, ours in ours }
    }

    /// One in the working directory need not be named. Left unnamed, it is also found when it is
    /// written later.
    private var configuration: URL? {
        if let configuration = settings.configuration { return configuration }
        let name = "config.yaml"
        guard !exists(folder.appendingPathComponent(name)) else { return nil }
        let resources = Bundle.main.resourceURL
        return ["llm-proxy/\(name)", name]
            .compactMap { resources?.appendingPathComponent($0) }
            .first(where: exists)
    }

    private static var appName: String {
        let name = Bundle.main.infoDictionary?["CFBundleName"] as? String
        let used = name ?? ProcessInfo.processInfo.processName
        return used.replacingOccurrences(of: "/", with: "-")
    }

    private static var usualPrograms: [URL] {
        let name = "llm-proxy"
        let bundle = Bundle.main
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let inBundle = [
            bundle.url(forAuxiliaryExecutable: name),
            bundle.bundleURL.appendingPathComponent("Contents/MacOS/\(name)"),
            bundle.bundleURL.appendingPathComponent("Contents/Helpers/\(name)"),
            bundle.resourceURL?.appendingPathComponent(name),
            bundle.resourceURL?.appendingPathComponent("\(name)/\(name)"),
        ]
        let onPath = path.split(separator: ":").filter { $0.hasPrefix("/") }.map {
            URL(fileURLWithPath: String($0)).appendingPathComponent(name)
        }
        return inBundle.compactMap { $0 } + onPath
    }
}

private func exists(_ file: URL) -> Bool {
    FileManager.default.fileExists(atPath: file.path)
}

/// Whether a file can be executed; folders have that permission too.
private func isProgram(_ file: URL) -> Bool {
    var isFolder: ObjCBool = false
    let files = FileManager.default
    return files.fileExists(atPath: file.path, isDirectory: &isFolder)
        && !isFolder.boolValue && files.isExecutableFile(atPath: file.path)
}

// MARK: - The process

/// A running `llm-proxy`. Its closures are called, and its state is touched, on `queue`.
private final class Child: @unchecked Sendable {
    let process = Process()
    var onListening: ((URL) -> Void)?
    var onEnd: ((Ending) -> Void)?

    private static let announcement = "listening on "
    /// More of a line, or of the last words, is not kept.
    private static let limit = 16_384

    private let queue: DispatchQueue
    private let log: LogFile
    private let gone = DispatchGroup()
    private var line = Data()
    private var lastWords = Data()
    /// The process, its stdout and its stderr: its end is told when all have ended.
    private var open = 3

    init(queue: DispatchQueue, log: LogFile) {
        self.queue = queue
        self.log = log
    }

    func run(_ program: URL, arguments: [String], in places: Places) throws {
        process.executableURL = program
        process.arguments = arguments
        process.environment = places.environment
        process.currentDirectoryURL = places.folder
        process.standardInput = FileHandle.nullDevice
        let output = Pipe()
        let errors = Pipe()
        process.standardOutput = output
        process.standardError = errors
        gone.enter()
        process.terminationHandler = { _ in
            self.gone.leave()
            self.queue.async { self.died() }
        }
        do {
            try withNoSignalBlocked(process.run)
        } catch {
            process.terminationHandler = nil
            gone.leave()
            throw error
        }
        follow(output) { $0.awaitAddress(in: $1) }
        follow(errors) { $0.note($1) }
    }

    /// Asks it to end in good order.
    func terminate() {
        if process.isRunning { process.terminate() }
    }

    /// Ends it at once.
    func kill() {
        if process.isRunning { _ = Foundation.kill(process.processIdentifier, SIGKILL) }
    }

    /// Ends it and returns when it is gone: first lets it finish its answers, then tells it to cut
    /// them off, then makes it.
    func end() {
        terminate()
        if gone.wait(timeout: .now() + Patience.lastAnswers) == .success { return }
        terminate()
        if gone.wait(timeout: .now() + Patience.lastWords) == .success { return }
        kill()
        _ = gone.wait(timeout: .now() + Patience.glance)
    }

    /// Reads on a thread of its own. Two that sleep cost less than the care that sources of events
    /// on descriptors take when these are closed, and `read` neither raises nor autoreleases.
    private func follow(_ pipe: Pipe, _ take: @escaping @Sendable (Child, Data) -> Void) {
        let handle = pipe.fileHandleForReading
        Thread.detachNewThread {
            var buffer = [UInt8](repeating: 0, count: Self.limit)
            while true {
                let count = read(handle.fileDescriptor, &buffer, buffer.count)
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { break }
                let data = Data(buffer.prefix(count))
                self.queue.sync {
                    self.log.write(data)
                    take(self, data)
                }
            }
            self.queue.async { self.close() }
        }
    }

    /// Waits for the one line of stdout that matters here.
    private func awaitAddress(in data: Data) {
        guard onListening != nil else { return }
        for byte in data {
            if byte != UInt8(ascii: "\n") {
                if line.count < Self.limit { line.append(byte) }
                continue
            }
            let text = String(decoding: line, as: UTF8.self)
            line.removeAll()
            if text.hasPrefix(Self.announcement),
                let url = URL(string: String(text.dropFirst(Self.announcement.count)))
            {
                onListening?(url)
                onListening = nil
                return
            }
        }
    }

    private func note(_ data: Data) {
        lastWords.append(data)
        lastWords = Data(lastWords.suffix(Self.limit))
    }

    /// Its last words may still be in the pipe, but nobody waits long for them.
    private func died() {
        process.terminationHandler = nil
        close()
        queue.asyncAfter(deadline: .now() + Patience.glance) { self.tell() }
    }

    private func close() {
        open -= 1
        if open == 0 { tell() }
    }

    private func tell() {
        onEnd?(ending)
        onEnd = nil
        onListening = nil
    }

    private var ending: Ending {
        let words = String(decoding: lastWords, as: UTF8.self)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        let status = process.terminationStatus
        let exited = process.terminationReason == .exit
        let how = exited ? "ended with exit code" : "was ended by signal"
        return Ending(
            code: exited ? status : nil,
            message: words.isEmpty ? "llm-proxy \(how) \(status)" : words)
    }
}

/// A child inherits the blocked signals of the thread that starts it, and on a queue's threads
/// nearly all are: it would never hear that it is told to end.
private func withNoSignalBlocked(_ start: () throws -> Void) rethrows {
    var none = sigset_t()
    var usual = sigset_t()
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, &usual)
    defer { pthread_sigmask(SIG_SETMASK, &usual, nil) }
    try start()
}

// MARK: - The log

/// A file that is set aside when it has become too large. What cannot be written is dropped: the
/// proxy works without its log.
private final class LogFile {
    private let url: URL
    private let limit: Int
    private var handle: FileHandle?
    private var size = 0

    init(_ url: URL, limit: Int) {
        self.url = url
        self.limit = limit
        open()
    }

    deinit {
        try? handle?.close()
    }

    func write(_ data: Data) {
        if size > 0 && size + data.count > limit { rotate() }
        try? handle?.write(contentsOf: data)
        size += data.count
    }

    private func rotate() {
        try? handle?.close()
        handle = nil
        let older = url.appendingPathExtension("1")
        try? FileManager.default.removeItem(at: older)
        try? FileManager.default.moveItem(at: url, to: older)
        open()
    }

    /// Only its owner may read it: providers may quote a piece of a request in an error.
    private func open() {
        let files = FileManager.default
        if !exists(url) {
            try? files.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            _ = files.createFile(
                atPath: url.path, contents: nil, attributes: [.posixPermissions: 0o600])
        }
        handle = try? FileHandle(forWritingTo: url)
        size = Int((try? handle?.seekToEnd()) ?? 0)
    }
}

// MARK: - Requests

/// One request over loopback and what came of it. Whoever listens there may be anyone: redirects
/// are not followed, and neither time nor size is unbounded.
private final class Exchange: NSObject, URLSessionDataDelegate, @unchecked Sendable {
    enum Reply: Equatable {
        case answer(Int, Data)
        /// Nobody listens there.
        case refused
        case failed
    }

    private static let sizeLimit = 16_000_000

    private let done: @Sendable (Reply) -> Void
    private var body = Data()

    private init(_ done: @escaping @Sendable (Reply) -> Void) {
        self.done = done
    }

    static func send(
        _ method: String, _ url: URL, key: String? = nil, within: TimeInterval,
        done: @escaping @Sendable (Reply) -> Void
    ) {
        var request = URLRequest(url: url)
        request.httpMethod = method
        if let key { request.setValue("Bearer \(key)", forHTTPHeaderField: "Authorization") }
        let configuration = URLSessionConfiguration.ephemeral
        configuration.connectionProxyDictionary = [:]
        configuration.timeoutIntervalForRequest = within
        configuration.timeoutIntervalForResource = within
        let session = URLSession(
            configuration: configuration, delegate: Exchange(done), delegateQueue: nil)
        session.dataTask(with: request).resume()
        session.finishTasksAndInvalidate()
    }

    func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
        body.append(data)
        if body.count > Self.sizeLimit { dataTask.cancel() }
    }

    func urlSession(
        _ session: URLSession, task: URLSessionTask,
        willPerformHTTPRedirection response: HTTPURLResponse, newRequest request: URLRequest,
        completionHandler: @escaping (URLRequest?) -> Void
    ) {
        completionHandler(nil)
    }

    func urlSession(
        _ session: URLSession, task: URLSessionTask, didCompleteWithError error: Error?
    ) {
        if let error {
            let nobody = (error as? URLError)?.code == .cannotConnectToHost
            done(nobody ? .refused : .failed)
        } else if let response = task.response as? HTTPURLResponse {
            done(.answer(response.statusCode, body))
        } else {
            done(.failed)
        }
    }
}
