import EttinFiles
import EttinHub
import EttinModel
import Foundation
import Synchronization

/// Finds models by name, and downloads those that are not in the cache.
enum ModelDownload {
    /// The folder of a model.
    ///
    /// - Parameters:
    ///   - name: A folder, `owner/name` or `owner/name@revision` on the Hub, or a short name of the suite.
    ///   - revision: A branch, tag or commit; folders have none.
    ///   - progress: Told how far a download is.
    ///   - onEvent: Told everything that the client tells.
    ///   - environment: Variables with the Hub's settings.
    /// - Returns: A folder, in the cache unless the name is that of one.
    /// - Throws: `HubError` when the model cannot be had, `CheckpointError` for an adapter that is broken.
    static func folder(
        _ name: String,
        revision: String?,
        progress: (@Sendable (DownloadProgress) -> Void)?,
        onEvent: (@Sendable (HubEvent) -> Void)?,
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) async throws -> URL {
        let meter = ProgressMeter(report: progress)
        let hub = try HubClient(environment: HubEnvironment(environment)) { event in
            onEvent?(event)
            meter.take(event)
        }
        let reference = try ModelReference(name, revision: revision) { EttinSuite.model(named: $0)?.repository }
        let folder = try await hub.modelFolder(reference)
        return URL(filePath: try await opened(folder, hub), directoryHint: .isDirectory)
    }

    /// Opens an adapter with its base, which is downloaded where it is no folder; other folders are what they are.
    private static func opened(_ folder: String, _ hub: HubClient) async throws -> String {
        guard AdapterFolder.isAdapter(folder) else { return try AdapterFolder.opened(folder) }
        let configuration = try LoRAConfiguration(folder: folder)
        do {
            return try AdapterFolder.opened(folder)
        } catch let error as CheckpointError where error.problems.first?.kind == .missing {
            guard let name = configuration.baseModel,
                let reference = try? HubReference(name, kind: .model, revision: configuration.revision)
            else { throw error }
            return try AdapterFolder.opened(folder, base: await hub.modelFolder(.hub(reference)))
        }
    }
}

/// Adds up what a client tells of single files.
private final class ProgressMeter: Sendable {
    private let files = Mutex<[String: (completed: Int, total: Int)]>([:])
    private let report: (@Sendable (DownloadProgress) -> Void)?

    init(report: (@Sendable (DownloadProgress) -> Void)?) {
        self.report = report
    }

    func take(_ event: HubEvent) {
        guard let report, case .progress(let path, let completed, let total) = event else { return }
        // Reported with the lock held, so that sums come in their order from whichever threads files come.
        files.withLock { files in
            files[path] = (completed, total ?? completed)
            report(
                DownloadProgress(
                    completedBytes: files.values.map(\.completed).clampedSum(),
                    totalBytes: files.values.map(\.total).clampedSum()
                )
            )
        }
    }
}
