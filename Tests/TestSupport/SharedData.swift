import Foundation

/// Real data beside the repository, if this machine has it.
package enum SharedData {
    package static let folder: String? = {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let candidates: [String?] = [
            ProcessInfo.processInfo.environment["ETTIN_SHARED"], root.appending(path: "../shared").standardized.path,
        ]
        return candidates.compactMap { $0 }.first { FileManager.default.fileExists(atPath: "\($0)/data/tokenizer") }
    }()

    package static var isAvailable: Bool { folder != nil }
}
