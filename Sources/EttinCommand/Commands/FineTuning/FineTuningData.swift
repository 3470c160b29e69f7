import EttinHub
import EttinTables

/// Data sets for commands of fine-tuning: files, folders, and names on the Hub.
enum FineTuningData {
    /// Opens files, and downloads those of data sets on the Hub.
    static let opening = TableOpening(download: { try HubAccess.files(of: $0) })

    /// Opens what recipes and options name as one table.
    ///
    /// - Parameter references: Each a file, a folder, a pattern, or `owner/name[:config][:split]`.
    /// - Returns: The table.
    /// - Throws: `TableError` for what is not there or broken; `HubError`.
    static func table(_ references: [String]) throws -> TableView {
        try opening.open(references)
    }

    /// The folder of a data set: one of this machine, or its files on the Hub.
    ///
    /// - Parameters:
    ///   - name: The folder, or `owner/name`.
    ///   - patterns: The files that are needed; all for none.
    /// - Returns: The folder.
    /// - Throws: `TableError` for a name that is none; `HubError`.
    static func folder(_ name: String, _ patterns: [String]) throws -> String {
        guard case .hub(let repository) = try DatasetReference(name).location else { return name }
        let reference = try HubReference(repository, kind: .dataset)
        let files = patterns.isEmpty ? FileSelection.all : .matching(patterns)
        return try HubAccess.run { try await $0.snapshot(of: reference, files: files).folder }
    }
}
