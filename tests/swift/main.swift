// Tests of ProxyManager.swift against the real program, as an app would use it.

import Foundation

setvbuf(stdout, nil, _IOLBF, 0)

let tests: [(String, (Stage) throws -> Void)] = [
    ("it_starts_chats_tells_its_status_and_stops", { stage in
        let manager = stage.manager()
        try check(manager.state == .stopped && manager.baseURL == nil, "\(manager.state)")
        try check(!manager.isProxyRunning(), "something runs already")
        let port = manager.settings.preferredPort
        let base = try manager.mustRun()
        try check(base.absoluteString == "http://127.0.0.1:\(port)", base.absoluteString)
        try check(manager.state == .running(base, own: true), "\(manager.state)")
        try check(manager.isProxyRunning(), "it does not run")
        let answer = try chat(base)
        try check(answer.status == 200 && answer.provider == "first", "\(answer)")
        let status: [String: Any]? = try completed { done in manager.getStatus { done($0) } }
        let providers = try value(status?["providers"] as? [[String: Any]])
        try check(providers[0]["name"] as? String == "first", "\(providers)")
        try check(providers[0]["request_count"] as? Int == 1, "\(providers)")
        let process = try value(manager.processIdentifier)
        manager.stopProxy()
        try check(try commandLine(of: process) == nil, "it is still there")
        try check(!manager.isProxyRunning() && manager.state == .stopped, "\(manager.state)")
        let none: [String: Any]? = try completed { done in manager.getStatus { done($0) } }
        try check(none == nil, "a status of nobody")
        _ = try manager.mustRun()
    }),
    ("async_and_await_do_the_same", { stage in
        let manager = stage.manager()
        let base = try awaited { try await manager.start() }
        try check(base == manager.baseURL, base.absoluteString)
        try check(try awaited { await manager.isRunning() }, "it does not run")
        let count = try awaited { try await manager.status()["total_providers"] as? Int }
        try check(count == 1, "\(count ?? -1) providers")
        try awaited { try await manager.reload() }
        try awaited { await manager.stop() }
        try check(try awaited { await !manager.isRunning() }, "it still runs")
        do {
            try awaited { try await manager.reload() }
            try check(false, "nobody reloaded")
        } catch let failure as ProxyManager.Failure {
            try check(failure == .notRunning, "\(failure)")
        }
    }),
    ("keys_go_by_the_environment_and_nowhere_else", { stage in
        let manager = stage.manager()
        let base = try manager.mustRun()
        _ = try chat(base)
        let headers = try value(try stage.provider.requests.last?["headers"] as? [String: String])
        try check(headers["authorization"] == "Bearer \(Stage.key)", "\(headers)")
        let line = try value(try commandLine(of: value(manager.processIdentifier)))
        try check(line.contains("--exit-with-parent") && !line.contains(Stage.key), line)
        try eventually("the log tells of the request") { stage.log.contains("Request successful") }
        try check(stage.log.contains("listening on \(base)"), stage.log)
        try check(!stage.log.contains(Stage.key), stage.log)
        let attributes = try FileManager.default.attributesOfItem(atPath: stage.logFile.path)
        try check(attributes[.posixPermissions] as? Int == 0o600, "\(attributes)")
    }),
    ("without_a_configuration_the_keys_decide", { stage in
        try FileManager.default.removeItem(at: stage.configuration)
        var settings = stage.settings()
        settings.environment = ["HOME": stage.folder.path]
        let manager = stage.manager(settings)
        let message = try manager.mustNotRun()
        try check(message.contains("looked for") && message.contains("GROQ_API_KEY"), message)
        manager.settings.environment["GROQ_API_KEY"] = Stage.key
        _ = try manager.mustRun()
        let status = try awaited { try await manager.status()["providers"] as? [[String: Any]] }
        try check(status?.first?["name"] as? String == "groq", "\(status ?? [])")
    }),
    ("a_bad_configuration_is_told_with_its_line", { stage in
        try stage.configure("servr: {}")
        let manager = stage.manager()
        let message = try manager.mustNotRun()
        try check(message.contains("config.yaml:6") && message.contains("servr"), message)
        guard case .failed(.badConfiguration) = manager.state else {
            throw Unmet(description: "\(manager.state)")
        }
        try stage.configure()
        _ = try manager.mustRun()
    }),
    ("reload_tells_good_from_bad", { stage in
        let manager = stage.manager()
        let base = try manager.mustRun()
        try check(try completed { done in manager.reloadConfig { done($0) } }, "not reloaded")
        try stage.configure("servr: {}")
        try check(try !completed { done in manager.reloadConfig { done($0) } }, "reloaded")
        do {
            try awaited { try await manager.reload() }
            try check(false, "reloaded")
        } catch let ProxyManager.Failure.badConfiguration(message) {
            try check(message.contains("servr"), message)
        }
        try check(try chat(base).status == 200, "the good one no longer serves")
    }),
    ("a_killed_app_leaves_no_proxy_behind", { stage in
        let (app, output) = try stage.run(
            variable("VICTIM"), [variable("LLM_PROXY"), stage.folder.path, String(freePort())],
            environment: ["FIRST_KEY": Stage.key])
        let line = try Simulated.line(of: output)
        let words = line.split(separator: " ")
        try check(words.count == 2, line)
        let base = try value(URL(string: String(words[0])))
        let process = try value(Int32(words[1]))
        try check(try chat(base).status == 200, "it does not serve")
        kill(app.processIdentifier, SIGKILL)
        try eventually("the proxy ends", within: 2) { try commandLine(of: process) == nil }
    }),
    ("a_crash_is_followed_by_a_restart_at_the_same_address", { stage in
        let manager = stage.manager()
        let base = try manager.mustRun()
        let first = try value(manager.processIdentifier)
        kill(first, SIGKILL)
        try eventually("another process") {
            manager.processIdentifier != first && manager.state == .running(base, own: true)
        }
        try check(try chat(base).status == 200, "it does not serve")
    }),
    ("restarts_wait_longer_each_time_and_come_to_an_end", { stage in
        var settings = stage.settings()
        settings.program = try stage.script("""
            echo run >>'\(stage.folder.path)/runs'
            echo 'listening on http://127.0.0.1:9'
            echo 'error: out of luck' >&2
            exit 1
            """)
        settings.restartLimit = 3
        settings.restartDelay = 0.2
        let manager = stage.manager(settings)
        let began = Date()
        _ = try manager.ensured()
        try eventually("it gives up") { if case .failed = manager.state { true } else { false } }
        let waited = Date().timeIntervalSince(began)
        try check(waited >= 1.4, "\(waited), not 0.2 + 0.4 + 0.8 seconds")
        guard case .failed(.ended(let message)) = manager.state else { return }
        try check(message.contains("again and again") && message.contains("out of luck"), message)
        let list = stage.folder.appendingPathComponent("runs")
        let runs = try String(contentsOf: list, encoding: .utf8)
        try check(runs == "run\nrun\nrun\nrun\n", runs)
    }),
    ("one_that_was_ended_in_good_order_by_somebody_else_stays_ended", { stage in
        let manager = stage.manager()
        _ = try manager.mustRun()
        kill(try value(manager.processIdentifier), SIGTERM)
        try eventually("it is noticed") { manager.state == .stopped }
        _ = try manager.mustRun()
    }),
    ("one_that_hangs_is_replaced", { stage in
        let manager = stage.manager()
        _ = try manager.mustRun()
        let first = try value(manager.processIdentifier)
        kill(first, SIGSTOP)
        let base = try manager.mustRun()
        try check(manager.processIdentifier != first, "the same process")
        try check(try chat(base).status == 200, "it does not serve")
        try check(try commandLine(of: first) == nil, "the hanging one is still there")
    }),
    ("a_foreign_server_on_the_port_is_left_alone", { stage in
        for reply in [#"{"status":"healthy"}"#, "no JSON", ""] {
            try stage.provider.order(["script": [["text": reply]]])
            var settings = stage.settings()
            settings.preferredPort = stage.provider.port
            let manager = stage.manager(settings)
            let base = try manager.mustRun()
            try check(base.port != Int(stage.provider.port), "the foreign port")
            try check(manager.state == .running(base, own: true), "\(manager.state)")
            try stage.provider.order(["script": [["answer": ["Hello"]]]])
            try check(try chat(base).status == 200, "it does not serve")
            manager.stopProxy()
        }
    }),
    ("a_foreign_server_that_is_silent_or_sends_us_away_is_left_alone", { stage in
        let elsewhere = try stage.stranger(port: 0)
        for reply: [String: Any] in [
            ["text": "", "after_ms": 60_000],
            ["text": "", "status": 302, "headers": ["location": "http://127.0.0.1:1/health"]],
        ] {
            try stage.provider.order(["script": [reply]])
            var settings = stage.settings()
            settings.preferredPort = stage.provider.port
            let base = try stage.manager(settings).mustRun()
            try check(base.port != Int(stage.provider.port), "the foreign port")
        }
        elsewhere.terminate()
    }),
    ("a_port_that_is_lost_in_the_last_moment_is_no_failure", { stage in
        let bound = BoundPort()
        var settings = stage.settings()
        settings.preferredPort = bound.port
        let base = try stage.manager(settings).mustRun()
        try check(base.port != Int(bound.port), "the bound port")
    }),
    ("a_proxy_that_runs_already_is_used_and_not_stopped", { stage in
        let settings = stage.settings()
        let stranger = try stage.stranger(port: settings.preferredPort)
        let manager = stage.manager(settings)
        let base = try manager.mustRun()
        try check(manager.state == .running(base, own: false), "\(manager.state)")
        try check(manager.processIdentifier == nil, "one was started")
        try check(try chat(base).status == 200, "it does not serve")
        manager.stopProxy()
        try check(stranger.isRunning && manager.isProxyRunning(), "it was stopped")
        _ = try manager.mustRun()
        stranger.terminate()
        stranger.waitUntilExit()
        try check(manager.mustRun() == base, "elsewhere")
        try check(manager.state == .running(base, own: true), "\(manager.state)")
    }),
    ("a_proxy_of_its_own_can_be_had_beside_another", { stage in
        var settings = stage.settings()
        let stranger = try stage.stranger(port: settings.preferredPort)
        let manager = stage.manager(settings)
        let used = try manager.mustRun()
        let started: Bool = try completed { done in
            manager.startProxy { success, _ in done(success) }
        }
        try check(started && manager.baseURL != used, "\(manager.state)")
        settings.reusesRunningProxy = false
        let other = try stage.manager(settings).mustRun()
        try check(other != used && other != manager.baseURL, other.absoluteString)
        try check(stranger.isRunning, "the other one was stopped")
    }),
    ("a_running_proxy_that_would_not_serve_us_is_not_used", { stage in
        try stage.configure("server: {api_keys: [a-key-for-clients]}")
        var settings = stage.settings()
        let stranger = try stage.stranger(port: settings.preferredPort)
        try stage.configure()
        let refused = try stage.manager(settings).mustRun()
        try check(refused.port != Int(settings.preferredPort), "it has no key for it")
        try stage.configure("server: {api_keys: [a-key-for-clients]}")
        settings.clientKey = "a-key-for-clients"
        let manager = stage.manager(settings)
        try check(manager.mustRun().port == Int(settings.preferredPort), "it has a key for it")
        let count = try awaited { try await manager.status()["total_providers"] as? Int }
        try check(count == 1, "\(count ?? -1) providers")
        try check(stranger.isRunning, "it was stopped")
    }),
    ("many_callers_at_once_get_one_proxy", { stage in
        let manager = stage.manager()
        let done = DispatchGroup()
        let good = Tally()
        for _ in 0..<64 {
            done.enter()
            DispatchQueue.global().async {
                manager.ensureProxyRunning { success, _ in
                    if success { good.add() }
                    done.leave()
                }
                _ = manager.state
            }
        }
        try check(done.wait(timeout: .now() + patience) == .success, "some never completed")
        try check(good.count == 64, "\(good.count)")
        try eventually("the log is written") { stage.log.contains("listening on") }
        try check(stage.log.components(separatedBy: "listening on").count == 2, stage.log)
    }),
    ("a_stop_during_a_start_ends_the_start", { stage in
        var settings = stage.settings()
        settings.program = try stage.script("exec sleep 60")
        let manager = stage.manager(settings)
        let started: Started = try completed { done in
            manager.ensureProxyRunning { done(Started(success: $0, message: $1, onMain: true)) }
            try? eventually("the process") { manager.processIdentifier != nil }
            manager.stopProxy()
        }
        try check(!started.success && started.message == "llm-proxy is not running", "\(started)")
        try check(manager.state == .stopped, "\(manager.state)")
    }),
    ("a_program_that_says_nothing_is_given_up", { stage in
        var settings = stage.settings()
        settings.program = try stage.script("exec sleep 60")
        settings.startTimeout = 0.3
        let manager = stage.manager(settings)
        let message = try manager.mustNotRun()
        try check(message == "llm-proxy did not answer within 0.3 seconds", message)
        try check(manager.processIdentifier == nil, "it was left running")
    }),
    ("a_program_that_is_missing_or_none_is_told", { stage in
        var settings = stage.settings()
        settings.program = stage.folder
        let missing = try stage.manager(settings).mustNotRun()
        try check(missing.contains("was not found") && missing.contains(stage.folder.path), missing)
        settings.program = try stage.script("echo 'error: no luck today' >&2; exit 1")
        let failed = try stage.manager(settings).mustNotRun()
        try check(failed == "error: no luck today", failed)
        settings.program = try stage.script("exit 7")
        let silent = try stage.manager(settings).mustNotRun()
        try check(silent == "llm-proxy ended with exit code 7", silent)
    }),
    ("the_log_stays_small_whatever_is_said", { stage in
        var settings = stage.settings()
        settings.logLimit = 10_000
        settings.program = try stage.script("""
            for i in 1 2 3 4 5 6 7 8 9 10; do head -c 9000 /dev/zero | tr '\\0' x; echo; done
            echo 'listening on http://127.0.0.1:9'
            exec sleep 60
            """)
        _ = try stage.manager(settings).mustRun()
        for file in [stage.logFile, stage.logFile.appendingPathExtension("1")] {
            let attributes = try FileManager.default.attributesOfItem(atPath: file.path)
            let size = try value(attributes[.size] as? Int)
            try check((1...70_000).contains(size), "\(file.path) has \(size) bytes")
        }
    }),
    ("a_log_that_cannot_be_written_hinders_nothing", { stage in
        var settings = stage.settings()
        settings.logFile = URL(fileURLWithPath: "/proc/none/llm-proxy.log")
        let base = try stage.manager(settings).mustRun()
        try check(try chat(base).status == 200, "it does not serve")
    }),
    ("answers_that_still_stream_do_not_hold_up_a_stop", { stage in
        try stage.provider.order(["script": [
            ["answer": (0..<200).map { "word \($0)" }, "gap_ms": 300] as [String: Any],
        ]])
        let manager = stage.manager()
        let base = try manager.mustRun()
        let process = try value(manager.processIdentifier)
        let answer: Answer = try completed { done in
            DispatchQueue.global().async {
                if let answer = try? chat(base, stream: true) { done(answer) }
            }
            try? eventually("the request") { try !stage.provider.requests.isEmpty }
            usleep(500_000)
            let began = Date()
            manager.stopProxy()
            print("  a stop amid a stream took \(Date().timeIntervalSince(began)) s")
        }
        try check(try commandLine(of: process) == nil, "it is still there")
        let isCut = answer.body.contains("upstream_stream_interrupted") || answer.status == 0
        try check(isCut, answer.body)
    }),
    ("changes_of_the_state_are_posted_on_the_main_queue", { stage in
        let manager = stage.manager()
        let onMain = Tally()
        let elsewhere = Tally()
        let observer = NotificationCenter.default.addObserver(
            forName: ProxyManager.stateDidChange, object: nil, queue: nil
        ) { notification in
            guard notification.object as? ProxyManager === manager else { return }
            (Thread.isMainThread ? onMain : elsewhere).add()
        }
        _ = try manager.mustRun()
        manager.stopProxy()
        try eventually("starting, running, stopped") { onMain.count == 3 }
        try check(elsewhere.count == 0, "\(elsewhere.count) were posted elsewhere")
        NotificationCenter.default.removeObserver(observer)
    }),
    ("an_app_for_the_python_version_works_unchanged", { stage in
        for app in [variable("OLD_APP_5"), variable("OLD_APP_6")] {
            try runOldApp(app, stage)
        }
    }),
    ("the_example_works", { stage in
        let support = stage.folder.appendingPathComponent(".local/share/Example/llm-proxy")
        try FileManager.default.createDirectory(at: support, withIntermediateDirectories: true)
        try FileManager.default.copyItem(
            at: stage.configuration, to: support.appendingPathComponent("config.yaml"))
        let path = URL(fileURLWithPath: variable("LLM_PROXY")).deletingLastPathComponent().path
        let (process, output) = try stage.run(
            variable("EXAMPLE"), [],
            environment: ["HOME": stage.folder.path, "FIRST_KEY": Stage.key, "PATH": path])
        let said = try all(of: output)
        process.waitUntilExit()
        try check(said.contains("first says: Hello there."), said)
        try check(process.terminationStatus == 0, "exit code \(process.terminationStatus)")
    }),
]

/// The app, and in its resources the folder `llm-proxy` with the program and its configuration.
func runOldApp(_ app: String, _ stage: Stage) throws {
    let files = FileManager.default
    let bundle = stage.folder.appendingPathComponent(UUID().uuidString)
    let resources = bundle.appendingPathComponent("llm-proxy")
    try files.createDirectory(at: resources, withIntermediateDirectories: true)
    let copy = bundle.appendingPathComponent("Old")
    try files.copyItem(atPath: app, toPath: copy.path)
    let program = resources.appendingPathComponent("llm-proxy")
    try files.copyItem(atPath: variable("LLM_PROXY"), toPath: program.path)
    try files.copyItem(at: stage.configuration, to: resources.appendingPathComponent("config.yaml"))
    try stage.write("FIRST_KEY=\(Stage.key)\n", to: resources.appendingPathComponent(".env"))
    let (process, output) = try stage.run(copy.path, [], environment: ["HOME": bundle.path])
    let said = try all(of: output)
    process.waitUntilExit()
    let expected = """
        ready: true, running: true
        answered: 200 by first with first-model
        provider first: 1 requests today, limited: false
        reloaded: true
        stopped: true

        """
    try check(said == expected, said)
}

func all(of pipe: Pipe) throws -> String {
    String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
}

/// Counts from any thread.
final class Tally: @unchecked Sendable {
    private let lock = NSLock()
    private var counted = 0

    func add() {
        lock.withLock { counted += 1 }
    }

    var count: Int {
        lock.withLock { counted }
    }
}

let chosen = CommandLine.arguments.dropFirst().first ?? ""

Thread.detachNewThread {
    var passed = 0
    var failed = 0
    for (name, test) in tests where name.contains(chosen) || chosen.isEmpty {
        let began = Date()
        do {
            try test(Stage())
            passed += 1
            print("ok   \(name) (\(String(format: "%.1f", Date().timeIntervalSince(began))) s)")
        } catch {
            failed += 1
            print("FAIL \(name): \(error)")
        }
    }
    print("\(passed) passed, \(failed) failed")
    exit(failed == 0 ? 0 : 1)
}
RunLoop.main.run()
