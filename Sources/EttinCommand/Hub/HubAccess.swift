import ArgumentParser
import Dispatch
import EttinHub
import EttinModel
import Foundation
import Synchronization

/// The Hub for commands: settings from the environment, progress on standard error.
enum HubAccess {
    /// Runs a body with a client, and waits for it.
    ///
    /// - Throws: `HubError`, or what the body throws.
    static func run<Result: Sendable>(
        _ body: @escaping @Sendable (HubClient) async throws -> Result
    ) throws -> Result {
        let environment = try environment()
        let progress = TransferProgress(isShown: !environment.disablesProgressBars)
        let hub = try HubClient(environment: environment, onEvent: progress.take)
        defer { progress.finish() }
        return try wait { try await body(hub) }
    }

    /// The settings of the process.
    static func environment() throws -> HubEnvironment {
        try HubEnvironment(ProcessInfo.processInfo.environment)
    }

    /// What a user means by a model: a folder, a short name of the suite, or a repository.
    static func reference(_ text: String, revision: String?) throws -> ModelReference {
        try ModelReference(text, revision: revision) { EttinSuite.model(named: $0)?.repository }
    }

    /// What a user means by a repository on the Hub; names of the suite are those of models.
    static func hubReference(_ text: String, kind: RepositoryKind, revision: String? = nil) throws -> HubReference {
        guard kind == .model else { return try HubReference(text, kind: kind, revision: revision) }
        switch try reference(text, revision: revision) {
        case .hub(let reference): return reference
        case .folder(let folder):
            throw ValidationError("\(folder) is a local folder; expected owner/name on the Hub")
        }
    }

    /// The folder of a model, with the files of a selection in it.
    static func folder(_ text: String, revision: String?, files: FileSelection = .model) throws -> String {
        switch try reference(text, revision: revision) {
        case .folder(let folder):
            try CheckpointFolder.require(folder)
            return folder
        case .hub(let reference): return try run { try await $0.snapshot(of: reference, files: files).folder }
        }
    }

    /// The folder of a model; an adapter is opened with the model that it changes.
    static func modelFolder(_ text: String, revision: String?, files: FileSelection = .model) throws -> String {
        try AdapterFolder.opened(folder(text, revision: revision, files: files), resolver: base)
    }

    /// The folder of an adapter's base on the Hub; nil for what is no name there.
    static func base(_ name: String, revision: String?) throws -> String? {
        // What is no name on the Hub is a path that leads nowhere.
        guard let reference = try? HubReference(name, kind: .model, revision: revision) else { return nil }
        return try run { try await $0.snapshot(of: reference, files: .model).folder }
    }

    /// Waits for asynchronous work; the main thread has nothing else to do.
    private static func wait<Result: Sendable>(_ body: @escaping @Sendable () async throws -> Result) throws -> Result {
        let done = DispatchSemaphore(value: 0)
        let outcome = Outcome<Result>()
        Task.detached {
            let result: Swift.Result<Result, any Error>
            do {
                result = .success(try await body())
            } catch {
                result = .failure(error)
            }
            outcome.result.withLock { $0 = result }
            done.signal()
        }
        done.wait()
        guard let result = outcome.result.withLock({ $0 }) else { throw CancellationError() }
        return try result.get()
    }
}

/// What asynchronous work has come to.
private final class Outcome<Value: Sendable>: Sendable {
    let result = Mutex<Result<Value, any Error>?>(nil)
}
