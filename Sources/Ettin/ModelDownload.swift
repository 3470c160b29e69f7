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
    /// - Throws: `HubError` when the model cannot be had.
    static func folder(
        _ name: String,
        revision: String?,
        progress: (@Sendable (DownloadProgress) -> Void)?
    ) async throws -> URL {
        let meter = ProgressMeter(report: progress)
        let hub = try HubClient(
            environment: HubEnvironment(ProcessInfo.processInfo.environment),
            onEvent: meter.take
        )
        let folder = try await hub.modelFolder(reference(name, revision: revision))
        return URL(filePath: folder, directoryHint: .isDirectory)
    }

    /// What is meant by a name; an existing folder comes before a short name of the suite.
    private static func reference(_ name: String, revision: String?) throws -> ModelReference {
        let parts = name.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard !FilePath.exists(name), let short = parts.first, let model = EttinSuite.model(named: short) else {
            return try ModelReference(name, revision: revision)
        }
        return try ModelReference(([model.repository] + parts.dropFirst()).joined(separator: "@"), revision: revision)
    }
}

/// Adds up what a client tells of single files.
private final class ProgressMeter: Sendable {
    private let files = Mutex<[String: (completed: Int, total: Int)]>([:])
    private let report: (@Sendable (DownloadProgress) -> Void)?

    init(report: (@Sendable (DownloadProgress) -> Void)?) {
        self.report = report
    }

    @Sendable func take(_ event: HubEvent) {
        guard let report, case .progress(let path, let completed, let total) = event else { return }
        let progress = files.withLock { files in
            files[path] = (completed, total ?? completed)
            return DownloadProgress(
                completedBytes: files.values.map(\.completed).clampedSum(),
                totalBytes: files.values.map(\.total).clampedSum()
            )
        }
        report(progress)
    }
}
