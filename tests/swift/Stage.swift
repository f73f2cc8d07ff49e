// What a test needs around it: the simulated provider, a folder, ports, and words to check with.

import Foundation

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// A check that failed.
struct Unmet: Error, CustomStringConvertible {
    let description: String
}

func check(_ holds: Bool, _ what: @autoclosure () -> String, line: Int = #line) throws {
    if !holds { throw Unmet(description: "line \(line): \(what())") }
}

func value<T>(_ optional: T?, line: Int = #line) throws -> T {
    guard let value = optional else { throw Unmet(description: "line \(line): there is none") }
    return value
}

func variable(_ name: String) -> String {
    guard let value = ProcessInfo.processInfo.environment[name] else {
        fatalError("\(name) is not set")
    }
    return value
}

/// Seconds for anything that should happen soon, on a loaded machine.
let patience: TimeInterval = 20

func eventually(
    _ what: String, within: TimeInterval = patience, line: Int = #line,
    _ holds: () throws -> Bool
) throws {
    let end = Date(timeIntervalSinceNow: within)
    while try !holds() {
        try check(Date() < end, "not within \(within) s: \(what)", line: line)
        usleep(20_000)
    }
}

private final class Box<T>: @unchecked Sendable {
    var value: T?
}

/// Waits for a completion.
func completed<T>(
    line: Int = #line, _ start: (@escaping @Sendable (T) -> Void) -> Void
) throws -> T {
    let box = Box<T>()
    let done = DispatchSemaphore(value: 0)
    start { box.value = $0; done.signal() }
    try check(done.wait(timeout: .now() + patience) == .success, "never completed", line: line)
    return try value(box.value, line: line)
}

/// Waits for what is awaited.
func awaited<T>(line: Int = #line, _ work: @escaping @Sendable () async throws -> T) throws -> T {
    let result: Result<T, Error> = try completed(line: line) { done in
        Task {
            do { done(.success(try await work())) } catch { done(.failure(error)) }
        }
    }
    return try result.get()
}

struct Started {
    let success: Bool
    let message: String?
    let onMain: Bool
}

extension ProxyManager {
    func ensured(line: Int = #line) throws -> Started {
        try completed(line: line) { done in
            self.ensureProxyRunning {
                done(Started(success: $0, message: $1, onMain: Thread.isMainThread))
            }
        }
    }

    func mustRun(line: Int = #line) throws -> URL {
        let started = try ensured(line: line)
        try check(started.success, started.message ?? "no message", line: line)
        try check(started.onMain, "completed elsewhere than on the main thread", line: line)
        return try value(baseURL, line: line)
    }

    func mustNotRun(line: Int = #line) throws -> String {
        let started = try ensured(line: line)
        try check(!started.success, "it started", line: line)
        return try value(started.message, line: line)
    }
}

/// The simulated provider, told what to do by lines of JSON.
final class Simulated {
    let base: String
    private let process = Process()
    private let orders = Pipe()
    private let replies = Pipe()

    init() throws {
        process.executableURL = URL(fileURLWithPath: variable("SIMULATED_UPSTREAM"))
        process.standardInput = orders
        process.standardOutput = replies
        try process.run()
        base = try Simulated.line(of: replies)
    }

    deinit {
        try? orders.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    @discardableResult
    func order(_ order: [String: Any] = [:]) throws -> [String: Any] {
        var data = try JSONSerialization.data(withJSONObject: order)
        data.append(10)
        try orders.fileHandleForWriting.write(contentsOf: data)
        let reply = try Simulated.line(of: replies)
        return try value(JSONSerialization.jsonObject(with: Data(reply.utf8)) as? [String: Any])
    }

    var requests: [[String: Any]] {
        get throws { try order()["requests"] as? [[String: Any]] ?? [] }
    }

    var port: UInt16 {
        URL(string: base)?.port.flatMap(UInt16.init(exactly:)) ?? 0
    }

    static func line(of pipe: Pipe) throws -> String {
        var line = Data()
        while let byte = try pipe.fileHandleForReading.read(upToCount: 1), !byte.isEmpty {
            if byte[0] == 10 { break }
            line.append(byte)
        }
        return String(decoding: line, as: UTF8.self)
    }
}

/// A folder of one test, a provider, and what has to be stopped in the end.
final class Stage {
    let folder: URL
    let provider: Simulated
    private var managers: [ProxyManager] = []
    private var processes: [Process] = []

    init() throws {
        folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("llm-proxy-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        provider = try Simulated()
        try configure()
    }

    deinit {
        managers.forEach { $0.stopProxy() }
        for process in processes where process.isRunning {
            kill(process.processIdentifier, SIGKILL)
        }
        try? FileManager.default.removeItem(at: folder)
    }

    static let key = "key-that-nobody-may-see"

    var configuration: URL { folder.appendingPathComponent("config.yaml") }
    var logFile: URL { folder.appendingPathComponent("llm-proxy.log") }
    var log: String { (try? String(contentsOf: logFile, encoding: .utf8)) ?? "" }

    func configure(_ more: String = "") throws {
        try write("""
            providers:
              - name: first
                base_url: \(provider.base)
                api_key: ${FIRST_KEY}
                model: first-model
            \(more)
            """, to: configuration)
    }

    func write(_ text: String, to file: URL) throws {
        try Data(text.utf8).write(to: file)
    }

    func settings() -> ProxyManager.Settings {
        var settings = ProxyManager.Settings()
        settings.program = URL(fileURLWithPath: variable("LLM_PROXY"))
        settings.folder = folder
        settings.logFile = logFile
        settings.environment = ["FIRST_KEY": Stage.key]
        settings.preferredPort = freePort()
        settings.restartDelay = 0.05
        return settings
    }

    func manager(_ settings: ProxyManager.Settings? = nil) -> ProxyManager {
        let manager = ProxyManager(settings: settings ?? self.settings())
        managers.append(manager)
        return manager
    }

    /// A program in the proxy's place.
    func script(_ lines: String) throws -> URL {
        let file = folder.appendingPathComponent("script")
        try write("#!/bin/sh\n\(lines)\n", to: file)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: file.path)
        return file
    }

    /// Starts a program and returns it with its stdout.
    func run(
        _ program: String, _ arguments: [String], environment: [String: String] = [:]
    ) throws -> (Process, Pipe) {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.currentDirectoryURL = folder
        process.standardOutput = output
        try process.run()
        processes.append(process)
        return (process, output)
    }

    /// A proxy that somebody else started.
    func stranger(port: UInt16) throws -> Process {
        let (process, output) = try run(
            variable("LLM_PROXY"),
            ["serve", "--port", String(port), "--log-level", "error"],
            environment: ["FIRST_KEY": "key-of-the-stranger"])
        let line = try Simulated.line(of: output)
        try check(line.hasPrefix("listening on"), "the stranger says \(line)")
        return process
    }
}

struct Answer {
    let status: Int
    let provider: String?
    let body: String
}

func chat(_ base: URL, stream: Bool = false) throws -> Answer {
    var request = URLRequest(url: base.appendingPathComponent("v1/chat/completions"))
    request.httpMethod = "POST"
    request.setValue("application/json", forHTTPHeaderField: "Content-Type")
    let messages = #"[{"role":"user","content":"Hello"}]"#
    request.httpBody = Data(
        #"{"model":"default","stream":\#(stream),"messages":\#(messages)}"#.utf8)
    return try completed { done in
        URLSession.shared.dataTask(with: request) { data, response, _ in
            let response = response as? HTTPURLResponse
            done(Answer(
                status: response?.statusCode ?? 0,
                provider: response?.value(forHTTPHeaderField: "X-Provider"),
                body: String(decoding: data ?? Data(), as: UTF8.self)))
        }.resume()
    }
}

/// The command line of a process, or nil when there is none (or only its remains).
func commandLine(of process: Int32) throws -> String? {
    let ps = Process()
    let output = Pipe()
    ps.executableURL = URL(fileURLWithPath: "/bin/ps")
    ps.arguments = ["-o", "stat=,args=", "-p", String(process)]
    ps.standardOutput = output
    try ps.run()
    let data = try output.fileHandleForReading.readToEnd() ?? Data()
    ps.waitUntilExit()
    let line = String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    return line.isEmpty || line.hasPrefix("Z") ? nil : line
}

#if os(Linux)
private let streamSocket = Int32(SOCK_STREAM.rawValue)
#else
private let streamSocket = SOCK_STREAM
#endif

/// A port that is bound, though nobody listens at it.
final class BoundPort {
    let port: UInt16
    private let descriptor = socket(AF_INET, streamSocket, 0)

    init() {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { any in
                _ = bind(descriptor, any, size)
                _ = getsockname(descriptor, any, &size)
            }
        }
        port = UInt16(bigEndian: address.sin_port)
    }

    deinit {
        close(descriptor)
    }
}

func freePort() -> UInt16 {
    BoundPort().port
}
